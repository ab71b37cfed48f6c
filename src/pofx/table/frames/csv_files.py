"""Reading and writing CSV files, with codes such as 007 kept as text."""

import csv
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
"""Texts that mean a missing cell."""

MAX_BLOCK_BYTES = 1 << 28
"""Bytes of a CSV file from which the types of its columns are inferred."""

ReadModes = Mapping[str, str]
"""How to read each column: "text", "number", or "levels" (text if numbers would merge levels)."""

CODE = r"^0[0-9xX]"
INTEGER = r"^[+-]?[0-9]+$"
MIN_INT64_OVERFLOW_DIGITS = 19
"""Whole numbers of fewer digits are within int64."""


def read_modes(schema: Schema | Mapping[str, Any]) -> ReadModes:
    """How to read the columns of a model, or the columns whose kinds a user names.

    >>> read_modes({"zip": "categorical", "x": "real"})
    {'zip': 'levels', 'x': 'number'}
    """
    if not isinstance(schema, Schema):
        return {n: "levels" if kind in DISCRETE else "number" for n, kind in schema.items()}
    columns = [v for v in schema.variables if not v.shape]
    return {
        v.name: "text" if v.discrete and isinstance(v.levels[0], str) else "number" for v in columns
    }


def read_csv(path: Path, text: bytes, separator: str, modes: ReadModes) -> pa.Table:
    """The table in the text of a CSV file; PofxError for text that is no such table.

    Args:
        path: the name of the file, for messages.
        text: its contents.
        separator: "," or a tab.
        modes: how to read columns; others are read by their looks.
    """
    _check_text(path, text, separator)
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
        _column(parsed, written, modes.get(name, ""))
        for name, parsed, written in zip(table.column_names, table.columns, raw.columns)
    ]
    return pa.table(columns, table.column_names)


def cell_texts(text: bytes, separator: str) -> pa.Table:
    """The cells of a CSV file as text, without quotes."""
    names = _parsed(text, separator).column_names
    types = dict.fromkeys(names, pa.string())
    return _parsed(text, separator, column_types=types, strings_can_be_null=False)


def respell(filled: pa.Table, typed: pa.Table, texts: pa.Table) -> pa.Table:
    """A filled table as text, in the spelling of the file that was filled.

    Args:
        filled: the table to write.
        typed: the table as it was read, with missing cells.
        texts: the same cells as text. Observed cells keep their text, and filled cells get the text
            of an equal value in their column.

    >>> typed, texts = pa.table({"a": [True, None]}), pa.table({"a": ["TRUE", ""]})
    >>> respell(pa.table({"a": [True, True]}), typed, texts)["a"].to_pylist()
    ['TRUE', 'TRUE']
    """
    compute = _compute()
    columns = []
    for name, column in zip(filled.column_names, filled.columns):
        spelled = _text(column)
        if name in texts.column_names and len(column) == len(typed):
            original = typed[name]
            written = texts[name].cast(pa.large_string())
            if original.type == column.type:
                index = compute.index_in(column, value_set=original, skip_nulls=True)
                spelled = compute.coalesce(written.take(index.combine_chunks()), spelled)
            is_written = compute.or_(_is_present(original), compute.is_null(column))
            spelled = compute.if_else(is_written, written, spelled)
        columns.append(spelled)
    return pa.table(columns, filled.column_names)


def write_csv(table: pa.Table, file: Any, separator: str) -> None:
    """Writes a table; only cells that would be misread without quotes are quoted."""
    head = io.StringIO()
    csv.writer(head, delimiter=separator, lineterminator="\n").writerow(table.column_names)
    file.write(head.getvalue().encode())
    if not table.num_columns or not table.num_rows:
        return
    columns = [_quote(_text(c), separator, table.num_columns == 1) for c in table.columns]
    between, end, empty = (pa.scalar(s, pa.large_string()) for s in (separator, "\n", ""))
    join: Any = _compute().binary_join_element_wise
    lines = join(*columns, between, null_handling="replace", null_replacement="")
    lines = join(lines, empty, end).combine_chunks()
    file.write(lines.buffers()[2])


def _check_text(path: Path, text: bytes, separator: str) -> None:
    """Raises PofxError for an empty file, another encoding or another separator."""
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
    import pyarrow.csv as arrow_csv

    return arrow_csv.read_csv(
        io.BytesIO(text),
        arrow_csv.ReadOptions(block_size=min(max(len(text), 1 << 16), MAX_BLOCK_BYTES)),
        arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        arrow_csv.ConvertOptions(**convert),
    )


def _may_be_code(kind: pa.DataType) -> bool:
    return not (pa.types.is_string(kind) or pa.types.is_null(kind))


def _column(parsed: pa.ChunkedArray, written: pa.ChunkedArray, mode: str) -> pa.ChunkedArray:
    """A column as it was parsed, or as text if it holds codes."""
    compute = _compute()
    kind = parsed.type
    if not _may_be_code(kind):
        return parsed
    text = compute.utf8_trim_whitespace(written)
    if mode == "text":
        return text
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return parsed
    if mode != "number" and _any(compute.match_substring_regex(text, CODE)):
        return text
    if pa.types.is_floating(kind) and not _any(
        compute.invert(compute.match_substring_regex(text, INTEGER))
    ):
        is_long = compute.greater_equal(compute.utf8_length(text), MIN_INT64_OVERFLOW_DIGITS)
        if all(-(2**63) <= int(number) < 2**63 for number in text.filter(is_long).to_pylist()):
            return compute.utf8_ltrim(text, characters="+").cast(pa.int64())
        return parsed if mode == "number" else text
    if _count_distinct(text) == _count_distinct(parsed):
        return parsed
    return text if mode == "levels" else _decimals(text, parsed)


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
    return exact if _count_distinct(exact) > _count_distinct(parsed) else parsed


def _any(mask: pa.ChunkedArray) -> bool:
    return bool(_compute().any(mask, min_count=0).as_py())


def _count_distinct(column: pa.ChunkedArray) -> int:
    return int(_compute().count_distinct(column).as_py())


def _is_present(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return _compute().invert(_compute().is_null(column, nan_is_null=True))


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text from which the same values are read; durations are seconds."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    elif pa.types.is_duration(kind):
        seconds = [pa.array(times_to_floats(c), from_pandas=True) for c in column.chunks]
        column = pa.chunked_array(seconds, pa.float64())
    elif pa.types.is_float16(kind):
        column = column.cast(pa.float32())
    return column.cast(pa.string()).cast(pa.large_string())


def _quote(text: pa.ChunkedArray, separator: str, is_only_column: bool) -> pa.ChunkedArray:
    """The texts, with quotes around those that would be misread without."""
    compute = _compute()
    misread = compute.match_substring_regex(text, f'["\r\n{separator}]')
    if is_only_column:
        # An empty line is not read as a row.
        text = compute.fill_null(text, "")
        misread = compute.or_(compute.fill_null(misread, True), compute.equal(text, ""))
    if not _any(misread):
        return text
    quote = pa.scalar('"', pa.large_string())
    doubled = compute.replace_substring(text, '"', '""')
    empty = pa.scalar("", pa.large_string())
    quoted = compute.binary_join_element_wise(quote, doubled, quote, empty)
    return compute.if_else(misread, quoted, text)


def _compute() -> Any:
    # Its functions are defined on import, so that type checkers do not see them.
    return import_module("pyarrow.compute")
