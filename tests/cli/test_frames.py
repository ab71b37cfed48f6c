"""Every command that reads and writes tables, on each kind of file, with dates."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from pofx.table.frames.files import read, write

N = 40
RNG = np.random.default_rng(0)
LATE = RNG.random(N) < 0.5
DAYS = [
    date(2020, 3, 1) + timedelta(int(d)) for d in np.where(LATE, 200, 0) + RNG.integers(0, 30, N)
]
TABLE = pa.table(
    {
        "day": [None if i % 7 == 0 else day for i, day in enumerate(DAYS)],
        "season": pa.array(np.where(LATE, "autumn", "spring")),
    }
)


@pytest.fixture(scope="module")
def learned(folder):
    for ending in ("csv", "parquet", "arrow", "feather"):
        write(TABLE, folder / f"days.{ending}")


@pytest.mark.parametrize(
    "ending", ["arrow", *(pytest.param(e, marks=pytest.mark.slow) for e in ("csv", "parquet"))]
)
def test_commands(run, folder, learned, ending):
    line = f"fit days.{ending} -o days.pofx -m mixture -p components=2"
    code, out, _ = run(line)
    assert code == 0
    assert "2020-0" in out
    assert run(f"sample days.pofx -n 9 -o new.{ending}")[0] == 0
    assert read(folder / f"new.{ending}").schema.types == TABLE.schema.types
    assert run(f"impute days.pofx days.{ending} -o filled.{ending}")[0] == 0
    filled, expected = (
        read(folder / f"filled.{ending}")["day"].to_pylist(),
        TABLE["day"].to_pylist(),
    )
    for one, known, late in zip(filled, expected, LATE):
        assert one == known if known else (one > date(2020, 6, 1)) == late
    assert run(f"predict days.pofx days.{ending} -t season -o acts.{ending}")[0] == 0
    acts, seen = read(folder / f"acts.{ending}")["season"], TABLE["day"].is_valid().to_numpy()
    assert (np.asarray(acts) == np.asarray(TABLE["season"]))[seen].all()
    code, out, _ = run(f"predict days.pofx days.{ending} -t day")
    assert code == 0
    assert out.splitlines()[1].startswith("2020-")
    assert run(["sample", "days.pofx", "--given", "day=2020-03-05"])[1].count("spring") > 8
    code, _, err = run(["sample", "days.pofx", "--given", "day=soon"])
    assert (code, "expected dates or times as 2020-01-31" in err) == (2, True)
