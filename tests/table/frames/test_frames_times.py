"""Dates, times and durations from frames to questions and back."""

from datetime import date, datetime, time, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_series_equal

import pofx
from pofx.core.errors import PofxError
from pofx.table.encoding import decode, encode, encode_values, parse_value
from pofx.table.schema import Schema, Variable
from pofx.table.schema_inference import infer

N = 60


def frame():
    rng = np.random.default_rng(0)
    at = pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.normal(0, 40 * 86400, N), unit="s")
    at = pd.Series(at).dt.floor("us")
    data = {
        "day": at.dt.floor("D"),
        "at": at.astype("datetime64[us]"),
        "berlin": at.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"),
        "wait": pd.Series(pd.to_timedelta(np.exp(rng.normal(4, 1.5, N)), unit="s")).dt.floor("us"),
        "date": at.dt.date.astype(object),
        "arrow": at.astype(pd.ArrowDtype(pa.timestamp("us"))),
        "open": pd.Series([time(8 + i % 9, i % 60) for i in range(N)], dtype=object),
        "x": rng.normal(size=N),
    }
    data = pd.DataFrame(data).set_axis([f"row {i}" for i in range(N)])
    for j, name in enumerate(data):
        data.loc[data.index[j::9], name] = None
    return data


DATA = frame()


@pytest.fixture(scope="module")
def p():
    return pofx.fit(DATA, "independent")


def test_schema():
    schema = infer(DATA)
    kinds = {v.name: (v.kind, v.unit) for v in schema.variables}
    assert kinds["day"] == kinds["berlin"] == ("real", "days since 1970-01-01")
    assert kinds["wait"] == ("positive", "s")
    assert kinds["open"] == ("real", "s since midnight")
    assert kinds["x"] == ("real", "")
    assert schema.variable("day").resolution == 1
    assert schema.variable("wait").resolution < 10
    assert "2020-0" in str(schema)
    assert Schema.from_json(schema.to_json()) == schema


def test_noons_are_not_days():
    noons = pd.DataFrame({"at": pd.date_range("2020-01-01 12:00", periods=9)})
    schema = infer(noons)
    assert schema.variable("at").resolution == 0.5
    assert decode(schema, encode(schema, noons))["at"].equals(noons["at"])


def test_a_date_that_recurs_is_a_point_mass():
    days = [date(1900, 1, 1)] * 30 + [date(2020, 1, 1) + timedelta(3 * i) for i in range(30)]
    variable = infer({"born": days}).variable("born")
    assert variable.spikes == (-25567.0,)
    assert "1900-01-01" in variable.describe()


def test_a_date_may_be_ordinal():
    waves = pl.DataFrame({"wave": [date(2020, 1, 1), date(2021, 1, 1), date(2022, 1, 1)] * 5})
    p = pofx.fit(waves, "independent", schema={"wave": "ordinal"})
    assert p.schema.variable("wave").describe()[-1] == "2020-01-01, 2021-01-01, 2022-01-01"
    assert p.sample(2).schema == waves.schema
    assert float(p.ask("P(wave = '2021-01-01')")) == pytest.approx(1 / 3)


def test_encode_and_decode():
    schema = infer(DATA)
    back = decode(schema, encode(schema, DATA), index=DATA)
    for name in DATA:
        if name == "x":
            np.testing.assert_allclose(back[name], DATA[name], rtol=1e-14)
        elif name in ("at", "berlin", "arrow"):
            assert back[name].dtype == DATA[name].dtype
            assert (back[name] - DATA[name]).dropna().abs().max() <= pd.Timedelta("2us")
        else:
            assert_series_equal(back[name], DATA[name])


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.dates(date(1800, 1, 1), date(2140, 1, 1)),
            st.none() | st.datetimes(datetime(1940, 1, 1), datetime(2040, 1, 1)),
            st.none() | st.timedeltas(timedelta(days=-999), timedelta(days=999)),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_times_come_back(rows):
    types = {"a": pl.Date, "b": pl.Datetime("us"), "c": pl.Duration("us")}
    data = pl.DataFrame(rows, schema=types, orient="row")
    schema = infer(data, {"c": "real"})
    back = decode(schema, encode(schema, data))
    assert back.schema == data.schema
    assert back["a"].equals(data["a"])
    for name in ("b", "c"):
        assert back[name].is_null().equals(data[name].is_null())
        assert ((back[name] - data[name]).drop_nulls().abs() <= timedelta(microseconds=3)).all()


@pytest.mark.filterwarnings("ignore:impute. this model holds")
def test_sample_and_impute(p):
    drawn = p.sample(20)
    assert drawn.dtypes.equals(DATA.dtypes)
    assert drawn["day"].dt.normalize().equals(drawn["day"])
    assert not drawn["at"].dt.normalize().equals(drawn["at"])
    filled = p.impute(DATA)
    assert filled.notna().all(axis=None)
    assert filled.dtypes.equals(DATA.dtypes)
    for name, own in DATA.items():
        assert_series_equal(filled[name][own.notna()], own[own.notna()])
    [once] = p.impute(DATA, draws=1)
    assert once.index.equals(DATA.index)
    assert once.dtypes.equals(DATA.dtypes)


