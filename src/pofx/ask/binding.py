"""Binds a query: names become variables, and values become entries of rows.

All mistakes in names and values are found here. A bound name holds its variable and its place in
the text. Only the entries of a marginal, which are numbered anew, are looked up again.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pofx.ask.errors import error_at
from pofx.ask.intervals import covers_support, encode_value, intervals_of, level_number
from pofx.core.errors import unknown_name_error
from pofx.named.model import NamedModel
from pofx.notation.queries import (
    Divergence,
    Entropy,
    Expectation,
    Information,
    ModelQuery,
    Probability,
    Quantile,
    Query,
    Sample,
    Side,
    TotalCorrelation,
)
from pofx.notation.terms import Free, Interval, Members, Name, Point, Term, Terms, Unknown, Value
from pofx.queries.events import Intervals
from pofx.table.schema import Variable

MAX_TABULATED_LEVELS = 1000
"""Joint levels under which a query may be answered one by one."""

NO_MASS = "a density has no mass at a point; ask p(...) or a range"
OUTSIDE_SUPPORT = "outside of what can occur"


@dataclass(frozen=True)
class BoundName(Name):
    """A name in a query, and the variable that it names."""

    variable: Variable = field(kw_only=True, compare=False)


@dataclass(frozen=True)
class BoundTerms:
    """What the terms on one side of the bar say.

    Args:
        terms: as they were written.
        free: the names without a value.
        points: level codes and numbers, in the units of entries.
        sets: intervals in the units of entries; as evidence only those that exclude something.
        impossible: why an event cannot happen; "" if it can.
    """

    terms: Terms
    free: tuple[BoundName, ...]
    points: Mapping[BoundName, float]
    sets: Mapping[BoundName, Intervals]
    impossible: str = ""

    def terms_of(self, names: Iterable[Name]) -> Terms:
        """The terms of some of the names, as they were written."""
        texts = {name.text for name in names}
        return tuple(term for term in self.terms if term.name.text in texts)


@dataclass(frozen=True)
class BoundQuery:
    """A query of one distribution.

    Args:
        query: as it was parsed.
        groups: the names before the bar: two groups for an information, none for a probability.
        event: the terms before the bar of a probability.
        evidence: the terms after the bar.
    """

    query: ModelQuery
    groups: tuple[tuple[BoundName, ...], ...]
    event: BoundTerms
    evidence: BoundTerms

    @property
    def is_tabulated(self) -> bool:
        """Whether it is answered under each level of the names that are given without a value."""
        return _is_tabulated(self.query, self.evidence)


@dataclass(frozen=True)
class BoundSide:
    """One side of a divergence: the name of its distribution, its variables, its evidence."""

    distribution: Name
    variables: tuple[Variable, ...]
    evidence: BoundTerms


@dataclass(frozen=True)
class BoundDivergence:
    """A divergence of one distribution from another."""

    kind: Literal["KL", "JS", "CE"]
    left: BoundSide
    right: BoundSide


def bind(
    query: Query, distributions: Mapping[str, NamedModel], by_row: bool = False
) -> BoundQuery | BoundDivergence:
    """A query with its names and values looked up, the evidence first.

    Args:
        query: as it was parsed.
        distributions: by the names that a divergence uses; other queries are about "p".
        by_row: whether rows of a table give values to the names without one after the bar.

    Raises QueryError for an unknown name or level, a name that is given already, an array where
    there can be none, a value of the wrong type or outside the support as evidence, and levels of
    text where numbers are needed.
    """
    if isinstance(query, Divergence):
        left = bind_side(query.left, distributions)
        right = bind_side(query.right, distributions)
        return BoundDivergence(query.kind, left, right)
    p = distributions["p"]
    asked_names = {name.text for name in names_before_bar(query)}
    evidence = bind_evidence(p, query.given, asked_names, by_row)
    if _is_tabulated(query, evidence) and not by_row:
        check_tabulable(evidence.free)
    groups: tuple[tuple[BoundName, ...], ...] = ()
    event = BoundTerms((), (), {}, {})
    match query:
        case Probability():
            event = bind_event(p, query.event, query.letter)
        case Expectation():
            groups = (tuple(bind_number(p, name) for name in query.names),)
        case Quantile():
            groups = ((bind_number(p, query.name),),)
        case Information():
            one, other = query.groups
            groups = (bind_names(p, one, array=True), bind_names(p, other, array=True))
        case Sample() | Entropy() | TotalCorrelation():
            groups = (bind_names(p, query.names, array=True),)
        case _:
            groups = (bind_names(p, query.names),)
    return BoundQuery(query, groups, event, evidence)


def bind_side(side: Side, distributions: Mapping[str, NamedModel]) -> BoundSide:
    """One side of a divergence; QueryError for evidence other than values."""
    name = side.distribution
    if name.text not in distributions:
        raise error_at(name, str(unknown_name_error("distribution", name.text, distributions)))
    p = distributions[name.text]
    evidence = bind_evidence(p, side.given)
    for names, what in ((evidence.sets, "a range"), (evidence.free, "a name without a value")):
        for bound_name in names:
            message = f"{what} as evidence of a divergence is not supported; give a value"
            raise error_at(bound_name, message)
    variables = tuple(bound.variable for bound in bind_names(p, side.names, array=True))
    return BoundSide(name, variables or p.schema.variables, evidence)


def names_before_bar(query: ModelQuery) -> tuple[Name, ...]:
    """The names that a query asks about."""
    match query:
        case Probability():
            return tuple(term.name for term in query.event)
        case Quantile():
            return (query.name,)
        case Information():
            one, other = query.groups
            return one + other
        case _:
            return query.names


def bind_name(p: NamedModel, name: Name, *, array: bool = False) -> BoundName:
    """The name with its variable; QueryError for none, and for an array unless allowed."""
    if name.text not in p.schema.names:
        earlier = [text for text in p.evidence if text.startswith(f"{name.text} = ")]
        if earlier:
            raise error_at(name, f"{name.text!r} is given already: {earlier[0]}")
        raise error_at(name, str(unknown_name_error("column", name.text, p.schema.names)))
    bound = BoundName(name.text, name.at, variable=p.schema.variable(name.text))
    if not array:
        _check_not_array(bound)
    return bound


def bind_names(
    p: NamedModel, names: Iterable[Name], *, array: bool = False
) -> tuple[BoundName, ...]:
    """Several names with their variables, as `bind_name` says."""
    return tuple(bind_name(p, name, array=array) for name in names)


def bind_number(p: NamedModel, name: Name) -> BoundName:
    """The name with its variable; QueryError for levels that are text."""
    bound = bind_name(p, name)
    if bound.variable.discrete and level_number(bound.variable.levels[0]) is None:
        raise error_at(
            name,
            f"the levels of {name.text!r} are text, which no number describes; "
            f"p({name}) gives their probabilities",
        )
    return bound


def bind_event(p: NamedModel, terms: Sequence[Term], letter: str) -> BoundTerms:
    """The terms of p(...), or of P(...), which is a probability of numbers too."""
    free: list[BoundName] = []
    points: dict[BoundName, float] = {}
    sets: dict[BoundName, Intervals] = {}
    reasons: list[str] = []
    for term in map(as_point, terms):
        name = bind_name(p, term.name)
        is_number = name.variable.kind in ("real", "positive")
        if isinstance(term, Free):
            free.append(name)
        elif isinstance(term, Point):
            points[name] = encode_value(name.variable, term.value)
            if math.isnan(points[name]):
                reasons.append(OUTSIDE_SUPPORT)
            elif letter == "P" and is_number and not intervals_of(name.variable, term):
                reasons.append(NO_MASS)
        elif isinstance(term, Interval | Members):
            sets[name] = intervals_of(name.variable, term)
            if not sets[name]:
                no_mass = is_number and isinstance(term, Members)
                reasons.append(NO_MASS if no_mass else OUTSIDE_SUPPORT)
    return BoundTerms(tuple(terms), tuple(free), points, sets, next(iter(reasons), ""))


def bind_evidence(
    p: NamedModel,
    terms: Sequence[Term],
    asked_names: Collection[str] = (),
    by_row: bool = False,
) -> BoundTerms:
    """The terms after a bar; QueryError for one that cannot hold.

    With `by_row`, rows give values to a name without one, written `b` or `b = ?`.
    A set of one value is a point, unless its name is asked about too: P(a > 1 | a in {1, 2}).
    """
    free: list[BoundName] = []
    points: dict[BoundName, float] = {}
    sets: dict[BoundName, Intervals] = {}
    for term in terms:
        term = term if term.name.text in asked_names else as_point(term)
        name = bind_name(p, term.name, array=isinstance(term, Unknown | Free))
        variable = name.variable
        if isinstance(term, Free) or (by_row and isinstance(term, Unknown)):
            free.append(name)
        elif isinstance(term, Point):
            points[name] = encode_value(variable, term.value)
            if math.isnan(points[name]):
                raise error_at(term.value, zero_evidence_text([term], variable))
        elif isinstance(term, Interval | Members):
            intervals = intervals_of(variable, term)
            if not intervals:
                raise error_at(name, zero_evidence_text([term], variable))
            if covers_support(variable.column, intervals):
                continue
            if variable.discrete and len(intervals) == 1 and name.text not in asked_names:
                points[name] = sum(intervals[0]) / 2
            else:
                sets[name] = intervals
    return BoundTerms(tuple(terms), tuple(free), points, sets)


def as_point(term: Term) -> Term:
    """A set of one value as the point that it is; other terms as they are."""
    if isinstance(term, Members) and term.inside and len(term.values) == 1:
        return Point(term.name, term.values[0])
    if isinstance(term, Interval) and term.low is not None and term.low == term.high:
        return Point(term.name, Value(term.low, term.name.at))
    return term


def check_tabulable(names: Sequence[BoundName]) -> None:
    """Raises QueryError unless a query can be answered under each joint level of the names."""
    for name in names:
        _check_not_array(name)
    for name in names:
        if not name.variable.discrete:
            raise error_at(name, f"{name.text!r} is a number; give it a value or a range")
    num_levels = math.prod(len(name.variable.levels) for name in names)
    if num_levels > MAX_TABULATED_LEVELS:
        raise error_at(
            names[0],
            f"{num_levels} joint levels; at most {MAX_TABULATED_LEVELS} are answered one by one",
        )


def zero_evidence_text(terms: Sequence[Term], variable: Variable | None = None) -> str:
    """The message for evidence of probability zero; with a variable also what it may hold."""
    reason = ""
    if variable is not None and not variable.discrete:
        kinds = {"positive": "a positive number", "count": "a count", "real": "a number"}
        reason = f"; {variable.name!r} is {kinds[variable.kind]}"
    return f"the evidence {', '.join(map(str, terms))} has probability zero{reason}"


def _is_tabulated(query: ModelQuery, evidence: BoundTerms) -> bool:
    # An information is averaged over names that are given without a value.
    return bool(evidence.free) and not isinstance(query, Entropy | Information | TotalCorrelation)


def _check_not_array(name: BoundName) -> None:
    if name.variable.shape:
        raise error_at(
            name,
            f"{name.text!r} is an array; H, I, TC, KL, JS, CE and sample take it; "
            "use p.given to give it or parts of it",
        )
