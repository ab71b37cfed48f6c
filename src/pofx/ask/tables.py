"""Tables over levels: of probabilities, and of any query under each level of some names."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pofx.ask.binding import BoundName, check_tabulable
from pofx.ask.error_propagation import stack_answers
from pofx.ask.errors import error_at, errors_at
from pofx.ask.evidence import Evidence
from pofx.ask.moments import summary
from pofx.ask.question import Question
from pofx.ask.results import Mode, Moments, Summary, Table
from pofx.ask.rounding import with_evidence_rounding
from pofx.core.answer import Answer
from pofx.queries import event_marginals


def level_probabilities(
    question: Question, names: Sequence[BoundName], evidence: Evidence
) -> Answer:
    """p(names | evidence) of all joint levels: an array with one axis per name, in their order."""
    texts = [name.text for name in names]
    target_mask = evidence.mask(texts)

    def estimate(draws: int, evidence: Evidence = evidence) -> Answer:
        levels = event_marginals.level_probabilities(
            question.key(2),
            evidence.model,
            evidence.columns,
            target_mask,
            evidence.event,
            draws,
        )
        if levels is None:
            raise error_at(names[0], "too many joint levels for one table; ask for fewer")
        return levels

    with errors_at(evidence.set_terms[0].name if evidence.set_terms else names[0]):
        answer = question.to_precision(estimate)
        answer = with_evidence_rounding(answer, evidence, lambda nudged: estimate(1, nudged), 1.0)
    evidence.warn_if_levels_unreliable(names)
    order = np.argsort(np.argsort([evidence.index(text) for text in texts]))
    value, stderr, log = (
        np.transpose(a, order) if np.ndim(a) else a
        for a in (answer.value, answer.stderr, answer.log)
    )
    return replace(answer, value=value, stderr=stderr, log=log, question=question.label)


def make_table(
    question: Question, names: Sequence[BoundName], columns: Mapping[str, Answer]
) -> Table:
    """A table whose rows are the joint levels of the names."""
    texts = tuple(name.text for name in names)
    return Table(question.label, texts, _levels(names), columns)


def tabulate_with_number(
    question: Question, names: Sequence[BoundName], number: BoundName, evidence: Evidence
) -> Table:
    """p(names, number | evidence): the number's mean, deviation and median under each level."""

    def summarise(inner: Evidence) -> Summary:
        return summary(question, number, inner, (0.5,))

    check_tabulable(names)
    summaries = tabulate(question, evidence, names, summarise)
    probabilities = level_probabilities(question, names, evidence)
    return make_table(question, names, {"p": probabilities, **summaries.columns})


def tabulate(
    question: Question,
    evidence: Evidence,
    names: Sequence[BoundName],
    answer: Callable[[Evidence], object],
) -> Table:
    """What `answer` returns under each joint level of the names; NaN under an impossible one."""
    results = [
        answer(inner) if inner.log_prob > -math.inf else None
        for inner in evidence.at_each_level(names)
    ]
    first = next(result for result in results if result is not None)
    if isinstance(first, Mode | Moments) or not isinstance(first, Answer | Table | Summary):
        raise error_at(names[0], f"{names[0].text!r} has no value; give it one")
    rows = [{} if result is None else _columns(result) for result in results]
    no_answer = {k: Answer(np.full(np.shape(a.value), np.nan)) for k, a in _columns(first).items()}
    levels = _levels(names)
    shape = tuple(map(len, levels))
    columns = {
        k: stack_answers([{**no_answer, **row}[k] for row in rows], shape) for k in no_answer
    }
    if isinstance(first, Table):
        texts = (*(name.text for name in names), *first.names)
        return Table(question.label, texts, (*levels, *first.levels), columns)
    return make_table(question, names, columns)


def _levels(names: Sequence[BoundName]) -> tuple[tuple[str | int | float | bool, ...], ...]:
    return tuple(name.variable.levels for name in names)


def _columns(result: object) -> Mapping[str, Answer]:
    if isinstance(result, Table):
        return result.columns
    if isinstance(result, Summary):
        return {"mean": result.mean, "sd": result.sd, "median": result.median}
    assert isinstance(result, Answer)
    return {result.unit or "value": result}
