"""Reading tables from files and writing them."""

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

ARROW_ENDINGS = ("arrow", "feather", "ipc")
FORMATS = ".csv, .csv.gz, .tsv, .tsv.gz, .parquet, .arrow, .feather or .ipc"
PANDAS_INDEX = re.compile(r"__index_level_\d+__")
"""The column in which pandas writes an index without a name."""


def read(
    path: str | os.PathLike[str], schema: Schema | Mapping[str, Any] | None = None
) -> pa.Table:
    """Reads the table in a CSV, TSV (either may be gzipped), Parquet or Arrow file.

    The first line of a CSV file names the columns. Cells that are empty, NA, N/A, NaN or null are
    missing, and dates and times are in ISO 8601. A column is text, not numbers, if a cell starts
    with a 0 before another digit, or if it holds whole numbers and one is beyond int64. An Arrow
    file (.arrow, .feather or .ipc) has Arrow's IPC format, of a file or a stream. An index of
    pandas without a name is left out.

    Args:
        path: the file; its ending determines the format.
        schema: the schema of a model, to read columns as they were learned; or a mapping from
            columns to kinds, in which a column of levels is read as text if numbers would merge
            different texts, such as 3.1 and 3.10.

    Raises PofxError for a file that is absent, empty, of another ending, or no such table.
    """
    path = Path(path)
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "there is no such file"
        raise PofxError(f"{path}: expected a file {FORMATS}; {problem}")
    kind = _kind(path)
    try:
        if kind == "parquet":
            import pyarrow.parquet as pq

            with path.open("rb") as file:
                return _without_index(pq.read_table(file))
        if kind in ARROW_ENDINGS:
            return _without_index(_read_arrow(path))
        with gzip.open(path) if kind.endswith(".gz") else path.open("rb") as file:
            return read_csv(path, file.read(), _separator(kind), read_modes(schema or {}))
    except PofxError:
        raise
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise PofxError(f"{path}: cannot be read as {kind}: {reason}") from None


def respell_as_in_file(path: str | os.PathLike[str], typed: pa.Table, filled: Any) -> Any:
    """The table `filled`, in the spelling of the CSV file from which `typed` was read.

    For a file of another format, `filled` is returned unchanged.
    """
    path = Path(path)
    kind = _kind(path)
    if not is_text(path):
        return filled
    with gzip.open(path) if kind.endswith(".gz") else path.open("rb") as file:
        return respell(_as_table(filled), typed, cell_texts(file.read(), _separator(kind)))


def is_text(path: Path) -> bool:
    """Whether a path is that of a CSV or TSV file."""
    return _kind(path).startswith(("csv", "tsv"))


def write(data: Any, path: str | os.PathLike[str] | None = None) -> None:
    """Writes data of any kind as CSV, TSV, Parquet or Arrow.

    The file is written completely or not at all. Durations in a CSV file are in seconds.

    Args:
        data: a frame, a mapping or an array.
        path: the file; its ending determines the format. None writes CSV to standard output.

    Raises PofxError for a path that cannot be written or has another ending, and for array
    variables, because no such file can hold them.
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
    for kind in ("csv", "csv.gz", "tsv", "tsv.gz", "parquet", *ARROW_ENDINGS):
        if name.endswith(f".{kind}"):
            return kind
    raise PofxError(f"{path}: expected a file {FORMATS}, got {path.suffix or 'no ending'!r}")


def _separator(kind: str) -> str:
    return "\t" if kind.startswith("tsv") else ","


def _read_arrow(path: Path) -> pa.Table:
    with path.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        open_ipc = pa.ipc.open_file if magic == b"ARROW1" else pa.ipc.open_stream
        return open_ipc(file).read_all()


def _without_index(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in table.column_names if PANDAS_INDEX.fullmatch(name)])


def _as_table(data: Any) -> pa.Table:
    if isinstance(data, pa.Table):
        return data
    frame: Frame = read_frame(data)
    for name, cells in frame.cells.items():
        if cells.values.ndim > 1:
            raise PofxError(
                f"column {name!r}: a table file cannot hold cells of shape "
                f"{cells.values.shape[1:]}; save them with numpy.savez"
            )
    return pa.table({name: to_arrow(cells) for name, cells in frame.cells.items()})


def _write(table: pa.Table, file: BinaryIO, kind: str) -> None:
    if kind == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, file)
    elif kind in ARROW_ENDINGS:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    elif kind.endswith(".gz"):
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            write_csv(table, packed, _separator(kind))
    else:
        write_csv(table, file, _separator(kind))
