"""Tables from files and into files."""

import gzip
import io
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from pofx.core.errors import PofxError
from pofx.core.whole import write_whole
from pofx.table.frames import Frame, read_frame
from pofx.table.restore import to_arrow
from pofx.table.times import numbers

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]
"""What an empty cell may be written as."""

BLOCK = 1 << 28
"""Bytes of a CSV file from which the types of its columns are told."""

ARROW = ("arrow", "feather", "ipc")
FORMATS = ".csv, .csv.gz, .tsv, .tsv.gz, .parquet, .arrow, .feather or .ipc"
INDEX = re.compile(r"__index_level_\d+__")
"""How pandas names an index without a name in the files it writes."""


def read(path: str | os.PathLike[str]) -> pa.Table:
    """The table in a CSV, TSV (either may be gzipped), Parquet or Arrow file, told by its name.

    The first line of a CSV file names the columns; a cell that is empty, NA, N/A, NaN or null is
    missing, and dates and times are those in ISO 8601. An Arrow file (.arrow, .feather or .ipc) is
    one of Arrow's IPC format, or its stream. An index of pandas that has no name is left out.
    Raises PofxError for a file that is absent, empty, of another name, or no such table.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise PofxError(f"{path}: wanted a file {FORMATS}; {what}")
    kind = _kind(path)
    try:
        if kind == "parquet":
            import pyarrow.parquet as pq

            with path.open("rb") as file:
                return _without_index(pq.read_table(file))
        if kind in ARROW:
            return _without_index(_read_arrow(path))
        with gzip.open(path) if kind.endswith(".gz") else path.open("rb") as file:
            return _read_csv(path, file.read(), "\t" if kind.startswith("tsv") else ",")
    except PofxError:
        raise
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, kind, str(error).splitlines()[0]) from None


def write(data: Any, path: str | os.PathLike[str] | None = None) -> None:
    """Data of any kind as CSV, TSV, Parquet or Arrow in a file; as CSV on standard output for None.

    The file is written whole or not at all; durations in a CSV file are seconds. Raises PofxError
    for a path that cannot be written or has another ending, and for array variables, which have no
    place in such a file.
    """
    table = _as_table(data)
    if path is None:
        text = io.BytesIO()
        _write_csv(table, text, ",")
        # Tables are in UTF-8, whatever the encoding of a terminal.
        if (raw := getattr(sys.stdout, "buffer", None)) is None:
            sys.stdout.write(text.getvalue().decode())
        else:
            sys.stdout.flush()
            raw.write(text.getvalue())
            raw.flush()
        return
    path = Path(path)
    kind = _kind(path)
    write_whole(path, lambda file: _write(table, file, kind))


def _kind(path: Path) -> str:
    name = path.name.lower()
    for kind in ("csv", "csv.gz", "tsv", "tsv.gz", "parquet", *ARROW):
        if name.endswith(f".{kind}"):
            return kind
    raise PofxError(f"{path}: wanted a file {FORMATS}, got {path.suffix or 'no ending'!r}")


def _unreadable(path: Path, kind: str, why: str) -> PofxError:
    return PofxError(f"{path}: cannot be read as {kind}: {why}")


def _read_arrow(path: Path) -> pa.Table:
    with path.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        opened = pa.ipc.open_file if magic == b"ARROW1" else pa.ipc.open_stream
        return opened(file).read_all()


def _without_index(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in table.column_names if INDEX.fullmatch(name)])


def _read_csv(path: Path, text: bytes, separator: str) -> pa.Table:
    import pyarrow.csv as csv

    if not text.strip():
        raise PofxError(f"{path}: the file is empty; wanted a line of column names and rows")
    head = text.split(b"\n", 1)[0]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in text[:4096]:
        raise PofxError(f"{path}: wanted text in UTF-8, got other bytes")
    if separator == "," and b"," not in head and (other := re.search(rb"[;\t|]", head)):
        raise PofxError(
            f"{path}: wanted commas between the column names, and there is {other[0].decode()!r}; "
            "write the file anew with commas, or with tabs as .tsv"
        )
    table = csv.read_csv(
        io.BytesIO(text),
        csv.ReadOptions(block_size=min(max(len(text), 1 << 16), BLOCK)),
        csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        csv.ConvertOptions(null_values=MISSING, strings_can_be_null=True),
    )
    if any(pa.types.is_binary(kind) for kind in table.schema.types):
        raise PofxError(f"{path}: wanted text in UTF-8, got other bytes")
    return table


def _as_table(data: Any) -> pa.Table:
    if isinstance(data, pa.Table):
        return data
    frame: Frame = read_frame(data)
    for name, cells in frame.cells.items():
        if cells.values.ndim > 1:
            raise PofxError(
                f"column {name!r}: a table file has no place for cells of shape "
                f"{cells.values.shape[1:]}; save them with numpy.savez"
            )
    return pa.table({name: to_arrow(cells) for name, cells in frame.cells.items()})


def _write(table: pa.Table, file: BinaryIO, kind: str) -> None:
    if kind == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, file)
    elif kind in ARROW:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    elif kind.endswith(".gz"):
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            _write_csv(table, packed, "\t" if kind.startswith("tsv") else ",")
    else:
        _write_csv(table, file, "\t" if kind == "tsv" else ",")


def _write_csv(table: pa.Table, file: Any, separator: str) -> None:
    import csv as texts

    import pyarrow.csv as csv

    columns = [_plain(c) for c in table.columns]
    head = io.StringIO()
    texts.writer(head, delimiter=separator, lineterminator="\n").writerow(table.column_names)
    file.write(head.getvalue().encode())
    # Arrow quotes all text or none: none where no cell would be misread for it.
    quoting = "needed" if any(_needs_quotes(c, separator) for c in columns) else "none"
    options = csv.WriteOptions(include_header=False, delimiter=separator, quoting_style=quoting)
    csv.write_csv(pa.table(columns, table.column_names), file, options)


def _needs_quotes(column: pa.ChunkedArray, separator: str) -> bool:
    # Its functions are made when it is imported, where type checkers do not see them.
    compute: Any = import_module("pyarrow.compute")
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return str(kind) == "string_view"
    found = compute.match_substring_regex(column, f'["\r\n{separator}]')
    return bool(compute.any(found, min_count=0).as_py())


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_duration(kind):
        seconds = [pa.array(numbers(c), from_pandas=True) for c in column.chunks]
        return pa.chunked_array(seconds, pa.float64())
    return column.cast(pa.float32()) if pa.types.is_float16(kind) else column
