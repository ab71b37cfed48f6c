"""The cells of one variable as a plain array, whatever they came as."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa

from pofx.core.errors import PofxError
from pofx.table.frames.dtypes import arrow_name, arrow_type, known_dtype, pandas_name
from pofx.table.frames.exact import (
    DIGITS,
    MOST_DIGITS,
    as_decimal,
    decimal_residual,
    digits_of,
    integer_residual,
    join,
    residual_of,
    is_large_integer,
    split,
)
from pofx.table.frames.times import TimeKind, times_to_floats, time_kind_of, time_name, format_time

LARGEST = 1e150
"""Values beyond it are refused: their squares would overflow."""
_NO_VALUE = ("NoneType", "NAType", "NaTType")
_NUMBERS = (int, float, Decimal, np.integer, np.floating)


@dataclass(frozen=True)
class Cells:
    """The cells of one variable, (n, *shape) in float64, NaN where missing.

    They are numbers if `levels` is None, else codes into `levels`. Times are numbers whose unit
    follows from the dtype, as `times.py` says. Numbers of more digits than float64 holds are the
    sum of `values` and `residual`.
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
        """Which sort of time the cells hold, if any."""
        return time_kind_of(self.dtype) if self.levels is None else None

    def value(self, row: int) -> object:
        """The first cell of the row that is not missing, as the user would write it."""
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
        """A whole number amid those that float64 cannot hold; 0 if it holds them all."""
        if self.residual is None:
            return 0
        return int(np.nanmin(self.values) / 2 + np.nanmax(self.values) / 2)

    def minus(self, number: float) -> np.ndarray:
        """The numbers minus one number, which may be a whole number of any size, rounded once."""
        high, low = split(number)
        remainder = -low if self.residual is None else self.residual - low
        return (self.values - high) + remainder

    def reshaped(self, shape: tuple[int, ...]) -> "Cells":
        """The cells in another shape."""
        residual = None if self.residual is None else self.residual.reshape(shape)
        return replace(self, values=self.values.reshape(shape), residual=residual)

    def paired(self) -> np.ndarray:
        """Each number as values + i residual, by which numbers of all digits can be compared."""
        return self.values + 1j * (0.0 if self.residual is None else self.residual)


def as_numbers(cells: Cells) -> Cells:
    """Cells whose levels are numbers or bool as the numbers themselves."""
    if cells.levels is None:
        return cells
    codes = np.where(cells.missing, -1, cells.values).astype(int)
    high, low = np.array([*map(split, cells.levels), (np.nan, 0.0)]).T
    return Cells(high[codes], None, cells.dtype, low[codes] if low.any() else None)


def add_exactly(number: float, values: np.ndarray, dtype: str) -> Cells:
    """The cells that hold a number plus `values`, to all digits.

    >>> cells = add_exactly(2**60 + 3, np.array([1.0]), "int64")
    >>> cells.value(0) - 2**60
    4
    """
    high, low = split(number)
    total = high + values
    # Knuth's two-sum: what rounding took from the total.
    part = total - high
    residual = (high - (total - part)) + (values - part) + low
    return Cells(total, None, dtype, residual if is_large_integer(number) else None)


def as_array(name: str, value: Any) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray):
        kind = float if value.dtype.kind in "biuf" else object
        return np.ma.filled(value.astype(kind), np.nan if kind is float else None)
    try:
        array = np.asarray(value)
        # numpy makes text of numbers that stand beside text
        return np.asarray(value, dtype=object) if _made_text(array, value) else array
    except ValueError:
        raise PofxError(
            f"{name}: expected rows of one shape, got lists of different lengths"
        ) from None


def _made_text(array: np.ndarray, value: Any) -> bool:
    return array.dtype.kind in "US" and not isinstance(value, np.ndarray)


