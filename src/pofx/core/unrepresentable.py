"""Positive numbers that no float holds, known by their logarithm: how to print and add them."""

import math
from typing import Any

import numpy as np

from pofx.core.errors import PofxError

MIN_FULL_FLOAT = float(np.finfo(np.float64).tiny)
"""Below this size a float has lost digits."""
MAX_LOG_WITH_DIGITS = 1e9
"""For a larger logarithm only the power of ten is known."""


def exp_or_inf(log: Any) -> Any:
    """exp(log), infinite if no float is large enough."""
    with np.errstate(over="ignore"):
        number = np.exp(log)
    return float(number) if np.ndim(number) == 0 else number


def is_beyond_floats(value: Any, log: Any) -> Any:
    """Whether a float lacks digits of a positive number, of which only the logarithm has them.

    Args:
        value: the number, or an array of numbers, as floats.
        log: the logarithms, or None if they are not known.

    >>> bool(is_beyond_floats(0.0, -1000.0)), bool(is_beyond_floats(0.0, -math.inf))
    (True, False)
    >>> bool(is_beyond_floats(0.5, None))
    False
    """
    if log is None:
        return np.zeros(np.shape(value), bool)
    value = np.asarray(value, np.float64)
    return np.isfinite(log) & ~((value >= MIN_FULL_FLOAT) & (value < math.inf))


def lost_digits(value: Any, *operands: Any) -> Any:
    """Whether a float lacks digits of a result, though its operands are finite and not zero."""
    value, *arrays = (np.asarray(a, np.float64) for a in (value, *operands))
    lacks_digits = np.isinf(value) | (np.abs(value) < MIN_FULL_FLOAT)
    for operand in arrays:
        lacks_digits = lacks_digits & np.isfinite(operand) & (operand != 0)
    return lacks_digits


def log_multiple(value: Any, log: Any, factor: Any) -> Any:
    """The logarithm of a multiple; raises PofxError for a factor that is not a number > 0."""
    log = _log(value, log)
    if log is None or not np.all(np.greater(factor, 0) & np.isfinite(factor)):
        raise unrepresentable_error("multiple")
    return log + np.log(factor)


def log_sum(one: tuple[Any, Any], other: tuple[Any, Any], sign: int, value: Any) -> Any:
    """The logarithm of one + sign other, or None if `value`, the sum of floats, has its digits.

    Args:
        one, other: each a value and its logarithm.
        sign: 1 or -1.
        value: the sum of the values.

    Raises PofxError if neither has the digits, as in a difference of numbers beyond floats.
    """
    beyond = [np.any(is_beyond_floats(*number)) for number in (one, other)]
    if not any(beyond) and not np.any(
        np.isinf(np.asarray(value, float)) & lost_digits(value, one[0], other[0])
    ):
        return None
    logs = [_log(*number) for number in (one, other)]
    if sign > 0 and all(log is not None for log in logs):
        total = np.logaddexp(*logs)
        return float(total) if np.ndim(total) == 0 else total
    # A number too small for floats does not change a sum of usual size.
    negligible = all(
        np.all(np.abs(number[0]) < MIN_FULL_FLOAT)
        for number, is_beyond in zip((one, other), beyond)
        if is_beyond
    )
    usual_size = MIN_FULL_FLOAT / np.finfo(np.float64).eps
    if negligible and not all(beyond) and np.all(np.abs(value) > usual_size):
        return None
    raise unrepresentable_error("difference")


def unrepresentable_error(operation: str) -> PofxError:
    """The error for an operation on a number that no float holds."""
    return PofxError(f"no float holds this number, so its {operation} is unknown; use its .log")


def _log(value: Any, log: Any) -> Any:
    """The logarithm, as given or computed; None if a value is negative."""
    if log is not None:
        return log
    if np.any(np.less(value, 0)):
        return None
    with np.errstate(divide="ignore"):
        return np.log(value)


def power_of_ten(log: float, stderr: Any) -> str:
    """exp(log) as digits times a power of ten.

    >>> power_of_ten(-1000.0, 0.0)
    '5.07596e-435'
    """
    if abs(log) > MAX_LOG_WITH_DIGITS:
        return f"10^{log / math.log(10):.6g}"
    exponent = math.floor(log / math.log(10))
    digits = math.exp(log - exponent * math.log(10))
    error_text = "" if np.ndim(stderr) == 0 and stderr == 0 else " ± ?"
    return f"{digits:.6g}e{exponent:+d}{error_text}"
