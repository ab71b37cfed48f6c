"""The picture of a posterior as evidence is added, cell by cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.joint.joint import Joint
from pofx.plot import plot_data
from pofx.plot.style import (
    COLOURS,
    LINE_STYLES,
    MARKERS,
    MAX_LINES,
    format_number,
    get_axes,
    hide_spines,
    legend,
    short_label,
)
from pofx.table.frames.reading import read_frame


def evidence(
    p: Joint,
    target: str,
    row: Any,
    order: Sequence[str] | None = None,
    *,
    ax: Any = None,
) -> Any:
    """Draw p(target | cells) of one row as its cells are observed one after the other.

    x begins at the prior and adds one cell per step; y is the probability of each level, 0 to 1.

    Args:
        p: the distribution.
        target: a column of levels.
        row: a mapping from names to values, or data of one row; missing cells and the target's
            own cell are left out.
        order: the names of the cells to add, in this order; by default all in the row's order.
        ax: the axes to draw on.

    Returns:
        The axes.

    Raises:
        PofxError: if the target is no column of levels, for several rows, and for no cell.

    >>> import pofx
    >>> p = pofx.fit({"a": ["x", "y"] * 10, "b": [0, 1] * 10}, "class_conditional", on="a")
    >>> ax = evidence(p, "a", {"b": 1})
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['prior', '+ b = 1']
    """
    cells = _cells(p, target, row)
    order = list(cells if order is None else order)
    for name in order:
        p.schema.variable(name)
        if name not in cells:
            raise PofxError(f"order: the row has no {name!r} to add")
    if not order:
        raise PofxError("row: expected at least one cell besides the target")
    posterior = _posteriors(p, target, {name: cells[name] for name in order})
    ax = get_axes(ax, (1.8 + 0.55 * (len(order) + 1), 4.3))
    names = plot_data.level_names(p.schema.variable(target))
    coloured = np.sort(np.argsort(-posterior.max(0), kind="stable")[:MAX_LINES])
    for k in range(len(names)):
        style = {"color": "#D0D0D0", "linewidth": 0.8, "zorder": 1}
        if k in coloured:
            i = int(np.flatnonzero(coloured == k)[0])
            style = {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": LINE_STYLES[i]}
            style |= {"markersize": 5, "label": names[k], "clip_on": False}
        ax.plot(range(len(order) + 1), posterior[:, k], **style)
    texts = ["prior", *(f"+ {short_label(name).strip()}{_value(cells[name])}" for name in order)]
    ax.set_xticks(range(len(texts)), texts, rotation=40, ha="right", fontsize=8)
    ax.set(ylim=(0, 1), xlabel="evidence, added from left to right")
    ax.set_ylabel(f"p({short_label(target).strip()} | evidence)")
    ax.grid(axis="y", alpha=0.3)
    legend(ax, above=True, ncols=4, title=short_label(target))
    return hide_spines(ax)


def _cells(p: Joint, target: str, row: Any) -> dict[str, Any]:
    """The observed cells of a row, by name, without the target."""
    if type(row).__name__ == "Series":  # as df.iloc[0]
        row = dict(row)
    if isinstance(row, Mapping):
        shapes = {name: p.schema.variable(name).shape for name in row}
        row = {k: [v] if np.ndim(v) == len(shapes[k]) else v for k, v in row.items()}
    frame = read_frame(row, p.schema.names)
    if frame.rows != 1:
        raise PofxError(f"row: expected one row, got {frame.rows}")
    cells = {k: c for k, c in frame.cells.items() if k != target and not c.missing.all()}
    return {k: c.values[0] if c.values[0].ndim else c.value(0) for k, c in cells.items()}


def _posteriors(p: Joint, target: str, cells: Mapping[str, Any]) -> np.ndarray:
    """p(target | the first k cells), with one row per k = 0, 1, ...."""
    steps = len(cells) + 1
    table: dict[str, Any] = {}
    for variable in p.schema.variables:
        if variable.name != target:
            missing = np.full(variable.shape, np.nan) if variable.shape else None
            table[variable.name] = [missing] * steps
    for k, (name, value) in enumerate(cells.items(), 1):
        table[name] = table[name][:k] + [value] * (steps - k)
    return probabilities_of(p.predict_proba(table, target))


def probabilities_of(table: Any) -> np.ndarray:
    """A table of probabilities, as `predict_proba` returns it, as an array of (rows, levels)."""
    if isinstance(table, np.ndarray):
        return table
    return np.stack([cells.values for cells in read_frame(table).cells.values()], axis=1)


def _value(value: Any) -> str:
    if np.ndim(value):
        return f" ({np.isfinite(value).sum()} entries)"
    return f" = {format_number(value) if isinstance(value, float) else short_label(value).strip()}"
