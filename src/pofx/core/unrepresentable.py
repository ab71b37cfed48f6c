"""Numbers that no float holds, by their logarithm: how they are written, and arithmetic on them."""

import math
from typing import Any

import numpy as np

from pofx.core.errors import PofxError

LEAST = float(np.finfo(np.float64).tiny)
"""Below this a float has lost digits."""


def exp_or_inf(log: Any) -> Any:
    """exp(log), infinite beyond floats."""
    with np.errstate(over="ignore"):
        number = np.exp(log)
    return float(number) if np.ndim(number) == 0 else number


def is_beyond_floats(value: Any, log: Any) -> Any:
    """Of which numbers > 0 a float lacks digits, for their values and, if known, logarithms.

    >>> bool(is_beyond_floats(0.0, -1000.0)), bool(is_beyond_floats(0.0, -math.inf)), bool(is_beyond_floats(0.5, None))
    (True, False, False)
    """
    if log is None:
        return np.zeros(np.shape(value), bool)
    value = np.asarray(value, np.float64)
    return np.isfinite(log) & ~((value >= LEAST) & (value < math.inf))


def lost_digits(value: Any, *of: Any) -> Any:
    """Of which numbers a float lacks digits, though it holds all that they came of."""
    value, *each = (np.asarray(a, np.float64) for a in (value, *of))
    out = np.isinf(value) | (np.abs(value) < LEAST)
    for a in each:
        out = out & np.isfinite(a) & (a != 0)
    return out


def multiplied(value: Any, log: Any, factor: Any) -> Any:
    """The logarithm of a multiple; PofxError for a factor that is not a number > 0."""
    log = _log(value, log)
    if log is None or not np.all(np.greater(factor, 0) & np.isfinite(factor)):
        raise unheld("multiple")
    return log + np.log(factor)


def summed(one: tuple[Any, Any], other: tuple[Any, Any], sign: int, value: Any) -> Any:
    """log of one + sign other, each a value and its logarithm; None if floats tell the sum.

    PofxError if neither does, as of a difference of what no float holds.
    """
    out = [np.any(is_beyond_floats(*number)) for number in (one, other)]
    if not any(out) and not np.any(
        np.isinf(np.asarray(value, float)) & lost_digits(value, one[0], other[0])
    ):
        return None
    logs = [_log(*number) for number in (one, other)]
    if sign > 0 and all(log is not None for log in logs):
        log_sum = np.logaddexp(*logs)
        return float(log_sum) if np.ndim(log_sum) == 0 else log_sum
    # Beside a number of usual size one below floats is nothing.
    below = all(np.all(np.abs(number[0]) < LEAST) for number, far in zip((one, other), out) if far)
    if below and not all(out) and np.all(np.abs(value) > LEAST / np.finfo(np.float64).eps):
        return None
    raise unheld("difference")


def unheld(what: str) -> PofxError:
    """The error for what is asked of a number that no float holds."""
    return PofxError(f"no float holds this number, and so no {what} of it; go on with its .log")


def _log(value: Any, log: Any) -> Any:
    """The logarithm, known or taken; None of what has a negative value."""
    if log is not None:
        return log
    if np.any(np.less(value, 0)):
        return None
    with np.errstate(divide="ignore"):
        return np.log(value)


def power_of_ten(log: float, stderr: Any) -> str:
    """exp(log) in digits and a power of ten.

    >>> power_of_ten(-1000.0, 0.0)
    '5.07596e-435'
    """
    if abs(log) > 1e9:
        # The power of ten is known, and no digit beside it.
        return f"10^{log / math.log(10):.6g}"
    exponent = math.floor(log / math.log(10))
    digits = math.exp(log - exponent * math.log(10))
    tail = "" if np.ndim(stderr) == 0 and stderr == 0 else " ± ?"
    return f"{digits:.6g}e{exponent:+d}{tail}"
