"""The picture of one column."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pofx.joint.joint import Joint
from pofx.plot import plot_data
from pofx.plot.style import DATA_COLOUR, INK_COLOUR, MODEL_COLOUR, legend, get_axes, hide_spines, rotate_labels, short_label
from pofx.table.schema import Variable

MAX_LEVELS = 30
"""The most levels that one picture shows: those of the highest probability."""
SPIKE_COLOUR = "#D55E00"


def marginal(
    p: Joint,
    name: str,
    data: Any = None,
    *,
    given: Mapping[str, Any] | None = None,
    ax: Any = None,
    seed: int = 0,
) -> Any:
    """p(name | given) of a column, over the histogram of data where there is some.

    A number: x is the column in the data's units, y the density per unit of it; point masses are
    stems whose probability is read on the right. Levels and small counts: a bar each, whose height
    is a probability, beside the share of rows; of many levels the 30 most probable. With `given`,
    only rows that equal it are shown. The axis leaves out far tails, at most 3 % at each end, and
    tells of rows that lie there. Raises PofxError for an array, and for data that do not fit.

    >>> import pofx
    >>> p = pofx.fit({"a": ["x", "y", "y", "y"] * 5}, "independent")
    >>> [round(float(bar.get_height()), 2) for bar in marginal(p, "a").patches]
    [0.25, 0.75]
    """
    variable = plot_data.plain_variable(p, name)
    q = (p.given(given) if given else p).marginal(name)
    seen = None if data is None else plot_data.columns(p, [name], data, given)[0]
    if variable.discrete:
        ax = get_axes(ax, (max(4, 1 + 0.22 * min(len(variable.levels), MAX_LEVELS)), 3.4))
        _bars(ax, q, variable, np.arange(len(variable.levels)), seen)
    else:
        ax, draws = get_axes(ax), plot_data.draw_columns(q, seed)[name]
        low, high = plot_data.span(variable, draws, *([] if seen is None else [seen]))
        if variable.kind == "count" and high - low < plot_data.MAX_BARS:
            _bars(ax, q, variable, np.arange(low, high + 1), seen)
        else:
            _curve(ax, q, variable, low, high, seen)
    return hide_spines(ax)


def _bars(
    ax: Any, q: Joint, variable: Variable, values: np.ndarray, seen: np.ndarray | None
) -> None:
    """Bars of probabilities, beside those of the shares of rows."""
    levels, name = variable.levels, variable.name
    cells = [levels[int(v)] for v in values] if levels else values
    height = plot_data.density(q, {name: cells})
    kept = plot_data.top_levels(height, MAX_LEVELS) if levels else np.arange(len(values))
    place, width = np.arange(len(kept)) if levels else values, 0.8 if seen is None else 0.4
    shift = 0 if seen is None else width / 2
    label = plot_data.label(q, name)
    ax.bar(place - shift, height[kept], width, color=MODEL_COLOUR, label=label, linewidth=0)
    if seen is not None:
        share = (seen[:, None] == values[kept]).mean(0)
        rows = {"color": DATA_COLOUR, "edgecolor": INK_COLOUR, "hatch": "////", "linewidth": 0.5}
        ax.bar(place + shift, share, width, label=f"{len(seen)} rows", **rows)
    if levels:
        names = [plot_data.level_names(variable)[i] for i in kept]
        ax.set_xticks(place, names, **rotate_labels(names))
    else:
        ax.xaxis.get_major_locator().set_params(integer=True)
    more = f" ({len(kept)} of {len(levels)} levels)" if len(kept) < len(values) else ""
    ax.set(xlabel=f"{short_label(name)}{more}", ylabel="probability")
    legend(ax, above=True)


def _curve(
    ax: Any, q: Joint, variable: Variable, low: float, high: float, seen: np.ndarray | None
) -> None:
    """A density over a histogram of rows, and point masses."""
    name = variable.name
    if seen is not None:
        histogram(ax, variable, seen, low, high, len(seen))
    x = plot_data.grid(variable, low, high)
    y = plot_data.density(q, {name: x})
    ax.plot(x, y, color=MODEL_COLOUR, label=plot_data.label(q, name))
    # A density may grow without bound at an end of its support.
    top = 1.6 * np.quantile(y, 0.99)
    ax.set(xlim=(low, high), ylim=(0, top if y.max() > top else None))
    ax.set_ylabel(plot_data.unit_of(variable))
    plot_data.axis(ax.xaxis, variable)
    ax.yaxis.set_major_formatter("{x:.3g}")
    side = _stems(ax, q, variable, seen) if len(plot_data.spikes(variable)) else None
    legend(ax, above=True, handles=_handles(ax, side))


def histogram(
    ax: Any, variable: Variable, seen: np.ndarray, low: float, high: float, of: int, **style: Any
) -> None:
    """Rows in bins as a density; of the whole are those on point masses and beyond the axis too."""
    edges = plot_data.bin_edges(variable, seen, low, high)
    smooth = seen[~plot_data.is_on_spike(variable, seen)]
    beyond = int(((smooth < edges[0]) | (smooth > edges[-1])).sum())
    label = f"{of} rows" + (f", {beyond} beyond the axis" if beyond else "")
    weight = np.full(len(smooth), 1 / (of * (edges[1] - edges[0])))
    style = {"color": DATA_COLOUR, "edgecolor": "white", "linewidth": 0.4, "label": label, **style}
    ax.hist(smooth, edges, weights=weight, **style)


def _stems(ax: Any, q: Joint, variable: Variable, seen: np.ndarray | None) -> Any:
    """Point masses as stems, whose axis is on the right: they are no densities."""
    side = ax.twinx()
    spikes = plot_data.spikes(variable)
    mass = plot_data.density(q, {variable.name: spikes})
    stems = side.stem(spikes, mass, basefmt=" ", label="point mass")
    stems.stemlines.set(color=SPIKE_COLOUR, linewidth=1.5, clip_on=False)
    stems.markerline.set(color=SPIKE_COLOUR, marker="D", markersize=5, clip_on=False)
    if seen is not None:
        share = (seen.astype(np.float32)[:, None] == spikes.astype(np.float32)).mean(0)
        side.plot(spikes, share, "s", mfc="none", mec=INK_COLOUR, label="share of rows")
    side.set(ylim=(0, 1.15 * side.get_ylim()[1]), ylabel="probability of a point mass")
    side.spines["top"].set_visible(False)
    return side


def _handles(ax: Any, side: Any) -> list[Any]:
    """What the legend names, of both scales."""
    return [h for one in (ax, side) if one for h in one.get_legend_handles_labels()[0]]
