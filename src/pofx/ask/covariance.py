"""Several numbers under what is given: covariance, correlation, and a summary of them."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from pofx.ask.binding import BoundName
from pofx.ask.error_propagation import stack_answers
from pofx.ask.errors import errors_at
from pofx.ask.evidence import Evidence
from pofx.ask.intervals import level_number
from pofx.ask.moments import NumericVariable
from pofx.ask.question import Question
from pofx.ask.results import Moments
from pofx.core import closed_forms
from pofx.core.answer import Answer
from pofx.core.compilation import compiled
from pofx.core.rows import make_rows
from pofx.core.unrepresentable import lost_digits
from pofx.queries import event_marginals, events, row_conditionals
from pofx.table.schema import Variable

Pair = tuple[Variable, Variable]


def covariance(
    question: Question, names: tuple[BoundName, BoundName], evidence: Evidence, *, correlation: bool
) -> Answer:
    """Cov of two names, or Corr."""
    a, b = (name.variable for name in names)
    units = [NumericVariable(question, evidence, variable).unit for variable in (a, b)]
    with errors_at(names[0]):
        answer = _pair_moment(question, evidence, (a, b), correlation)
    unit = "" if correlation else " × ".join(filter(None, units))
    return question.labelled_with_unit(answer, unit)


def moments(question: Question, names: Sequence[BoundName], evidence: Evidence) -> Moments:
    """p(names | evidence) of several numbers, by their means, deviations and correlations."""
    variables = [name.variable for name in names]
    numbers = [NumericVariable(question, evidence, variable) for variable in variables]
    one = Answer(1.0, method="closed form")
    k = len(names)
    below_diagonal = {
        (i, j): _pair_moment(question, evidence, (variables[i], variables[j]), True)
        for i in range(k)
        for j in range(i)
    }
    correlations = [
        one if i == j else below_diagonal[max(i, j), min(i, j)] for i in range(k) for j in range(k)
    ]
    return Moments(
        question.label,
        tuple(name.text for name in names),
        stack_answers([number.mean() for number in numbers], (k,)),
        stack_answers([number.sd() for number in numbers], (k,)),
        stack_answers(correlations, (k, k)),
    )


def _pair_moment(question: Question, evidence: Evidence, pair: Pair, correlation: bool) -> Answer:
    matrix = None if evidence.event else _closed_covariance(question, evidence, pair)
    if matrix is None:
        return question.to_precision(lambda n: _estimate(question, evidence, pair, correlation, n))
    if not correlation:
        return _in_data_units(Answer(float(matrix[0, 1]), method="closed form"), pair)
    value = np.clip(matrix[0, 1] / np.sqrt(matrix[0, 0]) / np.sqrt(matrix[1, 1]), -1, 1)
    if not np.isfinite(value):
        return Answer(float(value), math.nan, "estimate", method="beyond floats")
    return Answer(float(value), method="closed form")


def _closed_covariance(
    question: Question, evidence: Evidence, pair: Pair
) -> Float[np.ndarray, "2 2"] | None:
    """The covariance matrix in the units of entries; None if it has no closed form."""
    a, b = pair
    if a.discrete and b.discrete:
        return _covariance_of_levels(question, evidence, pair)
    if a.discrete or b.discrete:
        number, levels = pair if b.discrete else (b, a)
        return _covariance_with_levels(question, evidence, number, levels)
    q = evidence.marginal([a.name, b.name], closed=True).model
    rule = closed_forms.moments.find(q)
    closed = _jit_call(rule, q) if rule else None
    return None if closed is None else np.asarray(closed[1], np.float64)


def _covariance_of_levels(
    question: Question, evidence: Evidence, pair: Pair
) -> Float[np.ndarray, "2 2"] | None:
    """Σ p(a, b) (a - E[a]) (b - E[b])"""
    names = [variable.name for variable in pair]
    levels = event_marginals.level_probabilities(
        question.key(2), evidence.model, evidence.columns, evidence.mask(names)
    )
    if levels is None:
        return None
    p = np.asarray(levels.value, np.float64)
    p = p if evidence.index(names[0]) < evidence.index(names[1]) else p.T
    a, b = (_level_values(variable) for variable in pair)
    return _weighted_covariance(p.ravel(), np.repeat(a, len(b)), np.tile(b, len(a)))


def _covariance_with_levels(
    question: Question, evidence: Evidence, number: Variable, levels: Variable
) -> Float[np.ndarray, "2 2"] | None:
    """Cov of a number and levels, by the laws of total variance and covariance."""
    i, j = evidence.index(number.name), evidence.index(levels.name)
    model, columns = evidence.model, evidence.columns
    p = event_marginals.level_probabilities(
        question.key(2), model, columns, evidence.mask([levels.name])
    )
    if p is None or not row_conditionals.has_closed_conditional(model, columns[i], i):
        return None
    x = np.full((len(levels.levels), len(columns)), np.nan)
    x[:, j] = np.arange(len(levels.levels))
    weights = np.asarray(p.value, np.float64)
    conditional = row_conditionals.summarise_conditionals(
        question.key(2), model, make_rows(x), columns[i], i
    )
    mean = np.where(weights > 0, conditional.mean, 0)
    variance = np.where(weights > 0, conditional.variance, 0)
    between = _weighted_covariance(weights, mean, _level_values(levels))
    return between + np.diag(np.array([float(weights @ variance), 0.0]))


def _weighted_covariance(
    weights: np.ndarray, a: np.ndarray, b: np.ndarray
) -> Float[np.ndarray, "2 2"]:
    centred = np.stack([a - weights @ a, b - weights @ b])
    return (weights * centred) @ centred.T


def _estimate(
    question: Question, evidence: Evidence, pair: Pair, correlation: bool, draws: int
) -> Answer:
    """By weighted draws, with the error of a self-normalised mean (Owen 2013, section 9.2)."""
    rows = events.draw_rows_given_event(
        question.key(2), evidence.model, evidence.columns, evidence.event, draws
    )
    x, w = np.asarray(rows.x, np.float64), rows.weights
    a, b = (_values(variable, x[:, evidence.index(variable.name)]) for variable in pair)
    a = a - w @ a
    b = b - w @ b
    if correlation:
        a = a / np.sqrt(w @ a**2)
        b = b / np.sqrt(w @ b**2)
    value = w @ (a * b)
    # What a draw adds to the value; in a correlation its deviations count too.
    influence = a * b - value - (value * (a**2 + b**2 - 2) / 2 if correlation else 0)
    error = float(np.sqrt((w * influence) @ (w * influence)))
    answer = Answer(float(value), error, "estimate", draws)
    return answer if correlation else _in_data_units(answer, pair)


def _in_data_units(answer: Answer, pair: Pair) -> Answer:
    """A covariance of entries in the data's units; an estimate if floats do not hold it."""
    a, b = map(_unit_size, pair)
    scaled = answer * a * b
    value = float(scaled.value)
    if scaled.log is not None or (np.isfinite(value) and not lost_digits(value, answer.value)):
        return scaled
    return replace(scaled, stderr=math.nan, kind="estimate", method="beyond floats")


def _unit_size(variable: Variable) -> float:
    """The unit of entries in the data's units; 1 for levels, which are in these already."""
    return 1.0 if variable.discrete else variable.scale


def _values(variable: Variable, entries: np.ndarray) -> np.ndarray:
    """The numbers of levels; numbers stay in the units of entries."""
    return _level_values(variable)[entries.astype(int)] if variable.discrete else entries


def _level_values(variable: Variable) -> np.ndarray:
    return np.array([level_number(level) for level in variable.levels], np.float64)


@compiled
def _jit_call(rule, model):
    return rule(model)
