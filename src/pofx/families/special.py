"""Special functions that stay right in float32, for counts of a million and shapes of ten thousand.

Gamma functions of large arguments cancel to nothing in float32. Loader (2000, "Fast and accurate
computation of binomial probabilities") writes a Poisson probability instead as a deviance, which is
small where it matters, times the error of Stirling's formula. Every law of counts and the gamma law
are built here from that one function. The tails are integrals of the density, scaled to its value
at their end, so that they inherit its precision.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

LARGE = 16.0
"""From here on the series in 1/x are exact to rounding in float64."""


def log(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log x, and -inf with gradient zero where x is not positive."""
    positive = x > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, x, 1)), -jnp.inf)


def excess(t: Float[Array, "..."], ratio: Float[Array, "..."] | None = None) -> Float[Array, "..."]:
    """t - log(1 + t), without cancellation near zero; `ratio` is 1 + t where it has more digits.

    With v = t / (2 + t), log(1 + t) = 2 (v + v^3/3 + v^5/5 + ...) and t - 2 v = t v.

    >>> print(f"{float(excess(jnp.array(1e-4))):.5e}")
    4.99967e-09
    """
    near = jnp.abs(t) < 0.2
    v = jnp.where(near, t, 0) / (2 + jnp.where(near, t, 0))
    series = jnp.polyval(jnp.asarray([1 / k for k in range(15, 1, -2)], v.dtype), v * v)
    far = jnp.log(jnp.where(near, 1, 1 + t if ratio is None else ratio))
    return jnp.where(near, t * v - 2 * v**3 * series, t - far)


def stirling(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log Gamma(x + 1) - (x + 1/2) log x + x - log(2 pi)/2, the error of Stirling's formula."""
    large = x >= LARGE
    y, z = jnp.where(large, x, LARGE), jnp.where(large, 1, x)
    terms = [1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12]
    series = jnp.polyval(jnp.asarray(terms, y.dtype), y**-2) / y
    direct = gammaln(z + 1) - (z + 0.5) * jnp.log(z) + z - 0.5 * math.log(2 * math.pi)
    return jnp.where(large, series, direct)


def log_poisson(x: Float[Array, "..."], m: Float[Array, "..."]) -> Float[Array, "..."]:
    """x log m - m - log Gamma(x + 1) for any x >= 0 and m > 0 (Loader 2000).

    >>> print(f"{float(log_poisson(jnp.array(1e6), jnp.array(1e6))):.4f}")
    -7.8267
    """
    large = x >= LARGE
    y, z = jnp.where(large, x, LARGE), jnp.where(large, 1, x)
    saddle = -y * excess((m - y) / y, m / y) - stirling(y) - 0.5 * jnp.log(2 * math.pi * y)
    return jnp.where(large, saddle, z * jnp.log(m) - m - gammaln(z + 1))


def log_negative_binomial(
    x: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]
) -> Float[Array, "..."]:
    """log of Gamma(x+r) / (Gamma(r) x!) (r/(r+m))^r (m/(r+m))^x, mean m and size r.

    It is r/(x+r) times a binomial, and a binomial is two Poisson laws given their sum.
    """
    n = x + r
    parts = log_poisson(r, n * (r / (r + m))) + log_poisson(x, n * (m / (r + m)))
    return jnp.log(r / n) + parts - log_poisson(n, n)


def log_minus_digamma(a: Float[Array, "..."]) -> Float[Array, "..."]:
    """log a - psi(a), about 1/(2a) for large a; its derivative is as precise.

    >>> print(f"{float(log_minus_digamma(jnp.array(1e4))):.6e}")
    5.000083e-05
    """
    large = a >= 8
    z = jnp.where(large, 1, a)
    y = jnp.where(large, a, z + 8)
    terms = [1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12]
    series = 0.5 / y + jnp.polyval(jnp.asarray(terms, y.dtype), y**-2) * y**-2
    shift = sum(1 / (z + i) for i in range(8)) - jnp.log1p(8 / z)
    return series + jnp.where(large, 0, shift)


# The trapezoid rule after s = exp(u - exp(-u)) converges geometrically for an analytic integrand
# on (0, inf) that decays exponentially (Takahasi and Mori 1974).
_U = np.linspace(-3.6, 9.0, 85)
_NODES = np.exp(_U - np.exp(-_U))
_WEIGHTS = _NODES * (1 + np.exp(-_U)) * (_U[1] - _U[0])


def _tail(log_ratio: Callable, scale: Float[Array, "..."]) -> Float[Array, "..."]:
    """The integral of exp(log_ratio(s)) over s > 0, for a log-concave integrand of that scale."""
    s = scale[..., None] * jnp.asarray(_NODES, scale.dtype)
    weight = scale[..., None] * jnp.asarray(_WEIGHTS, scale.dtype)
    return jnp.sum(weight * jnp.exp(log_ratio(s)), -1)


