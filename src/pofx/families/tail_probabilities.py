"""Tails, quantiles and intervals of the gamma distribution and of distributions of counts.

All functions are accurate in float32 too. A tail is the integral of the density, scaled to its
value at the end of the tail, so a tail has the relative precision of the density, however far out
it begins.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pofx.core.family import AbstractFamily
from pofx.core.root_finding import middle
from pofx.families.special_functions import log_negative_binomial, log_poisson, t_minus_log1p

STAND_IN_FOR_INFINITY = 1e30
"""A number in place of infinity, whose arithmetic would give NaN."""

MAX_EXPONENT = 40.0
"""exp(MAX_EXPONENT) exceeds the digits of a float, and its powers do not overflow float32."""

Tails = tuple[Float[Array, "..."], Float[Array, "..."]]
"""P(X <= x) and P(X > x)."""

# The trapezoid rule after s = exp(u - exp(-u)) converges geometrically for an analytic integrand
# on (0, inf) that decays exponentially (Takahasi and Mori 1974).
_U = np.linspace(-3.6, 9.0, 113)
_NODES = np.exp(_U - np.exp(-_U))
_WEIGHTS = _NODES * (1 + np.exp(-_U)) * (_U[1] - _U[0])
_LEGENDRE = np.polynomial.legendre.leggauss(8)


def _tail(log_ratio: Callable, decay: Float[Array, "..."], cut: Array) -> Float[Array, "..."]:
    """The integral over s > 0 of exp(log_ratio(s)).

    Args:
        log_ratio: a concave function.
        decay: the rate at which the integrand falls, approximately.
        cut: whether e^s ends it, abruptly if it falls slowly; then nodes must be dense.
    """
    decay = jnp.maximum(decay, jnp.where(cut, 2, 0))
    scale = 1 / jax.lax.stop_gradient(decay)[..., None]
    s, weight = (scale * jnp.asarray(a, scale.dtype) for a in (_NODES, _WEIGHTS))
    return jnp.sum(weight * jnp.exp(log_ratio(s)), -1)


def _rise(s: Float[Array, "..."]) -> tuple[Array, Array, Array]:
    """e^s - 1 up to s = MAX_EXPONENT, whether s is small, and e^s - 1 - s if it is."""
    rise = jnp.expm1(jnp.minimum(s, MAX_EXPONENT))
    near = jnp.abs(s) < 0.3
    return rise, near, t_minus_log1p(jnp.where(near, rise, 0))


def gamma_tails(a: Float[Array, "..."], t: Float[Array, "..."]) -> Tails:
    """The tails at t of a gamma variate of shape a > 0 and rate 1.

    >>> print(*(f"{float(p):.4f}" for p in gamma_tails(jnp.array(1e6), jnp.array(1.001e6))))
    0.8413 0.1587
    """
    return _either(*_gamma_tail(a, t))


def log_gamma_tails(a: Float[Array, "..."], t: Float[Array, "..."]) -> Tails:
    """The logarithms of `gamma_tails`, however small the tails are."""
    return _log_either(*_gamma_tail(a, t))


def _gamma_tail(a: Float[Array, "..."], t: Float[Array, "..."]) -> Tails:
    """Whether t is below the shape, and the log of the tail on that side of t.

    The density of log T at log t is a Pois(a; t).
    """
    t = jnp.clip(t, jnp.finfo(t.dtype).tiny, STAND_IN_FOR_INFINITY)
    low = t < a
    # The upper tail of a small shape extends over decades of T; in T - t it decays at rate 1.
    is_linear = ~low & (a < 1)
    a_, t_ = a[..., None], t[..., None]
    sign = jnp.where(low, -1, 1).astype(t.dtype)[..., None]
    slope = jnp.abs(a - t)

    def log_ratio(s):
        # a s - t (e^s - 1). Near zero, the linear parts, which nearly cancel, are joined.
        rise, near, curvature = _rise(sign * s)
        small_step = -slope[..., None] * s - t_ * curvature
        in_log_t = jnp.where(near, small_step, a_ * sign * s - t_ * rise)
        in_t = a_ * jnp.log1p(s / t_) - s - jnp.log(t_ + s)
        return jnp.where(is_linear[..., None], in_t, in_log_t)

    tail = _tail(log_ratio, jnp.where(is_linear, 1, slope + t**0.5), ~low & ~is_linear)
    return low, jnp.log(a) + log_poisson(a, t) + jnp.log(tail)


def poisson_tails(x: Float[Array, "..."], m: Float[Array, "..."]) -> Tails:
    """The tails of a Poisson variate X of mean m.

    X <= x has the probability that a gamma variate of shape floor(x) + 1 exceeds m.
    """
    k = jnp.clip(jnp.floor(x), 0, STAND_IN_FOR_INFINITY)
    above, below = gamma_tails(k + 1, m)
    return _from_zero(x, below, above)


def log_poisson_tails(x: Float[Array, "..."], m: Float[Array, "..."]) -> Tails:
    """The logarithms of `poisson_tails`, however small the tails are."""
    k = jnp.clip(jnp.floor(x), 0, STAND_IN_FOR_INFINITY)
    above, below = log_gamma_tails(k + 1, m)
    return _log_from_zero(x, below, above)


def negative_binomial_tails(
    x: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]
) -> Tails:
    """The tails of a negative binomial variate X of mean m and size r.

    X <= x has the probability that a beta variate with parameters r and floor(x) + 1 is below
    r/(r+m).

    >>> one = jnp.array(1.0)
    >>> print(f"{float(negative_binomial_tails(1e6 * one, 1e6 * one, one)[0]):.4f}")
    0.6321
    """
    k = jnp.clip(jnp.floor(x), 0, STAND_IN_FOR_INFINITY)
    return _from_zero(x, *_either(*_beta_tail(k, m, r)))


def log_negative_binomial_tails(
    x: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]
) -> Tails:
    """The logarithms of `negative_binomial_tails`, however small the tails are."""
    k = jnp.clip(jnp.floor(x), 0, STAND_IN_FOR_INFINITY)
    return _log_from_zero(x, *_log_either(*_beta_tail(k, m, r)))


def _beta_tail(k: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]) -> Tails:
    """Whether X <= k is the smaller tail, and the log of the tail on that side of k."""
    a, b, p, q = r, k + 1, r / (r + m), m / (r + m)
    low = m > b
    # In the logit of the beta variate, measured from the nearer end of (0, 1).
    swap = p > 0.5
    n = (a + b)[..., None]
    left = low ^ swap
    sign = jnp.where(left, -1, 1).astype(p.dtype)[..., None]
    a_, p_ = jnp.where(swap, b, a)[..., None], jnp.where(swap, q, p)[..., None]
    slope = jnp.abs(m - b) * p

    def log_ratio(s):
        # a s - n log(1 + p (e^s - 1)); near zero its linear parts are joined.
        rise, near, curvature = _rise(sign * s)
        small = jnp.where(near, p_ * rise, 0)
        small_step = -slope[..., None] * s - n * (p_ * curvature - t_minus_log1p(small))
        log = jnp.log1p(p_ * rise) + jnp.maximum(sign * s - MAX_EXPONENT, 0)
        return jnp.where(near, small_step, sign * a_ * s - n * log)

    tail = _tail(log_ratio, slope + ((a + b) * p * q) ** 0.5, ~left)
    return low, log_negative_binomial(k, m, r) + jnp.log((k + r) * q) + jnp.log(tail)


def _either(low: Array, log_mass: Float[Array, "..."]) -> Tails:
    """Both tails; `log_mass` is the left one if `low`."""
    mass = jnp.clip(jnp.exp(log_mass), 0, 1)
    return jnp.where(low, mass, 1 - mass), jnp.where(low, 1 - mass, mass)


def _log_either(low: Array, log_mass: Float[Array, "..."]) -> Tails:
    log_mass = jnp.minimum(log_mass, 0)
    other = jnp.log1p(-jnp.exp(log_mass))
    return jnp.where(low, log_mass, other), jnp.where(low, other, log_mass)


def _from_zero(x: Array, below: Array, above: Array) -> Tails:
    return jnp.where(x < 0, 0, below), jnp.where(x < 0, 1, above)


def _log_from_zero(x: Array, below: Array, above: Array) -> Tails:
    return jnp.where(x < 0, -jnp.inf, below), jnp.where(x < 0, 0, above)


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
