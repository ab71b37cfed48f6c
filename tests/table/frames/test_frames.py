import builtins
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from pofx.core.errors import PofxError
from pofx.table.frames.reading import read_frame
from pofx.table.frames.writing import to_arrow, to_native

ROWS = 4
MOMENT = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(fold=0))
DAY = st.dates(date(1, 1, 1), date(9999, 12, 31))
LENGTH = st.timedeltas(timedelta(days=-40000), timedelta(days=40000))
CLOCK = st.times()
WHOLE = st.integers(-100, 100)
REAL = st.floats(-1e6, 1e6, width=32)
WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


def whole_seconds(length):
    return timedelta(days=length.days, seconds=length.seconds)


def cells(values, missing=True):
    return st.lists(st.none() | values if missing else values, min_size=ROWS, max_size=ROWS)


def again(data):
    frame = read_frame(data)
    return to_native(frame.container, frame.cells)


def used(values):
    return sorted({v for v in values if v is not None})


def quick(test):
    return settings(max_examples=40, deadline=None, derandomize=True, database=None)(test)


PANDAS = {
    "int64": cells(WHOLE, missing=False),
    "uint8": cells(st.integers(0, 255), missing=False),
    "Int64": cells(WHOLE),
    "UInt16": cells(st.integers(0, 9)),
    "float32": cells(REAL),
    "float64": cells(REAL),
    "Float64": cells(REAL),
    "bool": cells(st.booleans(), missing=False),
    "boolean": cells(st.booleans()),
    "string": cells(WORD),
    "str": cells(WORD),
    "category": cells(WORD),
    "datetime64[s]": cells(MOMENT),
    "datetime64[us]": cells(MOMENT),
    "datetime64[ns]": cells(MOMENT),
    "datetime64[us, Europe/Berlin]": cells(MOMENT),
    "datetime64[ns, UTC]": cells(MOMENT),
    "timedelta64[us]": cells(LENGTH),
    "timedelta64[s]": cells(LENGTH.map(whole_seconds)),
}


@quick
@given(st.fixed_dictionaries(PANDAS))
def test_pandas(columns):
    data = pd.DataFrame({name: _series(v, name) for name, v in columns.items()})
    data["date"] = pd.Series([t and t.date() for t in columns["datetime64[s]"]], dtype=object)
    data["arrow date"] = pd.Series(data["date"], dtype=pd.ArrowDtype(pa.date32()))
    offset = timezone(timedelta(hours=-3, minutes=-30))
    data["offset"] = pd.Series(pd.to_datetime(columns["datetime64[us]"])).dt.tz_localize(offset)
    words = columns["category"]
    levels = [*used(words)[::-1], "unused"]
    data["ordered"] = pd.Categorical(words, levels, ordered=True)
    data["object"] = pd.Series(words, dtype=object)
    data["objects"] = pd.Series(columns["boolean"], dtype=object)
    data["whole"] = pd.Series(columns["Int64"], dtype=object)
    data["numbers"] = pd.Categorical(columns["int64"])
    data["arrow"] = pd.Series(columns["Int64"], dtype=pd.ArrowDtype(pa.int16()))
    data["text"] = pd.Series(words, dtype=pd.ArrowDtype(pa.string()))
    assert_frame_equal(again(data), data)


def _series(values, dtype):
    if not dtype.startswith("datetime64"):
        return pd.Series(values, dtype=dtype)
    unit, _, zone = dtype[len("datetime64[") : -1].partition(", ")
    found = pd.Series(values, dtype="datetime64[us]").astype(f"datetime64[{unit}]")
    return found.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else found


POLARS = {
    pl.Int64: WHOLE,
    pl.UInt8: st.integers(0, 255),
    pl.Float32: REAL,
    pl.Float64: REAL,
    pl.Boolean: st.booleans(),
    pl.String: WORD,
    pl.Categorical: WORD,
    pl.Enum(["c", "a", "b"]): st.sampled_from("abc"),
    pl.Decimal(10, 2): st.decimals(-99, 99, places=2),
    pl.Null: st.none(),
    pl.Date: DAY,
    pl.Datetime("ms"): MOMENT.map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)),
    pl.Datetime("us"): MOMENT,
    pl.Datetime("us", "Europe/Berlin"): MOMENT.map(lambda t: t.replace(tzinfo=UTC)),
    pl.Duration("us"): LENGTH,
    pl.Time: CLOCK,
}


@quick
@given(st.tuples(*map(cells, POLARS.values())))
def test_polars(columns):
    kinds = zip(columns, POLARS)
    data = pl.DataFrame([pl.Series(str(i), v, dtype=t) for i, (v, t) in enumerate(kinds)])
    back = again(data)
    assert back.schema == data.schema
    assert back.equals(data)


ARROW = {
    pa.int8(): WHOLE,
    pa.uint64(): st.integers(0, 1 << 50),
    pa.float32(): REAL,
    pa.float64(): REAL,
    pa.bool_(): st.booleans(),
    pa.string(): WORD,
    pa.large_string(): WORD,
    pa.string_view(): WORD,
    pa.decimal128(6, 1): st.decimals(-99, 99, places=1),
    pa.null(): st.none(),
    pa.date32(): DAY,
    pa.date64(): DAY,
    pa.timestamp("s"): MOMENT.map(lambda t: t.replace(microsecond=0)),
    pa.timestamp("ns"): MOMENT,
    pa.timestamp("us", "+05:30"): MOMENT,
    pa.duration("us"): LENGTH,
    pa.time32("s"): CLOCK.map(lambda t: t.replace(microsecond=0)),
    pa.time64("us"): CLOCK,
    pa.dictionary(pa.int8(), pa.string()): st.sampled_from("abc"),
    pa.dictionary(pa.int32(), pa.int64(), ordered=True): st.sampled_from([3, 1]),
}


