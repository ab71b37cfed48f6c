"""H, I and TC of names given values, names and sets; KL, JS and CE of two distributions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import entr

from pofx.core.answer import Answer
from pofx.core.errors import unknown
from pofx.notation.terms import Name
from pofx.notation.tree import Divergence, Entropy, Information, Side, TotalCorrelation
from pofx.table import pairs
from pofx.table.asking.given import Given, given
from pofx.table.asking.question import Question
from pofx.table.asking.tables import probabilities
from pofx.table.informs import in_unit
from pofx.table.joint import Joint

BETWEEN = {"KL": pairs.kl, "JS": pairs.jensen_shannon, "CE": pairs.cross_entropy}

Groups = Sequence[Sequence[Name]]


def entropy(question: Question, query: Entropy, own: Given) -> Answer:
    """H(names | given)."""
    if own.event:
        return _under_sets(question, own, [(1.0, query.names)])
    p, ((*names,), request) = _put(question, own, [query.names])
    return _told(question, p.entropy(*names, **request))


def information(question: Question, query: Information, own: Given) -> Answer:
    """I(one; another | given)."""
    one, other = query.groups
    if own.event:
        return _under_sets(question, own, [(1.0, one), (1.0, other), (-1.0, one + other)])
    p, (a, b, request) = _put(question, own, query.groups)
    return _told(question, p.mutual_information(a, b, **request))


def total_correlation(question: Question, query: TotalCorrelation, own: Given) -> Answer:
    """TC(names | given)."""
    if own.event:
        parts: list[tuple[float, Sequence[Name]]] = [(1.0, (name,)) for name in query.names]
        return _under_sets(question, own, [*parts, (-1.0, query.names)])
    p, ((*names,), request) = _put(question, own, [query.names])
    return _told(question, p.total_correlation(*names, **request))


def divergence(question: Question, query: Divergence, others: Mapping[str, Joint]) -> Answer:
    """KL, JS or CE of the left side and the right."""
    left, right = (_side(question, side, others) for side in (query.left, query.right))
    request = {"unit": question.unit, "stderr": question.stderr, "max_draws": question.max_draws}
    with question.blamed_on(query.right.distribution):
        found = BETWEEN[query.kind](left, right, **request, seed=question.seed)
    return _told(question, found)


def _put(question: Question, own: Given, groups: Groups) -> tuple[Joint, Any]:
    """The distribution that is asked, and the arguments: names of each group, and the request."""
    asked = [question.variable(own.p, name, array=True) for group in groups for name in group]
    free = [question.variable(own.p, name, array=True) for name in own.free]
    request = {
        "given": [v.name for v in free],
        "unit": question.unit,
        "stderr": question.stderr,
        "max_draws": question.max_draws,
        "seed": question.seed,
    }
    # Levels are enumerated by any model; what numbers tell may be closed under another one only.
    closed = not all(v.discrete for v in asked + free)
    names = [v.name for v in asked + free] if own.observed.any() else own.p.schema.names
    words = [[name.text for name in group] for group in groups]
    return own.joint(names, closed=closed), (*words, request)


def _under_sets(
    question: Question, own: Given, terms: Sequence[tuple[float, Sequence[Name]]]
) -> Answer:
    """Σ_s c_s H(s | free names), from the probabilities of all joint levels under the event."""
    names = list(dict.fromkeys([*(n for _, group in terms for n in group), *own.free]))
    if not all(question.variable(own.p, name, array=True).discrete for name in names):
        raise question.wrong(
            own.sets[0],
            "a range as evidence of what numbers tell is not supported; give a value",
        )
    p = probabilities(question, own, names)
    if p.kind != "exact":
        raise question.wrong(
            own.sets[0],
            "a range as evidence whose probability is not closed is not supported here; give a "
            "value",
        )
    free = {name.text for name in own.free}

    def h(some: set[str]) -> float:
        out = tuple(i for i, name in enumerate(names) if name.text not in some)
        return float(entr(np.asarray(p.value, np.float64).sum(out)).sum())

    value = sum(c * (h({n.text for n in group} | free) - h(free)) for c, group in terms)
    answer = Answer(max(value, 0.0), how="by enumeration", unit="nats")
    return in_unit(answer, question.unit, question.what)


def _side(question: Question, side: Side, others: Mapping[str, Joint]) -> Joint:
    name = side.distribution
    if name.text not in others:
        raise question.wrong(name, str(unknown("distribution", name.text, others)))
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
        return own.joint(names, closed=not all(v.discrete for v in asked))


def _told(question: Question, answer: Answer) -> Answer:
    return replace(answer, what=question.what)
