import os
from pathlib import Path

import numpy as np
import palmerpenguins
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pofx.core.errors import PofxError
from pofx.table.column_statistics import distinct, resolution, spikes
from pofx.table.frames.files import read
from pofx.table.schema_inference import infer

DATA = Path(os.environ.get("POFX_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tables"
RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=200)


def one(values, override=None, numeric=False):
    given = None if override is None else {"a": override}
    return infer({"a": values}, given, numeric=lambda name: numeric).variable("a")


def table(name):
    if not (DATA / f"{name}.csv.gz").exists():
        pytest.skip("the tables are not at hand")
    return infer(read(DATA / f"{name}.csv.gz"))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False, None], "binary"),
        ([True, True], "binary"),
        (["u", "v", None], "binary"),
        (["u", "v", "w"], "categorical"),
        (["u", "u"], "categorical"),
        ([0, 1], "binary"),
        ([0.0, 1.0, np.nan], "binary"),
        ([1, 2] * 5, "binary"),
        ([39, 50], "real"),
        ([1, 2, 3] * 5, "ordinal"),
        ([1.0, 2.0, 3.0, np.nan] * 5, "ordinal"),
        ([7] * 5, "ordinal"),
        ([1e100] * 5, "real"),
        ([5e-324, 0.5, 1e149], "positive"),
        ([0] * 95 + [1, 1, 1, 2, 2], "ordinal"),
        ([0] * 90 + list(range(100, 200, 10)), "real"),
        ([0] * 95 + [3], "binary"),
        ([7], "real"),
        (np.arange(21).repeat(5), "count"),
        (np.arange(1, 40), "count"),
        (np.arange(2, 40), "real"),
        (np.rint(100 * np.exp(NORMAL)), "positive"),
        (np.arange(-1, 40), "real"),
        (np.exp(2 * NORMAL), "positive"),
        (np.exp(0.1 * NORMAL), "real"),
        (np.linspace(1, 20, 100), "real"),
        (NORMAL, "real"),
        ([np.nan, np.nan], "real"),
        ([None, None], "real"),
        ([1.5], "real"),
    ],
)
def test_kind(values, kind):
    assert one(values).kind == kind


def test_levels():
    assert one(["b", "a", None, "c"]).levels == ("a", "b", "c")
    assert one([2.0, 1.0, 3.0] * 5).levels == (1, 2, 3)
    assert one([True, True]).levels == (False, True)
    ordered = pd.Categorical(["lo", "hi"], ["lo", "mid", "hi"], ordered=True)
    assert infer(pd.DataFrame({"a": ordered})).variable("a").levels == ("lo", "mid", "hi")
    assert infer(pd.DataFrame({"a": ordered})).variable("a").kind == "ordinal"
    unused = pd.DataFrame({"a": pd.Categorical(["z", "y"], ["z", "x", "y"])})
    assert infer(unused).variable("a").levels == ("z", "x", "y")
    enum = pl.DataFrame({"a": pl.Series(["z"], dtype=pl.Enum(["z", "y", "x"]))})
    assert infer(enum).variable("a").levels == ("z", "y", "x")
    assert infer(enum).variable("a").kind == "categorical"


def test_spikes_go_with_a_clear_drop():
    gain = np.where(np.arange(1000) % 10 == 0, np.exp(RNG.normal(8, 1, 1000)), 0.0)
    found = one(gain)
    assert (found.kind, found.family, found.spikes) == ("positive", "log_normal", (0.0,))
    assert found.scale == pytest.approx(np.exp(np.log(gain[gain > 0]).mean()))
    assert one(np.r_[NORMAL, np.zeros(50)]).spikes == (0.0,)
    assert one(np.r_[NORMAL, np.zeros(50)]).shift == pytest.approx(NORMAL.mean())
    assert one(np.r_[NORMAL, np.zeros(4)]).spikes == ()
    assert one(np.r_[NORMAL, np.zeros(15)]).spikes == ()
    assert one(np.r_[NORMAL, [-1.5] * 60, [2.5] * 50]).spikes == (-1.5, 2.5)
    counts = np.array([50, 40, 20, 11])
    assert spikes(np.arange(4.0), counts) == ()
    assert spikes(np.arange(4.0), np.array([50, 40, 30, 7])) == (0.0, 1.0, 2.0)
    image = {"a": np.zeros((20, 4, 4)) + np.eye(4) * 0.5}
    assert infer(image).variable("a").spikes == ()


def test_resolution_is_the_smallest_gap():
    assert one(np.round(NORMAL, 1)).resolution == 0.1
    assert one(np.arange(2, 90)).resolution == 1.0
    assert resolution(np.array([0.25, 0.25])) == 0.01
    assert resolution(np.array([])) == 0.0
    gain = np.r_[np.zeros(90), 100.0 + 7 * np.arange(10)]
    assert one(gain).resolution == 7.0


