"""What a term says of a column in the units of its entries: a point, or a union of intervals.

Intervals are half-open, (low, high], as a distribution function has them. An end that is in or out
matters where a point has a mass: at a whole number of a count the intervals end half-way between
two, and at a spike one float further.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from pofx.core.column import Column
from pofx.core.errors import unknown_name_error
from pofx.notation.errors import mistake, quoted
from pofx.notation.terms import Interval, Members, Moment, Point, Value
from pofx.queries.events import Pieces
from pofx.table.frames.times import TIME_EXAMPLES, TIME_NAMES, parse
from pofx.table.schema import Variable

EVERYTHING: Pieces = ((-math.inf, math.inf),)


def entry(text: str, variable: Variable, value: Value) -> float:
    """The level code or the entry that a value stands for; NaN for a number outside the support.

    A time is a text in ISO 8601 or a number in its unit. NotationError for an unknown level, text
    for a number, and the reverse.

    >>> entry("a = 7", Variable("a", "real", shift=5, scale=2), Value(7))
    1.0
    >>> entry("a = -1", Variable("a", "count"), Value(-1))
    nan
    """
    value = _time(text, variable, value)
    if variable.discrete:
        return float(_code(text, variable, value))
    if isinstance(value.content, str):
        got = f"{variable.name!r} holds numbers, got the text {quoted(value.content)}"
        raise mistake(text, value.at, got)
    number = value.content if type(value.content) is int else float(value.content)
    whole = number >= 0 and number == round(number) if math.isfinite(number) else False
    inside = {"positive": 0 < number < math.inf, "count": whole, "real": math.isfinite(number)}
    if not inside[variable.kind] and number not in variable.spikes:
        return math.nan
    return (number - variable.shift) / variable.scale


def pieces(text: str, variable: Variable, term: Point | Interval | Members) -> Pieces:
    """The entries for which the term holds, none where it never does.

    NotationError for what `entry` refuses, and for a range of text.

    >>> a = Variable("a", "count")
    >>> from pofx.notation.terms import Name
    >>> pieces("a >= 3", a, Interval(Name("a"), low=3, low_closed=True))
    ((2.5, inf),)
    """
    if isinstance(term, Interval):
        term = _timed(text, variable, term)
        if variable.discrete:
            return _levels(_within(text, variable, term))
        return _interval(variable, term)
    values = (term.value,) if isinstance(term, Point) else term.values
    inside = not isinstance(term, Members) or term.inside
    own = {e for e in (entry(text, variable, value) for value in values) if not math.isnan(e)}
    if variable.discrete:
        return _levels(c for c in range(len(variable.levels)) if (c in own) == inside)
    if variable.kind == "count":
        found: Pieces = tuple((e - 0.5, e + 0.5) for e in sorted(own))
    else:
        # A number that is no spike has probability zero.
        hit = sorted(float(_float(e)) for e in own if spike(variable.column, e) >= 0)
        found = tuple((below(e), e) for e in hit)
    return found if inside else _complement(found)


def intersection(one: Pieces, other: Pieces) -> Pieces:
    """What is in both unions of disjoint intervals.

    >>> intersection(((0.0, 2.0), (3.0, 5.0)), ((1.0, 4.0),))
    ((1.0, 2.0), (3.0, 4.0))
    """
    both = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return tuple((low, high) for low, high in both if low < high)


def everything(column: Column, some: Pieces) -> bool:
    """Whether a union is all that the column can be.

    >>> everything(Column("a", "count"), ((-0.5, math.inf),))
    True
    """
    if column.discrete:
        return len(some) == column.levels
    low, high = some[0] if len(some) == 1 else (math.inf, -math.inf)
    least = {"count": -0.5, "positive": 0.0}.get(column.kind, -math.inf)
    return low <= least and all(low < spike for spike in column.spikes) and high == math.inf


def below(x: float) -> float:
    """The float before x among those that models compute with, which know no subnormal ones.

    >>> below(1.0) < 1.0, below(0.0) < 0.0
    (True, True)
    """
    least = float(np.finfo(jnp.zeros(()).dtype).tiny)
    before = float(np.nextafter(_float(x), _float(-math.inf)))
    if abs(before) >= least or before == 0:
        return before
    return -least if x <= 0 else 0.0


def spike(column: Column, entry: float) -> int:
    """Which of the column's spikes an entry is, to a model's float type; -1 for none.

    >>> spike(Column("a", "real", spikes=(0.0, 0.1)), 0.1)
    1
    """
    own = [float(_float(s)) for s in column.spikes]
    return own.index(float(_float(entry))) if float(_float(entry)) in own else -1


def number(level: object) -> float | None:
    """The number that a level is, 0 or 1 for false or true; None for text."""
    return None if isinstance(level, str) else float(level)  # type: ignore[arg-type]


def _time(text: str, variable: Variable, value: Value) -> Value:
    """The number that the text of a time stands for."""
    if isinstance(value.content, Moment):
        value = Value(value.content.text, value.at)
    if not variable.time_kind or not isinstance(value.content, str):
        return value
    try:
        return Value(parse(value.content, variable.dtype), value.at)
    except ValueError as error:
        why = str(error) if "zone" in str(error) else f"got {quoted(value.content)}"
        expected = f"{variable.name!r} holds {TIME_NAMES[variable.time_kind]}, as {TIME_EXAMPLES[variable.time_kind]}"
        raise mistake(text, value.at, f"{expected}; {why}") from None


def _timed(text: str, variable: Variable, term: Interval) -> Interval:
    """A range with its ends as numbers, dates on the clock of the variable's zone."""
    low, high = (
        _time(text, variable, Value(end.text, term.name.at)).content
        if isinstance(end, Moment) and variable.time_kind
        else end
        for end in (term.low, term.high)
    )
    for end in (low, high):
        if isinstance(end, Moment):
            got = f"{variable.name!r} holds no dates or times, got {end}"
            raise mistake(text, term.name.at, got)
    return replace(term, low=low, high=high)


