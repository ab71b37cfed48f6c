"""Double-double arithmetic: a float and its rounding error.

The operations are those whose rounding error is itself a float (Dekker 1971; Ogita, Rump and Oishi
2005). A number that is not finite has no rounding error.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Double(NamedTuple):
    """The number high + low, where |low| is at most a rounding error of high."""

    high: Float[Array, "..."]
    low: Float[Array, "..."]

    def __neg__(self) -> "Double":
        return Double(-self.high, -self.low)

    def value(self) -> Float[Array, "..."]:
        """The number as one float."""
        return self.high + self.low


def double(high: Float[Array, "..."]) -> Double:
    """A float as a `Double` without rounding error."""
    return Double(high, jnp.zeros_like(high))


def two_sum(a: Float[Array, "..."], b: Float[Array, "..."]) -> Double:
    """a + b with its rounding error.

    >>> one, small = jnp.asarray(1.0), jnp.asarray(1e-20)
    >>> print(f"{float(two_sum(one, small).low):.3g}")
    1e-20
    """
    high = a + b
    part = high - a
    return _finite(high, (a - (high - part)) + (b - part))


def two_product(a: Float[Array, "..."], b: Float[Array, "..."]) -> Double:
    """a b with its rounding error."""
    high = rounded(a * b)
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return _finite(high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2)


def rounded(a: Float[Array, "..."]) -> Float[Array, "..."]:
    """a, rounded to a float before a compiler can fuse its product with a sum."""
    return jax.lax.optimization_barrier(a)


def add(a: Double, b: Double) -> Double:
    """a + b."""
    high, low = two_sum(a.high, b.high)
    return two_sum(high, low + (a.low + b.low))


def square(a: Double) -> Double:
    """a²."""
    high, low = two_product(a.high, a.high)
    return two_sum(high, low + 2 * a.high * a.low)


def divide(a: Double, b: Float[Array, "..."]) -> Double:
    """a / b."""
    high = a.high / b
    back = two_product(high, b)
    return _finite(high, ((a.high - back.high) - back.low + a.low) / b)


def total(a: Double) -> Double:
    """The sum along the last axis."""

    def add_next(one: tuple, other: tuple) -> tuple:
        return tuple(add(Double(*one), Double(*other)))

    zero = jnp.zeros((), a.high.dtype)
    return Double(*jax.lax.reduce(tuple(a), (zero, zero), add_next, (a.high.ndim - 1,)))


def _halves(a: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Two floats of half the digits each, whose sum is a."""
    digits = jnp.finfo(a.dtype).nmant + 1
    scaled = a * (2.0 ** -(-digits // 2) + 1)
    high = scaled - (scaled - a)
    return high, a - high


def _finite(high: Float[Array, "..."], low: Float[Array, "..."]) -> Double:
    # If `high` is not finite, neither is its rounding error.
    return Double(high, jnp.where(jnp.isfinite(low), low, 0))
