"""What a term says about a column in the units of its entries: a point, or a union of intervals.

Intervals are half-open, (low, high], as a distribution function has them. An end that is in or out
matters if a point has a mass: at a whole number of a count, intervals end half-way between two; at
a spike, they end one float further.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from pofx.ask.errors import error_at
from pofx.core.column import Column
from pofx.core.errors import unknown_name_error
from pofx.notation.errors import quoted
from pofx.notation.terms import Interval, Members, Moment, Point, Value
from pofx.queries.events import Intervals
from pofx.table.frames.times import TIME_EXAMPLES, TIME_NAMES, parse
from pofx.table.schema import Variable


def encode_value(variable: Variable, value: Value) -> float:
    """The level code, or the number in the units of entries, that a value of the text means.

    NaN for a number outside of the support. A time is a text in ISO 8601 or a number in its unit.

    Raises QueryError for an unknown level, for text instead of a number, and the reverse.

    >>> encode_value(Variable("a", "real", shift=5, scale=2), Value(7))
    1.0
    >>> encode_value(Variable("a", "count"), Value(-1))
    nan
    """
    value = _time_as_number(variable, value)
    if variable.discrete:
        return float(_level_code(variable, value))
    if isinstance(value.content, str):
        message = f"{variable.name!r} holds numbers, got the text {quoted(value.content)}"
        raise error_at(value, message)
    number = value.content if type(value.content) is int else float(value.content)
    finite = math.isfinite(number)
    in_support = {
        "positive": 0 < number < math.inf,
        "count": finite and number >= 0 and number == round(number),
        "real": finite,
    }
    if not in_support[variable.kind] and number not in variable.spikes:
        return math.nan
    return (number - variable.shift) / variable.scale


def intervals_of(variable: Variable, term: Point | Interval | Members) -> Intervals:
    """The entries for which the term holds; no interval if it never does.

    Raises QueryError as `encode_value` does, and for a range of text.

    >>> a = Variable("a", "count")
    >>> from pofx.notation.terms import Name
    >>> intervals_of(a, Interval(Name("a"), low=3, low_closed=True))
    ((2.5, inf),)
    """
    if isinstance(term, Interval):
        term = _times_as_numbers(variable, term)
        if variable.discrete:
            return _level_intervals(_level_codes(variable, term))
        return _number_interval(variable, term)
    values = (term.value,) if isinstance(term, Point) else term.values
    inside = not isinstance(term, Members) or term.inside
    encoded = (encode_value(variable, value) for value in values)
    entries = {entry for entry in encoded if not math.isnan(entry)}
    if variable.discrete:
        codes = range(len(variable.levels))
        return _level_intervals(code for code in codes if (code in entries) == inside)
    if variable.kind == "count":
        intervals: Intervals = tuple((e - 0.5, e + 0.5) for e in sorted(entries))
    else:
        # A number that is no spike has probability zero.
        spikes = sorted(float(_float(e)) for e in entries if spike_index(variable.column, e) >= 0)
        intervals = tuple((previous_float(e), e) for e in spikes)
    return intervals if inside else _complement(intervals)


def intersection(one: Intervals, other: Intervals) -> Intervals:
    """The numbers that are in both unions of disjoint intervals.

    >>> intersection(((0.0, 2.0), (3.0, 5.0)), ((1.0, 4.0),))
    ((1.0, 2.0), (3.0, 4.0))
    """
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return tuple((low, high) for low, high in pairs if low < high)


def covers_support(column: Column, intervals: Intervals) -> bool:
    """Whether the intervals hold all that the column can be.

    >>> covers_support(Column("a", "count"), ((-0.5, math.inf),))
    True
    """
    if column.discrete:
        return len(intervals) == column.levels
    low, high = intervals[0] if len(intervals) == 1 else (math.inf, -math.inf)
    support_low = {"count": -0.5, "positive": 0.0}.get(column.kind, -math.inf)
    holds_spikes = all(low < spike for spike in column.spikes)
    return low <= support_low and holds_spikes and high == math.inf


def previous_float(x: float) -> float:
    """The float before x among those that models compute with, which have no subnormal ones.

    >>> previous_float(1.0) < 1.0, previous_float(0.0) < 0.0
    (True, True)
    """
    min_normal = float(np.finfo(jnp.result_type(float)).tiny)
    previous = float(np.nextafter(_float(x), _float(-math.inf)))
    if abs(previous) >= min_normal or previous == 0:
        return previous
    return -min_normal if x <= 0 else 0.0


def spike_index(column: Column, entry: float) -> int:
    """Which of the column's spikes an entry is, in a model's float type; -1 for none.

    >>> spike_index(Column("a", "real", spikes=(0.0, 0.1)), 0.1)
    1
    """
    spikes = [float(_float(spike)) for spike in column.spikes]
    number = float(_float(entry))
    return spikes.index(number) if number in spikes else -1


def level_number(level: object) -> float | None:
    """The number that a level is, 0 or 1 for false or true; None for text."""
    return None if isinstance(level, str) else float(level)  # type: ignore[arg-type]


def _time_as_number(variable: Variable, value: Value) -> Value:
    """The text of a time as the number that it means; other values as they are."""
    if isinstance(value.content, Moment):
        value = Value(value.content.text, value.at)
    if not variable.time_kind or not isinstance(value.content, str):
        return value
    try:
        return Value(parse(value.content, variable.dtype), value.at)
    except ValueError as error:
        reason = str(error) if "zone" in str(error) else f"got {quoted(value.content)}"
        kind = variable.time_kind
        expected = f"{variable.name!r} holds {TIME_NAMES[kind]}, as {TIME_EXAMPLES[kind]}"
        raise error_at(value, f"{expected}; {reason}") from None


def _times_as_numbers(variable: Variable, term: Interval) -> Interval:
    """A range with its ends as numbers, dates on the clock of the variable's zone."""
    low, high = (
        _time_as_number(variable, Value(end.text, term.name.at)).content
        if isinstance(end, Moment) and variable.time_kind
        else end
        for end in (term.low, term.high)
    )
    for end in (low, high):
        if isinstance(end, Moment):
            message = f"{variable.name!r} holds no dates or times, got {end}"
            raise error_at(term.name, message)
    return replace(term, low=low, high=high)


