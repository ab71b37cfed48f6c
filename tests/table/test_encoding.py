import numpy as np
import palmerpenguins
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from pofx.core.errors import PofxError
from pofx.table.encoding import decode, encode, encode_values, log_scale, parse_value
from pofx.table.schema import Schema, Variable
from pofx.table.schema_inference import infer

ROWS = 6
RNG = np.random.default_rng(0)
SCHEMA = Schema(
    (
        Variable("species", "categorical", levels=("Adelie", "Chinstrap", "Gentoo"), dtype="str"),
        Variable("year", "ordinal", levels=(2007, 2008, 2009), dtype="int64"),
        Variable("alive", "binary", levels=(False, True), dtype="bool"),
        Variable("mass", "real", shift=4000.0, scale=500.0, dtype="int64"),
        Variable("gain", "positive", spikes=(0.0,), scale=8.0, dtype="float64"),
        Variable("eggs", "count", dtype="float64"),
        Variable("image", "real", shape=(2, 2), shift=4.0, scale=2.0, dtype="uint8"),
    ),
    "mapping",
)
ROW = {
    "species": "Gentoo",
    "year": 2008,
    "alive": True,
    "mass": 4250,
    "gain": 16.0,
    "eggs": 2,
    "image": [[0, 4], [6, 8]],
}
ENCODED = [2, 1, 1, 0.5, 2, 2, -2, 0, 1, 2]


def test_entries():
    data = {name: [value] for name, value in ROW.items()}
    np.testing.assert_array_equal(encode(SCHEMA, data), [ENCODED])
    np.testing.assert_array_equal(encode_values(SCHEMA, ROW), ENCODED)


def test_evidence_may_be_partial():
    image = np.array([[np.nan, 4], [6, np.nan]])
    x = encode_values(SCHEMA, {"image": image, "species": None, "mass": np.nan, "year": 2007.0})
    np.testing.assert_array_equal(x, [np.nan, 0] + 4 * [np.nan] + [np.nan, 0, 1, np.nan])
    assert np.isnan(encode_values(SCHEMA, {})).all()
    for values in ({"species": "Emperor"}, {"gain": -1}, {"eggs": 1.5}):
        assert np.isnan(encode_values(SCHEMA, values, unseen="missing")).all()


def test_absent_columns():
    data = {"spceies": ["Gentoo"], "mass": [4000.0]}
    with pytest.raises(PofxError, match="data: no column 'species'; did you mean 'spceies'"):
        encode(SCHEMA, data)
    x = encode(SCHEMA, data, require=["mass"])
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(x[0])), [3])
    with pytest.raises(PofxError, match="no column 'mas'; did you mean 'mass'"):
        encode(SCHEMA, data, require=["mas"])


