"""Names, values and terms of a query; their places in the text do not count for equality."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from math import inf

PLAIN = re.compile(r"[^\W\d]\w*(\.\w+)*")
"""A name that needs no backquotes, as in the grammar."""

WORD = re.compile(r"[^\W\d]\w*")
"""Text that needs no quotes as a value."""


@dataclass(frozen=True)
class Name:
    """The name of a column or a distribution; `at` is the character of the text it starts at.

    >>> print(Name("bill length (mm)"))
    `bill length (mm)`
    """

    text: str
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        if PLAIN.fullmatch(self.text) and self.text != "inf":
            return self.text
        return "`" + self.text.replace("`", "``") + "`"


@dataclass(frozen=True)
class Value:
    """A number or a text; a bare word, `true` too, is text.

    `at` is the character of the query it starts at.

    >>> print(Value("Adelie"), Value("A-1"), Value(2.5))
    Adelie 'A-1' 2.5
    """

    content: str | int | float
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        if not isinstance(self.content, str):
            return repr(self.content)
        if WORD.fullmatch(self.content) and self.content != "inf":
            return self.content
        return "'" + self.content.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Moment(float):
    """A date or a time at the end of a range, as a number.

    A date is days since 1970-01-01, a time of day is seconds since midnight; only its column knows
    the zone. Raises ValueError for a text that is neither.

    >>> print(Moment("1970-01-02 12:00") + 0, Moment("00:01:30") + 0, Moment("1970-01-02"))
    1.5 90.0 '1970-01-02'
    """

    text: str

    def __new__(cls, text: str) -> "Moment":
        try:
            clock = time.fromisoformat(text)
            elapsed = timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second)
            moment = float.__new__(cls, elapsed.total_seconds() + clock.microsecond / 1e6)
        except ValueError:
            date = datetime.fromisoformat(text)
            epoch = datetime(1970, 1, 1, tzinfo=date.tzinfo and UTC)
            moment = float.__new__(cls, (date - epoch) / timedelta(1))
        moment.text = text
        return moment

    def __str__(self) -> str:
        return str(Value(self.text))

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)


@dataclass(frozen=True)
class Free:
    """A name alone: every value is meant.

    >>> print(Free(Name("a")))
    a
    """

    name: Name

    def __str__(self) -> str:
        return str(self.name)


@dataclass(frozen=True)
class Point:
    """`name = value`.

    >>> print(Point(Name("a"), Value("yes")))
    a = yes
    """

    name: Name
    value: Value

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"


@dataclass(frozen=True)
class Unknown:
    """`name = ?`: the cell is missing; only after the bar.

    >>> print(Unknown(Name("a")))
    a = ?
    """

    name: Name

    def __str__(self) -> str:
        return f"{self.name} = ?"


@dataclass(frozen=True)
class Interval:
    """The numbers between two ends; each end is in (closed) or out, and None for no end.

    >>> print(Interval(Name("a"), low=2) & Interval(Name("a"), high=5, high_closed=True))
    2 < a <= 5
    """

    name: Name
    low: float | None = None
    high: float | None = None
    low_closed: bool = False
    high_closed: bool = False

    @property
    def empty(self) -> bool:
        """Whether no number is inside."""
        low = -inf if self.low is None else self.low
        high = inf if self.high is None else self.high
        return low > high or (low == high and not (self.low_closed and self.high_closed))

    def __and__(self, other: "Interval") -> "Interval":
        """The numbers inside both, under this one's name."""
        pair = (self, other)
        low = max(pair, key=lambda i: (-inf if i.low is None else i.low, not i.low_closed))
        high = min(pair, key=lambda i: (inf if i.high is None else i.high, i.high_closed))
        closed = {"low_closed": low.low_closed, "high_closed": high.high_closed}
        return replace(self, low=low.low, high=high.high, **closed)

    def __str__(self) -> str:
        sign = "<=" if self.high_closed else "<"
        if self.low is None and self.high is None:
            return f"{self.name} in (-inf, inf)"
        if self.low is None:
            return f"{self.name} {sign} {self.high}"
        if self.high is None:
            return f"{self.name} {'>=' if self.low_closed else '>'} {self.low}"
        return f"{self.low} {'<=' if self.low_closed else '<'} {self.name} {sign} {self.high}"


@dataclass(frozen=True)
class Members:
    """One of some values, or with `inside` False none of them, as `!=` says too.

    >>> print(Members(Name("a"), (Value("x"), Value("y"))), Members(Name("a"), (Value(1),), False))
    a in {x, y} a != 1
    """

    name: Name
    values: tuple[Value, ...]
    inside: bool = True

    def __str__(self) -> str:
        if not self.inside and len(self.values) == 1:
            return f"{self.name} != {self.values[0]}"
        return f"{self.name} {'in' if self.inside else 'not in'} {{{join_terms(self.values)}}}"


Term = Free | Point | Unknown | Interval | Members
Terms = tuple[Term, ...]


def join_terms(items: Iterable[object]) -> str:
    """The items as they are printed, with commas between them.

    >>> join_terms([Name("a"), Point(Name("b"), Value(1))])
    'a, b = 1'
    """
    return ", ".join(str(item) for item in items)
