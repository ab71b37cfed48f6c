"""Numbers of more digits than float64 holds are read and written without loss."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats

import pofx
from pofx.table.encoding import decode, encode, parse_value
from pofx.table.frames.cells import Cells
from pofx.table.frames.writing import to_arrow
from pofx.table.schema_inference import infer

BASE = 2**60
ROWS = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=ROWS)
IDS = BASE + 1000 + np.rint(20 * X + RNG.normal(size=ROWS)).astype(np.int64)


@pytest.fixture(scope="module")
def p():
    return pofx.fit({"id": IDS, "x": X}, "gaussian")


@pytest.mark.parametrize("kind", ["real", "categorical"])
@pytest.mark.parametrize(
    "values",
    [
        BASE + np.arange(12),
        np.uint64(2**63) + np.arange(12, dtype=np.uint64),
        np.array([-(2**63), 5 - 2**63, 1 - 2**63]),
        np.array([2**63 - 1, 2**63 - 2, 2**63 - 900]),
        np.array([2**64 - 1, 2**64 - 2], np.uint64),
        np.array([2**53, 2**53 + 1]),
    ],
)
def test_whole_numbers_come_back_to_the_last_digit(values, kind):
    for data in ({"a": values}, pd.DataFrame({"a": values}), pa.table({"a": values})):
        schema = infer(data, {"a": kind})
        back = decode(schema, encode(schema, data))["a"]
        assert pa.array(back).to_pylist() == values.tolist()


def test_large_whole_numbers_are_inferred_by_their_differences():
    result = infer({"a": BASE + 3 * np.arange(40), "b": BASE + np.repeat(np.arange(2), 20)})
    a, b = result.variables
    assert (a.kind, a.resolution) == ("real", 3.0)
    assert a.scale == pytest.approx(np.std(3 * np.arange(40)))
    assert (b.kind, b.levels) == ("binary", (BASE, BASE + 1))
    assert str(a.shift) in str(result)
    heavy = np.r_[np.full(60, BASE + 7), BASE + 1000 + 13 * np.arange(40)]
    spiked = infer({"a": heavy})
    assert spiked.variable("a").spikes == (BASE + 7,)
    assert decode(spiked, encode(spiked, {"a": heavy}))["a"].tolist() == heavy.tolist()


def test_answers_about_large_whole_numbers_are_those_about_small_ones(p, tmp_path):
    """The reference is the same table, less 2^60."""
    small = pofx.fit({"id": IDS - BASE, "x": X}, "gaussian")
    data, near = {"id": IDS, "x": X}, {"id": IDS - BASE, "x": X}
    np.testing.assert_allclose(p.log_prob(data).value, small.log_prob(near).value, rtol=1e-5)
    guess = p.predict(data, "id")
    assert guess.dtype == np.int64
    assert np.abs(guess - BASE - small.predict(near, "id")).max() <= 0.51
    ends, other = p.interval(data, "id"), small.interval(near, "id")
    for end in ("low", "high"):
        assert ends[end].dtype == np.int64
        assert np.abs(ends[end] - BASE - other[end]).max() <= 0.51
    question = f"P(id > {BASE + 1001})"
    normal = stats.norm((IDS - BASE).mean(), (IDS - BASE).std())
    assert p.ask(question).value == pytest.approx(normal.sf(1001), abs=1e-4)
    assert p.ask("Q[0.9](id)").value - BASE == pytest.approx(normal.ppf(0.9), abs=0.6)
    assert p.ask("E[id]").value - BASE == pytest.approx((IDS - BASE).mean(), abs=0.6)
    given = p.given(id=BASE + 1040).ask("E[x]").value
    assert given == pytest.approx(small.given(id=1040).ask("E[x]").value, rel=1e-5)
    assert p.ask(f"E[x | id = {BASE + 1040}]").value == pytest.approx(given)
    drawn = p.sample(500)["id"]
    assert drawn.dtype == np.int64
    assert stats.kstest(drawn - BASE, normal.cdf).pvalue > 1e-3
    p.save(tmp_path / "p.pofx")
    assert pofx.load(tmp_path / "p.pofx").schema == p.schema


def test_a_refused_guess_of_a_large_whole_number_is_nan(p):
    acts = p.predict({"id": IDS, "x": X}, "id", reject_cost=0.0)
    assert all(act != act for act in acts)


def test_a_large_level_is_predicted_and_asked_for():
    table = {"id": np.repeat(BASE + np.arange(3), 20), "y": np.repeat(["a", "b", "c"], 20)}
    p = pofx.fit(table, "chow_liu_tree")
    assert p.predict({"y": ["a", "b", "c"]}, "id").tolist() == [BASE, BASE + 1, BASE + 2]
    assert p.ask(f"P(id >= {BASE + 1})").value == pytest.approx(2 / 3, abs=0.01)
    with pytest.raises(pofx.PofxError, match=f"no level '{BASE + 3}'"):
        p.log_prob({"id": [BASE + 3], "y": ["a"]})


def test_values_that_merge_are_warned_of_once():
    with pytest.warns(pofx.PofxWarning, match="its 4 distinct values become 2 in float64") as heard:
        p = pofx.fit({"a": np.array([1 - 2**63, 2 - 2**63, 2**63 - 1, 2**63 - 2])}, "independent")
    assert len(heard) == len(p.fit_info["warnings"]) == 1
    with pytest.warns(pofx.PofxWarning, match="'a': its 12 distinct values become 1 in float64"):
        infer({"a": BASE + np.arange(12)}, {"a": "positive"})


def test_a_text_on_the_command_line_keeps_its_digits():
    number = parse_value(id_variable("real"), str(BASE + 3))
    assert number == BASE + 3
    assert type(parse_value(id_variable("real"), "12")) is float
    assert parse_value(id_variable("real"), str(10**30)) == 1e30


def id_variable(kind):
    return infer({"a": IDS}, {"a": kind}).variable("a")


def test_numbers_beyond_a_type_are_its_largest():
    values, residual = np.array([2.0**63, -(2.0**63), 1e30]), np.array([-1.0, 1.0, 0.0])
    result = to_arrow(Cells(values, None, "int64", residual)).to_pylist()
    assert result == [2**63 - 1, 1 - 2**63, 2**63 - 1]
    result = to_arrow(Cells(np.array([1e9, -1e9, 2.25]), None, "decimal:4:1")).to_pylist()
    assert result == [Decimal("999.9"), Decimal("-999.9"), Decimal("2.3")] or result[2] == Decimal(
        "2.2"
    )


HOLED = {
    "decimals of many digits": [Decimal("1234567890.12345678901") + i for i in range(5)],
    "decimals that together need more than 38 digits": [Decimal("1e25"), Decimal("1e-25")],
    "decimals that together need more than 76 digits": [Decimal("1e60"), Decimal("1e-60")],
    "decimals of unlike scale": [Decimal("3.10"), Decimal("3.1"), Decimal(2)],
    "whole numbers beyond 2^53": [2**53 + 1, 2**53 + 3, 2**60 + 1],
    "whole numbers beyond int64": [2**63 + 1, 2**64 - 1],
    "whole numbers and fractions": [2**53 + 1, 1.5],
    "decimals and whole numbers": [Decimal("0.1"), 2**60 + 1],
    "numbers of numpy": [np.int64(BASE + 1), np.int64(BASE + 5)],
    "moments": [pd.Timestamp("2024-01-01 00:00:00.123456789"), pd.Timestamp("2024-01-02")],
    "codes": ["001", "1", "+1"],
    "true and false": [True, False],
}


@pytest.mark.parametrize("kind", ["pandas", "mapping", "numpy"])
@pytest.mark.parametrize("values", HOLED.values(), ids=HOLED)
def test_objects_that_were_observed_stay_the_objects_they_are(values, kind):
    cells = np.empty(3 * len(values) + 1, object)
    cells[:] = [*values * 3, None]
    data = {"pandas": pd.DataFrame({"x0": cells}), "mapping": {"x0": cells}}.get(
        kind, cells[:, None]
    )
    filled = pofx.fit(data, "independent").impute(data)
    result = list(filled[:, 0] if kind == "numpy" else filled["x0"])
    assert [str(v) for v in result[:-1]] == [str(v) for v in cells[:-1]]
    assert [type(v) for v in result[:-1]] == [type(v) for v in cells[:-1]]
    assert result[-1] is not None
    assert result[-1] == result[-1]


def test_whole_numbers_beyond_64_bits_are_one_clear_mistake():
    with pytest.raises(pofx.PofxError, match=r"'a': expected whole numbers of 64 bits, got 10{25}"):
        infer({"a": [10**25, 1, None]})


WIDE = [Decimal("12345678901234567890.12"), Decimal("12345678901234567891.37"), None]


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": pa.array(WIDE * 4, pa.decimal128(38, 2))}),
        pa.table({"a": pa.array(WIDE * 4, pa.decimal256(60, 2))}),
        pl.DataFrame({"a": WIDE * 4}),
        pd.DataFrame({"a": pd.array(WIDE * 4, dtype=pd.ArrowDtype(pa.decimal128(30, 2)))}),
    ],
    ids=["arrow", "wide", "polars", "pandas"],
)
def test_columns_of_decimals_stay_and_are_filled_with_digits(table):
    filled = pofx.fit(table, "independent").impute(table)
    assert type(filled) is type(table)
    result = list(
        pa.array(filled["a"]).to_pylist() if isinstance(table, pd.DataFrame) else filled["a"]
    )
    result = [v.as_py() if isinstance(v, pa.Scalar) else v for v in result]
    assert [v for v, old in zip(result, WIDE * 4) if old] == [v for v in WIDE * 4 if v]
    assert abs(result[2] - Decimal("12345678901234567890.745")) < Decimal("0.01")


@pytest.mark.parametrize("learned", [pd.DataFrame, pl.DataFrame, dict])
def test_a_frame_is_imputed_as_a_frame_of_its_library(learned):
    """Cells stay as they are if the model learned from another kind of data or from fractions."""
    p = pofx.fit(learned({"a": np.array([1.5, 2.5, 9.25] * 4)}), "independent")
    table = pa.table({"a": [BASE + 1, None], "note": ["u", None]})
    filled = p.impute(table)
    assert filled.to_pydict() == {"a": [BASE + 1, 4], "note": ["u", None]}
