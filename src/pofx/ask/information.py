"""H, I and TC of names given values, names and sets; KL, JS and CE of two distributions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from scipy.special import entr

from pofx.ask.binding import BoundDivergence, BoundName, BoundSide
from pofx.ask.errors import error_at, errors_at
from pofx.ask.evidence import Evidence
from pofx.ask.question import Question
from pofx.core.answer import Answer
from pofx.named import divergences
from pofx.named import information as named_information
from pofx.named.model import NamedModel
from pofx.queries import event_marginals

DIVERGENCES = {
    "KL": divergences.kl,
    "JS": divergences.jensen_shannon,
    "CE": divergences.cross_entropy,
}

Names = Sequence[BoundName]
EntropyTerm = tuple[float, Names]
"""A factor, and the names whose entropy it multiplies."""


def entropy(question: Question, names: Names, evidence: Evidence) -> Answer:
    """H(names | evidence)."""
    answer = _enumerated(question, [(1.0, names)], evidence)
    if answer is None:
        p = _distribution_of(names, evidence)
        with errors_at(_first_shared(names, evidence.free)):
            answer = named_information.entropy(
                p, _texts(names), _texts(evidence.free), question.precision
            )
    return question.labelled(answer)


def information(question: Question, one: Names, other: Names, evidence: Evidence) -> Answer:
    """I(one; other | evidence)."""
    both = [*one, *other]
    answer = _enumerated(question, [(1.0, one), (1.0, other), (-1.0, both)], evidence)
    if answer is None:
        p = _distribution_of(both, evidence)
        with errors_at(_first_shared(one, other)):
            answer = named_information.mutual_information(
                p, _texts(one), _texts(other), _texts(evidence.free), question.precision
            )
    return question.labelled(answer)


def total_correlation(question: Question, names: Names, evidence: Evidence) -> Answer:
    """TC(names | evidence)."""
    single_entropies: list[EntropyTerm] = [(1.0, (name,)) for name in names]
    answer = _enumerated(question, [*single_entropies, (-1.0, names)], evidence)
    if answer is None:
        p = _distribution_of(names, evidence)
        answer = named_information.total_correlation(
            p, _texts(names), _texts(evidence.free), question.precision
        )
    return question.labelled(answer)


def divergence(
    question: Question, bound: BoundDivergence, distributions: Mapping[str, NamedModel]
) -> Answer:
    """KL, JS or CE of the left side and the right."""
    left = _resolve_side(bound.left, distributions)
    right = _resolve_side(bound.right, distributions)
    with errors_at(bound.right.distribution):
        answer = DIVERGENCES[bound.kind](left, right, **asdict(question.precision))
    return question.labelled(answer)


def _enumerated(
    question: Question, terms: Sequence[EntropyTerm], evidence: Evidence
) -> Answer | None:
    """Σ_s c_s H(s | free names) from a table of all joint levels; None if there is none.

    QueryError if there is none and a set is given, because there is no other way for it.
    """
    names = list(dict.fromkeys([*(n for _, group in terms for n in group), *evidence.free]))
    levels = None
    if all(name.variable.discrete and not name.variable.shape for name in names):
        levels = event_marginals.level_probabilities(
            question.key(2),
            evidence.model,
            evidence.columns,
            evidence.mask(_texts(names)),
            evidence.event,
        )
    if evidence.set_terms and (levels is None or levels.kind != "exact"):
        raise error_at(
            evidence.set_terms[0].name,
            "a range as evidence of H, I or TC needs columns of levels, and a probability in "
            "closed form; give a value",
        )
    if levels is None:
        return None
    evidence.warn_if_levels_unreliable(names)
    p = np.asarray(levels.value, np.float64)
    free = {name.text for name in evidence.free}
    axes = sorted((name.text for name in names), key=evidence.index)

    def h(kept_names: set[str]) -> float:
        summed_axes = tuple(i for i, name in enumerate(axes) if name not in kept_names)
        return float(entr(p.sum(summed_axes)).sum())

    value = sum(c * (h({n.text for n in group} | free) - h(free)) for c, group in terms)
    answer = Answer(max(value, 0.0), method="by enumeration", unit="nats")
    return question.precision.labelled(answer, question.label)


def _distribution_of(names: Names, evidence: Evidence) -> NamedModel:
    """The distribution of the names and of those given without a value."""
    kept = _texts([*names, *evidence.free])
    return evidence.marginal(
        kept if evidence.observed.any() else evidence.p.schema.names, closed=True
    )


def _texts(names: Names) -> tuple[str, ...]:
    return tuple(name.text for name in names)


def _first_shared(one: Names, other: Names) -> BoundName:
    """The first name of one that is in the other too, or else the first."""
    return next((name for name in one if name in other), one[0])


def _resolve_side(side: BoundSide, distributions: Mapping[str, NamedModel]) -> NamedModel:
    """The distribution of the variables of a side, under its evidence."""
    evidence = Evidence.from_terms(distributions[side.distribution.text], side.evidence)
    closed = not all(variable.discrete for variable in side.variables)
    with errors_at(side.distribution):
        return evidence.marginal([variable.name for variable in side.variables], closed=closed)
