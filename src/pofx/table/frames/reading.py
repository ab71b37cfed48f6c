"""Reading data of any accepted kind as the cells of each variable."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa

from pofx.core.errors import PofxError
from pofx.table.frames.cells import Cells, as_array, read_series, read_values

ACCEPTED = "a pandas, polars or pyarrow frame, a numpy array, or a mapping from names to arrays"


@dataclass(frozen=True)
class Frame:
    """Data of any kind as cells.

    Args:
        container: the kind of data, one of `pofx.table.schema.CONTAINERS`.
        rows: the number of rows.
        names: the names of all columns.
        cells: the cells of the columns that were requested, by name.
    """

    container: str
    rows: int
    names: tuple[str, ...]
    cells: dict[str, Cells]


def read_frame(data: Any, names: Sequence[str] | None = None) -> Frame:
    """Reads the columns `names` that the data have, or all columns for None.

    Columns of an array are called `names`, in order, or x0, x1, ... for None. A `Frame` is not read
    again, only restricted to the columns `names`.

    Raises PofxError for data of another kind, a duplicate name, and a cell that is no finite
    number, bool, text or time.

    >>> read_frame({"a": [1, None], "b": ["u", "v"]}).cells["b"]
    Cells(values=array([0., 1.]), levels=('u', 'v'), dtype='object:string')
    """
    if isinstance(data, Frame):
        if names is None:
            return data
        return replace(data, cells={name: data.cells[name] for name in names if name in data.cells})
    if isinstance(data, Mapping):
        return _read_mapping(data, names)
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, list | tuple | np.ndarray):
        return _read_array(data, names)
    if type(data).__module__.startswith(("jax", "jaxlib")):
        return _read_array(np.asarray(data), names)
    table = to_narwhals(data)
    columns = tuple(table.columns)
    for name in columns:
        _check_name(name)
    requested = columns if names is None else [name for name in names if name in columns]
    backend = table.implementation
    container = "pandas" if backend.is_pandas() else "polars" if backend.is_polars() else "pyarrow"
    cells = {name: read_series(name, table[name], container) for name in requested}
    return Frame(container, table.shape[0], columns, cells)


def to_narwhals(data: Any) -> nw.DataFrame[Any]:
    """A frame as one of narwhals; PofxError for no frame, duplicate names and multi-level names."""
    try:
        table = nw.from_native(data, eager_only=True)
        names = table.columns
    except TypeError:
        raise _not_a_frame(data) from None
    except nw.exceptions.DuplicateError as error:
        twice = str(error).split("'")[1]
        raise PofxError(f"data: two columns are named {twice!r}; rename or drop one") from None
    if levels := [name for name in names if isinstance(name, tuple)]:
        raise PofxError(
            f"data: expected one name per column, got {levels[0]}; "
            "try data.columns = ['_'.join(map(str, c)) for c in data.columns]"
        )
    return table


def _not_a_frame(data: object) -> PofxError:
    hints = {
        "LazyFrame": "; call .collect() first",
        "Series": "; call .to_frame() first",
        "str": "; read a file with pofx.table.frames.files.read(path)",
    }
    got = type(data).__name__
    return PofxError(f"data: expected {ACCEPTED}; got {got}{hints.get(got, '')}")


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise PofxError(
            f"column {name!r}: expected text as the name, got {type(name).__name__}; "
            "try data.columns = [str(c) for c in data.columns]"
        )


def _read_mapping(data: Mapping[Any, Any], names: Sequence[str] | None) -> Frame:
    for name in data:
        _check_name(name)
    requested = data if names is None else [name for name in names if name in data]
    cells = {name: read_values(name, data[name]) for name in requested}
    lengths = {name: len(c.values) for name, c in cells.items()}
    first = next(iter(lengths), "")
    for name, length in lengths.items():
        if length != lengths[first]:
            raise PofxError(
                f"data: expected as many rows in each column, got {lengths[first]} in {first!r} "
                f"and {length} in {name!r}"
            )
    column = next(iter(data.values()), ())
    rows = lengths[first] if lengths else len(column) if isinstance(column, Sized) else 0
    return Frame("mapping", rows, tuple(data), cells)


def _read_array(data: Any, names: Sequence[str] | None) -> Frame:
    array = as_array("data", data)
    if isinstance(data, list | tuple) and array.ndim != 2:
        raise PofxError(
            f"data: expected {ACCEPTED}; got a {type(data).__name__} of "
            f"{type(data[0]).__name__ if len(data) else 'nothing'}; a list of rows of equal length "
            "is an array; for a list of dicts try pandas.DataFrame(data)"
        )
    if array.dtype.names is not None:
        raise PofxError("data: got a structured array; try {name: data[name] for name in ...}")
    if array.ndim not in (1, 2):
        raise PofxError(
            f"data: expected an array of 1 or 2 dimensions, got shape {array.shape}; a variable "
            "that is itself an array is passed by name, as {'image': data}"
        )
    container, table = ("vector", array[:, None]) if array.ndim == 1 else ("numpy", array)
    width = table.shape[1]
    columns = tuple(f"x{i}" for i in range(width)) if names is None else tuple(names)
    if len(columns) != width:
        raise PofxError(
            f"data: expected an array of {len(columns)} columns ({', '.join(columns[:5])}"
            f"{', ...' if len(columns) > 5 else ''}), got {width}"
        )
    cells = {name: read_values(name, table[:, i]) for i, name in enumerate(columns)}
    return Frame(container, len(table), columns, cells)
