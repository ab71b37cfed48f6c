"""H, I and TC of names given values, names and sets; KL, JS and CE of two distributions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.special import entr

from pofx.ask.evidence import Given, check_levels, given
from pofx.ask.question import Question
from pofx.core.answer import Answer
from pofx.core.errors import unknown_name_error
from pofx.named import divergences
from pofx.named import information as named_information
from pofx.named.model import NamedModel
from pofx.notation.queries import Divergence, Entropy, Information, Side, TotalCorrelation
from pofx.notation.terms import Name
from pofx.queries import event_marginals

BETWEEN = {"KL": divergences.kl, "JS": divergences.jensen_shannon, "CE": divergences.cross_entropy}

Names = Sequence[Name]
Term = tuple[float, Names]
"""A factor, and the names whose entropy it multiplies."""


def entropy(question: Question, query: Entropy, own: Given) -> Answer:
    """H(names | given)."""
    found = _summed(question, own, [(1.0, query.names)])
    if found is None:
        p, (names, given_names) = _put(question, own, [query.names])
        with question.blamed_on(_shared(query.names, own.free)):
            found = named_information.entropy(p, names, given_names, question.precision)
    return question.told(found)


def information(question: Question, query: Information, own: Given) -> Answer:
    """I(one; another | given)."""
    one, other = query.groups
    found = _summed(question, own, [(1.0, one), (1.0, other), (-1.0, one + other)])
    if found is None:
        p, (a, b, given_names) = _put(question, own, query.groups)
        with question.blamed_on(_shared(one, other)):
            found = named_information.mutual_information(p, a, b, given_names, question.precision)
    return question.told(found)


def total_correlation(question: Question, query: TotalCorrelation, own: Given) -> Answer:
    """TC(names | given)."""
    parts: list[Term] = [(1.0, (name,)) for name in query.names]
    found = _summed(question, own, [*parts, (-1.0, query.names)])
    if found is None:
        p, (names, given_names) = _put(question, own, [query.names])
        found = named_information.total_correlation(p, names, given_names, question.precision)
    return question.told(found)


def divergence(question: Question, query: Divergence, others: Mapping[str, NamedModel]) -> Answer:
    """KL, JS or CE of the left side and the right."""
    left, right = (_side(question, side, others) for side in (query.left, query.right))
    precision = asdict(question.precision)
    with question.blamed_on(query.right.distribution):
        found = BETWEEN[query.kind](left, right, **precision)
    return question.told(found)


def _summed(question: Question, own: Given, terms: Sequence[Term]) -> Answer | None:
    """Σ_s c_s H(s | free names) from a table of all joint levels; None where there is none.

    NotationError where there is none and a set is given, for which there is no other way.
    """
    names = list(dict.fromkeys([*(n for _, group in terms for n in group), *own.free]))
    variables = [question.variable(own.p, name, array=True) for name in names]
    p = None
    if all(v.discrete and not v.shape for v in variables):
        p = event_marginals.levels(
            question.key(2), own.model, own.columns, own.mask([n.text for n in names]), own.inside
        )
    if own.sets and (p is None or p.kind != "exact"):
        raise question.wrong(
            own.sets[0],
            "a range is evidence of what levels tell, where its probability is closed, and not of "
            "what numbers tell; give a value",
        )
    if p is None:
        return None
    check_levels(question, own, names)
    free = {name.text for name in own.free}
    axes = sorted((n.text for n in names), key=own.place)

    def h(some: set[str]) -> float:
        out = tuple(i for i, name in enumerate(axes) if name not in some)
        return float(entr(np.asarray(p.value, np.float64).sum(out)).sum())

    value = sum(c * (h({n.text for n in group} | free) - h(free)) for c, group in terms)
    answer = Answer(max(value, 0.0), method="by enumeration", unit="nats")
    return question.precision.labelled(answer, question.label)


def _put(question: Question, own: Given, groups: Sequence[Names]) -> tuple[NamedModel, Any]:
    """The distribution that is asked, and the names of each group and of what is given."""
    asked = [question.variable(own.p, n, array=True).name for group in groups for n in group]
    free = [question.variable(own.p, n, array=True).name for n in own.free]
    names = asked + free if own.observed.any() else own.p.schema.names
    words = [tuple(name.text for name in group) for group in groups]
    return own.marginal(names, closed=True), (*words, tuple(free))


def _shared(one: Names, other: Names) -> Name:
    """The first name of one that is in the other too, or else the first."""
    return next((name for name in one if name in other), one[0])


def _side(question: Question, side: Side, others: Mapping[str, NamedModel]) -> NamedModel:
    name = side.distribution
    if name.text not in others:
        raise question.wrong(name, str(unknown_name_error("distribution", name.text, others)))
    own = given(question, others[name.text], side.given)
    if own.sets or own.free:
        place = own.sets[0] if own.sets else own.free[0]
        what = "a range" if own.sets else "a name without a value"
        raise question.wrong(
            place, f"{what} as evidence of a divergence is not supported; give a value"
        )
    own_names = [question.variable(own.p, n, array=True) for n in side.names]
    asked = own_names or own.p.schema.variables
    with question.blamed_on(name):
        names = [v.name for v in asked]
        return own.marginal(names, closed=not all(v.discrete for v in asked))
