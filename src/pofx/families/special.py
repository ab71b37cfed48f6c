"""Special functions that stay right in float32, for counts of a million and shapes of ten thousand.

Gamma functions of large arguments cancel to nothing in float32. Loader (2000, "Fast and accurate
computation of binomial probabilities") writes a Poisson probability instead as a deviance, which is
small where it matters, times the error of Stirling's formula. Every law of counts and the gamma law
are built here from that one function. The tails are integrals of the density, scaled to its value
at their end, so that they inherit its precision.
"""

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


def excess(t: Float[Array, "..."]) -> Float[Array, "..."]:
    """t - log(1 + t), without cancellation near zero.

    With v = t / (2 + t), log(1 + t) = 2 (v + v^3/3 + v^5/5 + ...) and t - 2 v = t v.

    >>> print(f"{float(excess(jnp.array(1e-4))):.5e}")
    4.99967e-09
    """
    near = jnp.abs(t) < 0.2
    v = jnp.where(near, t, 0) / (2 + jnp.where(near, t, 0))
    series = jnp.polyval(jnp.asarray([1 / k for k in range(15, 1, -2)], v.dtype), v * v)
    far = jnp.where(near, 1, t)
    return jnp.where(near, t * v - 2 * v**3 * series, far - jnp.log1p(far))


def stirling(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log Gamma(x + 1) - (x + 1/2) log x + x - log(2 pi)/2, the error of Stirling's formula."""
    large = x >= LARGE
    y, z = jnp.where(large, x, LARGE), jnp.where(large, 1, x)
    terms = [1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12]
    series = jnp.polyval(jnp.asarray(terms, y.dtype), y**-2) / y
    direct = gammaln(z + 1) - (z + 0.5) * jnp.log(z) + z - 0.5 * np.log(2 * np.pi)
    return jnp.where(large, series, direct)


def log_poisson(x: Float[Array, "..."], m: Float[Array, "..."]) -> Float[Array, "..."]:
    """x log m - m - log Gamma(x + 1) for any x >= 0 and m > 0 (Loader 2000).

    >>> print(f"{float(log_poisson(jnp.array(1e6), jnp.array(1e6))):.4f}")
    -7.8267
    """
    large = x >= LARGE
    y, z = jnp.where(large, x, LARGE), jnp.where(large, 1, x)
    saddle = -y * excess((m - y) / y) - stirling(y) - 0.5 * jnp.log(2 * np.pi * y)
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
    # Beyond 40 scales of the logarithm nothing is left, and exp would overflow.
    value = jnp.exp(log_ratio(jnp.minimum(s, 40 + 0 * s)))
    raise NotImplementedError
