"""How numbers are written on a line."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

DOUBLE_DIGITS = 17
"""Digits that tell any two float64 numbers apart."""
SPREAD_DIGITS = 4
"""Digits of a spread to which values beside it are written."""
EXACT = 2**53
"""Whole numbers up to it are floats."""
LARGE, SMALL = 1e15, 1e-4
"""From here on up, and below, a number is written with an exponent."""
NAMES = 8
"""The most names that a message lists."""


def number_text(value: float, stderr: float = 0.0, *, spread: float = 0.0, digits: int = 6) -> str:
    """A number written to the digits that mean something.

    With a standard error, to the digits that it leaves; without, to `digits`, or to as many more
    as tell values apart that lie a little of `spread` from each other.

    >>> number_text(3e-12, 4e-13), number_text(0.1234, 0.02), number_text(2.0, math.nan)
    ('3.0e-12 ± 4e-13', '0.123 ± 0.020', '2 ± ?')
    >>> number_text(1e9 + 1.25), number_text(1e9 + 1.25, spread=2.0)
    ('1e+09', '1000000001.25')
    """
    if isinstance(value, int) and abs(value) > EXACT and not stderr:
        return str(value)
    value, stderr = float(value), float(stderr)
    if stderr > 0 and math.isfinite(stderr) and math.isfinite(value):
        return _with_error(value, stderr)
    text = f"{value:.{significant(value, spread, digits)}g}"
    if stderr > 0 or math.isnan(stderr):
        return f"{text} ± {'?' if math.isnan(stderr) else format(stderr, '.2g')}"
    return text


def significant(value: float, spread: float = 0.0, digits: int = 6) -> int:
    """How many digits of an exact number are written."""
    if not math.isfinite(value) or value == 0:
        return digits
    needed = digits
    if 0 < spread < math.inf:
        needed = exponent(value) - exponent(spread) + SPREAD_DIGITS
    if 0 < value < 1 and float(f"{value:.{digits}g}") == 1:
        needed = max(needed, 1 - exponent(1 - value))
    return min(max(digits, needed), DOUBLE_DIGITS)


def exponent(value: float) -> int:
    """The power of ten of the first digit.

    >>> exponent(0.02), exponent(1e9)
    (-2, 9)
    """
    return int(f"{abs(value):e}".partition("e")[2])


def array_text(values: Any, stderr: Any = 0.0, *, spread: float = 0.0) -> str:
    """An array, each number to the digits that mean something; of a long one the ends.

    >>> print(array_text([0.5, 0.25]), array_text([1e9, 1e9 + 1]), array_text([0.5, 1e-9], 1e-10))
    [0.5  0.25] [1000000000 1000000001] [0.50000000000 ± 0.00000000010, 1.00e-09 ± 1.0e-10]
    """
    values = np.asarray(values)
    errors = np.broadcast_to(np.asarray(stderr, np.float64), values.shape)
    known = values.astype(np.float64) if values.dtype.kind in "iufb" else np.zeros(0)
    known = known[np.isfinite(known)]
    if not known.size or not known.any():
        spread = 0.0
    elif not spread:
        spread = float(known.std())
    largest = float(np.abs(known).max()) if known.size else 0.0
    exact = not (errors > 0).any() and not np.isnan(errors).any()
    if exact and significant(largest, spread, 5) == 5:
        return np.array2string(values, precision=4, threshold=8)
    flat = [values.ravel(), errors.ravel()]

    def cell(i: Any) -> str:
        return number_text(flat[0][i], flat[1][i], spread=spread, digits=5)

    numbers = np.arange(values.size).reshape(values.shape)
    separator = " " if exact else ", "
    return np.array2string(numbers, threshold=8, separator=separator, formatter={"int": cell})


def _with_error(value: float, stderr: float) -> str:
    # An error that starts with 1 or 2 is told to two digits, others to one.
    rounded = f"{stderr:.1e}"
    more = rounded[0] in "12"
    last = exponent(float(rounded)) - more
    first = exponent(value) if value else exponent(stderr)
    fixed = first - last < DOUBLE_DIGITS and last > -DOUBLE_DIGITS
    if fixed and SMALL <= max(abs(value), stderr) < LARGE:
        places = max(-last, 0)
        return f"{value:.{places}f} ± {stderr:.{places}f}"
    places = min(max(first - last, 0), DOUBLE_DIGITS - 1)
    return f"{value:.{places}e} ± {stderr:.{int(more)}e}"


def names_text(names: Sequence[object]) -> str:
    """Names or levels in a message, the first few of many.

    >>> names_text(["a", 1])
    "'a', 1"
    """
    more = f", ... ({len(names)})" if len(names) > NAMES else ""
    return ", ".join(map(repr, names[:NAMES])) + more
