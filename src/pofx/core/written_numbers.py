"""Numbers that a user has written: what is expected of them, in one line if they are not."""

from numbers import Real
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pofx.core.errors import PofxError
from pofx.core.float_width import float64

SUM_TOLERANCE = 1e-6
"""How far from 1 the sum of written probabilities may be, which are then divided by it."""


def array(argument: str, value: Any, ndim: int) -> np.ndarray:
    """Finite numbers with so many axes; PofxError otherwise."""
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise PofxError(f"{argument}: expected numbers, got {value!r}") from None
    if numbers.ndim != ndim:
        shape = ("a number", "a list of numbers", "a matrix")[min(ndim, 2)]
        raise PofxError(f"{argument}: expected {shape}, got an array of shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise PofxError(f"{argument}: expected finite numbers, got {value!r}")
    return numbers


def number(argument: str, value: Any, *, low: float = -np.inf, high: float = np.inf) -> float:
    """A number strictly between the limits; PofxError otherwise.

    >>> number("rate", 2, low=0)
    2.0
    >>> number("rate", -1, low=0)
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: rate: expected a number above 0, got -1
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and low < float(value) < high:
        return float(value)
    limits = [f"above {low:g}"] if low > -np.inf else []
    limits += [f"below {high:g}"] if high < np.inf else []
    expected = " ".join(["a finite number" if not limits else "a number", " and ".join(limits)])
    raise PofxError(f"{argument}: expected {expected.strip()}, got {value!r}")


def as_probabilities(argument: str, values: Any, ndim: int = 1) -> np.ndarray:
    """Probabilities that sum to one; PofxError otherwise.

    >>> as_probabilities("probabilities", [0.5, 0.6])
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: probabilities: expected a sum of 1, got 1.1
    """
    shares = array(argument, values, ndim)
    if (shares < 0).any():
        raise PofxError(f"{argument}: expected no negative probability, got {shares.min():g}")
    total = shares.sum()
    if abs(total - 1) > SUM_TOLERANCE:
        raise PofxError(f"{argument}: expected a sum of 1, got {total:.10g}")
    return shares / total


def log_in_float64(values: Any) -> Float[Array, "..."]:
    """Logarithms, -inf for zero, in float64."""
    with np.errstate(divide="ignore"), float64(True):
        return jnp.asarray(np.log(np.asarray(values, np.float64)))
