"""Importance weights: Pareto smoothing of their tail, and how far to trust them."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

MIN_TAIL_DRAWS = 5
"""The number of draws in the tail from which its shape is estimated."""


def pareto_k_threshold(draws: int) -> float:
    """The largest Pareto k with which so many draws are reliable (Vehtari et al. 2024)."""
    return min(1 - 1 / math.log10(max(draws, 11)), 0.7)


def pareto_smoothed(log_w: Float[Array, "s"]) -> tuple[Float[Array, "s"], Float[Array, ""]]:
    """Log-weights with their tail replaced by Pareto quantiles, and the shape k of that tail.

    Raw weights have moments up to order 1 / k. If k exceeds 0.7, no practical number of draws is
    enough. Equal weights have k = -inf. If there are too few draws, k is inf and nothing is
    smoothed. Vehtari, Simpson, Gelman, Yao and Gabry, "Pareto smoothed importance sampling" (2024).

    Args:
        log_w: log-weights in nats.

    >>> log_w = jax.random.normal(jax.random.key(0), (1000,))
    >>> smooth, k = pareto_smoothed(log_w)
    >>> bool(k < 0.7), bool(smooth.max() <= log_w.max())
    (True, True)
    """
    s = len(log_w)
    m = int(min(0.2 * s, 3 * math.sqrt(s)))
    if m < MIN_TAIL_DRAWS:
        return log_w, jnp.asarray(jnp.inf, log_w.dtype)
    order = jnp.argsort(log_w)
    top = log_w[order[-1]]
    possible = top > -jnp.inf
    w = jnp.exp(log_w[order[-m - 1 :]] - jnp.where(possible, top, 0))
    exceedances = w[1:] - w[0]
    varies = exceedances[-1] > 1e-6
    k, sigma = _pareto(jnp.where(varies, exceedances, jnp.arange(1, m + 1) / m))
    u = (jnp.arange(m) + 0.5) / m
    curve = jnp.where(jnp.abs(k) > 1e-6, jnp.expm1(-k * jnp.log1p(-u)) / k, -jnp.log1p(-u))
    tail = jnp.minimum(jnp.log(w[0] + sigma * curve), 0) + top
    smooth = log_w.at[order[-m:]].set(tail.astype(log_w.dtype))
    smooth = jnp.where(varies & possible, smooth, log_w)
    return smooth, jnp.where(possible, jnp.where(varies, k, -jnp.inf), jnp.inf)


def log_mean_weight(log_w: Float[Array, "s"], smooth: bool = True) -> Float[Array, ""]:
    """The logarithm of the mean weight, of `pareto_smoothed` weights if `smooth`.

    >>> float(log_mean_weight(jnp.full(64, -700.0)))
    -700.0
    """
    log_w = pareto_smoothed(log_w)[0] if smooth else log_w
    return jax.nn.logsumexp(log_w, b=1 / len(log_w))


def _pareto(exceedances: Float[Array, "m"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Shape and scale of exceedances in ascending order (Zhang and Stephens 2009)."""
    m = len(exceedances)
    grid = 30 + int(math.sqrt(m))
    exceedances = jnp.maximum(exceedances, 1e-12)
    b = 1 - jnp.sqrt(grid / (jnp.arange(1, grid + 1) - 0.5))
    b = b / (3 * exceedances[int(m / 4 + 0.5) - 1]) + 1 / exceedances[-1]
    b = jnp.where(b == 0, 1e-12, b)
    k = jnp.log1p(-b[:, None] * exceedances).mean(1)
    weight = jax.nn.softmax(m * (jnp.log(-b / k) - k - 1))
    best = weight @ b
    k = jnp.log1p(-best * exceedances).mean()
    # A prior of ten exceedances at k = 1/2, as in the paper.
    return (m * k + 5) / (m + 10), -k / best
