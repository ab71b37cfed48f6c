"""The picture of two columns, each a number or of levels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.joint.joint import Joint
from pofx.plot import plot_data
from pofx.plot.contours import contours, plot_slices
from pofx.plot.one_column import MAX_LEVELS, histogram
from pofx.plot.primitives import heatmap
from pofx.plot.style import COLOURS, INK_COLOUR, LINE_STYLES, MAX_LINES, legend, get_axes, hide_spines, short_label
from pofx.table.schema import Variable

MAX_OVERLAID_HISTOGRAMS = 4
"""The most histograms that are told apart on one another."""
MAX_LABELLED = 12
"""The most levels on a side of a table that has room for numbers."""


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
    """p(a, b | given) of two columns, with rows of data where there are some.

    Two numbers: a on x and b on y in the data's units, contours around the regions of highest
    density that hold 50, 80 and 95 % (their levels are quantiles of the density at 8192 draws),
    the rows as points; for each value of a in `slices` a line at it and, in a panel on the right,
    p(b | a = value) per unit of b. A number and levels: a curve of p(number, level) for each
    level, per unit of the number, over histograms of rows (of up to four levels). Levels twice: a
    table of probabilities, the shares of rows below them in brackets. Raises PofxError for an
    array, one column twice, and slices of what is not two numbers.

    >>> import numpy as np, pofx
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> ax = pair(pofx.fit({"a": x[:, 0], "b": x[:, 1]}, "gaussian"), "a", "b", slices=[0.5])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('a', 'b')
    """
    one, other = plot_data.plain_variable(p, a), plot_data.plain_variable(p, b)
    if a == b:
        raise PofxError(f"joint: expected two columns, got {a!r} twice; plot.marginal draws one")
    if len(slices) and (one.discrete or other.discrete):
        raise PofxError("slices: expected two columns of numbers; plot.marginal takes given=")
    q = (p.given(given) if given else p).marginal(a, b)
    seen = None if data is None else plot_data.columns(p, [a, b], data, given)
    if one.discrete and other.discrete:
        size = [min(len(v.levels), MAX_LEVELS) for v in (other, one)]
        ax = get_axes(ax, (max(4.4, 2.4 + 0.24 * size[0]), max(3.6, 1.2 + 0.2 * size[1])))
        return _table(ax, q, one, other, seen)
    ax = get_axes(ax, (6.2, 3.9) if len(slices) else (4.4, 3.6))
    if one.discrete:
        return _curves(ax, q, other, one, seen and seen[::-1], seed)
    if other.discrete:
        return _curves(ax, q, one, other, seen, seed)
    contours(ax, q, one, other, seen, seed, narrow=len(slices) > 0)
    if len(slices):
        plot_slices(ax, q, one, other, slices)
    return hide_spines(ax)


def _curves(ax: Any, q: Joint, own: Variable, levels: Variable, seen: Any, seed: int) -> Any:
    """p(number, level), a curve for each level: together they hold all of the probability."""
    draws = plot_data.draw_columns(q, seed)[own.name]
    low, high = plot_data.span(own, draws, *([] if seen is None else seen[:1]))
    x = plot_data.grid(own, low, high)
    each = plot_data.density(q.marginal(levels.name), {levels.name: list(levels.levels)})
    kept = plot_data.top_levels(each, MAX_LINES)
    names = plot_data.level_names(levels)
    for k, colour, line in zip(kept, COLOURS, LINE_STYLES):
        y = plot_data.density(q, {own.name: x, levels.name: levels.levels[k]})
        if seen is not None and len(kept) <= MAX_OVERLAID_HISTOGRAMS:
            style = {"histtype": "stepfilled", "color": colour, "alpha": 0.25, "label": None}
            histogram(ax, own, seen[0][seen[1] == k], low, high, len(seen[0]), **style)
        ax.plot(x, y, color=colour, linestyle=line, label=names[k])
    ax.set(ylabel=plot_data.unit_of(own), xlim=(low, high), ylim=(0, None))
    plot_data.axis(ax.xaxis, own)
    ax.yaxis.set_major_formatter("{x:.3g}")
    more = f" ({len(kept)} of {len(names)} levels)" if len(kept) < len(names) else ""
    more += ", off its point masses" if len(plot_data.spikes(own)) else ""
    more += f", {len(seen[0])} rows" if seen is not None and len(kept) <= MAX_OVERLAID_HISTOGRAMS else ""
    legend(ax, above=True, title=f"{plot_data.label(q, own.name, levels.name)}{more}", ncols=3)
    return hide_spines(ax)


def _table(ax: Any, q: Joint, one: Variable, other: Variable, seen: Any) -> Any:
    """Probabilities of two columns of levels, the first downwards."""
    pairs = np.indices((len(one.levels), len(other.levels))).reshape(2, -1)
    cells = {v.name: [v.levels[i] for i in codes] for v, codes in zip((one, other), pairs)}
    height = plot_data.density(q, cells).reshape(len(one.levels), -1)
    kept = [plot_data.top_levels(height.sum(k), MAX_LEVELS) for k in (1, 0)]
    shown = height[np.ix_(*kept)]
    texts = np.array([[f"{value:.3f}" for value in row] for row in shown], object)
    if seen is not None:
        share = (seen[0] == pairs[0][:, None]) & (seen[1] == pairs[1][:, None])
        share = share.mean(1).reshape(height.shape)[np.ix_(*kept)]
        texts += np.array([[f"\n({value:.3f})" for value in row] for row in share], object)
    if max(shown.shape) > MAX_LABELLED:
        texts[:] = ""
    rows, columns = ([plot_data.level_names(v)[i] for i in k] for v, k in zip((one, other), kept))
    unit = f"probability{'' if seen is None else f' (share of {len(seen[0])} rows)'}"
    heatmap(ax, shown, texts.tolist(), rows, columns, unit)
    ax.set(xlabel=short_label(other.name), ylabel=short_label(one.name))
    ax.set_title(plot_data.label(q, one.name, other.name), fontsize=8, color=INK_COLOUR)
    return ax
