"""Two numbers: regions of highest density, and slices through them."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.joint.joint import Joint
from pofx.plot import plot_data
from pofx.plot.style import COLOURS, INK_COLOUR, LINE_STYLES, MODEL_COLOUR, legend, format_number, hide_spines, split, short_label
from pofx.table.schema import Variable

REGION_MASSES = (0.95, 0.8, 0.5)
POINTS = 4000
"""The most rows that are drawn as points."""
CELLS = 160
"""Places on each side of the grid on which contours are found."""
REGION_COLOURS = ("#E4EEF6", "#B9D4E8", "#85B4D6")
WIDTHS, STYLES = (0.8, 1.0, 1.4), (":", "--", "-")


def contours(
    ax: Any, q: Joint, one: Variable, other: Variable, seen: Any, seed: int, narrow: bool
) -> None:
    """Around the regions of highest density that hold 50, 80 and 95 %, over rows as points."""
    draws = plot_data.draw_columns(q, seed)
    samples = [[draws[v.name]] for v in (one, other)]
    if seen is not None:
        samples = [[*drawn, rows] for drawn, rows in zip(samples, seen)]
    ends = [plot_data.span(v, *s) for v, s in zip((one, other), samples)]
    mesh = np.meshgrid(*(plot_data.grid(v, *e, CELLS) for v, e in zip((one, other), ends)))
    height = plot_data.density(q, {one.name: mesh[0].ravel(), other.name: mesh[1].ravel()})
    height = height.reshape(mesh[0].shape)
    levels, mass = _levels(q, one, other, draws)
    ax.contourf(*mesh, height, [*levels, np.inf], colors=REGION_COLOURS, zorder=0)
    lines = {"colors": MODEL_COLOUR, "linewidths": WIDTHS, "linestyles": STYLES}
    with warnings.catch_warnings():
        # A ridge that is narrower than the grid has no contours.
        warnings.filterwarnings("ignore", "No contour levels")
        ax.contour(*mesh, height, levels, zorder=3, **lines)
    for share, width, style in zip(REGION_MASSES[::-1], WIDTHS[::-1], STYLES[::-1]):
        ax.plot([], [], style, color=MODEL_COLOUR, linewidth=width, label=f"{100 * share:.0f} %")
    if seen is not None:
        _points(ax, *seen)
    limits = [(low - half, high + half) for (low, high), half in zip(ends, _halves(one, other))]
    ax.set(xlim=limits[0], ylim=limits[1])
    plot_data.axis(ax.xaxis, one)
    plot_data.axis(ax.yaxis, other)
    off = f" of the {1 - mass:.0%} that lie on no point mass" if mass else ""
    title = f"{plot_data.label(q, one.name, other.name)}: regions that hold{off}"
    room = {"ncols": 2, "width": 34} if narrow else {"ncols": 4}
    legend(ax, above=True, title=title, columnspacing=1.2, handlelength=1.8, **room)


def _halves(*variables: Variable) -> list[float]:
    """Half a step of counts, by which an axis goes beyond the last."""
    return [0.5 if v.kind == "count" else 0.0 for v in variables]


def _levels(q: Joint, one: Variable, other: Variable, draws: dict[str, np.ndarray]) -> Any:
    """The densities that 95, 80 and 50 % of the draws exceed, and the share on point masses.

    Where a column has point masses, of the draws on none: those have no density.
    """
    off = ~(plot_data.is_on_spike(one, draws[one.name]) | plot_data.is_on_spike(other, draws[other.name]))
    if not off.any():
        raise PofxError(f"joint: {one.name!r} and {other.name!r} lie on point masses only")
    smooth = {name: values[off] for name, values in draws.items()}
    height = plot_data.density(q, smooth)
    levels = np.quantile(height, [1 - m for m in REGION_MASSES])
    return np.maximum.accumulate(levels * (1 + 1e-6 * np.arange(len(REGION_MASSES)))), 1 - off.mean()


def _points(ax: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Rows as points, of many rows some at random: thousands on one another show nothing."""
    label = f"{len(x)} rows" if len(x) <= POINTS else f"{POINTS} of {len(x)} rows"
    shown = np.random.default_rng(0).permutation(len(x))[:POINTS]
    style = {"color": INK_COLOUR, "markersize": 2.8, "markeredgewidth": 0, "zorder": 2}
    ax.plot(x[shown], y[shown], "o", alpha=min(0.6, 12 / np.sqrt(len(shown))), **style)
    ax.plot([], [], "o", alpha=0.6, label=label, **style)


def plot_slices(ax: Any, q: Joint, one: Variable, other: Variable, slices: Sequence[Any]) -> None:
    """p(other | one = value) for each value, in a panel that shares the axis of the other."""
    side = split(ax, "right", 0.46)
    y = plot_data.grid(other, *ax.get_ylim())
    colours = [c for c in COLOURS if c != MODEL_COLOUR]
    for value, colour, line in zip(slices, colours * len(slices), LINE_STYLES * len(slices)):
        own = q.given({one.name: value})
        x = plot_data.density(own, {other.name: y})
        side.plot(x, y, color=colour, linestyle=line, label=f"= {format_number(value)}")
        ax.axvline(value, color=colour, linestyle=line, linewidth=1.2, zorder=4)
    side.set_xlabel(plot_data.unit_of(other, 0))
    side.locator_params(axis="x", nbins=3)
    side.xaxis.set_major_formatter("{x:.3g}")
    side.set_xlim(0, None)
    side.tick_params(labelleft=False)
    legend(side, above=True, title=short_label(one.name))
    hide_spines(side)