def test_other_containers_and_types_say_the_same():
    some = SCHEMA.select(["species", "year", "alive", "mass"])
    rows = {
        "species": ["Adelie", None],
        "year": [2009, 2007],
        "alive": [1, 0],
        "mass": [4500, None],
    }
    expected = encode(some, rows)
    np.testing.assert_array_equal(expected, [[0, 2, 1, 1], [np.nan, 0, 0, np.nan]])
    frames = [pd.DataFrame(rows), pl.DataFrame(rows), pa.table(rows)]
    frames.append(pd.DataFrame(rows).astype({"species": "category", "year": "category"}))
    frames.append([list(row) for row in zip(*rows.values())])
    frames.append(np.array(list(zip(*rows.values())), dtype=object))
    frames.append(pd.DataFrame(rows).assign(when=pd.Timestamp("2020-01-01")))
    for data in frames:
        np.testing.assert_array_equal(encode(some, data), expected)
    blank = pa.table({"species": pa.nulls(1), "year": pa.array([None], pa.string())})
    assert np.isnan(encode(some, blank, require=[])).all()
    assert encode(some, pd.DataFrame(rows).iloc[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"species": "Emperor"}, "column 'species': no level 'Emperor'.*unseen='missing'"),
        ({"species": "Adele"}, "did you mean 'Adelie'"),
        ({"species": 3}, "column 'species': expected text such as 'Adelie', got the number 3"),
        ({"year": 2010}, "column 'year': no level '2010'"),
        ({"year": "2007"}, "column 'year': expected numbers, got the text '2007'"),
        ({"mass": "4000"}, "column 'mass': expected numbers, got the text '4000'"),
        ({"mass": np.inf}, "column 'mass': expected finite numbers"),
        ({"gain": -1}, "column 'gain': expected numbers > 0 or 0 .*got -1"),
        ({"eggs": -1}, "column 'eggs': expected whole numbers >= 0 .*got -1"),
        ({"eggs": 1.5}, "column 'eggs': expected whole numbers >= 0 .*got 1.5"),
        (
            {"image": np.zeros((3, 2))},
            r"column 'image': expected cells of shape \(2, 2\), got \(3, 2",
        ),
        ({"mass": [1, 2]}, r"column 'mass': expected cells of shape \(\), got \(2,\)"),
        ({"mss": 1}, "no column 'mss'; did you mean 'mass'"),
    ],
)
def test_bad_value(values, message):
    with pytest.raises(PofxError, match=message) as caught:
        encode_values(SCHEMA, values)
    assert "in row" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_cell_is_told_by_its_row():
    one = SCHEMA.select(["gain"])
    with pytest.raises(PofxError, match="got -2 in row 2"):
        encode(one, {"gain": [0.0, 1.0, -2.0]})
    words = SCHEMA.select(["species"])
    with pytest.raises(PofxError, match=r"in row 1 \(counted from 0\): no level 'Emperor'"):
        encode(words, {"species": ["Adelie", "Emperor"]})
    assert np.isnan(encode(words, {"species": ["Adelie", "Emperor"]}, unseen="missing")[1])
    with pytest.raises(PofxError, match="got the number"):
        encode(words, {"species": [1, 2]}, unseen="missing")
    with pytest.raises(PofxError, match="unseen: expected 'error' or 'missing', got 'ignore'"):
        encode(words, {"species": ["Adelie"]}, unseen="ignore")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("species", "Adelie", "Adelie"),
        ("species", " Adelie ", "Adelie"),
        ("species", "?", None),
        ("species", "", None),
        ("mass", "39.1", 39.1),
        ("mass", "NA", None),
        ("year", "2008", 2008),
        ("year", "2008.0", 2008),
        ("alive", "True", True),
        ("alive", "false", False),
        ("alive", "1", True),
    ],
)
def test_parse_value(name, text, value):
    parsed = parse_value(SCHEMA.variable(name), text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("species", "Adele", "no level of 'species' 'Adele'; did you mean 'Adelie'"),
        ("mass", "heavy", "column 'mass': expected a number, got 'heavy'"),
        ("year", "2010", "no level of 'year' '2010'"),
        ("year", "last", "column 'year': expected a number, got 'last'"),
        ("alive", "2", "no level of 'alive' '2'"),
        ("image", "1", "column 'image': an array cannot be given as text"),
    ],
)
def test_parse_bad_value(name, text, message):
    with pytest.raises(PofxError, match=message):
        parse_value(SCHEMA.variable(name), text)


def test_a_level_may_be_called_what_stands_for_missing():
    country = Variable("country", "categorical", levels=("DE", "NA"))
    assert parse_value(country, "NA") == "NA"


def test_decode_inverts_encode():
    data = {name: np.array([value, value]) for name, value in ROW.items()}
    data["image"] = data["image"].astype(np.uint8)
    back = decode(SCHEMA, encode(SCHEMA, data))
    assert list(back) == list(data)
    for name, values in data.items():
        np.testing.assert_array_equal(back[name], values)
    assert back["image"].dtype == np.uint8


def test_decode_rounds_and_clips():
    x = np.array(ENCODED)[None] + [0.3, -0.4, 0.2, 0.0011, 0, 0.4, -9, 0.1, 0, 500]
    back = decode(SCHEMA, x)
    assert (back["species"][0], back["year"][0], back["mass"][0]) == ("Gentoo", 2008, 4251)
    assert back["image"].tolist() == [[[0, 4], [6, 255]]]
    assert back["eggs"].tolist() == [2.0]
    whole = Schema((Variable("a", "positive", scale=2.0, dtype="int64"),), "mapping")
    assert decode(whole, np.array([[0.01]]))["a"].tolist() == [1]
    with pytest.raises(PofxError, match=r"x: expected shape \(rows, 10\), got \(1, 3\)"):
        decode(SCHEMA, np.zeros((1, 3)))


def test_spikes_survive_float32():
    hours = np.r_[np.full(60, 40.1), 33 + 7 * RNG.normal(size=40)]
    schema = infer({"a": hours, "b": np.exp(RNG.normal(size=100))})
    assert schema.variable("a").spikes == (40.1,)
    x = encode(schema, {"a": hours, "b": np.ones(100)}).astype(np.float32)
    assert (decode(schema, x)["a"][:60] == 40.1).all()
    logs = log_scale(schema, x)
    scales = [schema.variable(n).scale for n in "ab"]
    np.testing.assert_array_equal(logs[:60, 0], 0)
    np.testing.assert_allclose(logs[60:], np.log([scales] * 40))


