"""Tails of the gamma and the beta distribution and of distributions of counts.

All functions are accurate in float32 too. A tail is the integral of the density, scaled to its
value at the end of the tail, so a tail has the relative precision of the density, however far out
it begins.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

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
    return _from_zero(x, *beta_tails(r, k + 1, m))


def log_negative_binomial_tails(
    x: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]
) -> Tails:
    """The logarithms of `negative_binomial_tails`, however small the tails are."""
    k = jnp.clip(jnp.floor(x), 0, STAND_IN_FOR_INFINITY)
    return _log_from_zero(x, *log_beta_tails(r, k + 1, m))


def beta_tails(a: Float[Array, "..."], b: Float[Array, "..."], m: Float[Array, "..."]) -> Tails:
    """The tails of a beta variate with parameters a and b at the point x = a / (a + m).

    Args:
        a, b: the parameters.
        m: a (1 - x) / x, which has the digits of 1 - x if x is near one.

    >>> below, above = beta_tails(jnp.array(0.5), jnp.array(0.5), jnp.array(1.5))
    >>> print(f"{float(below):.4f} {float(above):.4f}")
    0.3333 0.6667
    """
    return _either(*_beta_tail(a, b, m))


def log_beta_tails(a: Float[Array, "..."], b: Float[Array, "..."], m: Float[Array, "..."]) -> Tails:
    """The logarithms of `beta_tails`, however small the tails are."""
    return _log_either(*_beta_tail(a, b, m))


def _beta_tail(a: Float[Array, "..."], b: Float[Array, "..."], m: Float[Array, "..."]) -> Tails:
    """Whether the left tail at a / (a + m) is the smaller, and the log of the smaller tail.

    In the logit of the variate, the density there is b times a negative binomial probability of b.
    """
    p, q = a / (a + m), m / (a + m)
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
    return low, log_negative_binomial(b, m, a) + jnp.log(b) + jnp.log(tail)


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