def _expm1(s: Float[Array, "..."]) -> Float[Array, "..."]:
    # Past e^40 every tail here is zero, and float32 would overflow.
    return jnp.where(s > 40, jnp.inf, jnp.expm1(jnp.minimum(s, 40)))


def gamma_cdf(a: Float[Array, "..."], t: Float[Array, "..."]) -> Float[Array, "..."]:
    """P(T <= t) for T of shape a > 0 and rate 1; of log T the density at log t is a Pois(a; t).

    >>> print(f"{float(gamma_cdf(jnp.array(1e6), jnp.array(1.001e6))):.4f}")
    0.8413
    """
    t = jnp.maximum(t, jnp.finfo(t.dtype).tiny)
    sign = jnp.where(t < a, -1.0, 1.0).astype(t.dtype)
    a_, t_, sign_ = a[..., None], t[..., None], sign[..., None]
    tail = _tail(lambda s: sign_ * a_ * s - t_ * _expm1(sign_ * s), 1 / (abs(a - t) + t**0.5))
    mass = jnp.clip(a * jnp.exp(log_poisson(a, t)) * tail, 0, 1)
    return jnp.where(sign < 0, mass, 1 - mass)


def poisson_cdf(x: Float[Array, "..."], m: Float[Array, "..."]) -> Float[Array, "..."]:
    """P(X <= x): that a gamma variate of shape floor(x) + 1 exceeds m."""
    x = jnp.floor(x)
    return jnp.where(x < 0, 0, 1 - gamma_cdf(jnp.maximum(x, 0) + 1, m))


def negative_binomial_cdf(
    x: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]
) -> Float[Array, "..."]:
    """P(X <= x): that a beta variate with parameters r and floor(x) + 1 is below r/(r+m).

    >>> one = jnp.array(1.0)
    >>> print(f"{float(negative_binomial_cdf(1e6 * one, 1e6 * one, one)):.4f}")
    0.6321
    """
    x = jnp.floor(x)
    k = jnp.maximum(x, 0)
    a, b, p, q = r, k + 1, r / (r + m), m / (r + m)
    low = a * m > b * r
    # Of the logit of the beta variate; measured from whichever end of (0, 1) is nearer.
    swap, n = p > 0.5, (a + b)[..., None]
    sign = jnp.where(low ^ swap, -1.0, 1.0).astype(p.dtype)[..., None]
    a_, p_ = jnp.where(swap, b, a)[..., None], jnp.where(swap, q, p)[..., None]
    scale = 1 / (abs(a * q - b * p) + ((a + b) * p * q) ** 0.5)
    tail = _tail(lambda s: sign * a_ * s - n * jnp.log1p(p_ * _expm1(sign * s)), scale)
    density = jnp.exp(log_negative_binomial(k, m, r)) * (k + r) * q
    mass = jnp.clip(density * tail, 0, 1)
    return jnp.where(x < 0, 0, jnp.where(low, mass, 1 - mass))


def bisect(
    cdf: Callable,
    u: Float[Array, "..."],
    low: Float[Array, "..."],
    high: Float[Array, "..."],
    whole: bool = False,
) -> Float[Array, "..."]:
    """The smallest x in (low, high] with cdf(x) >= u, among whole numbers if `whole`."""

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        middle = jnp.floor(middle) if whole else middle
        below = cdf(middle) < u
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    steps = jnp.finfo(u.dtype).nmant + 8
    return jax.lax.fori_loop(0, steps, halve, (low, high))[1]


def highest(
    u: Float[Array, "..."], mean: Float[Array, "..."], deviation: Float[Array, "..."]
) -> Float[Array, "..."]:
    """No quantile u of a law with that mean and standard deviation exceeds this (Cantelli)."""
    return mean + deviation * jnp.sqrt(u / (1 - u))


def count_quantile(
    cdf: Callable,
    u: Float[Array, "..."],
    mean: Float[Array, "..."],
    deviation: Float[Array, "..."],
) -> Float[Array, "..."]:
    """The smallest whole x >= 0 with cdf(x) >= u; infinite for u = 1."""
    bound = jnp.ceil(highest(jnp.where(u < 1, u, 0), mean, deviation)) + 1
    x = bisect(cdf, u, jnp.full_like(bound, -1), bound, whole=True)
    return jnp.where(u < 1, x, jnp.inf)


def growth(raw: Float[Array, "..."]) -> Float[Array, "..."]:
    """exp(raw) near zero; bounded by exp(-20) and exp(20), with a gradient throughout."""
    return jnp.exp(20 * jnp.tanh(raw / 20))


def floored(
    value: Float[Array, "..."], floor: Float[Array, "..."] | float, raw: Float[Array, "..."]
) -> Float[Array, "..."]:
    """`value` where raw is zero, growing with raw, never below `floor` (from twice the floor on).

    >>> floored(jnp.array(2.0), 0.5, jnp.array([-99.0, 0.0])).tolist()
    [0.5, 2.0]
    """
    return floor + jnp.maximum(value - floor, floor) * growth(raw)
