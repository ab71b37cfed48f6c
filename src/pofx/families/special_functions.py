"""Special functions that are accurate in float32, also for counts of a million.

Gamma functions of large arguments cancel completely in float32. Loader (2000, "Fast and accurate
computation of binomial probabilities") writes a Poisson probability as a deviance, which is small
near the mean, times the error of Stirling's formula. All distributions of counts and the gamma
distribution are built here from that one function.
"""

import math

import jax.numpy as jnp
from jax.scipy.special import erfc, gammaln
from jaxtyping import Array, Float

MIN_SERIES_ARGUMENT = 16.0
"""The argument from which the series in 1/x are exact to rounding in float64."""


def log(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log x, or -inf with gradient zero if x is not positive."""
    positive = x > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, x, 1)), -jnp.inf)


def normal_cdf(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Φ(z) = erfc(-z / √2) / 2, with a small relative error also in the lower tail.

    In float64 it takes a fifth of the time of `jax.scipy.special.ndtr`, which computes two such
    functions.

    >>> print(f"{float(normal_cdf(jnp.array(-1.96))):.4f}")
    0.0250
    """
    return erfc(-z * math.sqrt(0.5)) / 2


def entr(p: Float[Array, "..."]) -> Float[Array, "..."]:
    """-p log p, or zero with gradient zero if p is zero, so that absent levels stay absent."""
    return -p * jnp.log(jnp.where(p > 0, p, 1))


def t_minus_log1p(
    t: Float[Array, "..."], ratio: Float[Array, "..."] | None = None
) -> Float[Array, "..."]:
    """t - log(1 + t), without cancellation near zero.

    With v = t / (2 + t), log(1 + t) = 2 (v + v^3/3 + v^5/5 + ...) and t - 2 v = t v.

    Args:
        t: a number above -1.
        ratio: 1 + t, if it is known with more digits than t gives.

    >>> print(f"{float(t_minus_log1p(jnp.array(1e-4))):.5e}")
    4.99967e-09
    """
    near = (t > -0.33) & (t < 0.5)
    v = jnp.where(near, t, 0) / (2 + jnp.where(near, t, 0))
    series = jnp.polyval(jnp.asarray([1 / k for k in range(21, 1, -2)], v.dtype), v * v)
    far = jnp.log(jnp.where(near, 1, 1 + t if ratio is None else ratio))
    return jnp.where(near, t * v - 2 * v**3 * series, t - far)


def divergence(p: Float[Array, "..."], q: Float[Array, "..."]) -> Float[Array, "..."]:
    """p log(p/q) - p + q >= 0, the part of two masses or two Poisson means in KL(p || q).

    The sum over two distributions is their KL. Each term has all its digits if p and q are close.

    >>> divergence(jnp.array([0.0, 1.0, 0.5]), jnp.array([0.25, 0.0, 0.5])).tolist()
    [0.25, inf, 0.0]
    """
    positive = (p > 0) & (q > 0)
    a, b = jnp.where(positive, p, 1), jnp.where(positive, q, 1)
    return jnp.where(positive, a * t_minus_log1p((b - a) / a, b / a), jnp.where(p > 0, jnp.inf, q))


def stirling(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log Gamma(x + 1) - (x + 1/2) log x + x - log(2 pi)/2, the error of Stirling's formula."""
    large = x >= MIN_SERIES_ARGUMENT
    y, z = jnp.where(large, x, MIN_SERIES_ARGUMENT), jnp.where(large, 1, x)
    direct = gammaln(z + 1) - (z + 0.5) * jnp.log(z) + z - 0.5 * math.log(2 * math.pi)
    return jnp.where(large, _stirling_series(y), direct)


def _stirling_series(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`stirling` from MIN_SERIES_ARGUMENT on."""
    terms = [1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12]
    return jnp.polyval(jnp.asarray(terms, x.dtype), x**-2) / x


def log_poisson(x: Float[Array, "..."], m: Float[Array, "..."]) -> Float[Array, "..."]:
    """x log m - m - log Gamma(x + 1) for any x >= 0 and m > 0 (Loader 2000).

    >>> print(f"{float(log_poisson(jnp.array(1e6), jnp.array(1e6))):.4f}")
    -7.8267
    """
    large = x >= MIN_SERIES_ARGUMENT
    y, z = jnp.where(large, x, MIN_SERIES_ARGUMENT), jnp.where(large, 1, x)
    deviance = y * t_minus_log1p((m - y) / y, m / y)
    saddle = -deviance - _stirling_series(y) - 0.5 * jnp.log(2 * math.pi * y)
    return jnp.where(large, saddle, z * jnp.log(m) - m - gammaln(z + 1))


def log_negative_binomial(
    x: Float[Array, "..."], m: Float[Array, "..."], r: Float[Array, "..."]
) -> Float[Array, "..."]:
    """log of Gamma(x+r) / (Gamma(r) x!) (r/(r+m))^r (m/(r+m))^x, mean m and size r.

    The probability is r/(x+r) times a binomial probability, which is that of two Poisson variates
    given their sum.
    """
    n = x + r
    counts = jnp.stack(jnp.broadcast_arrays(r, x, n))
    means = jnp.stack(jnp.broadcast_arrays(n * (r / (r + m)), n * (m / (r + m)), n))
    # One call for all three: the compiler would translate each of three anew.
    size, count, both = log_poisson(counts, means)
    return jnp.log(r / n) + size + count - both


def log_minus_digamma(a: Float[Array, "..."]) -> Float[Array, "..."]:
    """log a - psi(a), about 1/(2a) for large a; its derivative is equally precise.

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


def bounded_exp(raw: Float[Array, "..."]) -> Float[Array, "..."]:
    """exp(raw) near zero, bounded by exp(-20) and exp(20), with a gradient everywhere."""
    return jnp.exp(20 * jnp.tanh(raw / 20))


def above_floor(
    value: Float[Array, "..."], floor: Float[Array, "..."] | float, raw: Float[Array, "..."]
) -> Float[Array, "..."]:
    """A number that grows with `raw`, is never below `floor` and is `value` if `raw` is zero.

    A `value` below twice the floor counts as twice the floor.

    >>> above_floor(jnp.array(2.0), 0.5, jnp.array([-99.0, 0.0])).tolist()
    [0.5, 2.0]
    """
    return floor + jnp.maximum(value - floor, floor) * bounded_exp(raw)