@quick
@given(st.tuples(*map(cells, ARROW.values())))
def test_pyarrow(columns):
    arrays = [pa.array(v, type=t) for v, t in zip(columns, ARROW)]
    data = pa.table(arrays, names=[str(i) for i in range(len(arrays))])
    assert again(data).equals(data)


@quick
@given(cells(REAL), cells(WORD, missing=False), cells(WORD), cells(st.booleans(), missing=False))
def test_mapping(reals, words, holes, flags):
    data = {
        "image": np.array(reals, dtype=np.float32).reshape(2, 1, 2),
        "ints": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "words": np.array(words).reshape(2, 2),
        "holes": np.array(holes, dtype=object).reshape(2, 2),
        "flags": np.array(flags).reshape(2, 2),
    }
    back = again(data)
    assert list(back) == list(data)
    for name, values in data.items():
        assert back[name].dtype.kind == values.dtype.kind
        np.testing.assert_array_equal(back[name], values)


@pytest.mark.parametrize("kind", ["float64", "float32", "int16", "bool", "U3", "object"])
def test_numpy(kind):
    data = np.array([[0, 1, 0], [1, 1, 0]]).astype(kind)
    back = again(data)
    assert back.dtype == (data.dtype if kind != "U3" else np.dtype("U1"))
    np.testing.assert_array_equal(back, data)
    assert again(data[0]).shape == (3,)


def test_numpy_with_a_missing_cell_is_promoted():
    frame = read_frame(np.array([1, 2, 3]))
    frame.cells["x0"].values[1] = np.nan
    np.testing.assert_array_equal(to_native("vector", frame.cells), [1.0, np.nan, 3.0])
    words = read_frame(np.array(["u", "v"]))
    words.cells["x0"].values[1] = np.nan
    assert to_native("vector", words.cells).tolist() == ["u", None]


def test_pandas_with_a_missing_cell_is_promoted():
    data = pd.DataFrame({"i": [1, 2], "b": [True, False]})
    frame = read_frame(data)
    for c in frame.cells.values():
        c.values[1] = np.nan
    back = to_native("pandas", frame.cells)
    assert back["i"].dtype == "float64"
    assert back["b"].tolist() == [True, None]


def test_index_is_taken_from_like():
    data = pd.DataFrame({"a": [1, 2]}, index=["u", "v"])
    frame = read_frame(data)
    assert to_native("pandas", frame.cells, data).index.tolist() == ["u", "v"]
    assert to_native("pandas", frame.cells).index.tolist() == [0, 1]
    assert to_native("pandas", frame.cells, pd.DataFrame(index=range(9))).index.tolist() == [0, 1]


def test_polars_categories_are_those_seen():
    pl.DataFrame({"a": pl.Series(["elsewhere"], dtype=pl.Categorical)})
    data = pl.DataFrame({"a": pl.Series(["v", "u"], dtype=pl.Categorical)})
    assert read_frame(data).cells["a"].levels == ("u", "v")


def test_series_in_a_mapping():
    data = {"a": pd.Series(["u", "v"]), "b": pl.Series([1, 2]), "c": pa.chunked_array([[1], [2]])}
    frame = read_frame(data)
    assert frame.cells["a"].levels == ("u", "v")
    assert frame.cells["c"].values.tolist() == [1.0, 2.0]


def test_nan_is_missing_wherever_it_stands():
    for data in (pl.DataFrame({"a": [np.nan, None, 1.0]}), pa.table({"a": [np.nan, None, 1.0]})):
        assert read_frame(data).cells["a"].missing.tolist() == [True, True, False]
        assert again(data)["a"].to_pylist() if isinstance(data, pa.Table) else True


def test_chunks_with_their_own_dictionaries():
    parts = [pa.array(w).dictionary_encode() for w in (["v", None], ["u", "v"])]
    cells = read_frame(pa.table({"a": pa.chunked_array(parts)})).cells["a"]
    assert [cells.levels[int(c)] for c in cells.values[[0, 2, 3]]] == ["v", "u", "v"]


def test_only_what_is_asked_for_is_read():
    data = pd.DataFrame({"a": [1], "when": pd.to_datetime(["2020-01-01"])})
    frame = read_frame(data, ["a", "b"])
    assert list(frame.cells) == ["a"]
    assert frame.names == ("a", "when")
    assert read_frame({"when": [1, 2]}, ["a"]).rows == 2


def test_array_takes_the_names_in_order():
    assert list(read_frame(np.zeros((2, 2)), ["u", "v"]).cells) == ["u", "v"]
    with pytest.raises(PofxError, match=r"expected an array of 1 columns \(u\), got 2"):
        read_frame(np.zeros((2, 2)), ["u"])


def test_integers_stay_in_range():
    frame = read_frame(pa.table({"a": pa.array([0], pa.int64()), "b": pa.array([0], pa.uint8())}))
    for c in frame.cells.values():
        c.values[0] = 1e30
    assert to_arrow(frame.cells["a"]).to_pylist()[0] > 9.2e18
    assert to_arrow(frame.cells["b"]).to_pylist() == [255]


@pytest.mark.parametrize("data", [pd.DataFrame({"a": ["u"]}), pl.DataFrame({"a": ["u"]})])
def test_without_the_library_arrow_comes_back(data, monkeypatch):
    frame = read_frame(data)
    real = builtins.__import__

    def absent(name, *rest):
        if name in ("pandas", "polars"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    assert to_native(frame.container, frame.cells).to_pydict() == {"a": ["u"]}
