"""The text of CSV files: columns of codes stay text, and cells keep their spelling."""

import csv
import io

import pyarrow as pa
import pytest

from pofx.core.errors import PofxError
from pofx.table.frames.csv_files import cell_texts, read_csv, read_modes, respell, write_csv
from pofx.table.frames.files import read, write
from pofx.table.schema import Schema, Variable


def column(cells, kind=""):
    """The column read from a CSV file of these cells, which has a column of letters, too."""
    text = "a,b\n" + "".join(f"{cell},z\n" for cell in cells)
    how = read_modes({"a": kind} if kind else {})
    return read_csv("a.csv", text.encode(), ",", how)["a"]


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (["01001", "90210"], "", ["01001", "90210"]),
        (["007", "NA", "7"], "", ["007", None, "7"]),
        ([" 007", "12 "], "", ["007", "12"]),
        (['"007"', "12"], "", ["007", "12"]),
        (["0x1F", "3"], "", ["0x1F", "3"]),
        (["12345678901234567890123456", "1"], "", ["12345678901234567890123456", "1"]),
        (["-9223372036854775809", "1"], "", ["-9223372036854775809", "1"]),
        (["01001", "90210"], "categorical", ["01001", "90210"]),
        (["3.1", "3.10"], "categorical", ["3.1", "3.10"]),
        (["9223372036854775807", "+5"], "", [2**63 - 1, 5]),
        (["1", "2"], "categorical", [1, 2]),
        (["0", "0.5", "-0"], "", [0.0, 0.5, 0.0]),
        (["12345678901234567890", "0.5"], "", [12345678901234567890.0, 0.5]),
        (["007", "12"], "real", [7, 12]),
        (["12345678901234567890123456", "1"], "real", [12345678901234567890123456.0, 1.0]),
        (["05:30", "06:30"], "", [pa.scalar(v, pa.time32("s")).as_py() for v in (19800, 23400)]),
    ],
)
def test_a_code_is_text_and_a_number_a_number(cells, kind, expected):
    assert column(cells, kind).to_pylist() == expected


def test_a_model_says_how_its_columns_are_read(tmp_path):
    """A schema makes codes of a file without leading zeros, and numbers of one with them."""
    zips = Variable("zip", "categorical", levels=("01001", "90210"))
    schema = Schema((zips, Variable("age", "count"), Variable("image", "real", (2,))), "pyarrow")
    (tmp_path / "new.csv").write_text("zip,age,new\n90210,007,001\n")
    found = read(tmp_path / "new.csv", schema)
    assert found.to_pylist() == [{"zip": "90210", "age": 7, "new": "001"}]


SPELLED = (
    'code,flag,price,quoted,when,"a ""b"", c"\n'
    '007, TRUE,3.10,"x, ""y""",2020-01-31T10:00,-0\n'
    ",,,,,\n"
    "012,FALSE,1e3,NA,2020-02-01T11:00,+5\n"
)


def test_cells_keep_their_spelling_and_fills_take_it_on(tmp_path):
    (tmp_path / "a.csv").write_text(SPELLED)
    typed = read(tmp_path / "a.csv")
    first = [c.take([0, 0, 2]) for c in typed.columns]
    filled = pa.table(first, typed.column_names).set_column(3, "quoted", [['x, "y"', "u", "v"]])
    out = io.BytesIO()
    write_csv(respell(filled, typed, cell_texts(SPELLED.encode(), ",")), out, ",")
    rows = list(csv.reader(io.StringIO(out.getvalue().decode())))
    assert rows[0] == next(csv.reader([SPELLED.splitlines()[0]]))
    assert rows[1] == ["007", " TRUE", "3.10", 'x, "y"', "2020-01-31T10:00", "-0"]
    assert rows[2] == ["007", " TRUE", "3.10", "u", "2020-01-31T10:00", "-0"]
    assert rows[3] == ["012", "FALSE", "1e3", "v", "2020-02-01T11:00", "+5"]


def test_what_a_model_does_not_fill_stays_as_it_is():
    typed = pa.table({"a": pa.array([1, None]), "b": pa.array([None, 2.5])})
    texts = pa.table({"a": ["1", "NA"], "b": ["n/a", "2.50"]})
    found = respell(pa.table({"a": [1, 7], "b": typed["b"], "c": [0.1, 0.2]}), typed, texts)
    assert found.to_pydict() == {"a": ["1", "7"], "b": ["n/a", "2.50"], "c": ["0.1", "0.2"]}


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz"])
def test_only_a_cell_that_needs_quotes_has_them(tmp_path, ending):
    table = pa.table({"a": ['x, "y"', "p\tq", "l\nm", None], "n": [1, None, 3, 4]})
    write(table, tmp_path / f"a.{ending}")
    assert read(tmp_path / f"a.{ending}").equals(table)
    if ending == "csv":
        text = (tmp_path / "a.csv").read_text()
        assert text == 'a,n\n"x, ""y""",1\np\tq,\n"l\nm",3\n,4\n'


def test_no_rows_and_no_text(tmp_path):
    write(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "a\n"
    (tmp_path / "b.csv").write_text(" \n")
    with pytest.raises(PofxError, match="the file is empty"):
        read(tmp_path / "b.csv")


def test_decimals_that_floats_would_merge_stay_apart(tmp_path):
    path = tmp_path / "big.csv"
    texts = [f"12345678901234567{i:02d}.5" for i in range(50)]
    path.write_text("n,a\n" + "".join(f"{text},0.1{i}\n" for i, text in enumerate(texts)))
    table = read(path)
    assert [str(value) for value in table["n"].to_pylist()] == texts
    assert str(table["a"].type) == "double"
