"""Numbers of more digits than float64 holds, as the sum of two floats."""

from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa

MAX_EXACT_INTEGER = 2**53
"""float64 holds every whole number up to it."""
FLOAT64_DIGITS = 15
"""float64 distinguishes decimals of up to so many digits."""
MAX_DECIMAL_DIGITS = 76
"""The most digits of a decimal in Arrow."""
_CONTEXT = Context(prec=400)


def is_large_integer(number: float) -> bool:
    """Whether a number is an int of a size at which float64 may not hold its neighbours."""
    return isinstance(number, int) and abs(number) > MAX_EXACT_INTEGER // 2


def split(number: float) -> tuple[float, float]:
    """A number as the nearest float and the remainder.

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
    """Whole numbers minus the nearest floats; None if the floats are exact."""
    if not integers.size or max(-int(integers.min()), int(integers.max())) <= MAX_EXACT_INTEGER:
        return None
    # Of 64 bits, the upper 53 are one float and the lower 11 another.
    low = integers & integers.dtype.type(2**11 - 1)
    return ((integers - low).astype(np.float64) - integers.astype(np.float64)) + low


def decimal_residual(array: pa.Array, values: np.ndarray) -> np.ndarray | None:
    """Decimals minus the nearest floats, `values`; None if the floats are exact."""
    residual = [
        0.0 if exact is None else residual_of(exact, approximation)
        for exact, approximation in zip(array.to_pylist(), values.tolist())
    ]
    return np.array(residual) if any(residual) else None


def residual_of(exact: Decimal, approximation: float) -> float:
    """A decimal minus a float near it; 0 if the float is not finite."""
    if not np.isfinite(approximation):
        return 0.0
    return float(_CONTEXT.subtract(exact, Decimal(approximation)))


def as_decimal(number: Any) -> Decimal:
    """A number of Python or numpy as a decimal, exactly."""
    return Decimal(number.item() if isinstance(number, np.generic) else number)


def digits_of(numbers: list[Decimal]) -> int:
    """The digits that decimals need with a common number of decimal places."""
    parts = [n.as_tuple() for n in numbers if n.is_finite()]
    integral = max((len(p.digits) + int(p.exponent) for p in parts), default=1)
    return max(integral, 0) + max((-int(p.exponent) for p in parts), default=0)
