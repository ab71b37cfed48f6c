"""The schema that data suggest, and what the user knows better."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.column import DEFAULT_FAMILY, DISCRETE, KINDS, Kind
from pofx.core.errors import PofxError, unknown_name_error
from pofx.table import column_statistics
from pofx.table.data_warnings import warn_about_merged_values
from pofx.table.frames.cells import Cells, as_numbers
from pofx.table.frames.exact import join, is_large_integer
from pofx.table.frames.reading import Frame, read_frame
from pofx.table.schema import Schema, Variable

FIELDS = ("kind", "family", "levels", "spikes", "resolution")
"""What may be overridden, column by column."""

SHIFTLESS = ("positive", "count")
"""Kinds whose numbers are measured from 0."""
MAX_ORDINAL, ROWS_A_LEVEL, ROWS_A_RARE_LEVEL = 20, 5, 2
MIN_RATIO = 10


def infer(
    data: Any,
    overrides: Mapping[str, Any] | None = None,
    *,
    numeric: Callable[[str], bool] = lambda name: False,
) -> Schema:
    """The schema of `data`, each column of the first kind whose rule it meets.

    "5 rows each" is an average over the distinct values.

    | kind | rule |
    | --- | --- |
    | binary | bool; text or categories of two levels; {0, 1}; two whole numbers, 5 rows each |
    | ordinal | ordered categories; at most 20 whole numbers, 5 rows each (2 but for spikes) |
    | categorical | other text and categories, declared levels kept in their order |
    | count | whole numbers >= 0 whose smallest is 0 or 1 |
    | positive | numbers > 0, largest / smallest >= 10, their logs less skewed than they are |
    | real | other numbers, a column without values, an array of numbers, dates and times |

    Durations are positive or real. Times are numbers as `times.py` says: days since 1970-01-01,
    seconds for durations and times of day; their resolution counts their distance from midnight.
    A plain column of kind real, positive or count has spikes: the most frequent values, at most
    three, each in a tenth of the rows and in 5 rows, the last of them four times as frequent as the
    next value. The last three rules above look at the other values only, and so do shift, scale
    (real: mean and standard deviation; positive: 0 and geometric mean) and resolution, the smallest
    gap between distinct values.

    `overrides` maps a column to a kind or to a mapping of `kind`, `family`, `levels`, `spikes`,
    `resolution`. Where `numeric(name)` the model carries real columns only: what is made of numbers
    or bool is real without spikes, unless overridden. Raises PofxError for data without rows or
    columns, and for an override that is unknown or that the data contradict.

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
    given = {name: _override(name, value, frame) for name, value in (overrides or {}).items()}
    variables = (_infer(n, c, given.get(n, {}), numeric(n)) for n, c in frame.cells.items())
    return Schema(tuple(variables), frame.container)


def _check_size(frame: Frame) -> None:
    if not frame.names or not frame.rows:
        what = "rows" if frame.names else "columns"
        raise PofxError(f"data: expected at least one row and one column, got no {what}")
    for name, cells in frame.cells.items():
        if not cells.values.size:
            raise PofxError(f"column {name!r}: expected cells, got shape {cells.values.shape}")


