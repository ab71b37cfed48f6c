"""Numbers of more digits than float64 holds, as the sum of two floats."""

from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa

EXACT = 2**53
"""Whole numbers up to it are floats."""
DIGITS = 15
"""Decimals of up to so many digits are told apart by floats."""
MOST_DIGITS = 76
"""Arrow's decimals have no more."""
_CONTEXT = Context(prec=400)


def is_large_integer(number: float) -> bool:
    """Whether it is a whole number near those that no float64 holds."""
    return isinstance(number, int) and abs(number) > EXACT // 2


def split(number: float) -> tuple[float, float]:
    """A number as the nearest float and what is left.

    >>> split(2**60 + 3)
    (1.152921504606847e+18, 3.0)
    """
    high = float(number)
    return high, float(number - int(high)) if isinstance(number, int) else 0.0


def join(high: float, low: float) -> int | float:
    """The sum of two floats: an int if both are whole."""
    integral = high == np.rint(high) and low == np.rint(low)
    return int(high) + int(low) if integral else float(high + low)


def integer_residual(integers: np.ndarray) -> np.ndarray | None:
    """What the nearest floats lack of whole numbers; None if they lack nothing."""
    if not integers.size or max(-int(integers.min()), int(integers.max())) <= EXACT:
        return None
    # 53 of 64 bits are a float, the 11 below them another
    low = integers & integers.dtype.type(2**11 - 1)
    return ((integers - low).astype(np.float64) - integers.astype(np.float64)) + low


def decimal_residual(array: pa.Array, values: np.ndarray) -> np.ndarray | None:
    """What the nearest floats lack of decimals; None if they lack nothing."""
    residual = [
        0.0 if exact is None else residual_of(exact, near)
        for exact, near in zip(array.to_pylist(), values.tolist())
    ]
    return np.array(residual) if any(residual) else None


def residual_of(exact: Decimal, near: float) -> float:
    return float(_CONTEXT.subtract(exact, Decimal(near))) if np.isfinite(near) else 0.0


def as_decimal(number: Any) -> Decimal:
    return Decimal(number.item() if isinstance(number, np.generic) else number)


def digits_of(numbers: list[Decimal]) -> int:
    """How many digits decimals need that have a common last place."""
    parts = [n.as_tuple() for n in numbers if n.is_finite()]
    before = max((len(p.digits) + int(p.exponent) for p in parts), default=1)
    return max(before, 0) + max((-int(p.exponent) for p in parts), default=0)
