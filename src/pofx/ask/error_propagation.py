"""Products, ratios and roots of answers: their errors by the delta method, as of independent draws.

Var f(X, Y) ≈ f_x² Var X + f_y² Var Y (Owen 2013, Monte Carlo theory, methods and examples, 2.4).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pofx.core.answer import Answer
from pofx.core.unrepresentable import is_beyond_floats, exp_or_inf


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
        # What no float holds has no error that one would hold.
        exact = one.kind == other.kind == "exact"
        error = np.zeros(np.shape(value)) if exact else np.where(is_beyond_floats(value, log), np.nan, error)
    return replace(least([one, other]), value=value, stderr=error, log=log)


def ratio(one: Answer, other: Answer) -> Answer:
    """one over other.

    >>> print(ratio(Answer(0.1), Answer(0.2)))
    0.5   exact
    """
    value = one.value / other.value
    error = np.hypot(one.stderr, value * other.stderr) / np.abs(other.value)
    return replace(least([one, other]), value=value, stderr=error, log=None)


def root(one: Answer) -> Answer:
    """The square root of a number >= 0, which rounding may have taken below.

    >>> float(root(Answer(4.0)))
    2.0
    """
    if np.any(is_beyond_floats(one.value, one.log)):
        half = one.log / 2
        error = 0.0 if one.kind == "exact" else np.nan
        return replace(one, value=exp_or_inf(half), stderr=error, log=half)
    value = np.sqrt(np.maximum(one.value, 0))
    exact = one.kind == "exact"
    with np.errstate(divide="ignore", invalid="ignore"):
        error = 0.0 if exact else np.where(value > 0, one.stderr / (2 * value), np.nan)[()]
    return replace(one, value=value, stderr=error, log=None)


def stacked(answers: Sequence[Answer], shape: tuple[int, ...]) -> Answer:
    """Answers as one that holds an array of that shape, their own axes behind.

    >>> stacked([Answer(1.0), Answer(2.0)], (2,)).value
    array([1., 2.])
    """
    value = np.array([np.asarray(a.value, np.float64) for a in answers])
    error = np.array([np.broadcast_to(a.stderr, np.shape(a.value)) for a in answers], np.float64)
    logs = [a.log for a in answers]
    log = None if any(a is None for a in logs) else np.array(logs, np.float64)
    parts = (value, error) if log is None else (value, error, log)
    value, error, *more = (a.reshape(*shape, *a.shape[1:]) for a in parts)
    spread = max(a.spread for a in answers)
    log = more[0] if more else None
    return replace(least(answers), value=value, stderr=error, spread=spread, log=log)


def least(answers: Sequence[Answer]) -> Answer:
    """The answer to be trusted least: an estimate, of those that with the fewest draws."""
    rough = [a for a in answers if a.kind != "exact"]
    return min(rough, key=lambda a: a.draws) if rough else answers[0]
