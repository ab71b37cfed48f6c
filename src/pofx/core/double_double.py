"""Numbers of twice a float's digits: a float, and what rounding took from it.

By operations whose rounding is itself a float (Dekker 1971; Ogita, Rump and Oishi 2005). What is
not finite has no such remainder.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Double(NamedTuple):
    """high + low, for |low| of at most a rounding of high."""

    high: Float[Array, "..."]
    low: Float[Array, "..."]

    def __neg__(self) -> "Double":
        return Double(-self.high, -self.low)

    def value(self) -> Float[Array, "..."]:
        """As one float."""
        return self.high + self.low


def double(high: Float[Array, "..."]) -> Double:
    """A float as it is."""
    return Double(high, jnp.zeros_like(high))


def two_sum(a: Float[Array, "..."], b: Float[Array, "..."]) -> Double:
    """a + b.

    >>> one, small = jnp.asarray(1.0), jnp.asarray(1e-20)
    >>> print(f"{float(two_sum(one, small).low):.3g}")
    1e-20
    """
    high = a + b
    part = high - a
    return _finite(high, (a - (high - part)) + (b - part))


def two_product(a: Float[Array, "..."], b: Float[Array, "..."]) -> Double:
    """a b."""
    high = rounded(a * b)
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return _finite(high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2)


def rounded(a: Float[Array, "..."]) -> Float[Array, "..."]:
    """a as a float: a compiler may add to a product what is not yet rounded."""
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
    """The sum along the last axis, by pairs."""
    while a.high.shape[-1] > 1:
        if a.high.shape[-1] % 2:
            room = [(0, 0)] * (a.high.ndim - 1) + [(0, 1)]
            a = Double(jnp.pad(a.high, room), jnp.pad(a.low, room))
        one, other = (Double(a.high[..., i::2], a.low[..., i::2]) for i in (0, 1))
        a = add(one, other)
    return Double(a.high.sum(-1), a.low.sum(-1))


def _halves(a: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Two floats of half the digits, whose sum is a."""
    digits = jnp.finfo(a.dtype).nmant + 1
    scaled = a * (2.0 ** -(-digits // 2) + 1)
    high = scaled - (scaled - a)
    return high, a - high


def _finite(high: Float[Array, "..."], low: Float[Array, "..."]) -> Double:
    return Double(high, jnp.where(jnp.isfinite(high) & jnp.isfinite(low), low, 0))
