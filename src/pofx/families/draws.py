"""Draws of counts as floats, because no integer type holds the largest of them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.families.special_functions import log_poisson

MIN_REJECTION_MEAN = 10.0
"""The mean count from which draws are made by rejection, not by counting arrivals."""


def poisson(key: PRNGKeyArray, rate: Float[Array, "c"]) -> Float[Array, "c"]:
    """One Poisson draw for each mean count, as whole numbers in the float type of `rate`.

    Below MIN_REJECTION_MEAN, arrivals with exponential gaps are counted. From there, the method is
    the transformed rejection PTRS of Hörmann, "The transformed rejection method for generating
    Poisson random variables" (1993), with a log-probability that keeps its digits for large counts.

    >>> rate = jnp.array([0.0, 1e12])
    >>> poisson(jax.random.key(0), rate).dtype == rate.dtype
    True
    """
    finite = jnp.isfinite(rate)
    is_counted = ~(finite & (rate >= MIN_REJECTION_MEAN))
    mean = jnp.where(is_counted, MIN_REJECTION_MEAN, rate)
    propose, accept = _ptrs(mean)

    def step(carry):
        key, count, time, done = carry
        key, *halves = jax.random.split(key, 3)
        u, v = (jax.random.uniform(half, rate.shape, rate.dtype) for half in halves)
        next_time = time - jnp.log1p(-u)
        arrived = next_time <= jnp.where(finite, rate, 0)
        proposal = propose(u - 0.5)
        is_accepted = accept(proposal, u - 0.5, v)
        next_count = jnp.where(is_counted, count + arrived, proposal)
        is_last = jnp.where(is_counted, ~arrived, is_accepted)
        return key, jnp.where(done, count, next_count), next_time, done | is_last

    zeros = jnp.zeros_like(rate)
    start = key, zeros, zeros, jnp.zeros(rate.shape, bool)
    _, count, _, _ = jax.lax.while_loop(lambda carry: ~carry[3].all(), step, start)
    return jnp.where(finite, count, rate)


def _ptrs(mean: Float[Array, "c"]) -> tuple:
    """The functions of PTRS: a proposal from u in [-1/2, 1/2), its acceptance by v in [0, 1)."""
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