def test_constant_and_missing_columns_have_a_unit_scale():
    for values in ([0.1] * 4, [None, None], [3.25]):
        found = one(values)
        assert (found.kind, found.scale) == ("real", 1.0)
    assert one([0.1] * 4).shift == 0.1
    text = infer(pl.DataFrame({"a": pl.Series([None, None], dtype=pl.String)})).variable("a")
    assert (text.kind, text.levels) == ("categorical", ("",))


def test_arrays():
    images = RNG.integers(0, 256, (50, 4, 4)).astype(np.uint8)
    found = one(images)
    assert (found.kind, found.shape, found.dtype) == ("real", (4, 4), "uint8")
    assert (found.shift, found.scale) == (pytest.approx(images.mean()), pytest.approx(images.std()))
    assert one(images > 100).kind == "binary"
    assert one((images > 100) * 1.0).levels == (0, 1)
    assert one(images // 64, "categorical").levels == (0, 1, 2, 3)
    assert one(images, "count").family == "negative_binomial"
    assert one([[["u", "v"]], [["w", None]]]).shape == (1, 2)
    assert infer(np.zeros((3, 2))).names == ("x0", "x1")
    assert infer(np.zeros(3)).container == "vector"
    assert infer([[1, 2.5], [3, 4]]).names == ("x0", "x1")
    masked = np.ma.array([1.5, 4.5, 99.0], mask=[False, False, True])
    assert one(masked).shift == 3.0


def test_counting_and_sorting_agree():
    values = RNG.integers(0, 300, 1 << 21).astype(float)
    found, counts = distinct(values)
    np.testing.assert_array_equal((found, counts), np.unique(values, return_counts=True))


def test_numeric_makes_all_numbers_real():
    data = {"b": [0, 1] * 9, "c": np.arange(18), "o": [1, 2, 3] * 6, "p": np.exp(NORMAL[:18] * 3)}
    data |= {"s": [0.0] * 16 + [1.5, 2.5], "t": ["u", "v", "w"] * 6, "f": [True, False] * 9}
    found = infer(data, {"c": "count"}, numeric=lambda name: True)
    kinds = {v.name: v.kind for v in found.variables}
    assert kinds.pop("c") == "count"
    assert kinds.pop("t") == "categorical"
    assert set(kinds.values()) == {"real"}
    assert all(v.spikes == () for v in found.variables)


def test_overrides():
    year = one([2007, 2008] * 9, {"kind": "ordinal", "levels": [2006, 2007, 2008]})
    assert (year.kind, year.levels) == ("ordinal", (2006, 2007, 2008))
    size = one(["s", "l", "m"], {"kind": "ordinal", "levels": ["s", "m", "l"]})
    assert (size.kind, size.levels) == ("ordinal", ("s", "m", "l"))
    assert one(["s", "l"], {"levels": ["s", "m", "l"]}).kind == "categorical"
    assert one([1.0, 2.0], {"levels": [1, 2, 3]}).kind == "ordinal"
    gain = one([0.0] * 9 + [1.5], {"kind": "positive", "family": "gamma", "spikes": [0]})
    assert (gain.family, gain.spikes, gain.scale) == ("gamma", (0.0,), pytest.approx(1.5))
    assert one([0.0] * 90 + [1.5], {"spikes": []}).spikes == ()
    assert one(NORMAL, {"resolution": 0.5}).resolution == 0.5
    assert one([True, False], "real").kind == "real"
    assert one([0, 0], "binary").levels == (0, 1)
    assert one([1, 2, 3] * 9, "real").shift == pytest.approx(2)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"b": "real"}, "no column 'b'; there are: a"),
        ({"a": "catgorical"}, "no kind of column 'a' 'catgorical'; did you mean 'categorical'"),
        ({"a": {"levls": []}}, "no field of column 'a' 'levls'; did you mean 'levels'"),
        ({"a": 3}, "column 'a': expected a kind or a mapping, got int"),
        ({"a": {"levels": "uv"}}, "column 'a': levels: expected a list, got str"),
        ({"a": {"levels": ["u"]}}, "'v' is not among them"),
        ({"a": "real"}, "kind 'real': expected numbers, got text such as 'u'; try 'categorical'"),
        ({"a": "binary"}, "levels: expected exactly 2 for kind 'binary'"),
        ({"a": {"spikes": [1]}}, "kind 'categorical' has no spikes"),
        ({"a": {"kind": "real", "spikes": ["u"]}}, "spikes: expected numbers, got 'u'"),
        ({"a": {"kind": "real", "resolution": "fine"}}, "resolution: expected numbers, got 'fine'"),
        ({"a": {"family": "Normal!"}}, "family: expected a name in lower case"),
        ({"a": {"levels": ["u", "v", "w", "w"]}}, "levels: expected distinct values"),
    ],
)
def test_bad_override(override, message):
    with pytest.raises(PofxError, match=message):
        infer({"a": ["u", "v", "w"]}, override)


