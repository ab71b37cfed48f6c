"""Data of any accepted kind, as plain arrays of cells.

The dtype of a variable is a word of one vocabulary, so that it can be written to a file and
checked: numpy's names ("int64", "float32", "bool"), pandas' own ("Int64", "boolean", "str",
"string"), Arrow's text types, "null", "decimal:PRECISION:SCALE", polars' "enum", and
"category[:VALUES[:INDEX]]" or "ordered:..." for dictionaries. "object:T" is a pandas or numpy
object column that holds T, "arrow:T" a pandas column backed by Arrow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa

from pofx.core.errors import PofxError
from pofx.table.schema import known_dtype

LARGEST = 1e150
"""Values beyond it are refused: their squares would overflow."""

ACCEPTED = "a pandas, polars or pyarrow frame, a numpy array, or a mapping from names to arrays"


@dataclass(frozen=True)
class Cells:
    """The cells of one variable, (n, *shape) in float64, NaN where missing.

    They are numbers where `levels` is None, else codes into `levels`.
    """

    values: np.ndarray
    levels: tuple[Any, ...] | None
    dtype: str

    @property
    def text(self) -> bool:
        """Whether the cells hold text."""
        return self.levels is not None and any(type(level) is str for level in self.levels)

    def value(self, row: int) -> object:
        """The first cell of the row that is not missing, as the user would write it."""
        cells = self.values[row].ravel()
        first = cells[~np.isnan(cells)][0]
        return float(first) if self.levels is None else self.levels[int(first)]


@dataclass(frozen=True)
class Frame:
    """Data of any kind, read: `names` are all of its columns, `cells` those asked for."""

    container: str
    rows: int
    names: tuple[str, ...]
    cells: dict[str, Cells]


def read_frame(data: Any, names: Sequence[str] | None = None) -> Frame:
    """The cells of the columns `names` that are there; of all columns for None.

    Columns of an array have no names: they are `names` in order, or x0, x1, ... for None. Raises
    PofxError for data of another kind, a duplicate name and a cell that is neither a finite
    number, nor bool, nor text.

    >>> read_frame({"a": [1, None], "b": ["u", "v"]}).cells["b"]
    Cells(values=array([0., 1.]), levels=('u', 'v'), dtype='object:string')
    """
    if isinstance(data, Mapping):
        return _read_mapping(data, names)
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, list | tuple | np.ndarray):
        return _read_array(data, names)
    try:
        table = nw.from_native(data, eager_only=True)
        found = tuple(table.columns)
    except nw.exceptions.DuplicateError as error:
        twice = str(error).split("'")[1]
        raise PofxError(f"data: two columns are named {twice!r}; rename or drop one") from None
    except TypeError:
        if type(data).__module__.startswith(("jax", "jaxlib")):
            return _read_array(np.asarray(data), names)
        raise _not_a_frame(data) from None
    for name in found:
        _check_name(name)
    wanted = found if names is None else [name for name in names if name in found]
    backend = table.implementation
    container = "pandas" if backend.is_pandas() else "polars" if backend.is_polars() else "pyarrow"
    cells = {name: _read_series(name, table[name], container) for name in wanted}
    return Frame(container, table.shape[0], found, cells)


def _not_a_frame(data: object) -> PofxError:
    hints = {
        "LazyFrame": "; call .collect() first",
        "Series": "; call .to_frame() first",
        "str": "; read a file with pofx.table.read.read(path)",
    }
    what = type(data).__name__
    return PofxError(f"data: wanted {ACCEPTED}; got {what}{hints.get(what, '')}")


def _check_name(name: object) -> None:
    if type(name) is not str:
        raise PofxError(
            f"column {name!r}: wanted text as the name, got {type(name).__name__}; "
            "try data.columns = [str(c) for c in data.columns]"
        )


def _read_mapping(data: Mapping[Any, Any], names: Sequence[str] | None) -> Frame:
    for name in data:
        _check_name(name)
    wanted = data if names is None else [name for name in names if name in data]
    cells = {name: _read_values(name, data[name]) for name in wanted}
    lengths = {name: len(c.values) for name, c in cells.items()}
    first = next(iter(lengths), "")
    for name, length in lengths.items():
        if length != lengths[first]:
            raise PofxError(
                f"data: wanted as many rows in each column, got {lengths[first]} in {first!r} "
                f"and {length} in {name!r}"
            )
    rows = lengths[first] if lengths else max((np.shape(v)[0] for v in data.values()), default=0)
    return Frame("mapping", rows, tuple(data), cells)


def _read_array(data: Any, names: Sequence[str] | None) -> Frame:
    array = _as_array("data", data)
    if isinstance(data, list | tuple) and array.ndim != 2:
        raise PofxError(
            f"data: wanted {ACCEPTED}; got a {type(data).__name__} of "
            f"{type(data[0]).__name__ if len(data) else 'nothing'}; a list of rows of equal length "
            "is taken as an array, a list of dicts as pandas.DataFrame(data)"
        )
    if array.dtype.names is not None:
        raise PofxError("data: got a structured array; try {name: data[name] for name in ...}")
    if array.ndim not in (1, 2):
        raise PofxError(
            f"data: wanted an array of 1 or 2 dimensions, got shape {array.shape}; a variable that "
            "is itself an array is passed by name, as {'image': data}"
        )
    container, table = ("vector", array[:, None]) if array.ndim == 1 else ("numpy", array)
    width = table.shape[1]
    found = tuple(f"x{i}" for i in range(width)) if names is None else tuple(names)
    if len(found) != width:
        raise PofxError(
            f"data: wanted an array of {len(found)} columns ({', '.join(found[:5])}"
            f"{', ...' if len(found) > 5 else ''}), got {width}"
        )
    cells = {name: _read_values(name, table[:, i]) for i, name in enumerate(found)}
    return Frame(container, len(table), found, cells)


def _as_array(name: str, value: Any) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray):
        kind = float if value.dtype.kind in "biuf" else object
        return value.astype(kind).filled(np.nan if kind is float else None)
    try:
        array = np.asarray(value)
        # numpy makes text of numbers that stand beside text
        return np.asarray(value, dtype=object) if _made_text(array, value) else array
    except ValueError:
        raise PofxError(
            f"{name}: wanted rows of one shape, got lists of different lengths"
        ) from None


def _made_text(array: np.ndarray, value: Any) -> bool:
    return array.dtype.kind in "US" and not isinstance(value, np.ndarray)


def _read_values(name: str, value: Any) -> Cells:
    series = nw.from_native(value, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return _read_series(name, series, "mapping")
    array = _as_array(f"column {name!r}", value)
    if array.ndim == 0:
        raise PofxError(f"column {name!r}: wanted one value a row, got the single value {value!r}")
    if array.dtype.kind in "biuf":
        known = known_dtype(array.dtype.name)
        levels = (False, True) if array.dtype.kind == "b" else None
        values = _checked(name, array.astype(np.float64))
        return Cells(values, levels, array.dtype.name if known else "float64")
    if array.dtype.kind not in "OUT":
        raise _refused(name, f"dtype {array.dtype}")
    flat = _to_arrow(name, array.ravel().astype(object))
    dtype = "str" if array.dtype.kind in "UT" else f"object:{_arrow_name(flat.type)}"
    cells = _read_arrow(name, flat, dtype)
    return Cells(cells.values.reshape(array.shape), cells.levels, cells.dtype)


def _to_arrow(name: str, values: np.ndarray) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        types = {type(v).__name__ for v in values[:1000].tolist() if v is not None and v == v}
        raise _refused(name, f"values of types {', '.join(sorted(types))}") from None


def _refused(name: str, what: str) -> PofxError:
    return PofxError(
        f"column {name!r}: wanted numbers, booleans or text, got {what}; "
        "convert the column to one of them, or drop it"
    )


def _read_series(name: str, series: nw.Series, container: str) -> Cells:
    native = series.dtype
    if native == nw.Object or (native == nw.String and str(series.to_native().dtype) == "object"):
        return _read_values(name, series.to_numpy())
    if native == nw.Categorical and series.implementation.is_polars():
        # the categories of polars are shared by all frames: only those seen here are meant
        cells = _read_arrow(name, _one_array(series.cast(nw.String).to_arrow()), "category")
        return Cells(cells.values, cells.levels, "category")
    try:
        array = _one_array(series.to_arrow())
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError):
        raise _refused(name, f"dtype {getattr(series.to_native(), 'dtype', native)}") from None
    dtype = _arrow_name(array.type)
    if container == "polars" and native == nw.Enum:
        dtype = "enum"
    elif container == "pandas":
        dtype = _pandas_name(series.to_native().dtype, dtype)
    return _read_arrow(name, array, dtype)


def _one_array(array: Any) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _pandas_name(dtype: Any, arrow: str) -> str:
    import pandas as pd

    if isinstance(dtype, pd.CategoricalDtype):
        head = "ordered" if dtype.ordered else "category"
        values = str(dtype.categories.dtype)
        return f"{head}:{values}" if known_dtype(f"{head}:{values}") else head
    if isinstance(dtype, pd.ArrowDtype):
        return f"arrow:{arrow}"
    return str(dtype) if known_dtype(str(dtype)) else arrow


def _arrow_name(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        head = "ordered" if kind.ordered else "category"
        return f"{head}:{_arrow_name(kind.value_type)}:{kind.index_type}"
    if pa.types.is_decimal(kind):
        return f"decimal:{min(kind.precision, 38)}:{min(max(kind.scale, 0), 38)}"
    names = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return names.get(str(kind), str(kind))


def _read_arrow(name: str, array: pa.Array, dtype: str) -> Cells:
    kind, is_a = array.type, pa.types
    if is_a.is_null(kind):
        return Cells(np.full(len(array), np.nan), None, dtype)
    if is_a.is_boolean(kind):
        return Cells(_floats(array), (False, True), dtype)
    if is_a.is_integer(kind) or is_a.is_floating(kind) or is_a.is_decimal(kind):
        return Cells(_checked(name, _floats(array)), None, dtype)
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
        raise PofxError(
            f"column {name!r}: wanted finite numbers of size up to {LARGEST:g}, got "
            f"{values[tuple(where)]:g} in row {where[0]} (counted from 0); "
            "set such cells to missing, or rescale"
        )
    return values
