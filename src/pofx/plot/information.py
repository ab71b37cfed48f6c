"""The mutual information of pairs of columns, and the entropy of a coin."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.joint.joint import Joint
from pofx.named.precision import to_nats
from pofx.plot.primitives import heatmap
from pofx.plot.style import INK_COLOUR, MODEL_COLOUR, get_axes, hide_spines, short_labels

ORDERS = ("near", "given")
MAX_LABELLED, MAX_WITH_ERRORS = 16, 9
"""The most columns for whose cells there is room for numbers, and for their errors."""


def information(
    p: Joint,
    names: Sequence[str] | None = None,
    *,
    unit: str = "nats",
    order: str = "near",
    stderr: float | None = 0.01,
    ax: Any = None,
    seed: int = 0,
) -> Any:
    """Draw I(a; b) of every pair of columns, with standard errors if it is an estimate.

    The diagonal, unshaded, holds the entropy H of each column of levels, which bounds the
    information that any column has about it.

    Args:
        p: the distribution.
        names: at least two columns, by default all.
        unit: "nats" or "bits".
        order: "near" puts columns with much mutual information side by side, by average linkage
            of 1 - r, where r² = 1 - exp(-2 I) is the squared correlation of two Gaussian variables
            with the same information (Linfoot 1957); "given" keeps the order of `names`.
        stderr: the standard error to aim for in estimates, in `unit`; None for no target.
        ax: the axes to draw on.
        seed: the seed of estimates.

    Returns:
        The axes.

    Raises:
        PofxError: for fewer than two columns and for an unknown unit or order.

    >>> import pofx
    >>> data = {"a": ["x", "y"] * 10, "b": [0, 0, 1, 1] * 5, "c": [0, 1] * 10}
    >>> p = pofx.fit(data, "class_conditional", on="a")
    >>> [label.get_text() for label in information(p).get_xticklabels()]
    ['b', 'c', 'a']
    """
    names = list(p.schema.names if names is None else names)
    if len(names) < 2:
        raise PofxError(
            f"information: expected two columns or more, got {', '.join(names) or 'none'}"
        )
    if order not in ORDERS:
        raise PofxError(f"order: expected 'near' or 'given', got {order!r}")
    answer = p.mutual_informations(*names, unit=unit, stderr=stderr, seed=seed)
    nats = np.asarray(answer.value) * to_nats(1.0, unit)
    place = _near_order(nats) if order == "near" else np.arange(len(names))
    value = np.asarray(answer.value)[np.ix_(place, place)]
    error = np.broadcast_to(answer.stderr, value.shape)[np.ix_(place, place)]
    ordered = [names[i] for i in place]
    texts = [[_cell(*pair, len(names)) for pair in zip(*row)] for row in zip(value, error)]
    if len(names) <= MAX_LABELLED:
        for i, name in enumerate(ordered):
            texts[i][i] = _entropy(p, name, unit)
    room = len(names) * (0.45 if len(names) <= MAX_LABELLED else 0.2)
    ax = get_axes(ax, (2 + room, 1.5 + 0.93 * room))
    worst = np.nanmax(error)
    label = f"mutual information ({unit}{f', errors up to {worst:.1g}' if worst > 0 else ''})"
    labels = short_labels(ordered)
    heatmap(ax, value, texts, labels, labels, label, 7 if len(names) <= MAX_LABELLED else 5.5)
    if any(texts[i][i] for i in range(len(ordered))):
        ax.set_xlabel("diagonal: entropy H of a column of levels", fontsize=8, color=INK_COLOUR)
    return ax


def _near_order(nats: np.ndarray) -> np.ndarray:
    """An order in which columns are next to those that they share much information with."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(nats) < 3:
        return np.arange(len(nats))
    distance = 1 - np.sqrt(-np.expm1(-2 * np.clip(np.nan_to_num(nats), 0, None)))
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(distance), "average", optimal_ordering=True))


def _cell(value: float, error: float, columns: int) -> str:
    """The text of a cell; empty if there are too many columns."""
    if np.isnan(value) or columns > MAX_LABELLED:
        return ""
    text = f"{round(value, 2) + 0.0:.2f}"
    return f"{text}\n±{error:.3f}" if error >= 0.0005 and columns <= MAX_WITH_ERRORS else text


def _entropy(p: Joint, name: str, unit: str) -> str:
    variable = p.schema.variable(name)
    if not variable.discrete or variable.shape:
        return ""
    return f"H {p.entropy(name, unit=unit):.2f}"


def bernoulli_entropy(*, unit: str = "bits", ax: Any = None) -> Any:
    """Draw the entropy of a binary variable against the probability of one of its levels.

    The maximum, one bit, is at 1/2, because the outcome of a fair coin is one answer of yes or no.

    Args:
        unit: "bits" or "nats".
        ax: the axes to draw on.

    Returns:
        The axes.

    Raises:
        PofxError: for an unknown unit.

    >>> bernoulli_entropy().get_ylabel()
    'entropy H (bits)'
    """
    from scipy.special import entr

    p = np.linspace(0, 1, 401)
    height = (entr(p) + entr(1 - p)) / to_nats(1.0, unit)
    ax = get_axes(ax)
    top = height.max()
    ax.plot(p, height, color=MODEL_COLOUR)
    ax.plot([0.5, 0.5, 0], [0, top, top], color="#808080", linestyle=":", linewidth=1)
    ax.plot(0.5, top, "o", color=MODEL_COLOUR, clip_on=False)
    note = f"a fair coin: {top:.3g} {'bit' if unit == 'bits' else unit}"
    ax.annotate(note, (0.5, top), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    ax.set(xlabel="probability p of a success", ylabel=f"entropy H ({unit})", xlim=(0, 1))
    ax.set_ylim(0, 1.12 * top)
    return hide_spines(ax)
