"""Numbers together under what is given: covariance, correlation, and all of them at a glance."""

import math
from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import numpy as np
from jaxtyping import Float

from pofx.ask.error_propagation import stacked
from pofx.ask.evidence import Given
from pofx.ask.intervals import number
from pofx.ask.moments import Number, numeric
from pofx.ask.question import Question
from pofx.ask.results import Moments
from pofx.core import closed_forms
from pofx.core.answer import Answer
from pofx.core.rows import make_rows
from pofx.core.unrepresentable import lost_digits
from pofx.notation.queries import Expectation
from pofx.notation.terms import Name
from pofx.queries import event_marginals, events, row_conditionals
from pofx.table.schema import Variable

Pair = tuple[Variable, Variable]


def covariance(question: Question, query: Expectation, own: Given) -> Answer:
    """Cov or Corr of two names."""
    a, b = (numeric(question, own, name) for name in query.names)
    units = [u for v in (a, b) if (u := Number(question, own, v).unit)]
    with question.blamed_on(query.names[0]):
        found = _together(question, own, (a, b), query.kind == "Corr")
    return question.named(found, "" if query.kind == "Corr" else " × ".join(units))


def moments(question: Question, own: Given, names: Sequence[Name]) -> Moments:
    """p(names | given) of several numbers, by their means, deviations and correlations."""
    variables = [numeric(question, own, name) for name in names]
    marginals = [Number(question, own, v) for v in variables]
    one, k = Answer(1.0, method="closed form"), len(names)
    pairs = {
        (i, j): _together(question, own, (variables[i], variables[j]), True)
        for i in range(k)
        for j in range(i)
    }
    every = [one if i == j else pairs[max(i, j), min(i, j)] for i in range(k) for j in range(k)]
    return Moments(
        question.label,
        tuple(name.text for name in names),
        stacked([m.mean() for m in marginals], (k,)),
        stacked([m.sd() for m in marginals], (k,)),
        stacked(every, (k, k)),
    )


def _together(question: Question, own: Given, pair: Pair, correlation: bool) -> Answer:
    both = None if own.event else _closed(question, own, pair)
    if both is None:
        return question.estimated(lambda n: _drawn(question, own, pair, correlation, n))
    if not correlation:
        return _scaled(Answer(float(both[0, 1]), method="closed form"), pair)
    value = np.clip(both[0, 1] / np.sqrt(both[0, 0]) / np.sqrt(both[1, 1]), -1, 1)
    if not np.isfinite(value):
        return Answer(float(value), math.nan, "estimate", method="beyond floats")
    return Answer(float(value), method="closed form")


def _closed(question: Question, own: Given, pair: Pair) -> Float[np.ndarray, "2 2"] | None:
    """The covariance matrix if it is closed, numbers in the units of entries; else None."""
    a, b = pair
    if a.discrete and b.discrete:
        return _of_levels(question, own, pair)
    if a.discrete or b.discrete:
        return _of_both(question, own, *(pair if b.discrete else (b, a)))
    q = own.marginal([a.name, b.name], closed=True).model
    rule = closed_forms.moments.find(q)
    found = _call(rule, q) if rule else None
    return None if found is None else np.asarray(found[1], np.float64)


def _of_levels(question: Question, own: Given, pair: Pair) -> Float[np.ndarray, "2 2"] | None:
    """Σ p(a, b) (a - E[a]) (b - E[b])"""
    names = [v.name for v in pair]
    found = event_marginals.levels(question.key(2), own.model, own.columns, own.mask(names))
    if found is None:
        return None
    p = np.asarray(found.value, np.float64)
    p = p if own.place(names[0]) < own.place(names[1]) else p.T
    a, b = (_values(v) for v in pair)
    return _matrix(p.ravel(), np.repeat(a, len(b)), np.tile(b, len(a)))


def _of_both(
    question: Question, own: Given, a: Variable, b: Variable
) -> Float[np.ndarray, "2 2"] | None:
    """Of a number a and levels b, by the laws of total variance and covariance."""
    i, j = own.place(a.name), own.place(b.name)
    p = event_marginals.levels(question.key(2), own.model, own.columns, own.mask([b.name]))
    if p is None or not row_conditionals.closed(own.model, own.columns[i], i):
        return None
    x = np.full((len(b.levels), len(own.columns)), np.nan)
    x[:, j] = np.arange(len(b.levels))
    weight = np.asarray(p.value, np.float64)
    under = row_conditionals.summary(question.key(2), own.model, make_rows(x), own.columns[i], i)
    mean, variance = (np.where(weight > 0, m, 0) for m in (under.mean, under.variance))
    whole = _matrix(weight, mean, _values(b))
    return whole + np.diag(np.array([float(weight @ variance), 0.0]))


def _matrix(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "2 2"]:
    off = np.stack([a - p @ a, b - p @ b])
    return (p * off) @ off.T


def _drawn(question: Question, own: Given, pair: Pair, correlation: bool, draws: int) -> Answer:
    """By weighted draws, with the error of a self-normalised mean (Owen 2013, section 9.2)."""
    found = events.completed(question.key(2), own.model, own.columns, own.inside, draws)
    x, w = np.asarray(found.x, np.float64), found.weights
    entries = [x[:, own.place(v.name)] for v in pair]
    a, b = (_values(v)[e.astype(int)] if v.discrete else e for v, e in zip(pair, entries))
    a, b = a - w @ a, b - w @ b
    if correlation:
        a, b = (z / np.sqrt(w @ z**2) for z in (a, b))
    value = w @ (a * b)
    # What a draw adds to the value: of a correlation its deviations count too.
    influence = a * b - value - (value * (a**2 + b**2 - 2) / 2 if correlation else 0)
    error = float(np.sqrt((w * influence) @ (w * influence)))
    found = Answer(float(value), error, "estimate", draws)
    return found if correlation else _scaled(found, pair)


def _scaled(found: Answer, pair: Pair) -> Answer:
    """A covariance of entries in the data's units; no exact one if floats do not hold it."""
    a, b = map(_unit, pair)
    out = found * a * b
    value = float(out.value)
    if out.log is not None or (np.isfinite(value) and not lost_digits(value, found.value)):
        return out
    return replace(out, stderr=math.nan, kind="estimate", method="beyond floats")


def _unit(variable: Variable) -> float:
    """What an entry of one is in the data's units; levels that are numbers are in these already."""
    return 1.0 if variable.discrete else variable.scale


def _values(variable: Variable) -> np.ndarray:
    return np.array([number(level) for level in variable.levels], np.float64)


@eqx.filter_jit
def _call(rule, model):
    return rule(model)
