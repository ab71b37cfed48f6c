"""Turns the parser's tree into a query: one method for each rule of the grammar."""

import re
from math import inf
from typing import Any

from lark import Token, Transformer, v_args

from pofx.notation.checks import check_not_given, check_unique, merge_ranges
from pofx.notation.errors import NotationError, notation_error, quoted
from pofx.notation.queries import (
    Divergence,
    Entropy,
    Expectation,
    Information,
    Mode,
    Probability,
    Quantile,
    Sample,
    Side,
    TotalCorrelation,
)
from pofx.notation.terms import (
    WORD,
    Free,
    Interval,
    Members,
    Moment,
    Name,
    Point,
    Term,
    Terms,
    Unknown,
    Value,
)

TEXT_TOKENS = ("QUOTED", "DATE")
"""Tokens that are text: a date needs no quotes."""

NUMBER = re.compile(r"[-+]?(inf|([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?)")
INTEGER = re.compile(r"[-+]?[0-9]+")
MOMENTS: dict[str, Any] = {kind.lower(): kind for kind in ("E", "Var", "SD", "Cov", "Corr")}
REVERSED_ORDER = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "≤": ">=", "≥": "<="}

Names = tuple[Name, ...]


@v_args(inline=True)
class TreeBuilder(Transformer[Token, Any]):
    """Builds names, terms and queries from the tree of a text.

    Raises NotationError for what the grammar allows and the notation does not.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def name(self, token: Token) -> Name:
        plain = token.type == "PLAIN"
        return Name(str(token) if plain else token[1:-1].replace("``", "`"), _at(token))

    def names(self, *names: Name) -> Names:
        check_unique(self._text, names, "before the bar")
        return names

    def value(self, token: Token) -> Value:
        if token.type in TEXT_TOKENS:
            return Value(self._unescaped(token), _at(token))
        if NUMBER.fullmatch(token):
            return Value(self._number(token), _at(token))
        if WORD.fullmatch(token):
            return Value(str(token), _at(token))
        raise self._error(
            token,
            f"{quoted(token)} is neither a number nor a word of letters, digits and _; "
            "write other text in quotes",
        )

    def event(self, *terms: Term) -> Terms:
        return merge_ranges(self._text, terms, "before the bar")

    def given(self, *terms: Term) -> Terms:
        return merge_ranges(self._text, terms, "after the bar")

    def free(self, name: Name) -> Free:
        return Free(name)

    def point(self, name: Name, value: Value) -> Point:
        return Point(name, value)

    def unknown(self, name: Name) -> Unknown:
        return Unknown(name)

    def not_equal(self, name: Name, value: Value) -> Members:
        return Members(name, (value,), inside=False)

    def inside(self, name: Name, *values: Value) -> Members:
        check_unique(self._text, values, "in the set")
        return Members(name, values)

    def outside(self, name: Name, *values: Value) -> Members:
        check_unique(self._text, values, "in the set")
        return Members(name, values, inside=False)

    def above_or_below(self, name: Name, order: str, end: Token) -> Interval:
        number, closed = self._number(end), order not in ("<", ">")
        if order[0] in "<≤":
            return Interval(name) if number == inf else Interval(name, None, number, False, closed)
        return Interval(name) if number == -inf else Interval(name, number, None, closed)

    def reversed_comparison(self, end: Token, order: str, name: Name) -> Interval:
        return self.above_or_below(name, REVERSED_ORDER[order], end)

    def double_comparison(
        self, left: Token, one: Token, name: Name, other: Token, right: Token
    ) -> Interval:
        if (one[0] in "<≤") != (other[0] in "<≤"):
            raise self._error(other, f"{quoted(one)} and {quoted(other)} point in two directions")
        return self.reversed_comparison(left, one, name) & self.above_or_below(name, other, right)

    def range(self, name: Name, *marks: Token) -> Interval:
        _, opening, low, _, high, closing = marks
        above = self.above_or_below(name, ">=" if opening == "[" else ">", low)
        return above & self.above_or_below(name, "<=" if closing == "]" else "<", high)

    def probability(self, letter: Any, event: Terms, given: Terms | None) -> Probability:
        return Probability(letter.value, event, self._check_given(event, given))

    def expectation(self, kind: Token, names: Names, given: Terms | None) -> Expectation:
        moment = MOMENTS[kind.lower()]
        expected = 2 if moment in ("Cov", "Corr") else 1
        if len(names) != expected:
            words = "two names" if expected == 2 else "one name"
            raise self._error(kind, f"{moment} takes {words}, got {len(names)}")
        return Expectation(moment, names, self._check_given(names, given))

    def quantile(self, kind: Token, level: Token, name: Name, given: Terms | None) -> Quantile:
        if not 0 < float(level) < 1:
            raise self._error(level, f"{kind}[level] is between 0 and 1, got {quoted(level)}")
        return Quantile(float(level), name, self._check_given((name,), given))

    def median(self, name: Name, given: Terms | None) -> Quantile:
        return Quantile(0.5, name, self._check_given((name,), given))

    def mode(self, names: Names, given: Terms | None) -> Mode:
        return Mode(names, self._check_given(names, given, ranges=False))

    def sample(self, number: Token | None, names: Names, given: Terms | None) -> Sample:
        if number is not None and not (INTEGER.fullmatch(number) and int(number) > 0):
            raise self._error(number, f"sample[number] is 1, 2, ..., got {quoted(number)}")
        return Sample(int(number or 1), names, self._check_given(names, given))

    def entropy(self, names: Names, given: Terms | None) -> Entropy:
        return Entropy(names, self._check_given(names, given, free=True))

    def information(self, one: Names, other: Names, given: Terms | None) -> Information:
        return Information((one, other), self._check_given(one + other, given, free=True))

    def total_correlation(self, kind: Token, names: Names, given: Terms | None) -> TotalCorrelation:
        if len(names) < 2:
            raise self._error(kind, "TC takes two names or more")
        return TotalCorrelation(names, self._check_given(names, given, free=True))

    def side(self, name: Name, names: Names = (), given: Terms | None = None) -> Side:
        return Side(name, names, self._check_given(names, given, ranges=False))

    def divergence(self, kind: Any, left: Side, right: Side) -> Divergence:
        if set(left.names) != set(right.names):
            message = f"{kind.upper()} needs the same names on both sides"
            raise notation_error(self._text, right.distribution.at, message)
        return Divergence(kind.upper(), left, right)

    def _check_given(
        self,
        items: Names | Terms,
        given: Terms | None,
        *,
        ranges: bool = True,
        free: bool = False,
    ) -> Terms:
        """The given terms, none of which is before the bar too."""
        check_not_given(self._text, items, given or (), ranges=ranges, free=free)
        return given or ()

    def _number(self, token: Token) -> float:
        if token.type in TEXT_TOKENS:
            try:
                return Moment(self._unescaped(token))
            except ValueError:
                message = f"{quoted(token)} is no date or time, as '2020-01-31' or '18:30'"
                raise self._error(token, message) from None
        number = float(token)
        if abs(number) == inf and "inf" not in token:
            raise self._error(token, f"{quoted(token)} is too large a number")
        return int(token) if INTEGER.fullmatch(token) else number

    def _unescaped(self, token: Token) -> str:
        if token.type == "DATE":
            return str(token)
        for escape in re.finditer(r"\\(.)", token, re.S):
            if escape[1] not in "'\"\\":
                at = _at(token) + escape.start()
                message = "in quotes, a backslash is allowed only before a quote or a backslash"
                raise notation_error(self._text, at, message)
        return re.sub(r"\\(.)", r"\1", token[1:-1])

    def _error(self, token: Token, message: str) -> NotationError:
        return notation_error(self._text, _at(token), message)


def _at(token: Token) -> int:
    return token.start_pos or 0
