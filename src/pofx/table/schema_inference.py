"""The schema inferred from data, with overrides by the user."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.column import DEFAULT_FAMILY, DISCRETE, KINDS, Kind
from pofx.core.errors import PofxError, unknown_name_error
from pofx.table import column_statistics
from pofx.table.data_warnings import warn_about_merged_values
from pofx.table.frames.cells import Cells, as_numbers
from pofx.table.frames.exact import is_large_integer, join
from pofx.table.frames.reading import Frame, read_frame
from pofx.table.schema import Schema, Variable

OVERRIDE_FIELDS = ("kind", "family", "levels", "spikes", "resolution")
"""What may be overridden for each column."""
ZERO_SHIFT_KINDS = ("positive", "count")
"""Kinds whose numbers are measured from 0."""
FAMILIES_OF_PROPORTIONS = ("beta",)
"""Families of numbers between 0 and 1, whose entries keep the data's units."""
MAX_ORDINAL_LEVELS = 20
MIN_ROWS_PER_LEVEL, MIN_ROWS_PER_RARE_LEVEL = 5, 2
"""Average rows per distinct whole number that make a level: of all, and without spikes."""
MIN_POSITIVE_RATIO = 10
"""The least largest / smallest value of a column of kind positive."""


def infer(
    data: Any,
    overrides: Mapping[str, Any] | None = None,
    *,
    numeric: Callable[[str], bool] = lambda name: False,
) -> Schema:
    """The schema of `data`; each column has the first kind whose rule it meets.

    "5 rows each" is an average over the distinct values.

    | kind | rule |
    | --- | --- |
    | binary | bool; text or categories of two levels; {0, 1}; two whole numbers, 5 rows each |
    | ordinal | ordered categories; at most 20 whole numbers, 5 rows each (2 without spikes) |
    | categorical | other text and categories, declared levels kept in their order |
    | count | whole numbers >= 0 whose smallest is 0 or 1 |
    | positive | numbers > 0, largest / smallest >= 10, their logs less skewed than they are |
    | real | other numbers, a column without values, an array of numbers, dates and times |

    Durations are positive or real. Times are numbers (see `times.py`): days since 1970-01-01, and
    seconds for durations and times of day; their resolution includes their distance from midnight.

    A plain column of kind real, positive or count may have spikes: its most frequent values, at
    most three, each in a tenth of the rows and in 5 rows, the last of them four times as frequent
    as the next value. The last three rules above ignore spikes, and so do shift and scale (real:
    mean and standard deviation, but 0 and 1 for family beta; positive: 0 and geometric mean) and
    resolution, the smallest gap between distinct values.

    Args:
        data: data of any accepted kind.
        overrides: for each column a kind, or a mapping of `kind`, `family`, `levels`, `spikes` and
            `resolution`.
        numeric: whether the model supports only real values in the column of that name. Numbers
            and bool are real without spikes then, unless overridden.

    Raises PofxError for data without rows or columns, and for an override that is unknown or
    contradicted by the data.

    >>> print(infer({"year": [2007, 2008] * 9, "mass": [3750.0, 4300.5] * 9}))
    column  kind    family     spikes        resolution  values
    year    binary  bernoulli                            2007, 2008
    mass    real    normal     3750, 4300.5  550         4025 ± 275
    >>> infer({"year": [2007, 2008] * 9}, {"year": "ordinal"}).variable("year").kind
    'ordinal'
    """
    frame = read_frame(data)
    _check_size(frame)
    if overrides is not None and not isinstance(overrides, Mapping):
        raise PofxError(
            "schema: expected a mapping from columns to kinds, or another fit's schema, got "
            f"{type(overrides).__name__}"
        )
    checked = {n: _check_override(n, value, frame) for n, value in (overrides or {}).items()}
    variables = (_infer(n, c, checked.get(n, {}), numeric(n)) for n, c in frame.cells.items())
    return Schema(tuple(variables), frame.container)


def _check_size(frame: Frame) -> None:
    if not frame.names or not frame.rows:
        what = "rows" if frame.names else "columns"
        raise PofxError(f"data: expected at least one row and one column, got no {what}")
    for name, cells in frame.cells.items():
        if not cells.values.size:
            raise PofxError(f"column {name!r}: expected cells, got shape {cells.values.shape}")


