"""Converting cells back to data of any kind, with its dtypes and level names."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Context, Decimal
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa

from pofx.table.frames.cells import Cells, as_array, read_arrow
from pofx.table.frames.dtypes import arrow_type
from pofx.table.frames.exact import split
from pofx.table.frames.times import floats_to_times, time_kind_of, zone_of

MAX_INT64_GAP = 2**12
"""A bound on the gap of neighbouring floats of the size of 64-bit whole numbers."""


def to_native(container: str, cells: Mapping[str, Cells], like: Any = None) -> Any:
    """Data of the kind `container` that holds the cells.

    A missing cell is null, or what numpy and pandas use instead: NaN, which makes floats of
    integers, or None, which makes objects of text and booleans. If pandas or polars is not
    installed, the data are a table of pyarrow.

    Args:
        container: one of `pofx.table.schema.CONTAINERS`.
        cells: the cells by column, in order.
        like: a pandas frame of as many rows whose index is used; other data are ignored.

    >>> cells = {"a": Cells(np.array([1.0, np.nan]), None, "int64")}
    >>> to_native("mapping", cells)
    {'a': array([ 1., nan])}
    """
    if container in ("numpy", "vector", "mapping"):
        arrays = {name: _numpy(c) for name, c in cells.items()}
        if container == "mapping":
            return arrays
        table = np.stack(list(arrays.values()), axis=1)
        return table[:, 0] if container == "vector" and table.shape[1] == 1 else table
    try:
        if container == "pandas":
            return _pandas(cells, like)
        if container == "polars":
            return _polars(cells)
    except ImportError:
        pass
    return pa.table({name: to_arrow(c) for name, c in cells.items()})


def _pandas(cells: Mapping[str, Cells], like: Any) -> Any:
    import pandas as pd

    series = {name: _pandas_values(c, pd) for name, c in cells.items()}
    frame = pd.DataFrame(series, columns=pd.Index(list(series)))
    if isinstance(like, pd.DataFrame) and len(like) == len(frame):
        frame.index = like.index
    return frame


def _pandas_values(cells: Cells, pd: Any) -> Any:
    head, *parts = cells.dtype.split(":")
    if head == "object":
        return pd.Series(_objects(cells), dtype=object)
    if head in ("category", "ordered") and cells.levels is not None:
        levels = pd.Index(cells.levels, dtype=parts[0] if parts and parts[0] != "str" else None)
        dtype = pd.CategoricalDtype(levels, ordered=head == "ordered")
        return pd.Categorical.from_codes(
            np.where(cells.missing, -1, cells.values).astype(int), dtype=dtype
        )
    array = to_arrow(cells)
    if head == "arrow":
        return array.to_pandas(types_mapper=pd.ArrowDtype)
    if time_kind_of(cells.dtype):
        return array.to_pandas()
    if head == "str" and int(pd.__version__.split(".")[0]) < 3:
        return pd.Series(_objects(cells), dtype=object)
    if head[:1].isupper() or head in ("str", "string", "boolean"):
        return array.to_pandas(types_mapper=lambda _: pd.api.types.pandas_dtype(head))
    return np.array(array.to_numpy(zero_copy_only=False))


def _polars(cells: Mapping[str, Cells]) -> Any:
    import polars as pl

    def series(name: str, c: Cells) -> Any:
        values = pl.Series(name, pl.from_arrow(to_arrow(c)))
        if c.levels is None or c.dtype not in ("enum", "category"):
            return values
        dtype = pl.Enum(list(map(str, c.levels))) if c.dtype == "enum" else pl.Categorical
        return values.cast(pl.String).cast(dtype)

    return pl.DataFrame([series(name, c) for name, c in cells.items()])


def _numpy(cells: Cells) -> np.ndarray:
    shape = cells.values.shape
    if cells.dtype.startswith("object"):
        return _objects(cells).reshape(shape)
    array = to_arrow(cells)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    values = np.array(array.to_numpy(zero_copy_only=False)).reshape(shape)
    if cells.dtype.startswith(("datetime64", "timedelta64")):
        return values.astype(cells.dtype)
    if cells.text and cells.dtype == "str" and not cells.missing.any():
        return values.astype(str)
    return values


def _objects(cells: Cells) -> np.ndarray:
    values = to_arrow(cells).to_pylist()
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def to_arrow(cells: Cells) -> pa.Array:
    """The cells of a variable as a flat Arrow array of the type nearest to their dtype.

    >>> to_arrow(Cells(np.array([1.0, 0.0, np.nan]), ("no", "yes"), "str")).to_pylist()
    ['yes', 'no', None]
    >>> to_arrow(Cells(np.array([2.6, 300.0]), None, "uint8")).to_pylist()
    [3, 255]
    """
    kind = arrow_type(cells.dtype)
    values, missing = cells.values.ravel(), cells.missing.ravel()
    dictionary = pa.types.is_dictionary(kind)
    inner = kind.value_type if dictionary else kind
    if cells.levels is None:
        residual = None if cells.residual is None else cells.residual.ravel()
        return _arrow_numbers(values, missing, inner, residual)
    if not (cells.text or dictionary):
        codes = np.where(missing, -1, values).astype(int)
        high, low = np.array([*map(split, cells.levels), (np.nan, 0.0)]).T[:, codes]
        return _arrow_numbers(high, missing, kind, low)
    levels = pa.array(cells.levels)
    # Arrow cannot index arrays of string_view, so the conversion comes last.
    view = str(inner) == "string_view"
    if not cells.levels or cells.text == _is_text(inner):
        levels = levels.cast(pa.string() if view else inner, safe=False)
    index = kind.index_type if dictionary else pa.int32()
    if np.iinfo(index.to_pandas_dtype()).max < len(levels):
        index = pa.int32()
    codes = pa.array(np.where(missing, 0, values).astype(np.int32), mask=missing).cast(index)
    array = pa.DictionaryArray.from_arrays(codes, levels, ordered=dictionary and kind.ordered)
    if dictionary:
        return array
    return array.dictionary_decode().cast(pa.string_view()) if view else array.dictionary_decode()


def _is_text(kind: pa.DataType) -> bool:
    return str(kind) in ("string", "large_string", "string_view")


def _arrow_numbers(
    values: np.ndarray, missing: np.ndarray, kind: pa.DataType, residual: np.ndarray | None = None
) -> pa.Array:
    """Numbers as an Arrow array; `residual` holds what `values` lack."""
    present = np.where(missing, 0.0, values)
    residual = np.zeros(values.shape) if residual is None else np.where(missing, 0.0, residual)
    if pa.types.is_temporal(kind):
        return floats_to_times(values, missing, kind)
    if pa.types.is_boolean(kind):
        return pa.array(present > 0.5, mask=missing)
    if pa.types.is_null(kind):
        return pa.nulls(len(values)) if missing.all() else pa.array(values, mask=missing)
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        return pa.array(_integers(present, residual, limits), mask=missing)
    if pa.types.is_floating(kind):
        dtype = kind.to_pandas_dtype()
        return pa.array(_clip(present, np.finfo(dtype)).astype(dtype), mask=missing)
    if pa.types.is_decimal(kind):
        return _decimals(present, residual, missing, kind)
    return pa.array(present, mask=missing).cast(kind, safe=False)


def _integers(values: np.ndarray, residual: np.ndarray, limits: np.iinfo) -> np.ndarray:
    """The whole numbers nearest to values + residual, within limits."""
    rounded = np.rint(values)
    base = _clip(rounded, limits)
    remainder = np.rint((rounded - base) + (values - rounded) + residual)
    remainder = np.clip(remainder, -MAX_INT64_GAP, MAX_INT64_GAP)
    kind = np.uint64 if limits.dtype == np.uint64 else np.int64
    base = base.astype(kind)
    gap = MAX_INT64_GAP
    up = np.where(base > limits.max - gap, limits.max - base, gap).astype(float)
    down = np.where(base < limits.min + gap, base - limits.min, gap).astype(float)
    exact = base + np.clip(remainder, -down, up).astype(np.int64).astype(kind)
    return np.clip(exact, limits.min, limits.max).astype(limits.dtype)


def _decimals(
    values: np.ndarray, residual: np.ndarray, missing: np.ndarray, kind: pa.DataType
) -> pa.Array:
    """Numbers as decimals of a type, clipped to its range."""
    most = np.nextafter(10.0 ** (kind.precision - kind.scale), 0)
    if not residual.any():
        return pa.array(np.clip(values, -most, most), mask=missing).cast(kind, safe=False)
    context = Context(prec=400)
    unit = Decimal(1).scaleb(-kind.scale)
    limit = (Decimal(10) ** kind.precision - 1).scaleb(-kind.scale)

    def exact(high: float, low: float) -> Decimal:
        total = context.add(Decimal(high), Decimal(low)).quantize(unit, context=context)
        return max(min(total, limit), -limit)

    triples = zip(values.tolist(), residual.tolist(), missing.tolist())
    return pa.array([None if is_null else exact(high, low) for high, low, is_null in triples], kind)


def _clip(values: np.ndarray, limits: Any) -> np.ndarray:
    low, high = float(limits.min), float(limits.max)
    # The largest int64 rounds up to a float that is too large by one.
    high = high if high <= limits.max else np.nextafter(high, 0)
    return np.clip(values, low, high)


def loses_values(cells: Cells, guess: Cells) -> bool:
    """Whether numbers, times or objects would change in the dtype of the guess.

    >>> cells = Cells(np.array([0.5, np.nan]), None, "float64")
    >>> loses_values(cells, Cells(np.array([0.5, 7.0]), None, "int64"))
    True
    """
    if cells.dtype == guess.dtype:
        return cells.levels is None or cells.dtype.startswith("object")
    if cells.levels is not None or guess.levels is not None:
        return False
    if time_kind_of(cells.dtype) != time_kind_of(guess.dtype):
        return False
    if zone_of(cells.dtype) != zone_of(guess.dtype):
        return False
    if "decimal" in cells.dtype:
        return True
    present = ~cells.missing
    converted = read_arrow("", to_arrow(replace(cells, dtype=guess.dtype)), guess.dtype).paired()
    return bool((converted.reshape(present.shape) != cells.paired())[present].any())


def merge_into_original(data: Any, like: Any, original_names: Collection[str]) -> Any:
    """Data with further columns and the column order of `like`.

    Columns named in `original_names` are those of `like`, with missing cells from the data.
    """
    if isinstance(like, pa.RecordBatch):
        like = pa.Table.from_batches([like])
    if isinstance(data, Mapping) and isinstance(like, Mapping):
        arrays = {n: as_array(n, v) for n, v in like.items()}
        merged = {
            n: _fill_array(a, data[n]) if n in original_names else np.array(data.get(n, a))
            for n, a in arrays.items()
        }
        return merged | {name: data[name] for name in data if name not in like}
    if isinstance(data, np.ndarray) and isinstance(like, np.ndarray):
        return _fill_array(like, data) if original_names else data
    if type(data) is not type(like):
        return data
    frames: list[Any] = [data, like]
    one, other = (nw.from_native(frame, eager_only=True) for frame in frames)
    names = list(other.columns)
    columns = [other[name] for name in names if name not in one.columns]
    columns += [_fill_series(other[name], one[name]) for name in names if name in original_names]
    order = [*names, *(name for name in one.columns if name not in names)]
    return one.with_columns(*columns).select(order).to_native()


def _fill_array(array: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """An array with None, NaN and NaT replaced by the guess."""
    if array.shape != guess.shape:
        return guess
    if array.dtype == object:
        return _fill_objects(array, guess)
    if array.dtype.kind not in "fmM":
        return np.array(array)
    return np.where(np.isnan(array), guess.astype(array.dtype), array)


def _fill_objects(array: np.ndarray, guess: np.ndarray) -> np.ndarray:
    objects = np.empty(array.size, dtype=object)
    pairs = zip(array.ravel(), guess.ravel().tolist())
    objects[:] = [new if _is_missing(old) else old for old, new in pairs]
    return objects.reshape(array.shape)


def _is_missing(value: object) -> bool:
    # Comparing pandas' NA with itself gives NA, which has no truth value.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def _fill_series(column: nw.Series[Any], guess: nw.Series[Any]) -> nw.Series[Any]:
    """A column of a frame with missing cells replaced by the guess."""
    native = column.to_native()
    if column.implementation.is_pandas_like() and str(native.dtype) == "object":
        cells = _fill_objects(column.to_numpy(), guess.to_numpy())
        series = native._constructor(cells, index=native.index, name=native.name, dtype=object)
        return nw.from_native(series, series_only=True)
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan()
    return column.zip_with(~missing, guess)
