"""Dates, times and durations as numbers, and back.

A point in time is a number of days since 1970-01-01 (in UTC if it has a zone), a duration a number
of seconds, and a time of day a number of seconds since midnight. Numbers are exact to the
microsecond for two centuries around 1970, and are converted back to the microsecond, or to the unit
of the dtype if that is coarser.
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
"""Units of values, of differences of values, and of one difference."""

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
"""Names of the kinds of time, and examples as text."""

TICKS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DAY_SECONDS = 86400
EPOCH = datetime(1970, 1, 1)
MIN_DAY, MAX_DAY = -719162, 2932896
"""The first day of the year 1 and the last of the year 9999, the range of Python's dates."""

_ZONE = r"[A-Za-z0-9_+\-/:]{1,64}"
_TICK = "s|ms|us|ns"
TIME_DTYPES = (
    rf"date32|date64|timestamp\[({_TICK})(, tz={_ZONE})?\]|duration\[({_TICK})\]|time32\[m?s\]|"
    rf"time64\[[un]s\]|datetime64\[(Y|M|W|D|h|m|{_TICK})\]|timedelta64\[(W|D|h|m|{_TICK})\]"
)
"""Dtypes of times: Arrow's names, and numpy's names if Arrow lacks the unit."""
_TIME_DTYPE = re.compile(rf"((arrow|object):)?({TIME_DTYPES})")
_STARTS: dict[str, TimeKind] = {"date": "instant", "timestamp": "instant", "time3": "clock"}
_STARTS |= {"time6": "clock", "duration": "duration", "timedelta": "duration"}


def time_kind_of(dtype: str) -> TimeKind | None:
    """The kind of time of a dtype; None if it is no dtype of times.

    >>> time_kind_of("object:date32"), time_kind_of("timedelta64[s]"), time_kind_of("int64")
    ('instant', 'duration', None)
    """
    match = _TIME_DTYPE.fullmatch(dtype)
    if not match:
        return None
    return next((kind for start, kind in _STARTS.items() if match[3].startswith(start)), None)


def time_name(kind: pa.DataType) -> str:
    """The word for an Arrow type of times; empty for another type."""
    word = {"date32[day]": "date32", "date64[ms]": "date64"}.get(str(kind), str(kind))
    return word if time_kind_of(word) else ""


def time_type(dtype: str) -> pa.DataType | None:
    """The Arrow type nearest to a dtype of times; None for another dtype.

    >>> time_type("timestamp[us, tz=Europe/Berlin]"), time_type("datetime64[M]")
    (TimestampType(timestamp[us, tz=Europe/Berlin]), DataType(date32[day]))
    """
    match = _TIME_DTYPE.fullmatch(dtype)
    if not match:
        return None
    head, _, inside = match[3].rstrip("]").partition("[")
    unit, _, zone = inside.partition(", tz=")
    if head == "timestamp":
        return pa.timestamp(unit, tz=zone or None)
    if head == "datetime64":
        return (
            pa.date32()
            if unit in "YMWD"
            else pa.timestamp(unit if unit in TICKS_PER_SECOND else "s")
        )
    if head in ("duration", "timedelta64"):
        return pa.duration(unit if unit in TICKS_PER_SECOND else "s")
    return pa.type_for_alias(match[3])


def zone_of(dtype: str) -> str:
    """The time zone of a dtype; empty for none."""
    return dtype.rstrip("]").partition(", tz=")[2]


def known_time(dtype: str) -> bool:
    """Whether it is a dtype of times whose zone, if it has one, this machine knows."""
    try:
        return time_kind_of(dtype) is not None and bool(_zone(zone_of(dtype) or "+00:00"))
    except (KeyError, ValueError, OSError):
        return False