def test_log_scale():
    x = np.array([ENCODED, ENCODED])
    x[1] = np.nan
    x[1, 4] = 0.0
    expected = [0, 0, 0, np.log(500), np.log(8), 0, *[np.log(2)] * 4]
    np.testing.assert_allclose(log_scale(SCHEMA, x), [expected, np.zeros(10)])


def test_log_scale_is_the_jacobian():
    # A normal density of entries, converted to data units, integrates to one.
    schema = Schema((Variable("a", "real", shift=3.0, scale=7.0),), "mapping")
    grid = np.linspace(-60, 60, 4001)
    x = encode(schema, {"a": grid})
    log_p = -(x**2) / 2 - np.log(2 * np.pi) / 2 - log_scale(schema, x)
    assert np.trapezoid(np.exp(log_p[:, 0]), grid) == pytest.approx(1)


def test_penguins_come_back():
    data = palmerpenguins.load_penguins()
    schema = infer(data)
    assert_frame_equal(decode(schema, encode(schema, data)), data, rtol=1e-12)
    polars = pl.from_pandas(data)
    schema = infer(polars)
    back = decode(schema, encode(schema, polars))
    assert back.schema == polars.schema
    assert back.drop("bill_length_mm", "bill_depth_mm").equals(
        polars.drop("bill_length_mm", "bill_depth_mm")
    )


WHOLE = st.integers(-(10**9), 10**9)
REAL = st.floats(-1e6, 1e6)
WORD = st.text("abé ?", max_size=3)
PANDAS = {
    "int64": WHOLE,
    "uint8": st.integers(0, 255),
    "Int64": st.none() | WHOLE,
    "float32": st.none() | st.floats(-1e6, 1e6, width=32),
    "float64": st.none() | REAL,
    "bool": st.booleans(),
    "boolean": st.none() | st.booleans(),
    "string": st.none() | WORD,
    "str": st.none() | WORD,
    "object": st.none() | WORD,
    "category": st.none() | WORD,
}


def lists(values):
    return st.lists(values, min_size=ROWS, max_size=ROWS)


def quick(test):
    return settings(max_examples=60, deadline=None, derandomize=True, database=None)(test)


@quick
@given(st.fixed_dictionaries({name: lists(v) for name, v in PANDAS.items()}), st.booleans())
def test_pandas_round_trip(columns, numeric):
    data = pd.DataFrame({name: pd.Series(v, dtype=name) for name, v in columns.items()})
    levels = [*sorted({w for w in columns["category"] if w is not None}), "unused"]
    data["ordered"] = pd.Categorical(columns["category"], levels, ordered=True)
    if data["object"].isna().all():
        data = data.drop(columns="object")
    for name in [c for c in ("str", "string", "category") if data[c].isna().all()]:
        data = data.drop(columns=name)
    schema = infer(data, numeric=lambda name: numeric)
    assert Schema.from_json(schema.to_json()) == schema
    back = decode(schema, encode(schema, data))
    assert_frame_equal(back, data, rtol=1e-6, atol=1e-9)


@quick
@given(lists(st.none() | REAL), lists(WHOLE), lists(WORD), lists(st.none() | st.booleans()))
def test_polars_and_pyarrow_round_trip(reals, wholes, words, flags):
    columns = {"f": reals, "i": wholes, "w": words, "b": flags}
    kinds = {"f": pl.Float64, "i": pl.Int64, "w": pl.String, "b": pl.Boolean}
    frame = pl.DataFrame(columns, schema=kinds)
    frame = frame.with_columns(c=pl.col("w").cast(pl.Categorical))
    for data in (frame, frame.to_arrow()):
        schema = infer(data)
        back = decode(schema, encode(schema, data))
        assert back.schema == data.schema
        one, other = (d if isinstance(d, pl.DataFrame) else pl.from_arrow(d) for d in (back, data))
        assert one.drop("f").equals(other.drop("f"))
        f = [np.array(d["f"].to_list(), dtype=float) for d in (one, other)]
        np.testing.assert_allclose(*f, rtol=1e-12, atol=1e-9)


@quick
@given(lists(st.floats(0, 1, width=32)), lists(WORD))
def test_mapping_round_trip(pixels, words):
    data = {"image": np.array(pixels, np.float32).reshape(3, 2, 1), "label": np.array(words[:3])}
    schema = infer(data)
    back = decode(schema, encode(schema, data))
    assert back["image"].dtype == np.float32
    np.testing.assert_allclose(back["image"], data["image"], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(back["label"], data["label"])