def _check_override(name: str, value: Any, frame: Frame) -> dict[str, Any]:
    """The override of a column as a dict; PofxError if it is unknown or of another type."""
    if name not in frame.names:
        raise unknown_name_error("column", name, frame.names)
    override = {"kind": value} if isinstance(value, str) else value
    if not isinstance(override, Mapping):
        got = type(value).__name__
        raise PofxError(f"schema: column {name!r}: expected a kind or a mapping, got {got}")
    for field in override:
        if field not in OVERRIDE_FIELDS:
            raise unknown_name_error(f"field of column {name!r}", field, OVERRIDE_FIELDS)
    if "kind" in override and override["kind"] not in KINDS:
        raise unknown_name_error(f"kind of column {name!r}", override["kind"], KINDS)
    for field in ("levels", "spikes"):
        if field in override and not isinstance(override[field], list | tuple | np.ndarray):
            got = type(override[field]).__name__
            raise PofxError(f"schema: column {name!r}: {field}: expected a list, got {got}")
    for field in ("spikes", "resolution"):
        for value in np.ravel(override.get(field, ())).tolist():
            if type(value) not in (int, float):
                raise PofxError(
                    f"schema: column {name!r}: {field}: expected numbers, got {value!r}"
                )
    return dict(override)


def _infer(name: str, cells: Cells, override: dict[str, Any], numeric: bool) -> Variable:
    """The variable of a column's cells."""
    shape = cells.values.shape[1:]
    boolean = cells.levels == (False, True)
    if boolean and (numeric or override.get("kind", "binary") not in DISCRETE):
        cells = as_numbers(cells)
    # Numbers of more digits than float64 holds are replaced by their differences to the origin.
    origin = cells.origin
    exact = cells.residual is not None
    offsets = Cells(cells.minus(origin), None, cells.dtype) if exact else cells
    counted = column_statistics.distinct(offsets.values)
    spikes = (
        column_statistics.spikes(*counted)
        if not shape and cells.levels is None and not numeric
        else ()
    )
    if exact and any(v != np.rint(v) for v in spikes):
        spikes = ()  # No float is equal to them.
    if "spikes" in override:
        spikes = tuple(sorted(float(v - origin) for v in override["spikes"]))
    kind = override.get("kind") or _kind(offsets, counted, spikes, numeric, override, origin)
    if kind in ZERO_SHIFT_KINDS and exact:
        override = {**override, "kind": kind}
        variable = _infer(name, replace(cells, residual=None), override, numeric)
        warn_about_merged_values(variable, cells)
        return variable
    family = override.get("family") or DEFAULT_FAMILY[kind]
    if kind in DISCRETE:
        levels = _levels(name, kind, cells, override)
        return Variable(name, kind, shape, levels, family=family, dtype=cells.dtype)
    if cells.text:
        raise PofxError(
            f"schema: column {name!r}: kind {kind!r}: expected numbers, got text such as "
            f"{(cells.levels or ('',))[0]!r}; try 'categorical'"
        )
    variable = _continuous(name, kind, as_numbers(offsets), spikes, family, override)
    variable = _with_origin(variable, origin) if origin else variable
    warn_about_merged_values(variable, cells)
    return variable


def _with_origin(variable: Variable, origin: int) -> Variable:
    """The variable of numbers whose differences to `origin` are the variable given."""
    spikes = tuple(int(v) + origin if v == np.rint(v) else v + origin for v in variable.spikes)
    shift = round(variable.shift) + origin
    shift = shift if is_large_integer(shift) else variable.shift + origin
    return replace(variable, spikes=spikes, shift=shift)


def _kind(
    cells: Cells,
    counted: tuple[np.ndarray, np.ndarray],
    spikes: tuple[float, ...],
    numeric: bool,
    override: dict[str, Any],
    origin: int,
) -> Kind:
    """The first kind whose rule is met by cells that are differences to `origin`."""
    if "levels" in override:
        ordered = cells.levels is None or cells.dtype.split(":")[0] == "ordered"
        return "binary" if len(override["levels"]) == 2 else "ordinal" if ordered else "categorical"
    if cells.levels is not None:
        ordered = cells.dtype.split(":")[0] == "ordered"
        return "binary" if len(cells.levels) == 2 else "ordinal" if ordered else "categorical"
    values, counts = counted
    if cells.time_kind and len(values):
        smooth = ~np.isin(values, spikes)
        durations = cells.time_kind == "duration" and not numeric
        return _number_kind(values[smooth], counts[smooth], integral=False) if durations else "real"
    # Beyond 2^53 every float is whole.
    integral = bool(np.all(values == np.rint(values)) and np.all(np.abs(values) < 2**53))
    if numeric or not len(values):
        return "real"
    if (values + origin).tolist() == [0, 1]:
        return "binary"
    if cells.values.ndim > 1:
        return "real"
    smooth = ~np.isin(values, spikes)
    if integral and _are_few_levels(counts, counts[smooth]):
        return "binary" if len(values) == 2 else "ordinal"
    return _number_kind(values[smooth] + origin, counts[smooth], integral)


