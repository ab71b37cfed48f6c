"""Dates, times and durations as numbers, and back.

A point in time is a number of days since 1970-01-01 (UTC, where it has a zone), a duration a number
of seconds, a time of day one since midnight. They are exact to the microsecond for two centuries
around 1970, and come back to the microsecond, or to what their dtype holds if that is coarser.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from importlib import import_module
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

TimeKind = Literal["instant", "duration", "clock"]

TIME_VALUE_UNITS: dict[TimeKind, str] = {
    "instant": "days since 1970-01-01",
    "duration": "s",
    "clock": "s since midnight",
}
TIME_DIFFERENCE_UNITS: dict[TimeKind, str] = {"instant": "days", "duration": "s", "clock": "s"}
TIME_DENSITY_UNITS: dict[TimeKind, str] = {"instant": "day", "duration": "s", "clock": "s"}
"""Units of values, of differences of values, and the last for one of them."""

TIME_NAMES: dict[TimeKind, str] = {
    "instant": "dates or times",
    "duration": "durations",
    "clock": "times of day",
}
TIME_EXAMPLES: dict[TimeKind, str] = {
    "instant": "2020-01-31 or 2020-01-31 18:30",
    "duration": "1 days 06:30:00",
    "clock": "18:30",
}
"""What they are called, and how they are written."""

TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DAY = 86400
EPOCH = datetime(1970, 1, 1)
FIRST, LAST = -719162, 2932896
"""The days of the years 1 to 9999, beyond which calendars of Python do not go."""

_ZONE = r"[A-Za-z0-9_+\-/:]{1,64}"
_TICK = "s|ms|us|ns"
WORDS = (
    rf"date32|date64|timestamp\[({_TICK})(, tz={_ZONE})?\]|duration\[({_TICK})\]|time32\[m?s\]|"
    rf"time64\[[un]s\]|datetime64\[(Y|M|W|D|h|m|{_TICK})\]|timedelta64\[(W|D|h|m|{_TICK})\]"
)
"""What dtypes of times are called: by Arrow, and by numpy where Arrow lacks the unit."""
_WORD = re.compile(rf"((arrow|object):)?({WORDS})")
_STARTS: dict[str, TimeKind] = {"date": "instant", "timestamp": "instant", "time3": "clock"}
_STARTS |= {"time6": "clock", "duration": "duration", "timedelta": "duration"}


def time_kind_of(dtype: str) -> TimeKind | None:
    """Which sort of time a dtype holds; None for none.

    >>> time_kind_of("object:date32"), time_kind_of("timedelta64[s]"), time_kind_of("int64")
    ('instant', 'duration', None)
    """
    found = _WORD.fullmatch(dtype)
    return next((s for start, s in _STARTS.items() if found and found[3].startswith(start)), None)


def time_name(kind: pa.DataType) -> str:
    """The word for an Arrow type of times; empty for another type."""
    word = {"date32[day]": "date32", "date64[ms]": "date64"}.get(str(kind), str(kind))
    return word if time_kind_of(word) else ""


def time_type(dtype: str) -> pa.DataType | None:
    """The Arrow type nearest to a dtype of times; None for another dtype.

    >>> time_type("timestamp[us, tz=Europe/Berlin]"), time_type("datetime64[M]")
    (TimestampType(timestamp[us, tz=Europe/Berlin]), DataType(date32[day]))
    """
    found = _WORD.fullmatch(dtype)
    if not found:
        return None
    head, _, inside = found[3].rstrip("]").partition("[")
    unit, _, zone = inside.partition(", tz=")
    if head == "timestamp":
        return pa.timestamp(unit, tz=zone or None)
    if head == "datetime64":
        return pa.date32() if unit in "YMWD" else pa.timestamp(unit if unit in TICKS else "s")
    if head in ("duration", "timedelta64"):
        return pa.duration(unit if unit in TICKS else "s")
    return pa.type_for_alias(found[3])


def zone_of(dtype: str) -> str:
    """The time zone of a dtype; empty for none."""
    return dtype.rstrip("]").partition(", tz=")[2]


def known_time(dtype: str) -> bool:
    """Whether it is a dtype of times, in a zone that this machine knows if in any."""
    try:
        return time_kind_of(dtype) is not None and bool(_zone(zone_of(dtype) or "+00:00"))
    except (KeyError, ValueError, OSError):
        return False


def times_to_floats(array: pa.Array) -> np.ndarray:
    """Times in an Arrow array as float64, NaN where missing.

    >>> times_to_floats(pa.array([datetime(1970, 1, 2, 18), None]))
    array([1.75,  nan])
    """
    kind, missing = array.type, np.asarray(array.is_null())
    if pa.types.is_date32(kind):
        return np.where(missing, np.nan, array.cast(pa.int32()).fill_null(0).to_numpy())
    if pa.types.is_date64(kind):
        array, kind = array.cast(pa.timestamp("ms")), pa.timestamp("ms")
    small = pa.int32() if pa.types.is_time32(kind) else pa.int64()
    ticks = array.cast(small).fill_null(0).to_numpy().astype(np.int64)
    unit = TICKS[kind.unit] * (DAY if pa.types.is_timestamp(kind) else 1)
    # Whole units apart from the rest, so that the sum is rounded once.
    return np.where(missing, np.nan, ticks // unit + (ticks % unit) / unit)


def floats_to_times(values: np.ndarray, missing: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Numbers as an Arrow array of times, the nearest that its type holds.

    >>> floats_to_times(np.array([1.75]), np.array([False]), pa.timestamp("s")).to_pylist()
    [datetime.datetime(1970, 1, 2, 18, 0)]
    """
    values = np.where(missing, 0.0, values)
    if pa.types.is_date32(kind):
        days = np.clip(np.rint(values), FIRST, LAST).astype(np.int32)
        return pa.array(days, mask=missing).cast(kind)
    if pa.types.is_date64(kind):
        return floats_to_times(values, missing, pa.date32()).cast(kind)
    day, own = pa.types.is_timestamp(kind), TICKS[kind.unit]
    unit, exact = DAY if day else 1, min(own, TICKS["us"])
    most = (2**63 - 2**20) / (own * unit)
    low, high = (0, DAY - 1 / exact) if pa.types.is_time(kind) else (-most, most)
    values = np.clip(values, max(low, FIRST if day else low), min(high, LAST if day else high))
    whole = np.floor(values)
    rest = np.rint((values - whole) * exact * unit).astype(np.int64)
    ticks = (whole.astype(np.int64) * exact * unit + rest) * (own // exact)
    small = np.int32 if pa.types.is_time32(kind) else np.int64
    return pa.array(ticks.astype(small), mask=missing).cast(kind)


def as_numpy(values: np.ndarray, dtype: str) -> np.ndarray:
    """Numbers as numpy's datetime64 or timedelta64, a time of day as the latter; NaT for NaN."""
    sort = time_kind_of(dtype)
    kind = pa.timestamp("us") if sort == "instant" else pa.duration("us")
    if sort == "instant" and time_type(dtype) in (pa.date32(), pa.date64()):
        kind = pa.date32()
    return floats_to_times(values, np.isnan(values), kind).to_numpy(zero_copy_only=False)


def to_python(value: float, dtype: str) -> Any:
    """A number as Python's date, datetime, timedelta or time, to the microsecond.

    >>> to_python(18262.75, "timestamp[s]")
    datetime.datetime(2020, 1, 1, 18, 0)
    """
    kind = time_type(dtype)
    assert kind is not None
    if getattr(kind, "unit", "") == "ns":
        us = {"timestamp": pa.timestamp("us", tz=zone_of(dtype) or None), "time64": pa.time64("us")}
        kind = us.get(str(kind).partition("[")[0], pa.duration("us"))
    return floats_to_times(np.array([value]), np.array([False]), kind).to_pylist()[0]


def parse(text: str, dtype: str) -> float:
    """The number of the time that a text in ISO 8601 tells; ValueError for another text.

    What has no zone is in that of the dtype. A duration is told as [[D days] HH:]MM:SS, or as a
    number of seconds.

    >>> parse("1970-01-02 18:00", "timestamp[s]"), parse("1 days 00:01:30", "duration[us]")
    (1.75, 86490.0)
    >>> parse("1970-01-02", "timestamp[s, tz=+06:00]")
    0.75
    """
    sort = time_kind_of(dtype)
    if sort == "clock":
        told = time.fromisoformat(text.strip())
        return float(np.dot((told.hour, told.minute, told.second, told.microsecond), _PLACES))
    if sort == "duration":
        return _duration(text.strip())
    when, zone = datetime.fromisoformat(text.strip()), zone_of(dtype)
    if when.tzinfo is None:
        since = (when.replace(tzinfo=_zone(zone)) - EPOCH.replace(tzinfo=UTC)) if zone else None
        since = when - EPOCH if since is None else since
    elif not zone:
        raise ValueError("it has a time zone, the column none")
    else:
        since = when - EPOCH.replace(tzinfo=UTC)
    return since.days + (since.seconds * 10**6 + since.microseconds) / (DAY * 10**6)


_PLACES = (3600, 60, 1, 1e-6)
_DURATION = re.compile(
    r"(?P<sign>[-+]?)((?P<days>\d+) *(days?|d),? *)?((?P<h>\d+):)??((?P<m>\d+):(?P<s>\d+(\.\d*)?))?"
)


def _duration(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        found = _DURATION.fullmatch(text)
    if not found or not (found["days"] or found["m"]):
        raise ValueError("it is no duration")
    days, hours, minutes = (int(found[name] or 0) for name in ("days", "h", "m"))
    total = DAY * days + 3600 * hours + 60 * minutes + float(found["s"] or 0)
    return -total if found["sign"] == "-" else total


def local_to_utc(values: np.ndarray, zone: str) -> np.ndarray:
    """Days of a local clock as days of UTC; of an hour that a clock shows twice the first."""
    compute: Any = import_module("pyarrow.compute")  # its functions are made on import
    local = floats_to_times(values, np.isnan(values), pa.timestamp("us"))
    told = compute.assume_timezone(local, zone, ambiguous="earliest", nonexistent="earliest")
    return times_to_floats(told)


def format_time(value: float, dtype: str) -> str:
    """A number as the time that it is, on the clock of its dtype's zone, rounded to a second.

    A duration of less than a minute is rounded to a microsecond.

    >>> format_time(18262.75, "timestamp[us]"), format_time(18262.0, "date32"), format_time(90.4, "duration[s]")
    ('2020-01-01 18:00', '2020-01-01', '0:01:30')
    """
    try:
        return _format_time(value, dtype)
    except (OverflowError, ValueError):
        return f"{value:.6g} {TIME_VALUE_UNITS[time_kind_of(dtype) or 'instant']}"  # beyond the years 1 to 9999


def _format_time(value: float, dtype: str) -> str:
    sort = time_kind_of(dtype)
    if sort != "instant":
        fine = sort == "duration" and abs(value) < 60
        length = timedelta(seconds=round(value, 6 if fine else 0))
        clock = (datetime.min + length).time() if sort == "clock" else None
        return str(length) if clock is None else clock.isoformat()
    if time_type(dtype) in (pa.date32(), pa.date64()):
        return str(date(1970, 1, 1) + timedelta(days=round(value)))
    when = EPOCH + timedelta(seconds=round(DAY * value))
    if zone := zone_of(dtype):
        return when.replace(tzinfo=UTC).astimezone(_zone(zone)).isoformat(" ", "minutes")
    whole = not (when.hour or when.minute or when.second)
    return (
        str(when.date()) if whole else when.isoformat(" ", "seconds" if when.second else "minutes")
    )


def _zone(name: str) -> tzinfo:
    if name[:1] in "+-":
        hours, _, minutes = name[1:].partition(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(offset if name[0] == "+" else -offset)
    return ZoneInfo(name)
