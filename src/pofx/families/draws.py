"""Draws of counts as floats: no integer type bounds them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.families.special_functions import log_poisson

FEW = 10.0
"""The mean count from which on draws are proposed and accepted, not counted up."""


def poisson(key: PRNGKeyArray, rate: Float[Array, "c"]) -> Float[Array, "c"]:
    """One Poisson draw for each mean count, whole numbers in the float type of `rate`.

    Below FEW, arrivals with exponential gaps are counted. From there on it is the transformed
    rejection PTRS of Hörmann, "The transformed rejection method for generating Poisson random
    variables" (1993), judged by a log-probability that keeps its digits for large counts.

    >>> rate = jnp.array([0.0, 1e12])
    >>> poisson(jax.random.key(0), rate).dtype == rate.dtype
    True
    """
    finite = jnp.isfinite(rate)
    few = ~(finite & (rate >= FEW))
    mean = jnp.where(few, FEW, rate)
    propose, accept = _ptrs(mean)

    def step(carry):
        key, count, time, done = carry
        key, *halves = jax.random.split(key, 3)
        u, v = (jax.random.uniform(half, rate.shape, rate.dtype) for half in halves)
        later = time - jnp.log1p(-u)
        arrived = later <= jnp.where(finite, rate, 0)
        proposed = propose(u - 0.5)
        accepted = accept(proposed, u - 0.5, v)
        following = jnp.where(few, count + arrived, proposed)
        settled = jnp.where(few, ~arrived, accepted)
        return key, jnp.where(done, count, following), later, done | settled

    nothing = jnp.zeros_like(rate)
    start = key, nothing, nothing, jnp.zeros(rate.shape, bool)
    _, count, _, _ = jax.lax.while_loop(lambda carry: ~carry[3].all(), step, start)
    return jnp.where(finite, count, rate)


def _ptrs(mean: Float[Array, "c"]) -> tuple:
    """The proposal of PTRS from u in [-1/2, 1/2), and whether it is accepted given v in [0, 1)."""
    b = 0.931 + 2.53 * jnp.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    inner = 0.9277 - 3.6224 / (b - 2)

    def propose(u):
        return jnp.floor((2 * a / (0.5 - jnp.abs(u)) + b) * u + mean + 0.43)

    def accept(count, u, v):
        edge = 0.5 - jnp.abs(u)
        within = (count >= 0) & jnp.isfinite(count) & ((edge >= 0.013) | (v <= edge))
        log_p = log_poisson(jnp.where(within, count, 0), mean)
        bound = jnp.log(v) + jnp.log(inverse_alpha) - jnp.log(a / edge**2 + b)
        return within & (((edge >= 0.07) & (v <= inner)) | (bound <= log_p))

    return propose, accept