def read_values(name: str, value: Any) -> Cells:
    series = nw.from_native(value, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return read_series(name, series, "mapping")
    array = as_array(f"column {name!r}", value)
    if array.ndim == 0:
        raise PofxError(
            f"column {name!r}: expected one value a row, got the single value {value!r}"
        )
    if array.dtype.kind in "biuf":
        known = known_dtype(array.dtype.name)
        levels = (False, True) if array.dtype.kind == "b" else None
        values = _checked(name, array.astype(np.float64))
        residual = integer_residual(array) if array.dtype.kind in "iu" else None
        return Cells(values, levels, array.dtype.name if known else "float64", residual)
    if array.dtype.kind in "mM" and known_dtype(array.dtype.name):
        return _numpy_times(array)
    if array.dtype.kind not in "OUT":
        raise _refused(name, f"dtype {array.dtype}")
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
    """The cells of Python numbers that Arrow has no one type for; None for others."""
    seen = [kind for kind in set(map(type, objects)) if kind.__name__ not in _NO_VALUE]
    if not seen or not all(issubclass(kind, _NUMBERS) and kind is not bool for kind in seen):
        return None
    known = [v for v in objects if not _none(v)]
    kinds = {type(v) for v in known}
    if not known:
        return None
    if all(issubclass(kind, int | np.integer) for kind in kinds):
        low, high = min(known), max(known)
        if low >= -(2**63) and high < 2**63:
            return None
        if low < 0 or high >= 2**64:
            raise PofxError(
                f"column {name!r}: expected whole numbers of 64 bits, got "
                f"{low if low < -(2**63) else high}; convert codes to text, as by .astype(str)"
            )
        array = pa.array([None if _none(v) else int(v) for v in objects], pa.uint64())
        return read_arrow(name, array, "object:uint64")
    floats = all(issubclass(kind, float | np.floating) for kind in kinds)
    if floats or (kinds == {Decimal} and digits_of(known) <= MOST_DIGITS):
        return None
    exact = [Decimal("NaN") if _none(v) else as_decimal(v) for v in objects]
    values = np.array([float(v) for v in exact])
    residual = np.array([0.0 if v.is_nan() else residual_of(v, float(v)) for v in exact])
    kind = "object:float64"
    return Cells(_checked(name, values), None, kind, residual if residual.any() else None)


def _to_arrow(name: str, values: np.ndarray) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        types = {type(v).__name__ for v in values[:1000].tolist() if not _none(v)}
        raise _refused(name, f"values of types {', '.join(sorted(types))}") from None


def _none(value: object) -> bool:
    missing = isinstance(value, float | Decimal) and value != value
    return value is None or missing or type(value).__name__ in _NO_VALUE


def _refused(name: str, what: str) -> PofxError:
    return PofxError(
        f"column {name!r}: expected numbers, booleans, text or times, got {what}; "
        "convert the column to one of them, or drop it"
    )


def read_series(name: str, series: nw.Series, container: str) -> Cells:
    native = series.dtype
    pandas = series.implementation.is_pandas_like()
    if pandas and str(series.to_native().dtype) == "object":
        return read_values(name, series.to_numpy())
    if native == nw.Categorical and series.implementation.is_polars():
        # the categories of polars are shared by all frames: only those seen here are meant
        cells = read_arrow(name, _one_array(series.cast(nw.String).to_arrow()), "category")
        return Cells(cells.values, cells.levels, "category")
    try:
        array = _one_array(series.to_arrow())
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError):
        raise _refused(name, f"dtype {getattr(series.to_native(), 'dtype', native)}") from None
    dtype = arrow_name(array.type)
    if container == "polars" and native == nw.Enum:
        dtype = "enum"
    elif container == "pandas":
        dtype = pandas_name(series.to_native().dtype, dtype)
    return read_arrow(name, array, dtype)


