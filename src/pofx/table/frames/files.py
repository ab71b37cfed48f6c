"""Tables from files and into files."""

import gzip
import io
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from pofx.core.atomic_write import write_atomically
from pofx.core.errors import PofxError
from pofx.table.frames.csv_files import cell_texts, read_csv, read_modes, respell, write_csv
from pofx.table.frames.reading import Frame, read_frame
from pofx.table.frames.writing import to_arrow
from pofx.table.schema import Schema

ARROW = ("arrow", "feather", "ipc")
FORMATS = ".csv, .csv.gz, .tsv, .tsv.gz, .parquet, .arrow, .feather or .ipc"
INDEX = re.compile(r"__index_level_\d+__")
"""How pandas names an index without a name in the files it writes."""


def read(
    path: str | os.PathLike[str], schema: Schema | Mapping[str, Any] | None = None
) -> pa.Table:
    """The table in a CSV, TSV (either may be gzipped), Parquet or Arrow file, told by its name.

    The first line of a CSV file names the columns; a cell that is empty, NA, N/A, NaN or null is
    missing, and dates and times are those in ISO 8601. An Arrow file (.arrow, .feather or .ipc) is
    one of Arrow's IPC format, or its stream. An index of pandas that has no name is left out.

    A column of a CSV file is text, and no number, if a cell starts with a 0 before another digit
    or if it holds whole numbers one of which is beyond int64. `schema` is that of a model, whose
    columns are read as they were learned, or a mapping from columns to kinds: a column of levels is
    text if numbers would make one level of two texts, as of 3.1 and 3.10.
    Raises PofxError for a file that is absent, empty, of another name, or no such table.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise PofxError(f"{path}: expected a file {FORMATS}; {what}")
    kind = _kind(path)
    try:
        if kind == "parquet":
            import pyarrow.parquet as pq

            with path.open("rb") as file:
                return _without_index(pq.read_table(file))
        if kind in ARROW:
            return _without_index(_read_arrow(path))
        with gzip.open(path) if kind.endswith(".gz") else path.open("rb") as file:
            return read_csv(path, file.read(), _separator(kind), read_modes(schema or {}))
    except PofxError:
        raise
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, kind, str(error).splitlines()[0]) from None


def respell_as_in_file(path: str | os.PathLike[str], typed: pa.Table, filled: Any) -> Any:
    """A table in which cells of `typed`, read from a CSV file, are filled, with that file's texts.

    Of a file of another kind it is `filled` as it is.
    """
    path = Path(path)
    kind = _kind(path)
    if not is_text(path):
        return filled
    with gzip.open(path) if kind.endswith(".gz") else path.open("rb") as file:
        return respell(_as_table(filled), typed, cell_texts(file.read(), _separator(kind)))


def is_text(path: Path) -> bool:
    """Whether it is the name of a CSV or TSV file."""
    return _kind(path).startswith(("csv", "tsv"))


def write(data: Any, path: str | os.PathLike[str] | None = None) -> None:
    """Data of any kind as CSV, TSV, Parquet or Arrow in a file; as CSV on standard output for None.

    The file is written whole or not at all; durations in a CSV file are seconds. Raises PofxError
    for a path that cannot be written or has another ending, and for array variables, which have no
    place in such a file.
    """
    table = _as_table(data)
    if path is None:
        text = io.BytesIO()
        write_csv(table, text, ",")
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
    write_atomically(path, lambda file: _write(table, file, kind))


def _kind(path: Path) -> str:
    name = path.name.lower()
    for kind in ("csv", "csv.gz", "tsv", "tsv.gz", "parquet", *ARROW):
        if name.endswith(f".{kind}"):
            return kind
    raise PofxError(f"{path}: expected a file {FORMATS}, got {path.suffix or 'no ending'!r}")


def _separator(kind: str) -> str:
    return "\t" if kind.startswith("tsv") else ","


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
            write_csv(table, packed, _separator(kind))
    else:
        write_csv(table, file, _separator(kind))
