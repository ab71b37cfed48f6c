"""CSV files as tables, which of their texts are codes and no numbers, and tables as CSV."""

import csv as texts_of_cells
import io
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa

from pofx.core.column import DISCRETE
from pofx.core.errors import PofxError
from pofx.table.frames.times import times_to_floats
from pofx.table.schema import Schema

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]
"""What an empty cell may be written as."""

BLOCK = 1 << 28
"""Bytes of a CSV file from which the types of its columns are told."""

ReadModes = Mapping[str, str]
"""How columns are to be read: "text", "number", or "levels", text if numbers would merge some."""

CODE = r"^0[0-9xX]"
INTEGER = r"^[+-]?[0-9]+$"
LONG = 19
"""Whole numbers of fewer digits are within int64."""


def read_modes(schema: Schema | Mapping[str, Any]) -> ReadModes:
    """How a model's columns are to be read, or those whose kinds a user names.

    >>> read_modes({"zip": "categorical", "x": "real"})
    {'zip': 'levels', 'x': 'number'}
    """
    if not isinstance(schema, Schema):
        return {n: "levels" if kind in DISCRETE else "number" for n, kind in schema.items()}
    plain = [v for v in schema.variables if not v.shape]
    return {
        v.name: "text" if v.discrete and isinstance(v.levels[0], str) else "number" for v in plain
    }


def read_csv(path: Path, text: bytes, separator: str, how: ReadModes) -> pa.Table:
    """The table in the text of a file; PofxError for text that is no such table."""
    _check(path, text, separator)
    table = _parsed(text, separator, null_values=MISSING, strings_can_be_null=True)
    if any(pa.types.is_binary(kind) for kind in table.schema.types):
        raise PofxError(f"{path}: expected text in UTF-8, got other bytes")
    if not any(map(_may_be_code, table.schema.types)):
        return table
    names = dict.fromkeys(table.column_names, pa.string())
    raw = _parsed(
        text, separator, null_values=MISSING, strings_can_be_null=True, column_types=names
    )
    columns = [
        _column(parsed, written, how.get(name, ""))
        for name, parsed, written in zip(table.column_names, table.columns, raw.columns)
    ]
    return pa.table(columns, table.column_names)


def cell_texts(text: bytes, separator: str) -> pa.Table:
    """The cells of a CSV file as they are written, quotes taken off."""
    names = _parsed(text, separator).column_names
    types = dict.fromkeys(names, pa.string())
    return _parsed(text, separator, column_types=types, strings_can_be_null=False)


def respell(filled: pa.Table, typed: pa.Table, texts: pa.Table) -> pa.Table:
    """A table as text: cells that `typed` has as `texts` spells them, others as like values there.

    >>> typed, texts = pa.table({"a": [True, None]}), pa.table({"a": ["TRUE", ""]})
    >>> respell(pa.table({"a": [True, True]}), typed, texts)["a"].to_pylist()
    ['TRUE', 'TRUE']
    """
    compute = _compute()
    columns = []
    for name, column in zip(filled.column_names, filled.columns):
        spelled = _text(column)
        if name in texts.column_names and len(column) == len(typed):
            known = typed[name]
            written = texts[name].cast(pa.large_string())
            if known.type == column.type:
                place = compute.index_in(column, value_set=known, skip_nulls=True)
                spelled = compute.coalesce(written.take(place.combine_chunks()), spelled)
            kept = compute.or_(_present(known), compute.is_null(column))
            spelled = compute.if_else(kept, written, spelled)
        columns.append(spelled)
    return pa.table(columns, filled.column_names)


def write_csv(table: pa.Table, file: Any, separator: str) -> None:
    """Writes a table; only a cell that would be misread without quotes has them."""
    head = io.StringIO()
    texts_of_cells.writer(head, delimiter=separator, lineterminator="\n").writerow(
        table.column_names
    )
    file.write(head.getvalue().encode())
    if not table.num_columns or not table.num_rows:
        return
    columns = [_quoted(_text(c), separator, table.num_columns == 1) for c in table.columns]
    between, end, nothing = (pa.scalar(s, pa.large_string()) for s in (separator, "\n", ""))
    join: Any = _compute().binary_join_element_wise
    lines = join(*columns, between, null_handling="replace", null_replacement="")
    lines = join(lines, nothing, end).combine_chunks()
    file.write(lines.buffers()[2])


