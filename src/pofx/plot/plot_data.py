"""The numbers behind pictures, in the data's units: cells, grids, densities, point masses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.joint.joint import Joint
from pofx.plot.style import short_label, short_labels
from pofx.table.encoding import encode, encode_values
from pofx.table.schema import Variable

LAYOUT_DRAWS = 8192
"""Draws that determine the limits of axes and the levels of contours."""
TAIL_SHARES = (0.002, 0.01, 0.03)
"""Shares of draws or rows beyond an end of an axis; the first that suffices is used."""
CURVE_POINTS = 400
"""Points of a curve."""
MAX_BARS = 40
"""The most whole numbers that are drawn as bars."""


def plain_variable(p: Joint, name: str) -> Variable:
    """The variable of that name; PofxError for an array."""
    variable = p.schema.variable(name)
    if variable.shape:
        raise PofxError(
            f"{name!r}: expected a plain column, and its cells have the shape {variable.shape}; "
            "try plot.images"
        )
    return variable


def columns(
    p: Joint, names: Sequence[str], data: Any, given: Mapping[str, Any] | None = None
) -> list[np.ndarray]:
    """The cells of columns, for the rows that miss none of them.

    Args:
        p: the distribution whose schema describes the data.
        names: the columns.
        data: the rows.
        given: evidence; only rows whose cells equal it are used.

    Returns:
        One array per name: numbers in the data's units, or codes of levels.

    Raises:
        PofxError: if the data have no such column or no such row.
    """
    nameless = isinstance(data, list | tuple | np.ndarray)
    schema = p.schema if nameless else p.schema.select(dict.fromkeys([*names, *(given or ())]))
    x = encode(schema, data, unseen="missing", require=schema.names)
    if given:
        expected = encode_values(schema, given)
        same = ((x == expected) | np.isnan(expected)).all(1)
        if not same.any():
            event = ", ".join(k if np.ndim(v) else f"{k} = {v}" for k, v in given.items())
            raise PofxError(f"data: no row has {event}, as given; leave the data out")
        x = x[same]
    entries = [schema.slices[name].start for name in names]
    x = x[~np.isnan(x[:, entries]).any(1)]
    if not len(x):
        raise PofxError(f"data: expected at least one row with {' and '.join(names)}, got none")
    variables = [schema.variable(name) for name in names]
    return [x[:, j] * v.scale + v.shift for j, v in zip(entries, variables)]


def draw_columns(p: Joint, seed: int) -> dict[str, np.ndarray]:
    """Draws of every plain column, in the form that `columns` returns."""
    names = [v.name for v in p.schema.variables if not v.shape]
    return dict(zip(names, columns(p, names, p.sample(LAYOUT_DRAWS, seed=seed))))


def span(variable: Variable, *samples: np.ndarray) -> tuple[float, float]:
    """The ends of an axis that shows samples of a variable, without far tails."""
    smooth = [s[~is_on_spike(variable, s)] for s in samples]
    ends = [*(_ends(s) for s in smooth if len(s)), *((x, x) for x in spikes(variable))]
    low = min(e[0] for e in ends)
    high = max(e[1] for e in ends)
    if variable.kind == "count":
        return float(np.floor(low)), float(max(np.ceil(high), np.floor(low) + 1))
    room = 0.04 * (high - low) or variable.scale
    # A positive variable has nothing below zero, except a point mass at the edge.
    edge = 0.0 if variable.kind == "positive" and low > 0 else -np.inf
    return max(low - room, edge), high + room


def _ends(sample: np.ndarray) -> tuple[float, float]:
    """The ends of a sample, or of its bulk if its tails are far away."""
    inner = np.subtract(*np.quantile(sample, [0.9, 0.1]))
    low = high = 0.0
    for tail in TAIL_SHARES:
        low, high = np.quantile(sample, [tail, 1 - tail])
        if high - low <= 4 * inner:
            break
    margin = 0.15 * (high - low)
    return max(sample.min(), low - margin), min(sample.max(), high + margin)


def grid(variable: Variable, low: float, high: float, points: int = CURVE_POINTS) -> np.ndarray:
    """Values at which to evaluate a density: whole numbers for counts, and no point masses."""
    x = np.linspace(low, high, points + 1)
    if variable.kind == "count":
        return np.unique(np.rint(x))
    x = x[x > 0] if variable.kind == "positive" else x
    return x[~is_on_spike(variable, x)]


def spikes(variable: Variable) -> np.ndarray:
    """Values with a mass where others have a density; none for counts, which all have a mass."""
    return np.array(() if variable.kind == "count" else variable.spikes)


def is_on_spike(variable: Variable, values: np.ndarray) -> np.ndarray:
    """Which values are such point masses; float32 is compared, because models may use it."""
    return np.isin(values.astype(np.float32), spikes(variable).astype(np.float32))


def density(p: Joint, values: Mapping[str, Any]) -> np.ndarray:
    """p(values), per unit of the data, for a `p` over exactly these columns.

    Shorter columns are repeated to the length of the longest.
    """
    n = max(np.size(v) for v in values.values())
    full = {k: np.broadcast_to(np.asarray(v), n) for k, v in values.items()}
    return np.exp(p.log_prob(full).value)


def bin_edges(variable: Variable, values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Bins by numpy's rule, at most a hundred, as wide as a multiple of the column's resolution.

    Bins that hold sometimes two and sometimes three possible values would show spurious teeth.
    """
    inside = values[(values >= low) & (values <= high)]
    edges = np.histogram_bin_edges(inside, "auto", (low, high))
    edges = edges if len(edges) <= 100 else np.linspace(low, high, 100)
    step = 1.0 if variable.kind == "count" else variable.resolution
    width = edges[1] - edges[0]
    if not step or width / step > 1000:
        return edges
    width = step * max(round(width / step), 1)
    first = np.floor((low - step / 2) / step) * step + step / 2
    return first + width * np.arange(np.ceil((high - first) / width) + 1)


def density_label(variable: Variable, width: int = 16) -> str:
    """The label of an axis of densities, on two lines if the column's name is long."""
    if variable.kind == "count":
        return "probability"
    name = short_label(variable.name)
    space = " " if len(name) <= width else "\n"
    return f"density per {variable.density_unit} of{space}{name}"


def label_axis(axis: Any, variable: Variable) -> None:
    """Label the axis of a variable's values: dates by the calendar, durations in seconds."""
    name = short_label(variable.name)
    if variable.time_kind == "instant":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        # Matplotlib counts days since 1970-01-01, too.
        locator = AutoDateLocator(minticks=3, maxticks=6)
        axis.set_major_locator(locator)
        axis.set_major_formatter(ConciseDateFormatter(locator))
    axis.set_label_text(f"{name} (s)" if variable.time_kind not in (None, "instant") else name)


def label(p: Joint, *names: str) -> str:
    """p(names | evidence), as text for a legend."""
    bar = f" | {short_label(', '.join(p.evidence), 40).strip()}" if p.evidence else ""
    return f"p({', '.join(w.strip() for w in short_labels(names))}{bar})"


def top_levels(probability: np.ndarray, most: int) -> np.ndarray:
    """The codes of the `most` levels of highest probability, in ascending order."""
    return np.sort(np.argsort(-probability, kind="stable")[:most])


def level_names(variable: Variable) -> list[str]:
    """The levels of a variable, as labels."""
    return short_labels([str(level) for level in variable.levels])
