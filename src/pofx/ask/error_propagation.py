"""Products, ratios and roots of answers, with errors by the delta method, as of independent draws.

Var f(X, Y) ≈ f_x² Var X + f_y² Var Y (Owen 2013, Monte Carlo theory, methods and examples, 2.4).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pofx.core.answer import Answer
from pofx.core.unrepresentable import exp_or_inf, is_beyond_floats


def product(one: Answer, other: Answer) -> Answer:
    """one times other.

    >>> print(product(Answer(0.5), Answer(0.2, 0.01, "estimate", 100)))
    0.100 ± 0.005   estimate, 100 draws
    """
    error = np.hypot(one.stderr * other.value, one.value * other.stderr)
    value, log = one.value * other.value, None
    if one.log is not None and other.log is not None:
        log = one.log + other.log
        value = exp_or_inf(log)
        if one.kind == other.kind == "exact":
            error = np.zeros(np.shape(value))
        else:
            # A number that no float holds has no error that a float holds.
            error = np.where(is_beyond_floats(value, log), np.nan, error)
    return replace(least_exact([one, other]), value=value, stderr=error, log=log)


def ratio(one: Answer, other: Answer) -> Answer:
    """one over other.

    >>> print(ratio(Answer(0.1), Answer(0.2)))
    0.5   exact
    """
    value = one.value / other.value
    error = np.hypot(one.stderr, value * other.stderr) / np.abs(other.value)
    return replace(least_exact([one, other]), value=value, stderr=error, log=None)


def sqrt(answer: Answer) -> Answer:
    """The square root of a number >= 0, which rounding may have taken below zero.

    >>> float(sqrt(Answer(4.0)))
    2.0
    """
    exact = answer.kind == "exact"
    if np.any(is_beyond_floats(answer.value, answer.log)):
        log = answer.log / 2
        return replace(answer, value=exp_or_inf(log), stderr=0.0 if exact else np.nan, log=log)
    value = np.sqrt(np.maximum(answer.value, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = 0.0 if exact else np.where(value > 0, answer.stderr / (2 * value), np.nan)[()]
    return replace(answer, value=value, stderr=error, log=None)


def stack_answers(answers: Sequence[Answer], shape: tuple[int, ...]) -> Answer:
    """One answer that holds an array of this shape; the axes of the answers come after it.

    >>> stack_answers([Answer(1.0), Answer(2.0)], (2,)).value
    array([1., 2.])
    """

    def stack(arrays: Sequence[np.ndarray]) -> np.ndarray:
        array = np.array(arrays, np.float64)
        return array.reshape(*shape, *array.shape[1:])

    logs = [a.log for a in answers]
    return replace(
        least_exact(answers),
        value=stack([np.asarray(a.value, np.float64) for a in answers]),
        stderr=stack([np.broadcast_to(a.stderr, np.shape(a.value)) for a in answers]),
        spread=max(a.spread for a in answers),
        log=None if any(log is None for log in logs) else stack(logs),
    )


def least_exact(answers: Sequence[Answer]) -> Answer:
    """The answer to trust least: of the estimates the one with the fewest draws."""
    estimates = [a for a in answers if a.kind != "exact"]
    return min(estimates, key=lambda a: a.draws) if estimates else answers[0]