BAD = [
    (pd.DataFrame(), "expected at least one row and one column, got no columns"),
    (pd.DataFrame({"a": []}), "got no rows"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are named 'a'"),
    (pa.table([[1], [2]], names=["a", "a"]), "two columns are named 'a'"),
    (pd.DataFrame([[1, 2]]), r"column 0: expected text as the name, got int; try data.columns ="),
    ({"a": [1.0, np.inf]}, r"column 'a': expected finite numbers .* got inf in row 1"),
    (pl.DataFrame({"a": [1.0, -np.inf]}), r"column 'a': .* got -inf in row 1"),
    ({"a": [1e200]}, r"column 'a': .* got 1e\+200"),
    (pd.DataFrame({"a": pd.period_range("2020-01", periods=2, freq="M")}), "column 'a'.*drop it"),
    (pl.DataFrame({"a": [[1, 2]]}), "column 'a': expected numbers, booleans, .*, got .*list"),
    (pa.table({"a": [{"b": 1}]}), "column 'a': .*struct"),
    (pl.DataFrame({"a": [{"b": 1}]}), "column 'a': .*struct"),
    (
        pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}, dtype="category"),
        "column 'a': .*drop it",
    ),
    (pd.DataFrame({"a": [1j]}), "column 'a': .*complex128"),
    ({"a": np.array([1j])}, "column 'a': .*complex128"),
    ({"a": np.array([b"x"])}, "column 'a': .*S1"),
    (pd.DataFrame({"a": ["x", 1]}), "column 'a': .*values of types int, str"),
    ({"a": ["x", 1]}, "column 'a': .*values of types int, str"),
    ({"a": [[1, 2], [3]]}, "column 'a': expected rows of one shape"),
    ({"a": 3}, "column 'a': expected one value per row, got the single value 3"),
    ({"a": [1, 2], "b": [1]}, "got 2 in 'a' and 1 in 'b'"),
    ({}, "got no columns"),
    (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\); .* passed by name"),
    (np.zeros((0, 2)), "got no rows"),
    (np.zeros((2, 0)), "got no columns"),
    ({"a": np.zeros((2, 0))}, r"column 'a': expected cells, got shape \(2, 0\)"),
    ([{"a": 1}], r"got a list of dict; .* pandas.DataFrame\(data\)"),
    ([1, 2], "got a list of int"),
    ("data.csv", "expected a pandas, polars or pyarrow frame.* got str; read a file"),
    (None, "got NoneType"),
    (pl.LazyFrame({"a": [1]}), r"got LazyFrame; call .collect\(\) first"),
    (pd.Series([1]), r"got Series; call .to_frame\(\) first"),
]


@pytest.mark.parametrize(("data", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_bad_data(data, message):
    with pytest.raises(PofxError, match=message) as caught:
        infer(data)
    assert "\n" not in str(caught.value)


def test_penguins():
    found = infer(palmerpenguins.load_penguins())
    assert {v.name: v.kind for v in found.variables} == {
        "species": "categorical",
        "island": "categorical",
        "bill_length_mm": "real",
        "bill_depth_mm": "real",
        "flipper_length_mm": "real",
        "body_mass_g": "real",
        "sex": "binary",
        "year": "ordinal",
    }
    assert found.variable("bill_length_mm").resolution == 0.1
    assert found.variable("body_mass_g").resolution == 25.0
    assert not any(v.spikes for v in found.variables)


def test_adult():
    found = table("adult_train")
    assert found.variable("capital_gain").spikes == (0.0,)
    assert found.variable("capital_gain").kind == "positive"
    assert found.variable("capital_loss").spikes == (0.0,)
    assert found.variable("hours_per_week").spikes == (40.0,)
    assert found.variable("income").levels == ("<=50K", ">50K")
    assert found.variable("education_num").kind == "ordinal"
    assert (found.variable("age").kind, found.variable("age").resolution) == ("real", 1.0)
    assert len(found.variable("native_country").levels) == 41


def test_pbc():
    kinds = {v.name: v.kind for v in table("pbc").variables}
    assert {n for n, k in kinds.items() if k == "binary"} == {
        *("trt", "sex", "ascites", "hepato", "spiders")
    }
    assert {n for n, k in kinds.items() if k == "ordinal"} == {"status", "stage"}
    assert {kinds[n] for n in ("age", "time", "albumin", "protime")} == {"real"}
    assert {kinds[n] for n in ("bili", "chol", "copper", "trig", "platelet")} == {"positive"}


def test_soybean_and_horse_colic():
    soybean = table("Soybean")
    assert (soybean.variable("Class").kind, len(soybean.variable("Class").levels)) == (
        "categorical",
        19,
    )
    assert {v.kind for v in soybean.variables[1:]} == {"binary", "ordinal"}
    horse = table("horse_colic")
    assert {horse.variable(n).kind for n in ("3", "4", "18")} == {"real"}
    assert {horse.variable(n).kind for n in ("6", "7", "8", "20")} == {"ordinal"}


def test_proportions_keep_their_units():
    share = one([0.2, 0.5, 0.9, 0.25], {"kind": "real", "family": "beta"})
    assert (share.shift, share.scale) == (0.0, 1.0)
    with pytest.raises(PofxError, match="'beta': expected numbers between 0 and 1, got 1;"):
        one([0.2, 1.0, 0.7], {"kind": "real", "family": "beta"})
