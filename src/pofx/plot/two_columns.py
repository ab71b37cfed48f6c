"""The picture of two columns, each of numbers or of levels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.joint.joint import Joint
from pofx.plot import plot_data
from pofx.plot.contours import contours, plot_slices
from pofx.plot.one_column import MAX_LEVELS, histogram
from pofx.plot.primitives import heatmap
from pofx.plot.style import (
    COLOURS,
    INK_COLOUR,
    LINE_STYLES,
    MAX_LINES,
    get_axes,
    hide_spines,
    legend,
    short_label,
)
from pofx.table.schema import Variable

MAX_OVERLAID_HISTOGRAMS = 4
"""The most histograms that can be distinguished when they are drawn on top of each other."""
MAX_LABELLED = 12
"""The most levels per side of a table that has room for numbers."""


def pair(
    p: Joint,
    a: str,
    b: str,
    data: Any = None,
    *,
    given: Mapping[str, Any] | None = None,
    slices: Sequence[Any] = (),
    ax: Any = None,
    seed: int = 0,
) -> Any:
    """Draw p(a, b | given) of two columns, with rows of data if there are any.

    For two columns of numbers, a is on x and b on y, with contours around the regions of highest
    density that hold 50, 80 and 95 % (their levels are quantiles of the density at 8192 draws), and
    rows are points. For a number and levels, each level has a curve of p(number, level) per unit of
    the number, over histograms of rows (of up to four levels). For two columns of levels, the
    picture is a table of probabilities, with the shares of rows in brackets below them.

    Args:
        p: the distribution.
        a: a plain column.
        b: another plain column.
        data: rows to compare with, in the data's units.
        given: evidence; only rows of `data` that equal it are used.
        slices: for two columns of numbers, values of a: each has a line and, in a panel on the
            right, the curve of p(b | a = value) per unit of b.
        ax: the axes to draw on.
        seed: the seed of the draws that determine limits and levels.

    Returns:
        The axes.

    Raises:
        PofxError: for an array variable, for the same column twice, and for slices unless both
            columns hold numbers.

    >>> import numpy as np, pofx
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> ax = pair(pofx.fit({"a": x[:, 0], "b": x[:, 1]}, "gaussian"), "a", "b", slices=[0.5])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('a', 'b')
    """
    one = plot_data.plain_variable(p, a)
    other = plot_data.plain_variable(p, b)
    if a == b:
        raise PofxError(f"pair: expected two columns, got {a!r} twice; plot.marginal draws one")
    if len(slices) and (one.discrete or other.discrete):
        raise PofxError("slices: expected two columns of numbers; plot.marginal takes given=")
    q = (p.given(given) if given else p).marginal(a, b)
    rows = None if data is None else plot_data.columns(p, [a, b], data, given)
    if one.discrete and other.discrete:
        size = [min(len(v.levels), MAX_LEVELS) for v in (other, one)]
        ax = get_axes(ax, (max(4.4, 2.4 + 0.24 * size[0]), max(3.6, 1.2 + 0.2 * size[1])))
        return _table(ax, q, one, other, rows)
    ax = get_axes(ax, (6.2, 3.9) if len(slices) else (4.4, 3.6))
    if one.discrete:
        return _curves(ax, q, other, one, rows and rows[::-1], seed)
    if other.discrete:
        return _curves(ax, q, one, other, rows, seed)
    contours(ax, q, one, other, rows, seed, narrow=len(slices) > 0)
    if len(slices):
        plot_slices(ax, q, one, other, slices)
    return hide_spines(ax)


def _curves(ax: Any, q: Joint, number: Variable, levels: Variable, rows: Any, seed: int) -> Any:
    """Draw p(number, level), one curve per level; together the curves hold all probability."""
    draws = plot_data.draw_columns(q, seed)[number.name]
    low, high = plot_data.span(number, draws, *([] if rows is None else rows[:1]))
    x = plot_data.grid(number, low, high)
    shares = plot_data.density(q.marginal(levels.name), {levels.name: list(levels.levels)})
    codes = plot_data.top_levels(shares, MAX_LINES)
    names = plot_data.level_names(levels)
    if len(codes) > MAX_OVERLAID_HISTOGRAMS:
        rows = None
    for k, colour, line in zip(codes, COLOURS, LINE_STYLES):
        y = plot_data.density(q, {number.name: x, levels.name: levels.levels[k]})
        if rows is not None:
            style = {"histtype": "stepfilled", "color": colour, "alpha": 0.25, "label": None}
            histogram(ax, number, rows[0][rows[1] == k], low, high, len(rows[0]), **style)
        ax.plot(x, y, color=colour, linestyle=line, label=names[k])
    ax.set(ylabel=plot_data.density_label(number), xlim=(low, high), ylim=(0, None))
    plot_data.label_axis(ax.xaxis, number)
    ax.yaxis.set_major_formatter("{x:.3g}")
    note = f" ({len(codes)} of {len(names)} levels)" if len(codes) < len(names) else ""
    note += ", off its point masses" if len(plot_data.spikes(number)) else ""
    note += f", {len(rows[0])} rows" if rows is not None else ""
    legend(ax, above=True, title=f"{plot_data.label(q, number.name, levels.name)}{note}", ncols=3)
    return hide_spines(ax)


def _table(ax: Any, q: Joint, one: Variable, other: Variable, rows: Any) -> Any:
    """Draw the probabilities of two columns of levels, the first column downwards."""
    pairs = np.indices((len(one.levels), len(other.levels))).reshape(2, -1)
    cells = {v.name: [v.levels[i] for i in codes] for v, codes in zip((one, other), pairs)}
    height = plot_data.density(q, cells).reshape(len(one.levels), -1)
    codes = [plot_data.top_levels(height.sum(k), MAX_LEVELS) for k in (1, 0)]
    table = height[np.ix_(*codes)]
    texts = np.array([[f"{value:.3f}" for value in row] for row in table], object)
    if rows is not None:
        share = (rows[0] == pairs[0][:, None]) & (rows[1] == pairs[1][:, None])
        share = share.mean(1).reshape(height.shape)[np.ix_(*codes)]
        texts += np.array([[f"\n({value:.3f})" for value in row] for row in share], object)
    if max(table.shape) > MAX_LABELLED:
        texts[:] = ""
    row_names, column_names = (
        [plot_data.level_names(v)[i] for i in k] for v, k in zip((one, other), codes)
    )
    unit = f"probability{'' if rows is None else f' (share of {len(rows[0])} rows)'}"
    heatmap(ax, table, texts.tolist(), row_names, column_names, unit)
    ax.set(xlabel=short_label(other.name), ylabel=short_label(one.name))
    ax.set_title(plot_data.label(q, one.name, other.name), fontsize=8, color=INK_COLOUR)
    return ax