def _check(path: Path, text: bytes, separator: str) -> None:
    if not text.strip():
        raise PofxError(f"{path}: the file is empty; expected a line of column names and rows")
    head = text.split(b"\n", 1)[0]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in text[:4096]:
        raise PofxError(f"{path}: expected text in UTF-8, got other bytes")
    if separator == "," and b"," not in head and (other := re.search(rb"[;\t|]", head)):
        raise PofxError(
            f"{path}: expected commas between the column names, got {other[0].decode()!r}; "
            "write the file anew with commas, or with tabs as .tsv"
        )


def _parsed(text: bytes, separator: str, **convert: Any) -> pa.Table:
    import pyarrow.csv as csv

    return csv.read_csv(
        io.BytesIO(text),
        csv.ReadOptions(block_size=min(max(len(text), 1 << 16), BLOCK)),
        csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        csv.ConvertOptions(**convert),
    )


def _may_be_code(kind: pa.DataType) -> bool:
    return not (pa.types.is_string(kind) or pa.types.is_null(kind))


def _column(parsed: pa.ChunkedArray, written: pa.ChunkedArray, how: str) -> pa.ChunkedArray:
    """A column as it was parsed, or as text where it holds codes."""
    compute = _compute()
    kind = parsed.type
    if not _may_be_code(kind):
        return parsed
    text = compute.utf8_trim_whitespace(written)
    if how == "text":
        return text
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return parsed
    if how != "number" and _any(compute.match_substring_regex(text, CODE)):
        return text
    if pa.types.is_floating(kind) and not _any(
        compute.invert(compute.match_substring_regex(text, INTEGER))
    ):
        long = text.filter(compute.greater_equal(compute.utf8_length(text), LONG))
        if all(-(2**63) <= int(number) < 2**63 for number in long.to_pylist()):
            return compute.utf8_ltrim(text, characters="+").cast(pa.int64())
        return parsed if how == "number" else text
    if _many(text) == _many(parsed):
        return parsed
    return text if how == "levels" else _decimals(text, parsed)


def _decimals(text: pa.ChunkedArray, parsed: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers as decimals if floats would merge some of them, else as they were parsed."""
    compute = _compute()
    if not pa.types.is_floating(parsed.type):
        return parsed
    fraction = compute.utf8_length(compute.replace_substring_regex(text, r"^[^.]*\.?", ""))
    scale = compute.max(fraction).as_py() or 0
    try:
        exact = text.cast(pa.decimal128(38, min(scale, 38)))
    except pa.ArrowException:
        return parsed
    return exact if _many(exact) > _many(parsed) else parsed


def _any(mask: pa.ChunkedArray) -> bool:
    return bool(_compute().any(mask, min_count=0).as_py())


def _many(column: pa.ChunkedArray) -> int:
    return int(_compute().count_distinct(column).as_py())


def _present(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return _compute().invert(_compute().is_null(column, nan_is_null=True))


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text that reads back as what it holds; durations are seconds."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    elif pa.types.is_duration(kind):
        seconds = [pa.array(times_to_floats(c), from_pandas=True) for c in column.chunks]
        column = pa.chunked_array(seconds, pa.float64())
    elif pa.types.is_float16(kind):
        column = column.cast(pa.float32())
    return column.cast(pa.string()).cast(pa.large_string())


def _quoted(text: pa.ChunkedArray, separator: str, alone: bool) -> pa.ChunkedArray:
    compute = _compute()
    misread = compute.match_substring_regex(text, f'["\r\n{separator}]')
    if alone:
        # a line without anything is none
        text = compute.fill_null(text, "")
        misread = compute.or_(compute.fill_null(misread, True), compute.equal(text, ""))
    if not _any(misread):
        return text
    quote = pa.scalar('"', pa.large_string())
    doubled = compute.replace_substring(text, '"', '""')
    nothing = pa.scalar("", pa.large_string())
    quoted = compute.binary_join_element_wise(quote, doubled, quote, nothing)
    return compute.if_else(misread, quoted, text)


def _compute() -> Any:
    # Its functions are made when it is imported, where type checkers do not see them.
    return import_module("pyarrow.compute")
