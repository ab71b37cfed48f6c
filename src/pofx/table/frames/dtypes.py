"""One vocabulary for the dtypes of all kinds of data.

The dtype of a variable is a word that can be written to a file, and checked when it is read. Words
are numpy's names ("int64", "float32", "bool"), pandas' own ("Int64", "boolean", "str", "string"),
Arrow's text types, "null", "decimal:PRECISION:SCALE", polars' "enum", the words of `times.py`, and
"category[:VALUES[:INDEX]]" or "ordered..." for dictionaries. "object:T" is a pandas or numpy
column of objects of type T, "arrow:T" a pandas column backed by Arrow.
"""

import re
from typing import Any

import pyarrow as pa

from pofx.table.frames.times import known_time, time_name, time_type

_INDEX = r"u?int(8|16|32|64)"
_VALUES = (
    rf"{_INDEX}|U?Int(8|16|32|64)|float16|[fF]loat(32|64)|bool|boolean|"
    r"object|str|string|large_string|string_view"
)
_DECIMAL = r"decimal:([1-9]|[1-6]\d|7[0-6]):([1-6]?\d|7[0-6])"
_DTYPE = re.compile(
    rf"enum|((arrow|object):)?({_VALUES}|{_DECIMAL}|null|"
    rf"(category|ordered)(:({_VALUES})(:{_INDEX})?)?)"
)


def known_dtype(dtype: str) -> bool:
    """Whether `dtype` is a word of the vocabulary.

    >>> known_dtype("Int64"), known_dtype("ordered:string:int8"), known_dtype("V999999")
    (True, True, False)
    """
    return _DTYPE.fullmatch(dtype) is not None or known_time(dtype)


def pandas_name(dtype: Any, arrow: str) -> str:
    """The word for a pandas dtype, whose values Arrow calls `arrow`."""
    import pandas as pd

    if isinstance(dtype, pd.CategoricalDtype):
        head = "ordered" if dtype.ordered else "category"
        values = str(dtype.categories.dtype)
        return f"{head}:{values}" if known_dtype(f"{head}:{values}") else head
    if isinstance(dtype, pd.ArrowDtype):
        return f"arrow:{arrow}"
    return str(dtype) if known_dtype(str(dtype)) else arrow


def arrow_name(kind: pa.DataType) -> str:
    """The word for an Arrow type.

    >>> arrow_name(pa.float64()), arrow_name(pa.dictionary(pa.int8(), pa.string()))
    ('float64', 'category:string:int8')
    """
    if pa.types.is_dictionary(kind):
        head = "ordered" if kind.ordered else "category"
        return f"{head}:{arrow_name(kind.value_type)}:{kind.index_type}"
    if pa.types.is_decimal(kind):
        # A negative scale means zeros before the decimal point.
        return f"decimal:{min(kind.precision - min(kind.scale, 0), 76)}:{max(kind.scale, 0)}"
    if name := time_name(kind):
        return name
    names = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return names.get(str(kind), str(kind))


def arrow_type(dtype: str) -> pa.DataType:
    """The Arrow type nearest to a dtype of the vocabulary.

    >>> arrow_type("Int64"), arrow_type("ordered:string:int8").ordered
    (DataType(int64), True)
    """
    if kind := time_type(dtype):
        return kind
    head, *parts = dtype.split(":")
    if head in ("arrow", "object") and parts:
        return arrow_type(":".join(parts))
    if head in ("category", "ordered", "enum"):
        values = arrow_type(parts[0]) if parts else pa.string()
        index = pa.type_for_alias(parts[1]) if len(parts) > 1 else pa.int32()
        return pa.dictionary(index, values, head == "ordered")
    if head == "decimal":
        digits, scale = map(int, parts)
        return pa.decimal128(digits, scale) if digits <= 38 else pa.decimal256(digits, scale)
    names = {"": "float64", "boolean": "bool", "str": "string", "object": "string"}
    return pa.type_for_alias(names.get(head, head.lower()))
