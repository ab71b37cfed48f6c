"""P(event | evidence): a number, or a table or summary of the names that are free."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pofx.ask.binding import BoundName, BoundTerms
from pofx.ask.covariance import moments
from pofx.ask.densities import probability_or_density
from pofx.ask.error_propagation import product
from pofx.ask.errors import error_at
from pofx.ask.evidence import Evidence
from pofx.ask.moments import summary
from pofx.ask.question import Question
from pofx.ask.results import Moments, Summary, Table
from pofx.ask.tables import level_probabilities, make_table, tabulate_with_number
from pofx.core.answer import Answer


def probability(
    question: Question, event: BoundTerms, evidence: Evidence
) -> Answer | Table | Summary | Moments:
    """p(event | evidence)."""
    if not event.free:
        return _event_probability(question, event, evidence)
    levels = [name for name in event.free if name.variable.discrete]
    numbers = [name for name in event.free if not name.variable.discrete]
    if not numbers:
        return _level_table(question, event, evidence)
    conditions = ", ".join(map(str, event.terms_of([*event.points, *event.sets])))
    if conditions:
        raise error_at(
            numbers[0],
            f"{numbers[0].text!r} is a number, and p({conditions}, {numbers[0]}) a curve; give it "
            f"a value or a range, or ask p({numbers[0]} | {conditions})",
        )
    if len(numbers) == 1:
        if levels:
            return tabulate_with_number(question, levels, numbers[0], evidence)
        return summary(question, numbers[0], evidence)
    if levels:
        raise error_at(
            numbers[1],
            f"{numbers[0].text!r} and {numbers[1].text!r} are numbers; beside levels one number "
            "may be free",
        )
    return moments(question, numbers, evidence)


def _event_probability(question: Question, event: BoundTerms, evidence: Evidence) -> Answer:
    if event.impossible:
        return question.labelled_with_unit(Answer(0.0, method=event.impossible))
    return probability_or_density(question, evidence, event.points, event.sets)


def _level_table(question: Question, event: BoundTerms, evidence: Evidence) -> Table:
    """p(free, conditions | evidence) = p(conditions | evidence) p(free | conditions, evidence)."""
    names = event.free
    if not (event.points or event.sets or event.impossible):
        return make_table(question, names, {"p": level_probabilities(question, names, evidence)})
    condition = _event_probability(question, event, evidence)
    if condition:
        inner = evidence.with_points(event.points).with_sets(event.sets)
        answer = product(level_probabilities(question, names, inner), condition)
    else:
        answer = replace(condition, value=np.zeros(_shape(names)), log=None)
    return make_table(question, names, {"p": replace(answer, unit=condition.unit)})


def _shape(names: Sequence[BoundName]) -> tuple[int, ...]:
    return tuple(len(name.variable.levels) for name in names)
