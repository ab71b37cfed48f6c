"""Pictures of how far to trust a model: its learning curve, its unusual rows, its calibration."""

from typing import Any

import numpy as np

from pofx.core.errors import PofxError, unknown_name_error
from pofx.joint.joint import Joint
from pofx.named.model import check_positive_int
from pofx.plot.evidence import probabilities_of
from pofx.plot.style import (
    DATA_COLOUR,
    INK_COLOUR,
    MODEL_COLOUR,
    get_axes,
    hide_spines,
    legend,
    split,
)
from pofx.queries.calibration import Calibration, calibration
from pofx.table.frames.reading import read_frame

BAND_COVERAGE = 0.95
"""The probability that a bar is inside the band if tail probabilities are uniform."""


def learning_curve(p: Joint, *, ax: Any = None) -> Any:
    """Draw the log-likelihood, in nats per row, before each step of learning.

    The y axis shows the last gains: it begins just below nine tenths of the steps, and a note
    reports the first value if it is lower. A fit records its last 200 steps.

    Args:
        p: a distribution that was learned.
        ax: the axes to draw on.

    Returns:
        The axes.

    Raises:
        PofxError: if the model has no record of how it was learned.
    """
    history = np.array([np.nan if h is None else h for h in p.fit_info.get("history", ())], float)
    if not np.isfinite(history).any():
        raise PofxError("learning_curve: the model has no record of how it was learned")
    ax = get_axes(ax)
    last = int(p.fit_info["steps"])
    step = np.arange(last - len(history), last) + 1
    style = {"color": MODEL_COLOUR, "markersize": 3.5, "marker": "o" if len(step) <= 60 else None}
    ax.plot(step, history, clip_on=True, **style)
    finite = history[np.isfinite(history)]
    low = np.quantile(finite, 0.1)
    high = finite.max()
    if len(finite) > 10 and finite.min() < high - 3 * (high - low):
        ax.set_ylim(high - 1.5 * (high - low), high + 0.15 * (high - low))
        note = f"below: step {step[0]}, {finite[0]:.2f}"
        style = {"fontsize": 8, "color": INK_COLOUR, "ha": "right"}
        ax.annotate(note, (0.98, 0.03), xycoords="axes fraction", **style)
    ax.xaxis.get_major_locator().set_params(integer=True)
    outcome = "converged" if p.fit_info.get("converged") else "not converged"
    ax.set_title(f"{p.fit_info['model']}, {p.fit_info['rows']} rows, {outcome}", fontsize=9)
    ax.set(xlabel="step", ylabel="log-likelihood (nats per row)")
    ax.ticklabel_format(axis="y", useOffset=False)
    return hide_spines(ax)


def tail_probability(
    p: Joint,
    data: Any,
    *,
    fresh: bool = True,
    bins: int = 20,
    ax: Any = None,
    seed: int = 0,
) -> Any:
    """Draw a histogram of the rows' tail probabilities P(log p(X) <= log p(row)).

    For rows from the model all bars are equal up to chance, and each bar is inside the band with
    probability 95 %. A high bar at 0 means rows that are unlikely under the model, a high bar at 1
    rows that are more typical than its own draws.

    Args:
        p: the distribution.
        data: the rows.
        fresh: whether to add, as a line, as many draws of the model itself.
        bins: the number of bins, at least 1.
        ax: the axes to draw on.
        seed: the seed of tail probabilities and draws.

    Returns:
        The axes.

    Raises:
        PofxError: for data that do not fit and for bins < 1.
    """
    from scipy.stats import binom

    check_positive_int("bins", bins)
    row_tails = np.asarray(p.tail_probability(data, seed=seed).value)
    n = len(row_tails)
    edges = np.linspace(0, 1, bins + 1)
    ax = get_axes(ax)
    low, high = np.array(binom.interval(BAND_COVERAGE, n, 1 / bins)) / n
    band_label = "95 % of bars are here by chance"
    ax.axhspan(low, high, color="#DCE8F2", linewidth=0, label=band_label, zorder=0)
    ax.axhline(1 / bins, color=MODEL_COLOUR, linestyle=":", linewidth=1, zorder=1)
    weights = np.full(n, 1 / n)
    style = {"color": DATA_COLOUR, "edgecolor": "white", "linewidth": 0.4, "zorder": 0.5}
    ax.hist(row_tails, edges, weights=weights, label=f"{n} rows", **style)
    if fresh:
        draws = p.sample(n, seed=seed + 1)
        draw_tails = np.asarray(p.tail_probability(draws, seed=seed).value)
        style = {"histtype": "step", "color": MODEL_COLOUR, "linewidth": 1.2, "zorder": 3}
        ax.hist(draw_tails, edges, weights=weights, label=f"{n} draws of the model", **style)
    ax.set(xlabel="tail probability of a row", ylabel=f"share of rows (bins of {1 / bins:.3g})")
    ax.set(xlim=(0, 1))
    legend(ax, above=True)
    return hide_spines(ax)