def test_the_same_time_however_it_is_told():
    schema = infer(DATA)
    noon = datetime(2020, 1, 31, 12)
    told = [noon, "2020-01-31 12:00", np.datetime64("2020-01-31T12"), pd.Timestamp(noon), 18292.5]
    assert len({encode_values(schema, {"at": t})[1] for t in told}) == 1
    cet = [noon, "2020-01-31 12:00", noon.replace(tzinfo=timezone(timedelta(hours=1)))]
    cet += ["2020-01-31T11:00Z", pd.Timestamp(noon, tz="Europe/Berlin")]
    assert len({encode_values(schema, {"berlin": t})[2] for t in cet}) == 1
    waits = [timedelta(seconds=90), "0:01:30", 90, np.timedelta64(90, "s"), "90"]
    assert len({encode_values(schema, {"wait": t})[3] for t in waits}) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"day": ["soon"]}, "column 'day': expected dates or times as 2020-01-31 .*, got 'soon'"),
        ({"day": ["2020-01-31T00:00+01:00"]}, "it has a time zone, the column none"),
        ({"day": [pd.Timestamp("2020", tz="UTC")]}, "got times in UTC; drop the zone"),
        ({"day": [timedelta(1)]}, "expected dates or times, got durations"),
        ({"wait": [date(2020, 1, 1)]}, "expected durations, got dates or times"),
        ({"open": ["25:00"]}, "expected times of day as 18:30, got '25:00'"),
        ({"x": [date(2020, 1, 1)]}, "column 'x': expected numbers, got times"),
    ],
)
def test_mistakes(row, message):
    with pytest.raises(PofxError, match=message) as caught:
        encode(infer(DATA), row, require=())
    assert "\n" not in str(caught.value)


def test_text_learned_and_dates_given():
    schema = Schema((Variable("day", "categorical", levels=("2020-01-01",)),), "mapping")
    with pytest.raises(PofxError, match="expected text such as '2020-01-01', got times"):
        encode(schema, {"day": [date(2020, 1, 1)]})


def test_values_from_a_command_line():
    schema = infer(DATA)
    at, wait = schema.variable("at"), schema.variable("wait")
    assert parse_value(at, " 2020-01-31 12:00 ") == "2020-01-31 12:00"
    assert parse_value(at, "18292.5") == 18292.5
    assert parse_value(wait, "?") is None
    with pytest.raises(PofxError, match=r"expected dates or times as 2020-01-31 .*, got 'soon'"):
        parse_value(at, "soon")


@pytest.mark.filterwarnings("ignore:this model holds")
def test_predictions(p):
    acts = p.predict(DATA, "at")
    assert acts.dtype == np.dtype("datetime64[us]")
    assert abs((acts - DATA["at"]).mean()) < pd.Timedelta(days=10)
    assert p.predict(DATA, "wait").dtype.kind == "m"
    assert np.isnat(p.predict(DATA, "at", reject_cost=1e-9, outlier_level=0)).all()
    ends = p.interval(DATA, "berlin", 0.8)
    assert (ends.dtypes == DATA["berlin"].dtype).all()
    inside = DATA["berlin"].between(ends["low"], ends["high"])[DATA["berlin"].notna()]
    assert 0.6 < inside.mean() <= 1


def test_questions_tell_units(p):
    mean = p.ask("E[at]")
    assert mean.unit.startswith("days since 1970-01-01 (2020-0")
    own = DATA["at"].dropna().astype("int64").mean() / 86400e6
    assert abs(float(mean) - own) < 5
    assert p.ask("SD[at]").unit == "days"
    assert p.ask("Var[wait]").unit == "squared s"
    assert p.ask("Q[0.5](wait)").unit.startswith("s (0:0")
    assert p.ask("p(at = '2020-03-01 12:00', wait = 90)").unit == "per day of at and s of wait"
    assert "mean     2020-0" in str(p.ask("p(day)"))
    assert isinstance(p.ask("mode(at)").values["at"], datetime)
    number = (datetime(2020, 3, 1) - datetime(1970, 1, 1)).days
    by_text = p.ask("E[x | day = '2020-03-01']")
    assert by_text == p.ask(f"E[x | day = {number}]")
    early = p.ask("P(berlin < '2020-03-01 01:00')")
    assert str(early).startswith("P(berlin < '2020-03-01 01:00') = ")
    assert early == p.ask(f"P(berlin < {number})")
    assert p.ask("P('2020-01-01' < at <= '2020-03-01')") == p.ask(f"P(18262 < at <= {number})")
    assert p.ask("P(wait > '00:01:30')") == p.ask("P(wait > 90)")
    assert p.ask("E[x | at in ('2020-01-01', '2020-02-01')]").value < 3
    with pytest.raises(PofxError, match="'x' holds no dates or times, got '2020-01-01'"):
        p.ask("P(x < '2020-01-01')")
    with pytest.raises(PofxError, match="'day' holds dates or times, as 2020-01-31"):
        p.ask("p(day = 'soon')")


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "mapping"])
def test_other_containers(kind):
    own = DATA[["day", "at", "wait", "x"]]
    data = {
        "polars": lambda: pl.from_pandas(own),
        "pyarrow": lambda: pa.Table.from_pandas(own, preserve_index=False),
        "mapping": lambda: {n: own[n].to_numpy() for n in own},
    }[kind]()
    schema = infer(data)
    back = decode(schema, encode(schema, data))
    if kind == "mapping":
        assert [v.dtype for v in back.values()] == [v.dtype for v in data.values()]
    else:
        assert back.schema == (data.schema if kind == "polars" else data.schema.remove_metadata())


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns"])
def test_units_of_numpy(unit):
    data = {"t": np.array(["2020-01", "NaT", "2021-02"], f"datetime64[{unit}]")}
    schema = infer(data)
    back = decode(schema, encode(schema, data))["t"]
    assert back.dtype == data["t"].dtype
    np.testing.assert_array_equal(back, data["t"])


def test_an_array_of_times_is_refused_where_it_cannot_be():
    with pytest.raises(PofxError, match="timedelta64"):
        infer({"t": np.array([1, 2], "timedelta64[M]")})