def _are_few_levels(counts: np.ndarray, smooth_counts: np.ndarray) -> bool:
    """Whether whole numbers are levels, by the counts of all and of those that are no spikes."""
    frequent = counts.sum() >= MIN_ROWS_PER_LEVEL * len(counts)
    # A gain that is zero in most rows has few other values, but these hardly recur.
    recurring = smooth_counts.sum() >= MIN_ROWS_PER_RARE_LEVEL * len(smooth_counts)
    recurring = len(counts) == 2 or recurring
    return bool(len(counts) <= MAX_ORDINAL_LEVELS and frequent and recurring)


def _number_kind(values: np.ndarray, counts: np.ndarray, integral: bool) -> Kind:
    if integral and len(values) and values[0] in (0, 1):
        return "count"
    if len(values) and values[0] > 0 and values[-1] >= MIN_POSITIVE_RATIO * values[0]:
        plain, logs = (abs(column_statistics.skewness(v, counts)) for v in (values, np.log(values)))
        return "positive" if logs < plain else "real"
    return "real"


def _levels(name: str, kind: Kind, cells: Cells, override: dict[str, Any]) -> tuple[Any, ...]:
    """The levels of a discrete column, from its cells or from the override."""
    for field in ("spikes", "resolution"):
        if field in override and np.size(override[field]):
            raise PofxError(f"schema: column {name!r}: kind {kind!r} has no {field}")
    observed = list(cells.levels or ())
    if cells.levels is None:
        pairs = np.unique(cells.paired()[~cells.missing]).tolist()
        observed = [join(pair.real, pair.imag) for pair in pairs]
    if "levels" not in override:
        # A column without values has one level, so that it carries no information.
        levels = observed or [""] if cells.dtype else observed or [0]
        return (0, 1) if kind == "binary" and observed in ([0], [1]) else tuple(levels)
    levels = [v.item() if isinstance(v, np.generic) else v for v in override["levels"]]
    absent = [v for i, v in enumerate(observed) if v not in levels and _is_used(cells, i)]
    if absent:
        raise PofxError(
            f"schema: column {name!r}: levels: expected all that the data hold, "
            f"{absent[0]!r} is not among them"
        )
    return tuple(levels)


def _is_used(cells: Cells, code: int) -> bool:
    return cells.levels is None or bool((cells.values == code).any())


def _check_proportions(name: str, family: str, values: np.ndarray) -> None:
    outside = values[(values <= 0) | (values >= 1)]
    if outside.size:
        raise PofxError(
            f"schema: column {name!r}: family {family!r}: expected numbers between 0 and 1, got "
            f"{outside[0]:g}; ends that occur often can be spikes"
        )


def _continuous(
    name: str,
    kind: Kind,
    cells: Cells,
    spikes: tuple[float, ...],
    family: str,
    override: dict[str, Any],
) -> Variable:
    """The variable of a column of numbers."""
    values = cells.values
    smooth = values[~np.isnan(values) & ~np.isin(values, spikes)]
    smooth = smooth if smooth.size else values[~np.isnan(values)]
    shift, scale = 0.0, 1.0
    if family in FAMILIES_OF_PROPORTIONS:
        _check_proportions(name, family, smooth)
    elif kind == "real" and smooth.size:
        shift = float(smooth.mean())
        scale = column_statistics.deviation(smooth)
        if smooth.min() == smooth.max():
            shift, scale = float(smooth[0]), 1.0
    if kind == "positive" and (smooth > 0).any():
        scale = float(np.exp(np.log(smooth[smooth > 0]).mean()))
    measured = np.concatenate([smooth, np.rint(smooth)]) if cells.time_kind == "instant" else smooth
    return Variable(
        name,
        kind,
        values.shape[1:],
        spikes=spikes,
        shift=shift,
        scale=scale or 1.0,
        resolution=float(
            override.get("resolution", column_statistics.resolution(measured, kind == "positive"))
        ),
        family=family,
        dtype=cells.dtype,
    )
