"""The probability of points and sets under what is given; of points that are numbers, the density.

    p(x, S | C) = p(x) P(S, C | x) / P(C)

for points x, sets S asked and sets C given, all under the points that are given.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pofx.ask.evidence import SHOWS, Given
from pofx.ask.intervals import everything, spike
from pofx.ask.question import Question
from pofx.ask.rounding import settled
from pofx.core.answer import Answer
from pofx.queries import event_marginals, events
from pofx.queries.events import Pieces

MOST = math.log(np.finfo(np.float64).max)
"""The logarithm of the largest number that a float holds."""

ROUNDING = "to the rounding of its logarithm"
VAGUE = 0.01
"""A relative error by rounding above which draws are better."""


def mass(
    question: Question,
    own: Given,
    points: Mapping[str, float],
    sets: Mapping[str, Pieces] | None = None,
) -> Answer:
    """p(points, sets | given), by names and in the units of entries; the answer in the data's."""
    inner = own.at(points).within(sets or {})
    log_density = inner.log_ratio(own) - (inner.log_scale - own.log_scale)
    found = Answer(log_density, method="closed form")
    unit = _unit(own, points)
    if log_density > -math.inf and inner.event:
        density = found
        found = _product(question, density, inner, own)
        found = settled(
            found, own, lambda near: _product(question, density, inner.nudged(own), near), 1.0
        )
        if found.kind == "estimate" and found.method == ROUNDING and found.stderr > VAGUE:
            found = _given_draws(question, inner, own) or found
    if not unit:
        # Logarithms of a probability of one differ by a rounding. A density may be above one, and
        # so may P(S, C | x) / P(C) alone, where C makes x more probable.
        found = replace(found, value=min(found.value, 0.0))
    return question.named(_exponential(_rounded(found, _rounding(inner, own))), unit)


def _given_draws(question: Question, inner: Given, own: Given) -> Answer | None:
    """log P(x_j in S | C) for one name more than are given: averaged over draws from C.

    It needs no probability of C, of whose logarithm rounding may leave no digit.
    """
    new = {*np.flatnonzero(inner.observed & ~own.observed).tolist(), *inner.event} - {*own.event}
    if len(new) != 1 or not own.event or any(inner.event[j] != s for j, s in own.event.items()):
        return None
    (place,) = new
    j, column = int((~own.observed[:place]).sum()), own.p.entries.columns[place]
    if column.discrete == (place in inner.event) or (not column.discrete and inner.observed[place]):
        return None

    def ask(draws: int) -> Answer:
        of = question.key(2), own.model, own.columns
        if not column.discrete:
            return event_marginals.marginal(*of, j, own.inside, draws).inside(inner.event[place])
        found = event_marginals.levels(*of, np.arange(len(own.columns)) == j, own.inside, draws)
        assert found is not None  # the levels of one column are few
        return replace(found[int(inner.x[place])], log=None)

    found = question.estimated(ask)
    if not found.value > 0:
        return None
    return replace(found, value=math.log(found.value), stderr=found.stderr / found.value)


def _rounding(inner: Given, own: Given) -> float:
    """By how much rounding may have changed the log-density of the points."""
    ratio = inner.log_ratio(own)
    error = inner.eps * abs(ratio)
    if math.isfinite(ratio) and own.observed.any() and own.far:
        moved = inner.nudged(own).log_ratio(own.nudged(own))
        error = max(error, abs(moved - ratio))
    return error


def _rounded(found: Answer, error: float) -> Answer:
    """An exact logarithm whose rounding shows, as the estimate that it is."""
    if found.kind != "exact" or not SHOWS < error < math.inf:
        return found
    return replace(found, stderr=error, kind="estimate", method=ROUNDING)


def _exponential(log: Answer) -> Answer:
    """What an answer is the logarithm of, its error relative; the logarithm stays with it."""
    value = math.exp(log.value) if log.value < MOST else math.inf
    error = log.stderr
    if log.kind != "exact":
        # What no float holds has no error that one would hold.
        error = value * log.stderr if 0 < value < math.inf else math.nan
    return replace(log, value=value, stderr=error, log=log.value)


def _unit(own: Given, points: Mapping[str, float]) -> str:
    """What a density is per: the numbers among the points that are no spikes."""
    told, step = "", ""
    for name, entry in points.items():
        variable = own.p.schema.variable(name)
        if variable.kind in ("real", "positive") and spike(variable.column, entry) < 0:
            new = "" if variable.density_unit == step else f"{variable.density_unit} "
            told, step = f"{told}{' and ' if told else 'per '}{new}of {name}", variable.density_unit
    return told


def _product(question: Question, density: Answer, inner: Given, own: Given) -> Answer:
    """log of density P(inner) / P(own), to the standard error that is wished for."""

    def found(stderr_1: float | None, stderr_2: float | None) -> tuple[Answer, Answer, Answer]:
        one = _event(question, inner, 0, stderr_1)
        other = _event(question, own, 1, stderr_2)
        if one.kind == other.kind == "exact":
            one = _rounded(one, own.eps * (abs(one.value) + abs(other.value)))
        drawn = next((a.method for a in (one, other) if a.kind != "exact"), one.method)
        return one, other, replace(density + one - other, method=drawn)

    one, other, whole = found(None, None)
    error = float(_exponential(whole).stderr)
    if question.precision.stderr is not None and error > question.precision.stderr:
        # Both errors less by one factor, and so is that of the whole.
        less = 0.9 * question.precision.stderr / error
        *_, whole = found(*(less * a.stderr if a.stderr > 0 else None for a in (one, other)))
    missed = (
        question.precision.stderr is not None
        and _exponential(whole).stderr > question.precision.stderr
    )
    return (
        replace(whole, method=f"asked for ± {question.precision.stderr:g}, budget spent")
        if missed
        else whole
    )


def _event(question: Question, own: Given, part: int, stderr: float | None) -> Answer:
    """log of the probability of the sets, given the points; its error relative to that."""
    event = {j: s for j, s in own.inside.items() if not everything(own.columns[j], s)}
    if not all(event.values()):
        return Answer(-math.inf, method="closed form")
    if not event:
        return Answer(0.0, method="closed form")
    found = events.log_probability(
        question.key(part),
        own.model,
        own.columns,
        event,
        stderr=stderr,
        max_draws=question.precision.max_draws,
    )
    if part == 1 and not found.value > -math.inf:
        none = f"the evidence {own.told} has probability zero"
        if found.kind != "exact":
            none = f"no draw satisfied the evidence {own.told}"
        raise question.wrong(own.sets[0], none)
    return found
