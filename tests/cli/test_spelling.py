"""Cells of a file keep their spelling in the output of the command line."""

import csv

import pyarrow as pa
import pytest

import pofx
from pofx.table.frames.files import read, write

pytestmark = pytest.mark.filterwarnings("ignore:impute. this model holds")

ROWS = 30
FILE = {
    "zip": [f"0{1000 + i % 3}" for i in range(ROWS)],
    "age": [f"00{i % 7}" for i in range(ROWS)],
    "id": [str(10**25 + i % 5) for i in range(ROWS)],
    "price": [f"{3 + i % 4}.{i * 7 % 10}0" for i in range(ROWS)],
    "flag": ["TRUE" if i % 3 else "FALSE" for i in range(ROWS)],
    "plus": [f"+{i}" for i in range(ROWS)],
    "padded": [f" {i % 5} " for i in range(ROWS)],
    "power": ["1e3" if i % 2 else "2.50" for i in range(ROWS)],
    "text": ["1_000" if i % 2 else 'x, "y"' for i in range(ROWS)],
    "when": [f"2020-01-{i % 28 + 1:02d}T10:00" for i in range(ROWS)],
    "day": [f"{i % 3 + 1}/2/2020" for i in range(ROWS)],
    "tick": [str(2**60 + 37 * i) for i in range(ROWS)],
    "zero": ["-0" if i % 2 else "0.0" for i in range(ROWS)],
}


def rows_of(text):
    return list(csv.reader(text.splitlines()))


@pytest.fixture(scope="module")
def cells(folder):
    """The cells of a file in which each column has one missing cell, and a model of it."""
    table = [list(row) for row in zip(*FILE.values())]
    for j, name in enumerate(FILE):
        table[j][j] = "NA" if name in ("zip", "price") else ""
    with (folder / "cells.csv").open("w", newline="") as file:
        csv.writer(file).writerows([list(FILE), *table])
    p = pofx.fit(read(folder / "cells.csv", {"zip": "categorical"}), "independent")
    p.save(folder / "cells.pofx")
    return table


@pytest.mark.parametrize(
    "target", ["", "-o cells_out.csv", "-o cells_out.tsv", "--draws 1 -o c.csv"]
)
def test_imputing_a_csv_file_changes_its_holes_alone(run, folder, cells, target):
    code, out, err = run(f"impute cells.pofx cells.csv {target}")
    assert (code, err) == (0, "")
    if target:
        name = "c.1.csv" if "draws" in target else target.split()[1]
        out = (folder / name).read_text()
        out = out.replace(",", "\0").replace("\t", ",") if name.endswith("tsv") else out
    head, *lines = rows_of(out)
    assert head == list(FILE)
    assert len(lines) == ROWS
    for old, new in zip(cells, lines):
        kept = [cell for cell, was in zip(new, old) if was not in ("", "NA")]
        kept = [cell.replace("\0", ",") for cell in kept]
        assert kept == [was for was in old if was not in ("", "NA")]
        assert "" not in new


def test_what_fills_a_hole_is_spelled_as_the_file_does(run, cells):
    filled = rows_of(run("impute cells.pofx cells.csv")[1])[1:]
    holes = {name: filled[j][j] for j, name in enumerate(FILE)}
    for name in ("zip", "age", "id", "flag", "padded", "text", "day"):
        assert holes[name] in FILE[name]
    assert 2**60 <= int(holes["tick"]) <= 2**60 + 37 * ROWS


def test_codes_are_text_whatever_kind_the_user_names(run, folder, cells):
    fit = "fit cells.csv -o codes.pofx -m independent"
    assert run(f"{fit} -k zip=categorical -k age=ordinal")[0] == 0
    schema = pofx.load(folder / "codes.pofx").schema
    assert schema.variable("zip").levels == ("01000", "01001", "01002")
    assert schema.variable("age").levels[:2] == ("000", "001")
    assert run(f"{fit} -k age=count")[0] == 0
    assert pofx.load(folder / "codes.pofx").schema.variable("age").kind == "count"


def test_a_file_without_a_leading_zero_is_read_as_the_model_was(run, folder, cells):
    """Without the schema the codes in such a file would be numbers."""
    table = {name: [value] * 2 for name, value in zip(FILE, cells[-1])}
    table |= {"zip": ["90210", ""], "age": ["1", "002"]}
    write(pa.table(table), folder / "few.csv")
    code, out, _ = run("impute cells.pofx few.csv")
    assert code == 0
    assert rows_of(out)[1][:2] == ["90210", "1"]
    code, _, err = run("score cells.pofx few.csv")
    assert (code, "no level '90210'" in err) == (2, True)
    assert run("score cells.pofx few.csv --unseen missing")[0] == 0


def test_parquet_in_and_csv_out(run, folder, cells):
    ticks = pa.table({**FILE, "tick": [2**60 + 37 * i for i in range(ROWS)]}).select(
        ["zip", "tick"]
    )
    write(ticks, folder / "typed.parquet")
    assert run("fit typed.parquet -o typed.pofx -m independent")[0] == 0
    code, out, _ = run("impute typed.pofx typed.parquet")
    assert code == 0
    assert rows_of(out)[1:] == [[z, t] for z, t in zip(FILE["zip"], FILE["tick"])]


def test_a_model_of_another_library_fills_a_file_too(run, folder):
    frame = read(folder / "cells.csv").select(["price", "flag"]).to_pandas()
    pofx.fit(frame, "independent").save(folder / "frame.pofx")
    (folder / "prices.csv").write_text("note,price,flag\n007,3.10,TRUE\n010,,FALSE\n")
    code, out, _ = run("impute frame.pofx prices.csv")
    assert code == 0
    note, price, flag = rows_of(out)[1]
    assert (note, price, flag) == ("007", "3.10", "TRUE")
    assert rows_of(out)[2][0] == "010"
    assert float(rows_of(out)[2][1])
