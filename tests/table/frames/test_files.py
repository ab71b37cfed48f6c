import gzip
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pofx.core.errors import PofxError
from pofx.table.encoding import encode
from pofx.table.frames.files import read, write
from pofx.table.schema_inference import infer

TABLE = pa.table(
    {
        "a": [1, None, 3],
        "b": [0.1, None, -1e300],
        "c": ["x, y", None, 'say "é"\nagain'],
        "d": [True, False, None],
    }
)
BINARY = ["t.parquet", "t.arrow", "t.feather", "t.ipc"]
WHEN = datetime(2020, 1, 31, 18, 30, tzinfo=UTC)
TIMES = pa.table(
    {
        "day": pa.array([date(2020, 1, 31), None]),
        "at": pa.array([WHEN.replace(tzinfo=None), None], pa.timestamp("us")),
        "zone": pa.array([WHEN, None], pa.timestamp("us", "Europe/Berlin")),
        "wait": pa.array([timedelta(seconds=90.5), None], pa.duration("us")),
        "clock": pa.array([time(18, 30), None], pa.time32("s")),
    }
)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz", "T.CSV", *BINARY])
def test_round_trip(tmp_path, name):
    write(TABLE, tmp_path / name)
    assert read(tmp_path / name).equals(TABLE)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("kind", ["pandas", "polars", "numpy", "mapping"])
def test_any_kind_of_data_is_written(tmp_path, kind):
    columns = {"x0": [1.5, 2.0], "x1": [3.0, None]}
    data = {
        "pandas": pd.DataFrame(columns),
        "polars": pl.DataFrame(columns),
        "numpy": np.array([[1.5, 3.0], [2.0, np.nan]]),
        "mapping": columns,
    }[kind]
    write(data, tmp_path / "t.csv")
    assert read(tmp_path / "t.csv").to_pydict() == {"x0": [1.5, 2.0], "x1": [3, None]}


@pytest.mark.parametrize("name", BINARY)
def test_times_in_binary_files(tmp_path, name):
    write(TIMES, tmp_path / name)
    assert read(tmp_path / name).to_pylist() == TIMES.to_pylist()


def test_times_as_text(tmp_path):
    write(TIMES, tmp_path / "t.csv")
    back = read(tmp_path / "t.csv")
    assert [row["day"] for row in back.to_pylist()] == [date(2020, 1, 31), None]
    schema = infer(TIMES)
    np.testing.assert_array_equal(encode(schema, back), encode(schema, TIMES))


@pytest.mark.parametrize("compression", ["lz4", "uncompressed"])
def test_files_of_other_writers(tmp_path, compression):
    data = pd.DataFrame({"a": [1, 2]}, index=["u", "v"])
    pl.from_pandas(data).write_ipc_stream(tmp_path / "stream.arrow")
    pl.from_pandas(data).write_ipc(tmp_path / "file.arrow", compression=compression)
    data.reset_index(drop=True).to_feather(tmp_path / "t.feather", compression=compression)
    data.to_parquet(tmp_path / "t.parquet")
    for name in ("stream.arrow", "file.arrow", "t.feather", "t.parquet"):
        assert read(tmp_path / name).to_pydict() == {"a": [1, 2]}


def test_categories_are_written_as_text(tmp_path):
    data = pd.DataFrame({"a": pd.Categorical(["u", None, "v"]), "b": np.float16([1, 2, 3])})
    write(data, tmp_path / "t.csv")
    assert read(tmp_path / "t.csv")["a"].to_pylist() == ["u", None, "v"]


def test_missing_cells(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n1,u,\nNA,NA,\nNaN,null,\n2.5,?,\n")
    found = read(path).to_pydict()
    assert found == {
        "a": [1.0, None, None, 2.5],
        "b": ["u", None, None, "?"],
        "c": [None] * 4,
    }


def test_type_is_told_from_all_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "1\n" * 200_000 + "2.5\n")
    assert read(path)["a"].type == pa.float64()


def test_standard_output(capsys):
    write(TABLE.select(["a", "d"]))
    assert capsys.readouterr().out == "a,d\n1,true\n,false\n3,\n"


def junk(path):
    path.write_bytes(bytes(range(256)) * 20)


BAD = {
    "absent.csv": (lambda path: None, "there is no such file"),
    "folder.csv": (lambda path: path.mkdir(), "is a folder"),
    "empty.csv": (lambda path: path.touch(), "the file is empty"),
    "blank.csv": (lambda path: path.write_text("\n\n"), "the file is empty"),
    "ragged.csv": (lambda path: path.write_text("a,b\n1,2\n3\n"), "Expected 2 columns, got 1"),
    "junk.csv": (junk, "junk.csv"),
    "latin.csv": (lambda path: path.write_bytes(b"a\n\xe9\xe8\n"), "expected text in UTF-8"),
    "not.csv.gz": (junk, "cannot be read as csv.gz: Not a gzipped file"),
    "cut.csv.gz": (
        lambda path: path.write_bytes(gzip.compress(b"a\n1\n" * 99)[:-9]),
        "cannot be read as csv.gz",
    ),
    "not.parquet": (junk, "cannot be read as parquet"),
    "none.parquet": (lambda path: path.touch(), "cannot be read as parquet"),
    "table.xlsx": (junk, r"expected a file .csv, .* got '.xlsx'"),
    "table": (junk, "got 'no ending'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file(tmp_path, name):
    make, message = BAD[name]
    make(tmp_path / name)
    with pytest.raises(PofxError, match=message) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    write(TABLE, path)

    def full(table, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(PofxError, match=r"t.parquet: cannot be written: No space left"):
        write(TABLE, path)
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]
    assert read(path).equals(TABLE)


def test_bad_target(tmp_path):
    with pytest.raises(PofxError, match=r"absent/t\.csv: cannot be written: No such file"):
        write(TABLE, tmp_path / "absent" / "t.csv")
    with pytest.raises(PofxError, match=r"got '\.txt'"):
        write(TABLE, tmp_path / "t.txt")
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(PofxError, match="cannot be written: Is a directory"):
        write(TABLE, tmp_path / "t.csv")
    with pytest.raises(PofxError, match=r"column 'i': .* cannot hold cells of shape \(2, 2\)"):
        write({"i": np.zeros((3, 2, 2))}, tmp_path / "u.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_text_is_quoted_where_it_must_be(capsys, tmp_path):
    plain, tricky = pa.table({"a b": ["x", None]}), pa.table({'a,"b"': ['x, "y"', "z\nw"]})
    write(plain)
    assert capsys.readouterr().out == 'a b\nx\n""\n'
    write(plain, tmp_path / "plain.csv")
    assert read(tmp_path / "plain.csv").equals(plain)
    write(tricky, tmp_path / "t.csv")
    assert read(tmp_path / "t.csv").to_pydict() == tricky.to_pydict()