def _level_code(variable: Variable, value: Value) -> int:
    levels, content = variable.levels, value.content
    if isinstance(levels[0], bool) and isinstance(content, str):
        content = {"true": True, "false": False}.get(content.lower(), content)
    if content in levels:
        return levels.index(content)
    if isinstance(levels[0], str) and not isinstance(content, str):
        hint = f"; write {str(content)!r} in quotes" if str(content) in levels else ""
        message = f"the levels of {variable.name!r} are text, got the number {value}{hint}"
        raise error_at(value, message)
    known = [str(level).lower() if isinstance(level, bool) else level for level in levels]
    message = str(unknown_name_error(f"level of {variable.name!r}", content, known))
    raise error_at(value, message)


def _level_codes(variable: Variable, term: Interval) -> list[int]:
    """The codes of the levels in a range of numbers."""
    numbers = [level for level in variable.levels if not isinstance(level, str)]
    if len(numbers) < len(variable.levels):
        examples = ", ".join(str(Value(str(level))) for level in variable.levels[:2])
        raise error_at(
            term.name,
            f"the levels of {variable.name!r} are text, which no range holds; name them, as in "
            f"{term.name} in {{{examples}}}",
        )
    low = -math.inf if term.low is None else term.low
    high = math.inf if term.high is None else term.high
    return [
        code
        for code, number in enumerate(numbers)
        if (low <= number if term.low_closed else low < number)
        and (number <= high if term.high_closed else number < high)
    ]


def _level_intervals(codes: Iterable[int]) -> Intervals:
    return tuple((code - 0.5, code + 0.5) for code in codes)


def _number_interval(variable: Variable, term: Interval) -> Intervals:
    if variable.kind == "count":
        low, high = -0.5, math.inf
        if term.low is not None and math.isfinite(term.low):
            end = math.ceil(term.low) - 0.5 if term.low_closed else math.floor(term.low) + 0.5
            low = max(low, end)
        if term.high is not None and math.isfinite(term.high):
            high = math.floor(term.high) + 0.5 if term.high_closed else math.ceil(term.high) - 0.5
    else:
        low, high = -math.inf, math.inf
        # Only a point mass makes a difference between an end that is inside and one that is not.
        if term.low is not None:
            low = float(_float((term.low - variable.shift) / variable.scale))
            is_spike = spike_index(variable.column, low) >= 0
            low = previous_float(low) if term.low_closed and is_spike else low
        if term.high is not None:
            high = float(_float((term.high - variable.shift) / variable.scale))
            is_spike = spike_index(variable.column, high) >= 0
            high = previous_float(high) if is_spike and not term.high_closed else high
    return ((low, high),) if low < high else ()


def _complement(intervals: Intervals) -> Intervals:
    ends = [-math.inf, *(end for interval in intervals for end in interval), math.inf]
    return tuple((a, b) for a, b in zip(ends[::2], ends[1::2]) if a < b)


def _float(x: float) -> np.floating:
    with np.errstate(over="ignore"):
        return jnp.result_type(float).type(x)
