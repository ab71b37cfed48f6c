"""Times as numbers, and back."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pofx.table.frames.dtypes import known_dtype
from pofx.table.frames.times import (
    floats_to_times,
    format_time,
    parse,
    time_kind_of,
    time_name,
    time_type,
    times_to_floats,
    to_python,
)

KINDS = [
    *(pa.timestamp(unit, tz) for unit in ("s", "ms", "us", "ns") for tz in (None, "Asia/Tokyo")),
    *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_type_has_a_word(kind):
    word = time_name(kind)
    assert known_dtype(word)
    assert time_type(word) == kind
    assert time_kind_of(f"object:{word}") == time_kind_of(f"arrow:{word}") == time_kind_of(word)


@pytest.mark.parametrize(
    "word", ["date16", "timestamp[ns, tz=Mars/Here]", "timestamp[ns, tz=../x]", "datetime64[fs]"]
)
def test_other_words_are_unknown(word):
    assert not known_dtype(word)


MICROSECONDS = st.integers(-(65536 * 86400 * 10**6), 65536 * 86400 * 10**6)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.none() | MICROSECONDS, min_size=1, max_size=9))
def test_microseconds_come_back(ticks):
    array = pa.array(ticks, pa.int64())
    for kind in (pa.timestamp("us"), pa.timestamp("us", "Europe/Berlin"), pa.duration("us")):
        own = array.cast(kind)
        found = times_to_floats(own)
        np.testing.assert_array_equal(np.isnan(found), [t is None for t in ticks])
        assert floats_to_times(found, np.isnan(found), kind).equals(own)


def test_nanoseconds_come_back_to_the_microsecond():
    own = pa.array([1_600_000_000_123_456_789], pa.timestamp("ns"))
    back = floats_to_times(times_to_floats(own), np.array([False]), own.type)
    assert back.cast(pa.int64()).to_pylist() == [1_600_000_000_123_457_000]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.datetimes(datetime(1800, 1, 1), datetime(2140, 1, 1)))
def test_a_time_as_text_is_the_time(when):
    array = pa.array([when], pa.timestamp("us"))
    assert parse(str(when), "timestamp[us]") == times_to_floats(array)[0]
    assert to_python(times_to_floats(array)[0], "timestamp[us]") == when
    assert parse(str(when.date()), "date32") == (when.date() - date(1970, 1, 1)).days


def test_draws_beyond_what_a_type_holds_stay_in_it():
    for kind in KINDS:
        found = floats_to_times(np.array([-1e300, 1e300]), np.zeros(2, bool), kind)
        assert found.type == kind
        assert found.null_count == 0
        if not pa.types.is_duration(kind):
            assert len(found.cast(pa.string())) == 2


def test_zones():
    berlin = "timestamp[us, tz=Europe/Berlin]"
    summer = (datetime(2020, 7, 1, 10) - datetime(1970, 1, 1)) / timedelta(days=1)
    assert parse("2020-07-01 12:00", berlin) == pytest.approx(summer, abs=1e-9)
    assert parse("2020-07-01 10:00+00:00", berlin) == pytest.approx(summer, abs=1e-9)
    assert format_time(summer, berlin) == "2020-07-01 12:00+02:00"
    assert to_python(summer, berlin) == datetime(2020, 7, 1, 10, tzinfo=UTC)
    assert parse("1970-01-02", "timestamp[us, tz=-02:30]") == 1 + 2.5 / 24
    assert format_time(1.0, "timestamp[s, tz=+05:30]") == "1970-01-02 05:30+05:30"
    own = datetime(2020, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert parse(own.isoformat(), berlin) == pytest.approx(summer, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("00:01:30", 90.0),
        ("1:30.5", 90.5),
        ("2 days, 0:00:01", 2 * 86400 + 1),
        ("-1d", -86400.0),
        ("1 day", 86400.0),
        ("25:00:00", 90000.0),
    ],
)
def test_durations(text, seconds):
    assert parse(text, "duration[us]") == seconds


@pytest.mark.parametrize("text", ["", ":", "1:2:3:4", "soon", "1 week", "days"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="no duration"):
        parse(text, "duration[us]")


def test_a_pandas_duration_as_it_prints():
    pandas = pytest.importorskip("pandas")
    length = pandas.Timedelta(days=3, hours=4, seconds=5.25)
    assert parse(str(length), "duration[ns]") == length.total_seconds()


def test_words_for_what_no_calendar_has():
    assert format_time(1e9, "timestamp[us]") == "1e+09 days since 1970-01-01"
    assert format_time(float("nan"), "date32") == "nan days since 1970-01-01"
    assert format_time(3600.0 * 18, "time32[s]") == "18:00:00"
