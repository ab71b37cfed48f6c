"""How far to trust a model: how it was learned, rows unlike it, whether it is too sure."""

from typing import Any

import numpy as np

from pofx.core.errors import PofxError, unknown_name_error
from pofx.joint.joint import Joint
from pofx.named.model import check_positive_int
from pofx.plot.evidence import probabilities_of
from pofx.plot.style import DATA_COLOUR, INK_COLOUR, MODEL_COLOUR, legend, get_axes, hide_spines, split
from pofx.queries.calibration import Calibration, calibration
from pofx.table.frames.reading import read_frame

BAND_COVERAGE = 0.95
"""The probability that a bar of uniform shares lies in the band."""


def learning_curve(p: Joint, *, ax: Any = None) -> Any:
    """Log-likelihood in nats a row before each step of learning, the steps on x.

    The axis shows the last gains: it begins where nine tenths of the steps lie above, and what is
    below is told. Of a fit of more than 200 steps the last 200 are known. Raises PofxError for a
    model that does not know how it was learned.
    """
    history = np.array([np.nan if h is None else h for h in p.fit_info.get("history", ())], float)
    if not np.isfinite(history).any():
        raise PofxError("learning: the model does not know how it was learned")
    ax = get_axes(ax)
    last = int(p.fit_info["steps"])
    step = np.arange(last - len(history), last) + 1
    style = {"color": MODEL_COLOUR, "markersize": 3.5, "marker": "o" if len(step) <= 60 else None}
    ax.plot(step, history, clip_on=True, **style)
    known = history[np.isfinite(history)]
    low, high = np.quantile(known, 0.1), known.max()
    if len(known) > 10 and known.min() < high - 3 * (high - low):
        ax.set_ylim(high - 1.5 * (high - low), high + 0.15 * (high - low))
        note = f"below: step {step[0]}, {known[0]:.2f}"
        style = {"fontsize": 8, "color": INK_COLOUR, "ha": "right"}
        ax.annotate(note, (0.98, 0.03), xycoords="axes fraction", **style)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ended = "converged" if p.fit_info.get("converged") else "not converged"
    ax.set_title(f"{p.fit_info['model']}, {p.fit_info['rows']} rows, {ended}", fontsize=9)
    ax.set(xlabel="step", ylabel="log-likelihood (nats a row)")
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
    """The rows' tail probabilities P(log p(X) <= log p(row)) in bins, as shares of the rows.

    Rows of the model give equal bars, but for chance: in the band lies a bar of theirs with
    probability 95 %. A high bar at 0 are rows unlike the model, a high one at 1 rows too like it.
    With `fresh` as many draws of the model itself are shown as a line. Raises PofxError for data
    that do not fit and for bins < 1.
    """
    from scipy.stats import binom

    check_positive_int("bins", bins)
    found = np.asarray(p.tail_probability(data, seed=seed).value)
    n, edges = len(found), np.linspace(0, 1, bins + 1)
    ax = get_axes(ax)
    low, high = np.array(binom.interval(BAND_COVERAGE, n, 1 / bins)) / n
    ax.axhspan(
        low, high, color="#DCE8F2", linewidth=0, label="where 95 % of bars lie by chance", zorder=0
    )
    ax.axhline(1 / bins, color=MODEL_COLOUR, linestyle=":", linewidth=1, zorder=1)
    weights = np.full(n, 1 / n)
    style = {"color": DATA_COLOUR, "edgecolor": "white", "linewidth": 0.4, "zorder": 0.5}
    ax.hist(found, edges, weights=weights, label=f"{n} rows", **style)
    if fresh:
        own = np.asarray(p.tail_probability(p.sample(n, seed=seed + 1), seed=seed).value)
        style = {"histtype": "step", "color": MODEL_COLOUR, "linewidth": 1.2, "zorder": 3}
        ax.hist(own, edges, weights=weights, label=f"{n} draws of the model", **style)
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
    """Of rows whose most probable level has probability x, the share y where it is true.

    `probabilities` as `predict_proba` gives them, with `truth` in the same words, or an array of
    (rows, levels) with codes. A point a bin with an error of one standard error, the number of rows
    as bars below; the expected calibration error is told beside what chance alone would give.
    Bins of equal "width", or of equal "mass". See `pofx.queries.calibration`. Raises PofxError for
    what are no probabilities and for a level that has none.

    >>> ax = reliability([[0.9, 0.1], [0.3, 0.7]], [0, 1])
    >>> [one.get_ylabel() for one in ax.figure.axes]
    ['accuracy: share that is true', 'rows']
    """
    found = calibration(*_coded(probabilities, truth), bins, equal=equal)
    ax = get_axes(ax, (4, 4.2))
    ax.plot([0, 1], [0, 1], color="#808080", linestyle="--", linewidth=1, label="calibrated")
    error = found.error
    label = f"ECE {error.value:.1%} ± {error.stderr:.1%}, by chance {found.by_chance:.1%}"
    style = {"color": MODEL_COLOUR, "marker": "o", "markersize": 4.5, "capsize": 2, "linewidth": 1}
    ax.errorbar(found.confidence, found.accuracy, found.stderr, label=label, **style)
    low = min((found.accuracy - found.stderr).min(), found.confidence.min()) - 0.05
    ax.set(xlim=(max(found.confidence.min() - 0.1, 0), 1), ylim=(max(low, 0), 1.03))
    ax.set_ylabel("accuracy: share that is true")
    ax.grid(alpha=0.3)
    legend(ax, above=True)
    _counts(ax, found)
    return hide_spines(ax)


def _counts(ax: Any, found: Calibration) -> None:
    """How many rows each bin holds, in a strip below that bears the axis of both."""
    side = split(ax, "below", 0.24)
    used = np.searchsorted(found.edges[1:-1], found.confidence, side="left")
    left, right = found.edges[used], found.edges[used + 1]
    style = {"color": DATA_COLOUR, "edgecolor": "white", "linewidth": 0.4}
    side.bar(left, found.count, right - left, align="edge", **style)
    side.set(xlabel="confidence: p of the most probable level", ylabel="rows")
    ax.tick_params(labelbottom=False)
    hide_spines(side)


def _coded(probabilities: Any, truth: Any) -> tuple[Any, Any]:
    """Probabilities and the codes of true levels; rows whose level is missing are left out."""
    if isinstance(probabilities, np.ndarray | list | tuple):
        return probabilities, truth
    names = read_frame(probabilities).names
    cells = read_frame({"truth": truth}).cells["truth"]
    known = ~cells.missing
    table, values = probabilities_of(probabilities), cells.values[known]
    if len(table) != len(known):
        raise PofxError(f"truth: expected {len(table)} levels, one a row; got {len(known)}")
    distinct, place = np.unique(values, return_inverse=True)
    found = [float(v) if cells.levels is None else cells.levels[int(v)] for v in distinct]
    return table[known], np.array([_code(v, names) for v in found])[place]


def _code(level: Any, names: tuple[str, ...]) -> int:
    """The place of a level among the names of columns; a number by its value."""
    for code, name in enumerate(names):
        if name == str(level) or (isinstance(level, float) and _float(name) == level):
            return code
    raise unknown_name_error("level of the probabilities", level, names)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
