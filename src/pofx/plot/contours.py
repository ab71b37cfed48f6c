"""Pictures of two columns of numbers: regions of highest density, and slices through them."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.joint.joint import Joint
from pofx.plot import plot_data
from pofx.plot.style import (
    COLOURS,
    INK_COLOUR,
    LINE_STYLES,
    MODEL_COLOUR,
    format_number,
    hide_spines,
    legend,
    short_label,
    split,
)
from pofx.table.schema import Variable

REGION_MASSES = (0.95, 0.8, 0.5)
REGION_COLOURS = ("#E4EEF6", "#B9D4E8", "#85B4D6")
REGION_LINE_WIDTHS, REGION_LINE_STYLES = (0.8, 1.0, 1.4), (":", "--", "-")
MAX_POINTS = 4000
"""The most rows that are drawn as points."""
GRID_POINTS = 160
"""Points per side of the grid on which contours are found."""


def contours(
    ax: Any, q: Joint, one: Variable, other: Variable, rows: Any, seed: int, narrow: bool
) -> None:
    """Draw contours around the regions of highest density that hold 50, 80 and 95 %.

    Args:
        ax: the axes to draw on.
        q: the distribution of the two columns alone.
        one: the column on the x axis.
        other: the column on the y axis.
        rows: the cells of both columns, drawn as points; or None.
        seed: the seed of the draws that determine the levels.
        narrow: whether the legend has room for two columns only.
    """
    draws = plot_data.draw_columns(q, seed)
    samples = [[draws[v.name]] for v in (one, other)]
    if rows is not None:
        samples = [[*sample, cells] for sample, cells in zip(samples, rows)]
    ends = [plot_data.span(v, *s) for v, s in zip((one, other), samples)]
    mesh = np.meshgrid(*(plot_data.grid(v, *e, GRID_POINTS) for v, e in zip((one, other), ends)))
    height = plot_data.density(q, {one.name: mesh[0].ravel(), other.name: mesh[1].ravel()})
    height = height.reshape(mesh[0].shape)
    levels, mass = _levels(q, one, other, draws)
    ax.contourf(*mesh, height, [*levels, np.inf], colors=REGION_COLOURS, zorder=0)
    lines = {"colors": MODEL_COLOUR, "linewidths": REGION_LINE_WIDTHS}
    lines |= {"linestyles": REGION_LINE_STYLES}
    with warnings.catch_warnings():
        # A ridge that is narrower than the grid has no contours.
        warnings.filterwarnings("ignore", "No contour levels")
        ax.contour(*mesh, height, levels, zorder=3, **lines)
    styles = zip(REGION_MASSES[::-1], REGION_LINE_WIDTHS[::-1], REGION_LINE_STYLES[::-1])
    for share, width, style in styles:
        label = f"{100 * share:.0f} %"
        ax.plot([], [], style, color=MODEL_COLOUR, linewidth=width, label=label)
    if rows is not None:
        _points(ax, *rows)
    limits = [(low - half, high + half) for (low, high), half in zip(ends, _halves(one, other))]
    ax.set(xlim=limits[0], ylim=limits[1])
    plot_data.label_axis(ax.xaxis, one)
    plot_data.label_axis(ax.yaxis, other)
    off_spikes = f" of the {1 - mass:.0%} that lie on no point mass" if mass else ""
    title = f"{plot_data.label(q, one.name, other.name)}: regions that hold{off_spikes}"
    room = {"ncols": 2, "width": 34} if narrow else {"ncols": 4}
    legend(ax, above=True, title=title, columnspacing=1.2, handlelength=1.8, **room)


def _halves(*variables: Variable) -> list[float]:
    """Half a step for counts, by which an axis extends beyond the last count."""
    return [0.5 if v.kind == "count" else 0.0 for v in variables]


def _levels(q: Joint, one: Variable, other: Variable, draws: dict[str, np.ndarray]) -> Any:
    """The densities that 95, 80 and 50 % of the draws exceed, and the share on point masses.

    Draws on point masses do not count for the levels, because they have no density.
    """
    on_spike = plot_data.is_on_spike(one, draws[one.name])
    on_spike |= plot_data.is_on_spike(other, draws[other.name])
    off = ~on_spike
    if not off.any():
        raise PofxError(f"pair: {one.name!r} and {other.name!r} lie on point masses only")
    smooth = {name: values[off] for name, values in draws.items()}
    height = plot_data.density(q, smooth)
    levels = np.quantile(height, [1 - m for m in REGION_MASSES])
    # Contour levels must increase strictly.
    increasing = np.maximum.accumulate(levels * (1 + 1e-6 * np.arange(len(REGION_MASSES))))
    return increasing, 1 - off.mean()


def _points(ax: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Draw rows as points, a random subset if they are many, because a solid blot shows nothing."""
    label = f"{len(x)} rows" if len(x) <= MAX_POINTS else f"{MAX_POINTS} of {len(x)} rows"
    subset = np.random.default_rng(0).permutation(len(x))[:MAX_POINTS]
    style = {"color": INK_COLOUR, "markersize": 2.8, "markeredgewidth": 0, "zorder": 2}
    ax.plot(x[subset], y[subset], "o", alpha=min(0.6, 12 / np.sqrt(len(subset))), **style)
    ax.plot([], [], "o", alpha=0.6, label=label, **style)


def plot_slices(ax: Any, q: Joint, one: Variable, other: Variable, slices: Sequence[Any]) -> None:
    """Draw p(other | one = value) for each value, in a panel that shares the y axis of `ax`."""
    side = split(ax, "right", 0.46)
    y = plot_data.grid(other, *ax.get_ylim())
    colours = [c for c in COLOURS if c != MODEL_COLOUR]
    for value, colour, line in zip(slices, colours * len(slices), LINE_STYLES * len(slices)):
        conditional = q.given({one.name: value})
        x = plot_data.density(conditional, {other.name: y})
        side.plot(x, y, color=colour, linestyle=line, label=f"= {format_number(value)}")
        ax.axvline(value, color=colour, linestyle=line, linewidth=1.2, zorder=4)
    side.set_xlabel(plot_data.density_label(other, 0))
    side.locator_params(axis="x", nbins=3)
    side.xaxis.set_major_formatter("{x:.3g}")
    side.set_xlim(0, None)
    side.tick_params(labelleft=False)
    legend(side, above=True, title=short_label(one.name))
    hide_spines(side)
