"""Roots of increasing functions between two ends."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

MAX_STEPS = 200
"""More steps than a bisection over all floats takes, even if every third step is in vain."""


def middle(low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
    """A point between finite ends, for bisection over all scales.

    It is halfway between ends of similar size. If sizes differ by more than a factor of 2, it is
    the geometric mean, or 0 if signs differ too. A bracket of hundreds of decades shrinks to a
    factor of 2 in about ten steps.

    >>> print(f"{float(middle(jnp.array(1e-30), jnp.array(1e10))):.4g}")
    1e-10
    >>> float(middle(jnp.array(-2.0), jnp.array(3.0)))
    0.5
    """
    sizes = jnp.abs(low), jnp.abs(high)
    small, large = jnp.minimum(*sizes), jnp.maximum(*sizes)
    ratio = jnp.sqrt(jnp.maximum(small, jnp.finfo(large.dtype).tiny)) * jnp.sqrt(large)
    one_sign = jnp.sign(low) * jnp.sign(high) >= 0
    geometric = jnp.where(one_sign, jnp.where(high > 0, ratio, -ratio), 0)
    return jnp.where(large > 2 * small, geometric, low / 2 + high / 2)


def first_root(
    function: Callable[[Float[Array, ""]], Float[Array, ""]],
    low: Float[Array, ""],
    high: Float[Array, ""],
) -> Float[Array, ""]:
    """The x in (low, high] at which an increasing function reaches 0, to two roundings.

    The step is inverse quadratic interpolation if the last three points allow it, else bisection
    (Chandrupatla 1997). A smooth function takes about ten evaluations, and a function with jumps no
    more than bisection does. `function(low)` must be negative, `function(high)` not.

    Args:
        function: an increasing function of one number; its values may be infinite.
        low, high: finite ends of the bracket.

    Returns:
        The upper end of the last bracket.

    >>> print(float(first_root(lambda x: x**3 - 8.0, jnp.array(0.0), jnp.array(10.0))))
    2.0
    """
    eps, tiny = float(jnp.finfo(low.dtype).eps), float(jnp.finfo(low.dtype).tiny)

    def unfinished(state: _Bracket) -> Bool[Array, ""]:
        width = jnp.abs(state.other - state.last)
        size = jnp.minimum(jnp.abs(state.other), jnp.abs(state.last))
        return (state.steps < MAX_STEPS) & (width > 2 * (eps * size + tiny)) & (state.f_last != 0)

    def narrow(s: _Bracket) -> _Bracket:
        x = _next_point(s, eps)
        f = function(x)
        same = (f >= 0) == (s.f_last >= 0)
        older, f_older = _either(same, (s.last, s.f_last), (s.other, s.f_other))
        other, f_other = _either(same, (s.other, s.f_other), (s.last, s.f_last))
        return _Bracket(x, f, other, f_other, older, f_older, s.steps + 1)

    f_low, f_high = function(low), function(high)
    start = _Bracket(low, f_low, high, f_high, low, f_low, jnp.zeros((), int))
    end = jax.lax.while_loop(unfinished, narrow, start)
    return jnp.where(end.f_last >= 0, end.last, end.other)


class _Bracket(NamedTuple):
    """The last point, the other end of the bracket, and an older point, with their values."""

    last: Float[Array, ""]
    f_last: Float[Array, ""]
    other: Float[Array, ""]
    f_other: Float[Array, ""]
    older: Float[Array, ""]
    f_older: Float[Array, ""]
    steps: Array


def _next_point(s: _Bracket, eps: float) -> Float[Array, ""]:
    """The root of the inverse quadratic through three points, or the middle of the bracket."""
    span = s.other - s.last
    xi = (s.last - s.other) / (s.older - s.other)
    phi = (s.f_last - s.f_other) / (s.f_older - s.f_other)
    smooth = (1 - jnp.sqrt(1 - xi) < phi) & (phi < jnp.sqrt(xi)) & (s.steps > 0)
    to_other = s.f_last / (s.f_last - s.f_other) * s.f_older / (s.f_older - s.f_other)
    to_older = s.f_last / (s.f_older - s.f_last) * s.f_other / (s.f_other - s.f_older)
    share = to_other - (s.older - s.last) / span * to_older
    # A step below the tolerance would not move the other end.
    min_share = eps * jnp.maximum(jnp.abs(s.last), jnp.abs(s.other)) / jnp.abs(span)
    share = jnp.clip(share, min_share, 1 - min_share)
    usable = smooth & jnp.isfinite(share)
    return jnp.where(usable, s.last + share * span, middle(s.last, s.other))


def _either(first: Bool[Array, ""], one: tuple, other: tuple) -> tuple:
    return tuple(jnp.where(first, a, b) for a, b in zip(one, other))
