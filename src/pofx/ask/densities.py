"""The probability of points and sets under what is given; for points that are numbers, the density.

    p(x, S | C) = p(x) P(S, C | x) / P(C)

for points x, sets S asked and sets C given, all under the points that are given.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pofx.ask.binding import BoundName
from pofx.ask.errors import error_at
from pofx.ask.evidence import MIN_REPORTED_ERROR, Evidence
from pofx.ask.intervals import covers_support, spike_index
from pofx.ask.question import Question
from pofx.ask.rounding import with_evidence_rounding
from pofx.core.answer import Answer
from pofx.queries import event_marginals, events
from pofx.queries.events import Intervals

MAX_LOG_FLOAT = math.log(np.finfo(np.float64).max)
"""The logarithm of the largest number that a float holds."""

MAX_ROUNDING_ERROR = 0.01
"""A relative error by rounding above which draws are better."""

LOG_ROUNDING_METHOD = "to the rounding of its logarithm"


def probability_or_density(
    question: Question,
    evidence: Evidence,
    points: Mapping[BoundName, float],
    sets: Mapping[BoundName, Intervals] | None = None,
) -> Answer:
    """p(points, sets | evidence), in the data's units.

    Args:
        question: the label and the precision of the answer.
        evidence: what is given.
        points: level codes and numbers, in the units of entries.
        sets: intervals, in the units of entries.
    """
    joint = evidence.with_points(points).with_sets(sets or {})
    log_density = joint.log_ratio(evidence) - (joint.log_scale - evidence.log_scale)
    density = Answer(log_density, method="closed form")
    log_answer = density
    unit = _density_unit(points)
    if log_density > -math.inf and joint.event:
        log_answer = with_evidence_rounding(
            _log_product(question, density, joint, evidence),
            evidence,
            lambda nudged: _log_product(question, density, joint.nudged(evidence), nudged),
            1.0,
        )
        rounded = log_answer.kind == "estimate" and log_answer.method == LOG_ROUNDING_METHOD
        if rounded and log_answer.stderr > MAX_ROUNDING_ERROR:
            log_answer = _log_from_draws(question, joint, evidence) or log_answer
    if not unit:
        # Logarithms of a probability of one differ by a rounding. A density may be above one, and
        # so may P(S, C | x) / P(C) alone, if C makes x more probable.
        log_answer = replace(log_answer, value=min(log_answer.value, 0.0))
    log_answer = _with_log_rounding(log_answer, _log_rounding(joint, evidence))
    return question.labelled_with_unit(_exponential(log_answer), unit)


def _log_from_draws(question: Question, joint: Evidence, evidence: Evidence) -> Answer | None:
    """log P(x_j in S | C) for one name more than are given: averaged over draws from C.

    The probability of C is not needed, of whose logarithm rounding may leave no digit.
    """
    new_points = np.flatnonzero(joint.observed & ~evidence.observed).tolist()
    new_indices = {*new_points, *joint.event} - {*evidence.event}
    changed = any(joint.event[j] != intervals for j, intervals in evidence.event.items())
    if len(new_indices) != 1 or not evidence.event or changed:
        return None
    (j,) = new_indices
    column = evidence.columns[j]
    if column.discrete == (j in joint.event):
        return None
    if not column.discrete and joint.observed[j]:
        return None

    def estimate(draws: int) -> Answer:
        key, model, columns = question.key(2), evidence.model, evidence.columns
        event = evidence.event
        if not column.discrete:
            marginal = event_marginals.marginal(key, model, columns, j, event, draws)
            return marginal.interval_probability(joint.event[j])
        target_mask = np.arange(len(columns)) == j
        levels = event_marginals.level_probabilities(key, model, columns, target_mask, event, draws)
        assert levels is not None  # the levels of one column are few
        return replace(levels[int(joint.x[j])], log=None)

    answer = question.to_precision(estimate)
    if not answer.value > 0:
        return None
    return replace(answer, value=math.log(answer.value), stderr=answer.stderr / answer.value)


def _log_rounding(joint: Evidence, evidence: Evidence) -> float:
    """By how much rounding may have changed the log-density of the points."""
    log_ratio = joint.log_ratio(evidence)
    error = joint.eps * abs(log_ratio)
    if math.isfinite(log_ratio) and evidence.observed.any() and evidence.is_far:
        nudged_ratio = joint.nudged(evidence).log_ratio(evidence.nudged(evidence))
        error = max(error, abs(nudged_ratio - log_ratio))
    return error


def _with_log_rounding(log_answer: Answer, error: float) -> Answer:
    """An exact logarithm, as an estimate if its rounding shows."""
    if log_answer.kind != "exact" or not MIN_REPORTED_ERROR < error < math.inf:
        return log_answer
    return replace(log_answer, stderr=error, kind="estimate", method=LOG_ROUNDING_METHOD)


def _exponential(log_answer: Answer) -> Answer:
    """The answer of this logarithm, whose error is relative; the logarithm stays with it."""
    value = math.exp(log_answer.value) if log_answer.value < MAX_LOG_FLOAT else math.inf
    error = log_answer.stderr
    if log_answer.kind != "exact":
        # A number that no float holds has no error that a float holds.
        error = value * log_answer.stderr if 0 < value < math.inf else math.nan
    return replace(log_answer, value=value, stderr=error, log=log_answer.value)


def _density_unit(points: Mapping[BoundName, float]) -> str:
    """What a density is per: the numbers among the points that are no spikes."""
    text = ""
    previous_unit = ""
    for name, entry in points.items():
        variable = name.variable
        is_number = variable.kind in ("real", "positive")
        if is_number and spike_index(variable.column, entry) < 0:
            unit = "" if variable.density_unit == previous_unit else f"{variable.density_unit} "
            text = f"{text} and {unit}of {name.text}" if text else f"per {unit}of {name.text}"
            previous_unit = variable.density_unit
    return text


def _log_product(
    question: Question, density: Answer, joint: Evidence, evidence: Evidence
) -> Answer:
    """log of density P(joint) / P(evidence), to the standard error that is asked for."""
    max_stderr = question.precision.stderr

    def estimate(
        joint_stderr: float | None, evidence_stderr: float | None
    ) -> tuple[Answer, Answer, Answer]:
        above = _log_event_probability(question, joint, 0, joint_stderr)
        below = _log_event_probability(question, evidence, 1, evidence_stderr)
        if above.kind == below.kind == "exact":
            above = _with_log_rounding(above, evidence.eps * (abs(above.value) + abs(below.value)))
        method = next((a.method for a in (above, below) if a.kind != "exact"), above.method)
        return above, below, replace(density + above - below, method=method)

    above, below, log_answer = estimate(None, None)
    error = float(_exponential(log_answer).stderr)
    if max_stderr is None or not error > max_stderr:
        return log_answer
    # If both errors are less by one factor, so is that of the product.
    factor = 0.9 * max_stderr / error
    stderrs = [factor * a.stderr if a.stderr > 0 else None for a in (above, below)]
    *_, log_answer = estimate(*stderrs)
    if _exponential(log_answer).stderr > max_stderr:
        return replace(log_answer, method=f"asked for ± {max_stderr:g}, budget spent")
    return log_answer


def _log_event_probability(
    question: Question, evidence: Evidence, part: int, stderr: float | None
) -> Answer:
    """log of the probability of the sets, given the points; its error relative to that."""
    columns = evidence.columns
    event = {
        j: intervals
        for j, intervals in evidence.event.items()
        if not covers_support(columns[j], intervals)
    }
    if not all(event.values()):
        return Answer(-math.inf, method="closed form")
    if not event:
        return Answer(0.0, method="closed form")
    answer = events.log_probability(
        question.key(part),
        evidence.model,
        columns,
        event,
        stderr=stderr,
        max_draws=question.precision.max_draws,
    )
    if part == 1 and not answer.value > -math.inf:
        message = f"the evidence {evidence.set_text} has probability zero"
        if answer.kind != "exact":
            message = f"no draw satisfied the evidence {evidence.set_text}"
        raise error_at(evidence.set_terms[0].name, message)
    return answer