def _code(text: str, variable: Variable, value: Value) -> int:
    levels, content = variable.levels, value.content
    if isinstance(levels[0], bool) and isinstance(content, str):
        content = {"true": True, "false": False}.get(content.lower(), content)
    if content in levels:
        return levels.index(content)
    if isinstance(levels[0], str) and not isinstance(content, str):
        hint = f"; write {str(content)!r} in quotes" if str(content) in levels else ""
        got = f"the levels of {variable.name!r} are text, got the number {value}{hint}"
        raise mistake(text, value.at, got)
    words = [str(level).lower() if isinstance(level, bool) else level for level in levels]
    raise mistake(
        text, value.at, str(unknown_name_error(f"level of {variable.name!r}", content, words))
    )


def _levels(codes: Iterable[int]) -> Pieces:
    return tuple((code - 0.5, code + 0.5) for code in codes)


def _within(text: str, variable: Variable, term: Interval) -> list[int]:
    values = [None if isinstance(level, str) else level for level in variable.levels]
    low = -math.inf if term.low is None else term.low
    high = math.inf if term.high is None else term.high
    if None in values:
        some = ", ".join(str(Value(str(level))) for level in variable.levels[:2])
        raise mistake(
            text,
            term.name.at,
            f"the levels of {variable.name!r} are text, which no range holds; name them, as in "
            f"{term.name} in {{{some}}}",
        )
    return [
        code
        for code, v in enumerate(values)
        if v is not None
        and (low <= v if term.low_closed else low < v)
        and (v <= high if term.high_closed else v < high)
    ]


def _interval(variable: Variable, term: Interval) -> Pieces:
    if variable.kind == "count":
        low, high = -0.5, math.inf
        if term.low is not None and math.isfinite(term.low):
            at = math.ceil(term.low) - 0.5 if term.low_closed else math.floor(term.low) + 0.5
            low = max(low, at)
        if term.high is not None and math.isfinite(term.high):
            high = math.floor(term.high) + 0.5 if term.high_closed else math.ceil(term.high) - 0.5
    else:
        low, high = -math.inf, math.inf
        if term.low is not None:
            low = float(_float((term.low - variable.shift) / variable.scale))
            low = below(low) if term.low_closed else low
        if term.high is not None:
            high = float(_float((term.high - variable.shift) / variable.scale))
            high = high if term.high_closed else below(high)
    return ((low, high),) if low < high else ()


def _complement(some: Pieces) -> Pieces:
    ends = [-math.inf, *(end for piece in some for end in piece), math.inf]
    return tuple((a, b) for a, b in zip(ends[::2], ends[1::2]) if a < b)


def _float(x: float) -> np.floating:
    with np.errstate(over="ignore"):
        return jnp.zeros(()).dtype.type(x)
