"""The picture of one column."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pofx.joint.joint import Joint
from pofx.plot import plot_data
from pofx.plot.style import (
    DATA_COLOUR,
    INK_COLOUR,
    MODEL_COLOUR,
    get_axes,
    hide_spines,
    legend,
    rotate_labels,
    short_label,
)
from pofx.table.schema import Variable

MAX_LEVELS = 30
"""The most levels that one picture shows, namely those of the highest probability."""
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
    """Draw p(name | given) of one column, over a histogram of data if there are any.

    For a number, x is the column and y the density per unit of it. Point masses are stems, whose
    probability is read on the right. The axis omits far tails, at most 3 % at each end, and the
    legend says how many rows lie there. For levels and small counts, each has a bar whose height
    is its probability, next to its share of the rows.

    Args:
        p: the distribution.
        name: a plain column; of many levels the 30 most probable are shown.
        data: rows to compare with, in the data's units.
        given: evidence; only rows of `data` that equal it are used.
        ax: the axes to draw on.
        seed: the seed of the draws that determine the limits of the axes.

    Returns:
        The axes.

    Raises:
        PofxError: for an array variable and for data that do not fit.

    >>> import pofx
    >>> p = pofx.fit({"a": ["x", "y", "y", "y"] * 5}, "independent")
    >>> [round(float(bar.get_height()), 2) for bar in marginal(p, "a").patches]
    [0.25, 0.75]
    """
    variable = plot_data.plain_variable(p, name)
    q = (p.given(given) if given else p).marginal(name)
    cells = None if data is None else plot_data.columns(p, [name], data, given)[0]
    if variable.discrete:
        ax = get_axes(ax, (max(4, 1 + 0.22 * min(len(variable.levels), MAX_LEVELS)), 3.4))
        _bars(ax, q, variable, np.arange(len(variable.levels)), cells)
    else:
        ax = get_axes(ax)
        draws = plot_data.draw_columns(q, seed)[name]
        low, high = plot_data.span(variable, draws, *([] if cells is None else [cells]))
        if variable.kind == "count" and high - low < plot_data.MAX_BARS:
            _bars(ax, q, variable, np.arange(low, high + 1), cells)
        else:
            _curve(ax, q, variable, low, high, cells)
    return hide_spines(ax)


def _bars(
    ax: Any, q: Joint, variable: Variable, values: np.ndarray, cells: np.ndarray | None
) -> None:
    """Draw bars of probabilities, next to bars of the shares of rows."""
    levels, name = variable.levels, variable.name
    height = plot_data.density(q, {name: [levels[int(v)] for v in values] if levels else values})
    codes = plot_data.top_levels(height, MAX_LEVELS) if levels else np.arange(len(values))
    place = np.arange(len(codes)) if levels else values
    width = 0.8 if cells is None else 0.4
    shift = 0 if cells is None else width / 2
    label = plot_data.label(q, name)
    ax.bar(place - shift, height[codes], width, color=MODEL_COLOUR, label=label, linewidth=0)
    if cells is not None:
        share = (cells[:, None] == values[codes]).mean(0)
        style = {"color": DATA_COLOUR, "edgecolor": INK_COLOUR, "hatch": "////", "linewidth": 0.5}
        ax.bar(place + shift, share, width, label=f"{len(cells)} rows", **style)
    if levels:
        names = [plot_data.level_names(variable)[i] for i in codes]
        ax.set_xticks(place, names, **rotate_labels(names))
    else:
        ax.xaxis.get_major_locator().set_params(integer=True)
    note = f" ({len(codes)} of {len(levels)} levels)" if len(codes) < len(values) else ""
    ax.set(xlabel=f"{short_label(name)}{note}", ylabel="probability")
    legend(ax, above=True)


def _curve(
    ax: Any, q: Joint, variable: Variable, low: float, high: float, cells: np.ndarray | None
) -> None:
    """Draw a density over a histogram of rows, and point masses."""
    name = variable.name
    if cells is not None:
        histogram(ax, variable, cells, low, high, len(cells))
    x = plot_data.grid(variable, low, high)
    y = plot_data.density(q, {name: x})
    ax.plot(x, y, color=MODEL_COLOUR, label=plot_data.label(q, name))
    # A density may grow without bound at an end of its support.
    top = 1.6 * np.quantile(y, 0.99)
    ax.set(xlim=(low, high), ylim=(0, top if y.max() > top else None))
    ax.set_ylabel(plot_data.density_label(variable))
    plot_data.label_axis(ax.xaxis, variable)
    ax.yaxis.set_major_formatter("{x:.3g}")
    side = _stems(ax, q, variable, cells) if len(plot_data.spikes(variable)) else None
    legend(ax, above=True, handles=_handles(ax, side))


def histogram(
    ax: Any, variable: Variable, cells: np.ndarray, low: float, high: float, rows: int, **style: Any
) -> None:
    """Draw a histogram of cells as a density.

    Args:
        ax: the axes to draw on.
        variable: the column.
        cells: its values, (n,); those on point masses and beyond the axis are left out.
        low: the left end of the axis.
        high: the right end of the axis.
        rows: the number of rows that the density is normalised by.
        style: further arguments of `ax.hist`.
    """
    edges = plot_data.bin_edges(variable, cells, low, high)
    smooth = cells[~plot_data.is_on_spike(variable, cells)]
    beyond = int(((smooth < edges[0]) | (smooth > edges[-1])).sum())
    label = f"{rows} rows" + (f", {beyond} beyond the axis" if beyond else "")
    weight = np.full(len(smooth), 1 / (rows * (edges[1] - edges[0])))
    style = {"color": DATA_COLOUR, "edgecolor": "white", "linewidth": 0.4, "label": label, **style}
    ax.hist(smooth, edges, weights=weight, **style)


def _stems(ax: Any, q: Joint, variable: Variable, cells: np.ndarray | None) -> Any:
    """Draw point masses as stems with an axis on the right, because they are no densities."""
    side = ax.twinx()
    spikes = plot_data.spikes(variable)
    mass = plot_data.density(q, {variable.name: spikes})
    stems = side.stem(spikes, mass, basefmt=" ", label="point mass")
    stems.stemlines.set(color=SPIKE_COLOUR, linewidth=1.5, clip_on=False)
    stems.markerline.set(color=SPIKE_COLOUR, marker="D", markersize=5, clip_on=False)
    if cells is not None:
        share = (cells.astype(np.float32)[:, None] == spikes.astype(np.float32)).mean(0)
        side.plot(spikes, share, "s", mfc="none", mec=INK_COLOUR, label="share of rows")
    side.set(ylim=(0, 1.15 * side.get_ylim()[1]), ylabel="probability of a point mass")
    side.spines["top"].set_visible(False)
    return side


def _handles(ax: Any, side: Any) -> list[Any]:
    """The entries of a legend for the axes and, if there is one, the axis on the right."""
    return [h for axes in (ax, side) if axes for h in axes.get_legend_handles_labels()[0]]