def reliability(
    probabilities: Any,
    truth: Any,
    *,
    bins: int = 10,
    equal: str = "width",
    ax: Any = None,
) -> Any:
    """Draw how often the most probable level is true, against its probability.

    Each bin is a point with an error bar of one standard error. Bars below show the number of rows.
    The legend reports the expected calibration error next to what chance alone would give. See
    `pofx.queries.calibration`.

    Args:
        probabilities: a table as `predict_proba` returns it, or an array of (rows, levels).
        truth: the true levels, named as in the table, or codes for an array.
        bins: the number of bins.
        equal: "width" or "mass", what the bins have in common.
        ax: the axes to draw on.

    Returns:
        The axes.

    Raises:
        PofxError: for numbers that are no probabilities and for a level that has none.

    >>> ax = reliability([[0.9, 0.1], [0.3, 0.7]], [0, 1])
    >>> [panel.get_ylabel() for panel in ax.figure.axes]
    ['accuracy: share that is true', 'rows']
    """
    result = calibration(*_coded(probabilities, truth), bins, equal=equal)
    ax = get_axes(ax, (4, 4.2))
    ax.plot([0, 1], [0, 1], color="#808080", linestyle="--", linewidth=1, label="calibrated")
    error = result.error
    label = f"ECE {error.value:.1%} ± {error.stderr:.1%}, by chance {result.by_chance:.1%}"
    style = {"color": MODEL_COLOUR, "marker": "o", "markersize": 4.5, "capsize": 2, "linewidth": 1}
    ax.errorbar(result.confidence, result.accuracy, result.stderr, label=label, **style)
    low = min((result.accuracy - result.stderr).min(), result.confidence.min()) - 0.05
    ax.set(xlim=(max(result.confidence.min() - 0.1, 0), 1), ylim=(max(low, 0), 1.03))
    ax.set_ylabel("accuracy: share that is true")
    ax.grid(alpha=0.3)
    legend(ax, above=True)
    _counts(ax, result)
    return hide_spines(ax)


def _counts(ax: Any, result: Calibration) -> None:
    """Draw how many rows each bin holds, in a strip below that has the x axis of both."""
    side = split(ax, "below", 0.24)
    used = np.searchsorted(result.edges[1:-1], result.confidence, side="left")
    left, right = result.edges[used], result.edges[used + 1]
    style = {"color": DATA_COLOUR, "edgecolor": "white", "linewidth": 0.4}
    side.bar(left, result.count, right - left, align="edge", **style)
    side.set(xlabel="confidence: p of the most probable level", ylabel="rows")
    ax.tick_params(labelbottom=False)
    hide_spines(side)


def _coded(probabilities: Any, truth: Any) -> tuple[Any, Any]:
    """Probabilities and the codes of true levels, without rows whose level is missing."""
    if isinstance(probabilities, np.ndarray | list | tuple):
        return probabilities, truth
    names = read_frame(probabilities).names
    cells = read_frame({"truth": truth}).cells["truth"]
    observed = ~cells.missing
    table = probabilities_of(probabilities)
    if len(table) != len(observed):
        raise PofxError(f"truth: expected {len(table)} levels, one per row; got {len(observed)}")
    distinct, place = np.unique(cells.values[observed], return_inverse=True)
    levels = [float(v) if cells.levels is None else cells.levels[int(v)] for v in distinct]
    return table[observed], np.array([_code(level, names) for level in levels])[place]


def _code(level: Any, names: tuple[str, ...]) -> int:
    """The index of a level among the names of columns; numbers are compared by value."""
    for code, name in enumerate(names):
        if name == str(level) or (isinstance(level, float) and _float(name) == level):
            return code
    raise unknown_name_error("level of the probabilities", level, names)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
