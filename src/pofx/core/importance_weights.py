"""Importance weights: how far to trust them, and their tail made smooth."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

FEWEST = 5
"""Draws in the tail from which on its shape is estimated."""


def pareto_k_threshold(draws: int) -> float:
    """The largest k of weights that so many draws can be trusted with (Vehtari et al. 2024)."""
    return min(1 - 1 / math.log10(max(draws, 11)), 0.7)


def pareto_smoothed(log_w: Float[Array, "s"]) -> tuple[Float[Array, "s"], Float[Array, ""]]:
    """Log-weights whose largest are quantiles of a Pareto tail, and the shape k of that tail.

    Raw weights have as many moments as are below 1 / k: beyond 0.7 no number of draws at hand
    tells. Vehtari, Simpson, Gelman, Yao and Gabry, "Pareto smoothed importance sampling" (2024).
    Weights that are all alike have k = -inf; of too few draws k = inf, and nothing is smoothed.

    >>> log_w = jax.random.normal(jax.random.key(0), (1000,))
    >>> smooth, k = pareto_smoothed(log_w)
    >>> bool(k < 0.7), bool(smooth.max() <= log_w.max())
    (True, True)
    """
    s = len(log_w)
    m = int(min(0.2 * s, 3 * math.sqrt(s)))
    if m < FEWEST:
        return log_w, jnp.asarray(jnp.inf, log_w.dtype)
    order = jnp.argsort(log_w)
    top = log_w[order[-1]]
    possible = top > -jnp.inf
    w = jnp.exp(log_w[order[-m - 1 :]] - jnp.where(possible, top, 0))
    over = w[1:] - w[0]
    some = over[-1] > 1e-6
    k, sigma = _pareto(jnp.where(some, over, jnp.arange(1, m + 1) / m))
    at = (jnp.arange(m) + 0.5) / m
    curve = jnp.where(jnp.abs(k) > 1e-6, jnp.expm1(-k * jnp.log1p(-at)) / k, -jnp.log1p(-at))
    tail = jnp.minimum(jnp.log(w[0] + sigma * curve), 0) + top
    smooth = log_w.at[order[-m:]].set(tail.astype(log_w.dtype))
    smooth = jnp.where(some & possible, smooth, log_w)
    return smooth, jnp.where(possible, jnp.where(some, k, -jnp.inf), jnp.inf)


def log_mean_weight(log_w: Float[Array, "s"], smooth: bool = True) -> Float[Array, ""]:
    """The logarithm of the mean of weights; `smooth`: of `pareto_smoothed` ones.

    >>> float(log_mean_weight(jnp.full(64, -700.0)))
    -700.0
    """
    own = pareto_smoothed(log_w)[0] if smooth else log_w
    return jax.nn.logsumexp(own, b=1 / len(own))


def _pareto(over: Float[Array, "m"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Shape and scale of exceedances in ascending order (Zhang and Stephens 2009)."""
    m = len(over)
    grid = 30 + int(math.sqrt(m))
    over = jnp.maximum(over, 1e-12)
    b = 1 - jnp.sqrt(grid / (jnp.arange(1, grid + 1) - 0.5))
    b = b / (3 * over[int(m / 4 + 0.5) - 1]) + 1 / over[-1]
    b = jnp.where(b == 0, 1e-12, b)
    k = jnp.log1p(-b[:, None] * over).mean(1)
    weight = jax.nn.softmax(m * (jnp.log(-b / k) - k - 1))
    best = weight @ b
    k = jnp.log1p(-best * over).mean()
    # A prior of ten exceedances at k = 1/2, as the paper has it.
    return (m * k + 5) / (m + 10), -k / best
