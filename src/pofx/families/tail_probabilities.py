"""Both tails of the gamma law and of the laws of counts, quantiles, and intervals, in float32 too.

A tail is the integral of the density scaled to its value at the tail's end, so that it inherits the
precision of the density: it keeps its relative error however far out it begins.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pofx.core.family import AbstractFamily
from pofx.core.root_finding import middle
from pofx.families.special_functions import t_minus_log1p, log_negative_binomial, log_poisson

HUGE = 1e30
"""Stands for infinity, where the arithmetic of infinities would give no number."""

FAR = 40.0
"""exp(FAR) is more than every digit of a float, and its powers do not overflow float32."""

Tails = tuple[Float[Array, "..."], Float[Array, "..."]]
"""P(X <= x) and P(X > x)."""

# The trapezoid rule after s = exp(u - exp(-u)) converges geometrically for an analytic integrand
# on (0, inf) that decays exponentially (Takahasi and Mori 1974).
_U = np.linspace(-3.6, 9.0, 113)
_NODES = np.exp(_U - np.exp(-_U))
_WEIGHTS = _NODES * (1 + np.exp(-_U)) * (_U[1] - _U[0])
_LEGENDRE = np.polynomial.legendre.leggauss(8)


def _tail(log_ratio: Callable, decay: Float[Array, "..."], cut: Array) -> Float[Array, "..."]:
    """The integral over s > 0 of exp(log_ratio(s)), log-concave, that falls at about that rate.

    Where `cut`, e^s ends it, and abruptly if it fell slowly: nodes must be dense there.
    """
    decay = jnp.maximum(decay, jnp.where(cut, 2, 0))
    scale = 1 / jax.lax.stop_gradient(decay)[..., None]
    s, weight = (scale * jnp.asarray(a, scale.dtype) for a in (_NODES, _WEIGHTS))
    return jnp.sum(weight * jnp.exp(log_ratio(s)), -1)


def _rise(s: Float[Array, "..."]) -> tuple[Array, Array, Array]:
    """e^s - 1 up to s = FAR, whether s is small, and e^s - 1 - s where it is."""
    rise, near = jnp.expm1(jnp.minimum(s, FAR)), jnp.abs(s) < 0.3
    return rise, near, t_minus_log1p(jnp.where(near, rise, 0))


def gamma_tails(a: Float[Array, "..."], t: Float[Array, "..."]) -> Tails:
    """Of T of shape a > 0 and rate 1 at t.

    >>> print(*(f"{float(p):.4f}" for p in gamma_tails(jnp.array(1e6), jnp.array(1.001e6))))
    0.8413 0.1587
    """
    return _either(*_gamma_tail(a, t))


def log_gamma_tails(a: Float[Array, "..."], t: Float[Array, "..."]) -> Tails:
    """The logarithms of `gamma_tails`, however small they are."""
    return _log_either(*_gamma_tail(a, t))


def _gamma_tail(a: Float[Array, "..."], t: Float[Array, "..."]) -> Tails:
    """Whether t is below the shape, and the log of the tail on that side of t.

    Of log T the density at log t is a Pois(a; t).
    """
    t = jnp.clip(t, jnp.finfo(t.dtype).tiny, HUGE)
    low = t < a
    # A small shape's upper tail is spread over decades: of T - t it then decays at rate 1.
    spread = ~low & (a < 1)
    a_, t_, sign = a[..., None], t[..., None], jnp.where(low, -1, 1).astype(t.dtype)[..., None]
    slope = jnp.abs(a - t)

    def log_ratio(s):
        # a s - t (e^s - 1), but for the linear parts, which nearly cancel where a is large.
        rise, near, bend = _rise(sign * s)
        plain = jnp.where(near, -slope[..., None] * s - t_ * bend, a_ * sign * s - t_ * rise)
        apart = a_ * jnp.log1p(s / t_) - s - jnp.log(t_ + s)
        return jnp.where(spread[..., None], apart, plain)

    tail = _tail(log_ratio, jnp.where(spread, 1, slope + t**0.5), ~low & ~spread)
    return low, jnp.log(a) + log_poisson(a, t) + jnp.log(tail)


def poisson_tails(x: Float[Array, "..."], m: Float[Array, "..."]) -> Tails:
    """X <= x where a gamma variate of shape floor(x) + 1 exceeds m."""
    k = jnp.clip(jnp.floor(x), 0, HUGE)
    above, below = gamma_tails(k + 1, m)
    return _from_zero(x, below, above)


def log_poisson_tails(x: Float[Array, "..."], m: Float[Array, "..."]) -> Tails:
    """The logarithms of `poisson_tails`, however small they are."""
    k = jnp.clip(jnp.floor(x), 0, HUGE)
    above, below = log_gamma_tails(k + 1, m)
    return _log_from_zero(x, below, above)


def negative_binomial_tails(
    x: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]
) -> Tails:
    """X <= x where a beta variate with parameters r and floor(x) + 1 is below r/(r+m).

    >>> one = jnp.array(1.0)
    >>> print(f"{float(negative_binomial_tails(1e6 * one, 1e6 * one, one)[0]):.4f}")
    0.6321
    """
    k = jnp.clip(jnp.floor(x), 0, HUGE)
    return _from_zero(x, *_either(*_beta_tail(k, m, r)))


def log_negative_binomial_tails(
    x: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]
) -> Tails:
    """The logarithms of `negative_binomial_tails`, however small they are."""
    k = jnp.clip(jnp.floor(x), 0, HUGE)
    return _log_from_zero(x, *_log_either(*_beta_tail(k, m, r)))


def _beta_tail(k: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]) -> Tails:
    """Whether k is so small that X <= k is the tail, and the log of the tail on that side of k."""
    a, b, p, q = r, k + 1, r / (r + m), m / (r + m)
    low = m > b
    # Of the logit of the beta variate; measured from whichever end of (0, 1) is nearer.
    swap, n = p > 0.5, (a + b)[..., None]
    left = low ^ swap
    sign = jnp.where(left, -1, 1).astype(p.dtype)[..., None]
    a_, p_ = jnp.where(swap, b, a)[..., None], jnp.where(swap, q, p)[..., None]
    slope = jnp.abs(m - b) * p

    def log_ratio(s):
        # a s - n log(1 + p (e^s - 1)), but for the linear parts.
        rise, near, bend = _rise(sign * s)
        small = jnp.where(near, p_ * rise, 0)
        curved = -slope[..., None] * s - n * (p_ * bend - t_minus_log1p(small))
        log = jnp.log1p(p_ * rise) + jnp.maximum(sign * s - FAR, 0)
        return jnp.where(near, curved, sign * a_ * s - n * log)

    tail = _tail(log_ratio, slope + ((a + b) * p * q) ** 0.5, ~left)
    return low, log_negative_binomial(k, m, r) + jnp.log((k + r) * q) + jnp.log(tail)


def _either(low: Array, log_mass: Float[Array, "..."]) -> Tails:
    """Both tails, of which the integral has given the left one where `low`."""
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
    family: AbstractFamily, low: Float[Array, "c"], high: Float[Array, "c"], narrow: Callable
) -> Float[Array, "c"]:
    """P(low < X <= high), for low < high, as a difference of those tails that are smaller.

    Where the difference would lose digits it is narrow(low, high), the integral or sum itself.
    """
    ends = jnp.stack([low, high])
    finite = jnp.isfinite(ends)
    x = jnp.where(finite, ends, family.support_point)
    # Of infinite ends the tails are known, their gradients are not.
    below, above = jax.vmap(lambda x: (family.cdf(x), family.survival(x)))(x)
    below = jnp.where(finite, below, jnp.array([[0], [1]], below.dtype))
    above = jnp.where(finite, above, jnp.array([[1], [0]], above.dtype))
    upper = below[0] > 0.5
    whole, rest = jnp.where(upper, above[0], below[1]), jnp.where(upper, above[1], below[0])
    close = finite.all(0) & (rest > 0.75 * whole)
    inner = narrow(
        jnp.where(close, x[0], family.support_point),
        jnp.where(close, x[1], family.support_point + 1),
    )
    return jnp.where(close, inner, whole - rest)


def log_interval(
    tails: Callable,
    low: Float[Array, "c"],
    high: Float[Array, "c"],
    narrow: Callable,
    inside: float,
) -> Float[Array, "c"]:
    """log P(low < X <= high), for low < high, from the logarithms of both tails.

    narrow(low, high) is the logarithm where the tails at both ends are nearly the same; `inside`
    is in the support.
    """
    ends = jnp.stack([low, high])
    finite = jnp.isfinite(ends)
    below, above = jax.vmap(tails)(jnp.where(finite, ends, inside))
    below = jnp.where(finite, below, jnp.array([[-jnp.inf], [0]], below.dtype))
    above = jnp.where(finite, above, jnp.array([[0], [-jnp.inf]], above.dtype))
    upper = above[0] < below[1]
    whole, rest = jnp.where(upper, above[0], below[1]), jnp.where(upper, above[1], below[0])
    close = finite.all(0) & (rest > whole + math.log(0.75))
    inner = narrow(jnp.where(close, low, inside), jnp.where(close, high, inside + 1))
    apart = jnp.where(close | (whole == -jnp.inf), -jnp.inf, jnp.minimum(rest - whole, 0))
    return jnp.where(close, inner, whole + jnp.log1p(-jnp.exp(apart)))


def log_positive_integral(
    log_prob: Callable, low: Float[Array, "c"], high: Float[Array, "c"]
) -> Float[Array, "c"]:
    """The log of the integral of a density of positive numbers that hardly bends over log x."""
    end = jnp.maximum(log_prob(low), log_prob(high))

    def density(rise):
        x = low * jnp.exp(rise)
        return jnp.exp(log_prob(x) + rise - end)

    rise = jnp.log1p((high - low) / low)
    return jnp.log(integral(density, jnp.zeros_like(low), rise)) + jnp.log(low) + end


def positive_interval(
    family: AbstractFamily, low: Float[Array, "c"], high: Float[Array, "c"]
) -> Float[Array, "c"]:
    """`interval` for a family of positive numbers: over log x its density hardly bends anywhere."""

    def narrow(low, high):
        def density(rise):
            x = low * jnp.exp(rise)
            return x * jnp.exp(family.log_prob(x))

        return integral(density, jnp.zeros_like(low), jnp.log1p((high - low) / low))

    return interval(family, low, high, narrow)


def integral(f: Callable, start: Float[Array, "c"], width: Float[Array, "c"]) -> Float[Array, "c"]:
    """The integral of f from start to start + width, over which f hardly bends (Gauss)."""
    nodes, weights = (jnp.asarray(a, width.dtype) for a in _LEGENDRE)
    values = jax.vmap(f)(start + width * (1 + nodes[:, None]) / 2)
    return width * (weights[:, None] * values).sum(0) / 2


def bisect(
    tails: Callable,
    u: Float[Array, "..."],
    above: Float[Array, "..."],
    low: Float[Array, "..."],
    high: Float[Array, "..."],
    whole: bool = False,
) -> Float[Array, "..."]:
    """The smallest x in (low, high] with P(X <= x) >= u = 1 - above, among whole ones if `whole`.

    `tails` gives both of x.
    """

    def halve(_, bracket):
        low, high = bracket
        # Whole numbers begin at -1; from 2 on, no middle by ratio rounds down to the lower end.
        at = jnp.floor(middle(low + 3, high + 3)) - 3 if whole else (low + high) / 2
        left, right = tails(at)
        less = jnp.where(u <= above, left < u, right > above)
        return jnp.where(less, at, low), jnp.where(less, high, at)

    steps = jnp.finfo(u.dtype).nmant + 16
    return jax.lax.fori_loop(0, steps, halve, (low, high))[1]


def cantelli_bound(
    u: Float[Array, "..."],
    above: Float[Array, "..."],
    mean: Float[Array, "..."],
    deviation: Float[Array, "..."],
) -> Float[Array, "..."]:
    """No quantile u of a law with that mean and standard deviation exceeds this (Cantelli)."""
    return mean + deviation * jnp.sqrt(u / above)


def count_quantile(
    tails: Callable,
    u: Float[Array, "..."],
    above: Float[Array, "..."],
    mean: Float[Array, "..."],
    deviation: Float[Array, "..."],
) -> Float[Array, "..."]:
    """The smallest whole x >= 0 with P(X <= x) >= u = 1 - above; infinite for above = 0."""
    some = above > 0
    bound = cantelli_bound(jnp.where(some, u, 0), jnp.where(some, above, 1), mean, deviation)
    bound = jnp.ceil(bound) + 1
    x = bisect(tails, u, above, jnp.full_like(bound, -1), bound, whole=True)
    return jnp.where(some, x, jnp.inf)