def times_to_floats(array: pa.Array) -> np.ndarray:
    """Times in an Arrow array as float64; NaN is a missing cell.

    >>> times_to_floats(pa.array([datetime(1970, 1, 2, 18), None]))
    array([1.75,  nan])
    """
    kind = array.type
    missing = np.asarray(array.is_null())
    if pa.types.is_date32(kind):
        return np.where(missing, np.nan, array.cast(pa.int32()).fill_null(0).to_numpy())
    if pa.types.is_date64(kind):
        array, kind = array.cast(pa.timestamp("ms")), pa.timestamp("ms")
    small = pa.int32() if pa.types.is_time32(kind) else pa.int64()
    ticks = array.cast(small).fill_null(0).to_numpy().astype(np.int64)
    unit = TICKS_PER_SECOND[kind.unit] * (DAY_SECONDS if pa.types.is_timestamp(kind) else 1)
    # Whole units are converted separately, so that only their sum with the fraction is rounded.
    return np.where(missing, np.nan, ticks // unit + (ticks % unit) / unit)


def floats_to_times(values: np.ndarray, missing: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Numbers as an Arrow array of the nearest times of type `kind`; `missing` is a mask.

    >>> floats_to_times(np.array([1.75]), np.array([False]), pa.timestamp("s")).to_pylist()
    [datetime.datetime(1970, 1, 2, 18, 0)]
    """
    values = np.where(missing, 0.0, values)
    if pa.types.is_date32(kind):
        days = np.clip(np.rint(values), MIN_DAY, MAX_DAY).astype(np.int32)
        return pa.array(days, mask=missing).cast(kind)
    if pa.types.is_date64(kind):
        return floats_to_times(values, missing, pa.date32()).cast(kind)
    in_days = pa.types.is_timestamp(kind)
    ticks_per_second = TICKS_PER_SECOND[kind.unit]
    unit_seconds = DAY_SECONDS if in_days else 1
    rounded_ticks = min(ticks_per_second, TICKS_PER_SECOND["us"])
    most = (2**63 - 2**20) / (ticks_per_second * unit_seconds)
    low, high = (0, DAY_SECONDS - 1 / rounded_ticks) if pa.types.is_time(kind) else (-most, most)
    if in_days:
        low, high = max(low, MIN_DAY), min(high, MAX_DAY)
    values = np.clip(values, low, high)
    units = np.floor(values)
    fraction = np.rint((values - units) * rounded_ticks * unit_seconds).astype(np.int64)
    ticks = units.astype(np.int64) * rounded_ticks * unit_seconds + fraction
    ticks = ticks * (ticks_per_second // rounded_ticks)
    small = np.int32 if pa.types.is_time32(kind) else np.int64
    return pa.array(ticks.astype(small), mask=missing).cast(kind)


def as_numpy(values: np.ndarray, dtype: str) -> np.ndarray:
    """Numbers as numpy's datetime64, or timedelta64 for durations and times of day; NaT for NaN."""
    is_instant = time_kind_of(dtype) == "instant"
    kind = pa.timestamp("us") if is_instant else pa.duration("us")
    if is_instant and time_type(dtype) in (pa.date32(), pa.date64()):
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
    """The number of a time in ISO 8601; ValueError for another text.

    A time without a zone is in that of the dtype. A duration is [[D days] HH:]MM:SS or a number of
    seconds.

    >>> parse("1970-01-02 18:00", "timestamp[s]"), parse("1 days 00:01:30", "duration[us]")
    (1.75, 86490.0)
    >>> parse("1970-01-02", "timestamp[s, tz=+06:00]")
    0.75
    """
    kind = time_kind_of(dtype)
    if kind == "clock":
        clock = time.fromisoformat(text.strip())
        digits = (clock.hour, clock.minute, clock.second, clock.microsecond)
        return float(np.dot(digits, _CLOCK_SECONDS))
    if kind == "duration":
        return _parse_duration(text.strip())
    when = datetime.fromisoformat(text.strip())
    zone = zone_of(dtype)
    if when.tzinfo is None:
        since = (when.replace(tzinfo=_zone(zone)) - EPOCH.replace(tzinfo=UTC)) if zone else None
        since = when - EPOCH if since is None else since
    elif not zone:
        raise ValueError("it has a time zone, the column none")
    else:
        since = when - EPOCH.replace(tzinfo=UTC)
    return since.days + (since.seconds * 10**6 + since.microseconds) / (DAY_SECONDS * 10**6)


_CLOCK_SECONDS = (3600, 60, 1, 1e-6)
_DURATION = re.compile(
    r"(?P<sign>[-+]?)((?P<days>\d+) *(days?|d),? *)?((?P<h>\d+):)??((?P<m>\d+):(?P<s>\d+(\.\d*)?))?"
)


def _parse_duration(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        match = _DURATION.fullmatch(text)
    if not match or not (match["days"] or match["m"]):
        raise ValueError("it is no duration")
    days, hours, minutes = (int(match[name] or 0) for name in ("days", "h", "m"))
    total = DAY_SECONDS * days + 3600 * hours + 60 * minutes + float(match["s"] or 0)
    return -total if match["sign"] == "-" else total


def local_to_utc(values: np.ndarray, zone: str) -> np.ndarray:
    """Days of a local clock as days of UTC; an hour that occurs twice is the first one."""
    compute: Any = import_module("pyarrow.compute")  # Its functions are defined on import.
    local = floats_to_times(values, np.isnan(values), pa.timestamp("us"))
    utc = compute.assume_timezone(local, zone, ambiguous="earliest", nonexistent="earliest")
    return times_to_floats(utc)


def format_time(value: float, dtype: str) -> str:
    """A number as the text of a time, in the zone of its dtype and rounded to a second.

    A duration of less than a minute is rounded to a microsecond.

    >>> format_time(18262.75, "timestamp[us]"), format_time(18262.0, "date32")
    ('2020-01-01 18:00', '2020-01-01')
    >>> format_time(90.4, "duration[s]")
    '0:01:30'
    """
    try:
        return _format_time(value, dtype)
    except (OverflowError, ValueError):
        # Beyond the years 1 to 9999.
        return f"{value:.6g} {TIME_VALUE_UNITS[time_kind_of(dtype) or 'instant']}"


def _format_time(value: float, dtype: str) -> str:
    kind = time_kind_of(dtype)
    if kind != "instant":
        is_short = kind == "duration" and abs(value) < 60
        length = timedelta(seconds=round(value, 6 if is_short else 0))
        clock = (datetime.min + length).time() if kind == "clock" else None
        return str(length) if clock is None else clock.isoformat()
    if time_type(dtype) in (pa.date32(), pa.date64()):
        return str(date(1970, 1, 1) + timedelta(days=round(value)))
    when = EPOCH + timedelta(seconds=round(DAY_SECONDS * value))
    if zone := zone_of(dtype):
        return when.replace(tzinfo=UTC).astimezone(_zone(zone)).isoformat(" ", "minutes")
    if not (when.hour or when.minute or when.second):
        return str(when.date())
    return when.isoformat(" ", "seconds" if when.second else "minutes")


def _zone(name: str) -> tzinfo:
    if name[:1] in "+-":
        hours, _, minutes = name[1:].partition(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(offset if name[0] == "+" else -offset)
    return ZoneInfo(name)
