"""Hypothesis strategies for any query that the notation can write."""

from hypothesis import strategies as st

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
from pofx.notation.terms import Free, Interval, Members, Moment, Name, Point, Unknown, Value

TEXTS = st.one_of(
    st.sampled_from(["a", "b", "in", "not", "p", "inf", "x.y", "true", "A-1", "1", "", "a`b", "?"]),
    st.text(max_size=6),
)
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.builds(Value, TEXTS | NUMBERS | st.sampled_from([float("inf"), -float("inf")]))
NAMES = st.builds(Name, TEXTS)
MOMENTS = st.datetimes().map(str) | st.dates().map(str)
ENDS = NUMBERS | st.builds(Moment, MOMENTS)


def names(least=1, most=4):
    return st.lists(NAMES, min_size=least, max_size=most, unique=True)


@st.composite
def intervals(draw, name):
    low, high = sorted([draw(ENDS), draw(ENDS)])
    low, high = draw(st.sampled_from([(low, high), (low, None), (None, high), (None, None)]))
    closed = draw(st.booleans()), draw(st.booleans())
    interval = Interval(
        name, low, high, closed[0] and low is not None, closed[1] and high is not None
    )
    return Interval(name, low, low, True, True) if interval.empty else interval


@st.composite
def terms(draw, name, given=True):
    values = draw(st.lists(VALUES, min_size=1, max_size=3, unique_by=lambda v: v.content))
    kinds = [
        st.just(Free(name)),
        st.just(Point(name, values[0])),
        st.just(Members(name, tuple(values), draw(st.booleans()))),
        intervals(name),
    ]
    return draw(st.one_of(*kinds, *([st.just(Unknown(name))] if given else [])))


@st.composite
def names_and_evidence(draw, least=1, most=4):
    """Names before the bar, and terms of other names after it."""
    all_names = draw(names(least, most + 3))
    count = draw(st.integers(least, min(most, len(all_names))))
    given = tuple(draw(terms(name)) for name in all_names[count:])
    return tuple(all_names[:count]), given


@st.composite
def probabilities(draw):
    event, given = draw(names_and_evidence())
    return Probability(
        draw(st.sampled_from("pP")), tuple(draw(terms(name, given=False)) for name in event), given
    )


@st.composite
def groups(draw):
    both, given = draw(names_and_evidence(least=2))
    cut = draw(st.integers(1, len(both) - 1))
    return Information((both[:cut], both[cut:]), given)


@st.composite
def divergences(draw):
    kind = draw(st.sampled_from(["KL", "JS", "CE"]))
    names, given = draw(names_and_evidence())
    if draw(st.booleans()):
        return Divergence(kind, Side(draw(NAMES)), Side(draw(NAMES)))
    left = Side(draw(NAMES), names, given)
    right = Side(draw(NAMES), names[::-1], draw(st.sampled_from([given, ()])))
    return Divergence(kind, left, right)


LEVELS = st.floats(0, 1, exclude_min=True, exclude_max=True)
QUERIES = st.one_of(
    probabilities(),
    names_and_evidence(1, 1).flatmap(
        lambda a: st.builds(Expectation, st.sampled_from(["E", "Var", "SD"]), *map(st.just, a))
    ),
    names_and_evidence(2, 2).flatmap(
        lambda a: st.builds(Expectation, st.sampled_from(["Cov", "Corr"]), *map(st.just, a))
    ),
    st.builds(lambda level, a: Quantile(level, a[0][0], a[1]), LEVELS, names_and_evidence(1, 1)),
    names_and_evidence().map(lambda a: Mode(*a)),
    st.builds(lambda number, a: Sample(number, *a), st.integers(1, 10**6), names_and_evidence()),
    names_and_evidence().map(lambda a: Entropy(*a)),
    groups(),
    names_and_evidence(2, 4).map(lambda a: TotalCorrelation(*a)),
    divergences(),
)
