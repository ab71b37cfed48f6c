"""The cells of one variable as a plain array, for every accepted kind of data."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa

from pofx.core.errors import PofxError
from pofx.table.frames.dtypes import arrow_name, arrow_type, known_dtype, pandas_name
from pofx.table.frames.exact import (
    FLOAT64_DIGITS,
    MAX_DECIMAL_DIGITS,
    as_decimal,
    decimal_residual,
    digits_of,
    integer_residual,
    is_large_integer,
    join,
    residual_of,
    split,
)
from pofx.table.frames.times import TimeKind, format_time, time_kind_of, time_name, times_to_floats

MAX_SIZE = 1e150
"""Larger values are an error, because their squares would overflow."""
_MISSING_TYPES = ("NoneType", "NAType", "NaTType")
_NUMBERS = (int, float, Decimal, np.integer, np.floating)


@dataclass(frozen=True)
class Cells:
    """The cells of one variable, (n, *shape) in float64; NaN is a missing cell.

    Args:
        values: numbers if `levels` is None, else codes of levels. The unit of times follows from
            the dtype (see `times.py`).
        levels: the levels in order of their codes, or None.
        dtype: a word of the vocabulary of `dtypes.py`.
        residual: what must be added to `values` for numbers of more digits than float64 holds.
    """

    values: np.ndarray
    levels: tuple[Any, ...] | None
    dtype: str
    residual: np.ndarray | None = field(default=None, repr=False)

    @property
    def missing(self) -> np.ndarray:
        """Which cells are missing."""
        return np.isnan(self.values)

    @property
    def text(self) -> bool:
        """Whether the cells hold text."""
        return self.levels is not None and any(type(level) is str for level in self.levels)

    @property
    def time_kind(self) -> TimeKind | None:
        """The kind of time that the cells hold, or None."""
        return time_kind_of(self.dtype) if self.levels is None else None

    def value(self, row: int) -> object:
        """The first observed cell of a row, as the user would write it."""
        cells = self.values[row].ravel()
        place = int(np.flatnonzero(~np.isnan(cells))[0])
        first = cells[place]
        if self.levels is not None:
            return self.levels[int(first)]
        if self.time_kind:
            return format_time(first, self.dtype)
        return join(first, 0.0 if self.residual is None else self.residual[row].flat[place])

    @property
    def origin(self) -> int:
        """A whole number in the middle of the values; 0 if float64 holds all values."""
        if self.residual is None:
            return 0
        return int(np.nanmin(self.values) / 2 + np.nanmax(self.values) / 2)

    def minus(self, number: float) -> np.ndarray:
        """The numbers minus one number, a whole number of any size, rounded only once."""
        high, low = split(number)
        remainder = -low if self.residual is None else self.residual - low
        return (self.values - high) + remainder

    def reshaped(self, shape: tuple[int, ...]) -> "Cells":
        """The cells in another shape."""
        residual = None if self.residual is None else self.residual.reshape(shape)
        return replace(self, values=self.values.reshape(shape), residual=residual)

    def paired(self) -> np.ndarray:
        """Each number as values + i residual, to compare all digits of numbers."""
        return self.values + 1j * (0.0 if self.residual is None else self.residual)


def as_numbers(cells: Cells) -> Cells:
    """Cells with levels of numbers or bool as cells of numbers."""
    if cells.levels is None:
        return cells
    codes = np.where(cells.missing, -1, cells.values).astype(int)
    high, low = np.array([*map(split, cells.levels), (np.nan, 0.0)]).T
    return Cells(high[codes], None, cells.dtype, low[codes] if low.any() else None)


def add_exactly(number: float, values: np.ndarray, dtype: str) -> Cells:
    """Cells that hold a number plus `values`, with all digits.

    >>> cells = add_exactly(2**60 + 3, np.array([1.0]), "int64")
    >>> cells.value(0) - 2**60
    4
    """
    high, low = split(number)
    total = high + values
    # Knuth's two-sum: the rounding error of the total.
    part = total - high
    residual = (high - (total - part)) + (values - part) + low
    return Cells(total, None, dtype, residual if is_large_integer(number) else None)


def as_array(name: str, value: Any) -> np.ndarray:
    """An array or nested lists as an array; PofxError, with the name, for ragged lists."""
    if isinstance(value, np.ma.MaskedArray):
        kind = float if value.dtype.kind in "biuf" else object
        return np.ma.filled(value.astype(kind), np.nan if kind is float else None)
    try:
        array = np.asarray(value)
        # numpy converts numbers to text if they are mixed with text.
        is_converted = array.dtype.kind in "US" and not isinstance(value, np.ndarray)
        return np.asarray(value, dtype=object) if is_converted else array
    except ValueError:
        raise PofxError(
            f"{name}: expected rows of one shape, got lists of different lengths"
        ) from None


def read_values(name: str, value: Any) -> Cells:
    """The cells of a series, an array or nested lists."""
    series = nw.from_native(value, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return read_series(name, series, "mapping")
    array = as_array(f"column {name!r}", value)
    if array.ndim == 0:
        raise PofxError(
            f"column {name!r}: expected one value per row, got the single value {value!r}"
        )
    if array.dtype.kind in "biuf":
        dtype = array.dtype.name if known_dtype(array.dtype.name) else "float64"
        levels = (False, True) if array.dtype.kind == "b" else None
        values = _check_size(name, array.astype(np.float64))
        residual = integer_residual(array) if array.dtype.kind in "iu" else None
        return Cells(values, levels, dtype, residual)
    if array.dtype.kind in "mM" and known_dtype(array.dtype.name):
        return _numpy_times(array)
    if array.dtype.kind not in "OUT":
        raise _dtype_error(name, f"dtype {array.dtype}")
    objects = array.ravel().astype(object)
    if (mixed := _mixed_numbers(name, objects)) is not None:
        return mixed.reshaped(array.shape)
    flat = _to_arrow(name, objects)
    dtype = "str" if array.dtype.kind in "UT" else f"object:{arrow_name(flat.type)}"
    return read_arrow(name, flat, dtype).reshaped(array.shape)


def _numpy_times(array: np.ndarray) -> Cells:
    kind = arrow_type(array.dtype.name)
    unit = "D" if pa.types.is_date32(kind) else kind.unit
    head = "datetime64" if array.dtype.kind == "M" else "timedelta64"
    values = times_to_floats(pa.array(array.ravel().astype(f"{head}[{unit}]")))
    return Cells(values.reshape(array.shape), None, array.dtype.name)


def _mixed_numbers(name: str, objects: np.ndarray) -> Cells | None:
    """The cells of Python numbers without a common Arrow type; None for other objects."""
    types = [t for t in set(map(type, objects)) if t.__name__ not in _MISSING_TYPES]
    if not types or not all(issubclass(t, _NUMBERS) and t is not bool for t in types):
        return None
    numbers = [v for v in objects if not _is_missing(v)]
    types = {type(v) for v in numbers}
    if not numbers:
        return None
    if all(issubclass(t, int | np.integer) for t in types):
        low, high = min(numbers), max(numbers)
        if low >= -(2**63) and high < 2**63:
            return None
        if low < 0 or high >= 2**64:
            raise PofxError(
                f"column {name!r}: expected whole numbers of 64 bits, got "
                f"{low if low < -(2**63) else high}; convert codes to text, as by .astype(str)"
            )
        array = pa.array([None if _is_missing(v) else int(v) for v in objects], pa.uint64())
        return read_arrow(name, array, "object:uint64")
    floats = all(issubclass(t, float | np.floating) for t in types)
    if floats or (types == {Decimal} and digits_of(numbers) <= MAX_DECIMAL_DIGITS):
        return None
    exact = [Decimal("NaN") if _is_missing(v) else as_decimal(v) for v in objects]
    values = np.array([float(v) for v in exact])
    residual = np.array([0.0 if v.is_nan() else residual_of(v, float(v)) for v in exact])
    dtype = "object:float64"
    return Cells(_check_size(name, values), None, dtype, residual if residual.any() else None)


def _to_arrow(name: str, values: np.ndarray) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        types = {type(v).__name__ for v in values[:1000].tolist() if not _is_missing(v)}
        raise _dtype_error(name, f"values of types {', '.join(sorted(types))}") from None


def _is_missing(value: object) -> bool:
    is_nan = isinstance(value, float | Decimal) and value != value
    return value is None or is_nan or type(value).__name__ in _MISSING_TYPES


def _dtype_error(name: str, got: str) -> PofxError:
    return PofxError(
        f"column {name!r}: expected numbers, booleans, text or times, got {got}; "
        "convert the column to one of them, or drop it"
    )


def read_series(name: str, series: nw.Series, container: str) -> Cells:
    """The cells of a column of a frame."""
    native = series.dtype
    if series.implementation.is_pandas_like() and str(series.to_native().dtype) == "object":
        return read_values(name, series.to_numpy())
    if native == nw.Categorical and series.implementation.is_polars():
        # Categories of polars are shared by all frames, so only those that occur here count.
        cells = read_arrow(name, _one_array(series.cast(nw.String).to_arrow()), "category")
        return Cells(cells.values, cells.levels, "category")
    try:
        array = _one_array(series.to_arrow())
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError):
        raise _dtype_error(name, f"dtype {getattr(series.to_native(), 'dtype', native)}") from None
    dtype = arrow_name(array.type)
    if container == "polars" and native == nw.Enum:
        dtype = "enum"
    elif container == "pandas":
        dtype = pandas_name(series.to_native().dtype, dtype)
    return read_arrow(name, array, dtype)


def _one_array(array: Any) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def read_arrow(name: str, array: pa.Array, dtype: str) -> Cells:
    """The cells of an Arrow array, with a dtype of the vocabulary."""
    kind, is_a = array.type, pa.types
    if is_a.is_null(kind):
        return Cells(np.full(len(array), np.nan), None, dtype)
    if time_name(kind):
        return Cells(times_to_floats(array), None, dtype)
    if is_a.is_boolean(kind):
        return Cells(_floats(array), (False, True), dtype)
    if is_a.is_integer(kind):
        present = array.fill_null(0).to_numpy(zero_copy_only=False)
        return Cells(_check_size(name, _floats(array)), None, dtype, integer_residual(present))
    if is_a.is_floating(kind):
        return Cells(_check_size(name, _floats(array)), None, dtype)
    if is_a.is_decimal(kind):
        values = _check_size(name, _floats(array))
        is_long = kind.precision > FLOAT64_DIGITS
        return Cells(values, None, dtype, decimal_residual(array, values) if is_long else None)
    if is_a.is_string(kind) or is_a.is_large_string(kind) or str(kind) == "string_view":
        array = array.dictionary_encode()
        levels = array.dictionary.to_pylist()
        return _coded(_floats(array.indices), levels, sorted(levels), dtype)
    if is_a.is_dictionary(kind):
        levels = array.dictionary.to_pylist()
        if all(isinstance(v, str | int | float) or v is None for v in levels):
            new_levels = list(dict.fromkeys(v for v in levels if v is not None and v == v))
            return _coded(_floats(array.indices), levels, new_levels, dtype)
    raise _dtype_error(name, f"values of type {kind}")


def _floats(array: pa.Array) -> np.ndarray:
    # A copy, because arrays of Arrow are read-only unless they were converted.
    return np.array(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _coded(codes: np.ndarray, levels: list[Any], new_levels: list[Any], dtype: str) -> Cells:
    """Cells of codes into `levels` as cells of codes into `new_levels`."""
    code_of = {level: code for code, level in enumerate(new_levels)}
    table = np.array([*(code_of.get(level, np.nan) for level in levels), np.nan])
    return Cells(table[np.where(np.isnan(codes), -1, codes).astype(int)], tuple(new_levels), dtype)


def _check_size(name: str, values: np.ndarray) -> np.ndarray:
    """The values; PofxError if one is too large or infinite."""
    with np.errstate(invalid="ignore"):
        bad = np.abs(values) > MAX_SIZE
    if bad.any():
        index = np.argwhere(bad)[0]
        hint = f" in row {index[0]} (counted from 0)" if len(values) > 1 else ""
        raise PofxError(
            f"column {name!r}: expected finite numbers of size up to {MAX_SIZE:g}, got "
            f"{values[tuple(index)]:g}{hint}; set such cells to missing, or rescale"
        )
    return values


def _level(pair: complex, kind: type) -> Any:
    if kind is int:
        return join(pair.real, pair.imag)
    return kind(pair.real) if kind(pair.real) == pair.real else pair.real


def fill_missing(cells: Cells, guess: Cells) -> Cells:
    """The cells with missing ones from `guess`, in the guess's dtype; new levels come last.

    >>> cells = Cells(np.array([0.0, np.nan]), ("new",), "str")
    >>> fill_missing(cells, Cells(np.array([1.0, 0.0]), ("a", "b"), "str"))
    Cells(values=array([2., 0.]), levels=('a', 'b', 'new'), dtype='str')
    """
    values, levels, residual = cells.values, guess.levels, guess.residual
    if levels is None and (cells.residual is not None or residual is not None):
        zeros = np.zeros(values.shape)
        residual = np.where(
            cells.missing,
            zeros if residual is None else residual,
            zeros if cells.residual is None else cells.residual,
        )
    if levels is not None:
        if cells.levels is None:
            pairs = cells.paired()
            unique = np.unique(pairs[~cells.missing])
            observed = tuple(_level(v, type(levels[0])) for v in unique.tolist())
            codes = np.searchsorted(unique, np.nan_to_num(pairs))
            values = np.where(cells.missing, np.nan, codes)
        else:
            observed = cells.levels
        levels += tuple(level for level in observed if level not in levels)
        table = np.array([*(levels.index(level) for level in observed), 0], float)
        values = np.where(cells.missing, np.nan, table[np.nan_to_num(values, nan=-1).astype(int)])
    return Cells(np.where(cells.missing, guess.values, values), levels, guess.dtype, residual)
