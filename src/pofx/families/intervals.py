"""Probabilities of intervals and quantiles, from tails and densities that keep their digits."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pofx.core.family import AbstractFamily
from pofx.core.root_finding import middle

_LEGENDRE = np.polynomial.legendre.leggauss(8)


def interval(
    family: AbstractFamily, low: Float[Array, "c"], high: Float[Array, "c"], integrate: Callable
) -> Float[Array, "c"]:
    """P(low < X <= high) for low < high, as a difference of two upper or of two lower tails.

    Args:
        family: the family.
        low, high: the ends, maybe infinite.
        integrate: integrate(low, high) is used if the difference would lose digits.
    """
    ends = jnp.stack([low, high])
    finite = jnp.isfinite(ends)
    x = jnp.where(finite, ends, family.support_point)
    # The tails at infinite ends are set explicitly, because their gradients would be NaN.
    below, above = jax.vmap(lambda x: (family.cdf(x), family.survival(x)))(x)
    below = jnp.where(finite, below, jnp.array([[0], [1]], below.dtype))
    above = jnp.where(finite, above, jnp.array([[1], [0]], above.dtype))
    upper = below[0] > 0.5
    larger = jnp.where(upper, above[0], below[1])
    smaller = jnp.where(upper, above[1], below[0])
    close = finite.all(0) & (smaller > 0.75 * larger)
    inner_mass = integrate(
        jnp.where(close, x[0], family.support_point),
        jnp.where(close, x[1], family.support_point + 1),
    )
    return jnp.where(close, inner_mass, larger - smaller)


def log_interval(
    tails: Callable,
    low: Float[Array, "c"],
    high: Float[Array, "c"],
    log_integrate: Callable,
    support_point: float,
) -> Float[Array, "c"]:
    """log P(low < X <= high) for low < high, from the logarithms of both tails.

    Args:
        tails: gives the logarithms of both tails at x.
        low, high: the ends, maybe infinite.
        log_integrate: log_integrate(low, high) is used if the tails at both ends are nearly equal.
        support_point: a number in the support.
    """
    ends = jnp.stack([low, high])
    finite = jnp.isfinite(ends)
    below, above = jax.vmap(tails)(jnp.where(finite, ends, support_point))
    below = jnp.where(finite, below, jnp.array([[-jnp.inf], [0]], below.dtype))
    above = jnp.where(finite, above, jnp.array([[0], [-jnp.inf]], above.dtype))
    upper = above[0] < below[1]
    larger = jnp.where(upper, above[0], below[1])
    smaller = jnp.where(upper, above[1], below[0])
    close = finite.all(0) & (smaller > larger + math.log(0.75))
    log_integral = log_integrate(
        jnp.where(close, low, support_point), jnp.where(close, high, support_point + 1)
    )
    is_undefined = close | (larger == -jnp.inf)
    log_ratio = jnp.where(is_undefined, -jnp.inf, jnp.minimum(smaller - larger, 0))
    return jnp.where(close, log_integral, larger + jnp.log1p(-jnp.exp(log_ratio)))


def log_positive_integral(
    log_prob: Callable, low: Float[Array, "c"], high: Float[Array, "c"]
) -> Float[Array, "c"]:
    """The log of the integral of a density of positive numbers that is smooth over log x."""
    end = jnp.maximum(log_prob(low), log_prob(high))

    def density(rise):
        x = low * jnp.exp(rise)
        return jnp.exp(log_prob(x) + rise - end)

    rise = jnp.log1p((high - low) / low)
    return jnp.log(integral(density, jnp.zeros_like(low), rise)) + jnp.log(low) + end


def positive_interval(
    family: AbstractFamily, low: Float[Array, "c"], high: Float[Array, "c"]
) -> Float[Array, "c"]:
    """`interval` for a family of positive numbers, whose density is smooth over log x."""

    def integrate(low, high):
        def density(rise):
            x = low * jnp.exp(rise)
            return x * jnp.exp(family.log_prob(x))

        return integral(density, jnp.zeros_like(low), jnp.log1p((high - low) / low))

    return interval(family, low, high, integrate)


def integral(f: Callable, start: Float[Array, "c"], width: Float[Array, "c"]) -> Float[Array, "c"]:
    """The integral of a smooth f from start to start + width (Gauss-Legendre)."""
    nodes, weights = (jnp.asarray(a, width.dtype) for a in _LEGENDRE)
    values = jax.vmap(f)(start + width * (1 + nodes[:, None]) / 2)
    return width * (weights[:, None] * values).sum(0) / 2


def bisect(
    tails: Callable,
    u: Float[Array, "..."],
    above: Float[Array, "..."],
    low: Float[Array, "..."],
    high: Float[Array, "..."],
    integer: bool = False,
) -> Float[Array, "..."]:
    """The smallest x in (low, high] with P(X <= x) >= u = 1 - above, by bisection.

    Args:
        tails: gives both tails at x.
        u, above: the level, and 1 minus the level.
        low, high: the first bracket.
        integer: whether x is among the integers only.
    """

    def halve(_, bracket):
        low, high = bracket
        # Integers begin at -1. From 2 on, no geometric middle rounds down to the lower end.
        x = jnp.floor(middle(low + 3, high + 3)) - 3 if integer else (low + high) / 2
        left, right = tails(x)
        is_below = jnp.where(u <= above, left < u, right > above)
        return jnp.where(is_below, x, low), jnp.where(is_below, high, x)

    steps = jnp.finfo(u.dtype).nmant + 16
    return jax.lax.fori_loop(0, steps, halve, (low, high))[1]


def cantelli_bound(
    u: Float[Array, "..."],
    above: Float[Array, "..."],
    mean: Float[Array, "..."],
    deviation: Float[Array, "..."],
) -> Float[Array, "..."]:
    """An upper bound of quantile u from the mean and the standard deviation (Cantelli)."""
    return mean + deviation * jnp.sqrt(u / above)


def count_quantile(
    tails: Callable,
    u: Float[Array, "..."],
    above: Float[Array, "..."],
    mean: Float[Array, "..."],
    deviation: Float[Array, "..."],
) -> Float[Array, "..."]:
    """The smallest integer x >= 0 with P(X <= x) >= u = 1 - above; infinite if above = 0."""
    finite = above > 0
    bound = cantelli_bound(jnp.where(finite, u, 0), jnp.where(finite, above, 1), mean, deviation)
    bound = jnp.ceil(bound) + 1
    x = bisect(tails, u, above, jnp.full_like(bound, -1), bound, integer=True)
    return jnp.where(finite, x, jnp.inf)
