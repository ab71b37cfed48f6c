"""Printing of numbers and names on one line."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_DIGITS = 17
"""Digits that distinguish any two float64 numbers."""
SPREAD_DIGITS = 4
"""The number of digits of a spread to which values of that spread are written."""
MAX_EXACT_INT = 2**53
"""Integers up to this size are exact as floats."""
MIN_FIXED_SIZE = 1e-4
"""Smaller numbers are written with an exponent."""
MAX_FIXED_SIZE = 1e15
"""Numbers of this size or larger are written with an exponent."""
MAX_LISTED_NAMES = 8
"""The number of names that a message lists at most."""


def number_text(value: float, stderr: float = 0.0, *, spread: float = 0.0, digits: int = 6) -> str:
    """A number with its significant digits.

    Args:
        value: the number.
        stderr: its standard error, which limits the digits; NaN if unknown.
        spread: the scale on which such values differ; an exact value has enough digits to
            distinguish values that differ by a small part of it.
        digits: the minimum number of digits of an exact value.

    >>> number_text(3e-12, 4e-13), number_text(0.1234, 0.02), number_text(2.0, math.nan)
    ('3.0e-12 ± 4e-13', '0.123 ± 0.020', '2 ± ?')
    >>> number_text(1e9 + 1.25), number_text(1e9 + 1.25, spread=2.0)
    ('1e+09', '1000000001.25')
    """
    if isinstance(value, int) and abs(value) > MAX_EXACT_INT and not stderr:
        return str(value)
    value, stderr = float(value), float(stderr)
    if stderr > 0 and math.isfinite(stderr) and math.isfinite(value):
        return _with_error(value, stderr)
    text = f"{value:.{significant_digits(value, spread, digits)}g}"
    if stderr > 0 or math.isnan(stderr):
        return f"{text} ± {'?' if math.isnan(stderr) else format(stderr, '.2g')}"
    return text


def significant_digits(value: float, spread: float = 0.0, digits: int = 6) -> int:
    """The number of digits with which an exact number is written."""
    if not math.isfinite(value) or value == 0:
        return digits
    needed = digits
    if 0 < spread < math.inf:
        needed = decimal_exponent(value) - decimal_exponent(spread) + SPREAD_DIGITS
    elif 0 < value < 1 and float(f"{value:.{digits}g}") == 1:
        needed = max(needed, 1 - decimal_exponent(1 - value))
    return min(max(digits, needed), MAX_DIGITS)


def decimal_exponent(value: float) -> int:
    """The power of ten of the first digit of a number.

    >>> decimal_exponent(0.02), decimal_exponent(1e9)
    (-2, 9)
    """
    return int(f"{abs(value):e}".partition("e")[2])


def array_text(values: Any, stderr: Any = 0.0, *, spread: float = 0.0) -> str:
    """An array, each number with its significant digits; the middle of a long array is left out.

    >>> print(array_text([0.5, 0.25]), array_text([1e9, 1e9 + 1]), array_text([0.5, 1e-9], 1e-10))
    [0.5  0.25] [1000000000 1000000001] [0.50000000000 ± 0.00000000010, 1.00e-09 ± 1.0e-10]
    """
    values = np.asarray(values)
    errors = np.broadcast_to(np.asarray(stderr, np.float64), values.shape)
    finite = values.astype(np.float64) if values.dtype.kind in "iufb" else np.zeros(0)
    finite = finite[np.isfinite(finite)]
    if not finite.size or not finite.any():
        spread = 0.0
    elif not spread:
        spread = float(finite.std())
    largest = float(np.abs(finite).max()) if finite.size else 0.0
    exact = not (errors > 0).any() and not np.isnan(errors).any()
    if exact and significant_digits(largest, spread, 5) == 5:
        return np.array2string(values, precision=4, threshold=8)
    flat = [values.ravel(), errors.ravel()]

    def cell(i: Any) -> str:
        return number_text(flat[0][i], flat[1][i], spread=spread, digits=5)

    numbers = np.arange(values.size).reshape(values.shape)
    separator = " " if exact else ", "
    return np.array2string(numbers, threshold=8, separator=separator, formatter={"int": cell})


def _with_error(value: float, stderr: float) -> str:
    # An error that starts with 1 or 2 has two digits, others have one.
    rounded = f"{stderr:.1e}"
    has_two_digits = rounded[0] in "12"
    last = decimal_exponent(float(rounded)) - has_two_digits
    first = decimal_exponent(value) if value else decimal_exponent(stderr)
    fixed = first - last < MAX_DIGITS and last > -MAX_DIGITS
    if fixed and MIN_FIXED_SIZE <= max(abs(value), stderr) < MAX_FIXED_SIZE:
        places = max(-last, 0)
        return f"{value:.{places}f} ± {stderr:.{places}f}"
    places = min(max(first - last, 0), MAX_DIGITS - 1)
    return f"{value:.{places}e} ± {stderr:.{int(has_two_digits)}e}"


def names_text(names: Sequence[object]) -> str:
    """Names or levels in a message; of many, the first few and their number.

    >>> names_text(["a", 1])
    "'a', 1"
    """
    count_text = f", ... ({len(names)})" if len(names) > MAX_LISTED_NAMES else ""
    return ", ".join(map(repr, names[:MAX_LISTED_NAMES])) + count_text