def _one_array(array: Any) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def read_arrow(name: str, array: pa.Array, dtype: str) -> Cells:
    """The cells of an Arrow array, of a dtype of the vocabulary."""
    kind, is_a = array.type, pa.types
    if is_a.is_null(kind):
        return Cells(np.full(len(array), np.nan), None, dtype)
    if time_name(kind):
        return Cells(times_to_floats(array), None, dtype)
    if is_a.is_boolean(kind):
        return Cells(_floats(array), (False, True), dtype)
    if is_a.is_integer(kind):
        present = array.fill_null(0).to_numpy(zero_copy_only=False)
        return Cells(_checked(name, _floats(array)), None, dtype, integer_residual(present))
    if is_a.is_floating(kind):
        return Cells(_checked(name, _floats(array)), None, dtype)
    if is_a.is_decimal(kind):
        values = _checked(name, _floats(array))
        many = kind.precision > DIGITS
        return Cells(values, None, dtype, decimal_residual(array, values) if many else None)
    if is_a.is_string(kind) or is_a.is_large_string(kind) or str(kind) == "string_view":
        array = array.dictionary_encode()
        levels = array.dictionary.to_pylist()
        return _coded(_floats(array.indices), levels, sorted(levels), dtype)
    if is_a.is_dictionary(kind):
        levels = array.dictionary.to_pylist()
        if all(isinstance(v, str | int | float) or v is None for v in levels):
            kept = list(dict.fromkeys(v for v in levels if v is not None and v == v))
            return _coded(_floats(array.indices), levels, kept, dtype)
    raise _refused(name, f"values of type {kind}")


def _floats(array: pa.Array) -> np.ndarray:
    # a copy: what Arrow hands out is read-only where it need not be converted
    return np.array(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _coded(codes: np.ndarray, levels: list[Any], kept: list[Any], dtype: str) -> Cells:
    place = {level: code for code, level in enumerate(kept)}
    moved = np.array([*(place.get(level, np.nan) for level in levels), np.nan])
    return Cells(moved[np.where(np.isnan(codes), -1, codes).astype(int)], tuple(kept), dtype)


def _checked(name: str, values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        bad = np.abs(values) > LARGEST
    if bad.any():
        where = np.argwhere(bad)[0]
        at = f" in row {where[0]} (counted from 0)" if len(values) > 1 else ""
        raise PofxError(
            f"column {name!r}: expected finite numbers of size up to {LARGEST:g}, got "
            f"{values[tuple(where)]:g}{at}; "
            "set such cells to missing, or rescale"
        )
    return values


def _level(pair: complex, kind: type) -> Any:
    if kind is int:
        return join(pair.real, pair.imag)
    return kind(pair.real) if kind(pair.real) == pair.real else pair.real


def fill_missing(own: Cells, guess: Cells) -> Cells:
    """The cells, those that are missing as guessed, of the guess's dtype; new levels come last.

    >>> own = Cells(np.array([0.0, np.nan]), ("new",), "str")
    >>> fill_missing(own, Cells(np.array([1.0, 0.0]), ("a", "b"), "str"))
    Cells(values=array([2., 0.]), levels=('a', 'b', 'new'), dtype='str')
    """
    values, levels = own.values, guess.levels
    residual = guess.residual
    if levels is None and (own.residual is not None or residual is not None):
        none = np.zeros(values.shape)
        residual = np.where(
            own.missing,
            none if residual is None else residual,
            none if own.residual is None else own.residual,
        )
    if levels is not None:
        if own.levels is None:
            pairs = own.paired()
            seen, kind = np.unique(pairs[~own.missing]), type(levels[0])
            named = tuple(_level(v, kind) for v in seen.tolist())
            values = np.where(own.missing, np.nan, np.searchsorted(seen, np.nan_to_num(pairs)))
        else:
            named = own.levels
        levels += tuple(level for level in named if level not in levels)
        place = np.array([*(levels.index(level) for level in named), 0], float)
        values = np.where(own.missing, np.nan, place[np.nan_to_num(values, nan=-1).astype(int)])
    return Cells(np.where(own.missing, guess.values, values), levels, guess.dtype, residual)