def _override(name: str, value: Any, frame: Frame) -> dict[str, Any]:
    if name not in frame.names:
        raise unknown_name_error("column", name, frame.names)
    given = {"kind": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        got = type(value).__name__
        raise PofxError(f"schema: column {name!r}: expected a kind or a mapping, got {got}")
    for field in given:
        if field not in FIELDS:
            raise unknown_name_error(f"field of column {name!r}", field, FIELDS)
    if "kind" in given and given["kind"] not in KINDS:
        raise unknown_name_error(f"kind of column {name!r}", given["kind"], KINDS)
    for field in ("levels", "spikes"):
        if field in given and not isinstance(given[field], list | tuple | np.ndarray):
            got = type(given[field]).__name__
            raise PofxError(f"schema: column {name!r}: {field}: expected a list, got {got}")
    for field in ("spikes", "resolution"):
        for value in np.ravel(given.get(field, ())).tolist():
            if type(value) not in (int, float):
                raise PofxError(
                    f"schema: column {name!r}: {field}: expected numbers, got {value!r}"
                )
    return dict(given)


def _infer(name: str, cells: Cells, given: dict[str, Any], numeric: bool) -> Variable:
    shape = cells.values.shape[1:]
    boolean = cells.levels == (False, True)
    if boolean and (numeric or given.get("kind", "binary") not in DISCRETE):
        cells = as_numbers(cells)
    # numbers of more digits than float64 holds are looked at as differences
    origin = cells.origin
    near = cells if cells.residual is None else Cells(cells.minus(origin), None, cells.dtype)
    known = column_statistics.distinct(near.values)
    spikes = (
        column_statistics.spikes(*known)
        if not shape and cells.levels is None and not numeric
        else ()
    )
    if cells.residual is not None and any(v != np.rint(v) for v in spikes):
        spikes = ()  # no number is at hand that is equal to them
    if "spikes" in given:
        spikes = tuple(sorted(float(v - origin) for v in given["spikes"]))
    kind = given.get("kind") or _kind(near, known, spikes, numeric, given, origin)
    if kind in SHIFTLESS and cells.residual is not None:
        variable = _infer(name, replace(cells, residual=None), {**given, "kind": kind}, numeric)
        warn_about_merged_values(variable, cells)
        return variable
    family = given.get("family") or DEFAULT_FAMILY[kind]
    if kind in DISCRETE:
        levels = _levels(name, kind, cells, given)
        return Variable(name, kind, shape, levels, family=family, dtype=cells.dtype)
    if cells.text:
        raise PofxError(
            f"schema: column {name!r}: kind {kind!r} wants numbers, got text such as "
            f"{(cells.levels or ('',))[0]!r}; try 'categorical'"
        )
    variable = _continuous(name, kind, as_numbers(near), spikes, family, given)
    variable = _moved(variable, origin) if origin else variable
    warn_about_merged_values(variable, cells)
    return variable


def _moved(variable: Variable, origin: int) -> Variable:
    """A variable inferred from differences to a number, as one of the numbers themselves."""
    spikes = tuple(int(v) + origin if v == np.rint(v) else v + origin for v in variable.spikes)
    shift = round(variable.shift) + origin
    shift = shift if is_large_integer(shift) else variable.shift + origin
    return replace(variable, spikes=spikes, shift=shift)


def _kind(
    cells: Cells,
    known: tuple[np.ndarray, np.ndarray],
    spikes: tuple[float, ...],
    numeric: bool,
    given: dict[str, Any],
    origin: int,
) -> Kind:
    """The first kind whose rule the cells meet, which are differences to `origin`."""
    if "levels" in given:
        ordered = cells.levels is None or cells.dtype.split(":")[0] == "ordered"
        return "binary" if len(given["levels"]) == 2 else "ordinal" if ordered else "categorical"
    if cells.levels is not None:
        ordered = cells.dtype.split(":")[0] == "ordered"
        return "binary" if len(cells.levels) == 2 else "ordinal" if ordered else "categorical"
    values, counts = known
    if cells.time_kind and len(values):
        smooth = ~np.isin(values, spikes)
        durations = cells.time_kind == "duration" and not numeric
        return _number_kind(values[smooth], counts[smooth], whole=False) if durations else "real"
    # beyond 2^53 every float is whole
    whole = bool(np.all(values == np.rint(values)) and np.all(np.abs(values) < 2**53))
    if numeric or not len(values):
        return "real"
    if (values + origin).tolist() == [0, 1]:
        return "binary"
    if cells.values.ndim > 1:
        return "real"
    smooth = ~np.isin(values, spikes)
    if whole and _few(counts, counts[smooth]):
        return "binary" if len(values) == 2 else "ordinal"
    return _number_kind(values[smooth] + origin, counts[smooth], whole)


def _few(counts: np.ndarray, others: np.ndarray) -> bool:
    enough = counts.sum() >= ROWS_A_LEVEL * len(counts)
    # a gain that is zero in most rows has few other values, each of which hardly recurs
    recur = len(counts) == 2 or others.sum() >= ROWS_A_RARE_LEVEL * len(others)
    return bool(len(counts) <= MAX_ORDINAL and enough and recur)


def _number_kind(values: np.ndarray, counts: np.ndarray, whole: bool) -> Kind:
    if whole and len(values) and values[0] in (0, 1):
        return "count"
    if len(values) and values[0] > 0 and values[-1] >= MIN_RATIO * values[0]:
        plain, logs = (abs(column_statistics.skewness(v, counts)) for v in (values, np.log(values)))
        return "positive" if logs < plain else "real"
    return "real"


def _levels(name: str, kind: Kind, cells: Cells, given: dict[str, Any]) -> tuple[Any, ...]:
    for field in ("spikes", "resolution"):
        if field in given and np.size(given[field]):
            raise PofxError(f"schema: column {name!r}: kind {kind!r} has no {field}")
    seen = list(cells.levels or ())
    if cells.levels is None:
        pairs = np.unique(cells.paired()[~cells.missing]).tolist()
        seen = [join(pair.real, pair.imag) for pair in pairs]
    if "levels" not in given:
        # text without a single value: one level, so that the column says nothing
        levels = seen or [""] if cells.dtype else seen or [0]
        return (0, 1) if kind == "binary" and seen in ([0], [1]) else tuple(levels)
    levels = [v.item() if isinstance(v, np.generic) else v for v in given["levels"]]
    lost = [v for i, v in enumerate(seen) if v not in levels and _used(cells, i)]
    if lost:
        raise PofxError(
            f"schema: column {name!r}: levels: expected all that the data hold, "
            f"{lost[0]!r} is not among them"
        )
    return tuple(levels)


def _used(cells: Cells, code: int) -> bool:
    return cells.levels is None or bool((cells.values == code).any())


def _continuous(
    name: str,
    kind: Kind,
    cells: Cells,
    spikes: tuple[float, ...],
    family: str,
    given: dict[str, Any],
) -> Variable:
    values = cells.values
    smooth = values[~np.isnan(values) & ~np.isin(values, spikes)]
    smooth = smooth if smooth.size else values[~np.isnan(values)]
    shift, scale = 0.0, 1.0
    if kind == "real" and smooth.size:
        shift, scale = float(smooth.mean()), column_statistics.deviation(smooth)
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
            given.get("resolution", column_statistics.resolution(measured, kind == "positive"))
        ),
        family=family,
        dtype=cells.dtype,
    )
