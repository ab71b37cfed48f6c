"""Sums over all counts, by about a hundred and sixty of them.

Counts up to some number are summed one by one. From there on a law of counts is smooth, whatever
its parameters, in the logarithm of the count: the sum is an integral, by the midpoint form of Euler
and Maclaurin's formula, and the integral is Gauss's. Small counts, means of a million, and tails
over ten powers of ten so take the same few evaluations.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

RARE = 36.0
"""Sums over all counts leave out tails of probability exp(-RARE)."""

_BEND = np.array([17, -291, 291, -17]) / 5760
"""f'/24 - 7 f'''/5760 amid four counts in a row, from f at each."""

LogProb = Callable[[Float[Array, "c"]], Float[Array, "c"]]
"""log p(x) column by column, smooth between the counts."""
Counts = Float[Array, "c"]


def nodes(first: Counts, last: Counts, single: int, smooth: int) -> tuple[Array, Array]:
    """x and weights, (n, c), such that Σ w f(x) = Σ f(x) over the counts from first to last.

    The first `single` counts have weight one. With n the next and N the last, the rest is

        Σ f(x) = ∫ f(x) dx - [f'(x)/24 - 7 f'''(x)/5760 + ...]    from n - 1/2 to N + 1/2

    with differences for the derivatives; the integral is taken over log x.
    """
    one_by_one = first + jnp.arange(single, dtype=first.dtype)[:, None]
    n = first + single
    start = n - 0.5
    width = jnp.log1p(jnp.maximum(last + 1 - n, 0) / start)
    ordinates, weights = (
        jnp.asarray(a[:, None], first.dtype) for a in np.polynomial.legendre.leggauss(smooth)
    )
    # About the start, so that nodes keep their digits where the counts are many and vary little.
    steps = start * jnp.expm1(width * (1 + ordinates) / 2)
    rest = jnp.where(n <= last, 1, 0).astype(first.dtype)
    around = jnp.arange(-2, 2, dtype=first.dtype)[:, None]
    ends = jnp.concatenate([n + around, jnp.maximum(last, n) + 1 + around])
    slopes = jnp.asarray(np.concatenate([_BEND, -_BEND])[:, None], first.dtype)
    x = jnp.concatenate([one_by_one, start + steps, ends])
    weight = [one_by_one <= last, weights * width / 2 * (start + steps), rest * slopes]
    return x, jnp.concatenate([w.astype(first.dtype) for w in weight])


def expectation(log_prob: LogProb, g: Callable, first: Counts, last: Counts) -> Counts:
    """E[g(X, log p(X))] for a law p of counts that is as good as zero beyond first and last.

    Divided by the sum of p, so that errors in the scale of p do not matter.
    """
    first, last = jax.lax.stop_gradient((jnp.floor(first), jnp.ceil(last)))
    x, weight = nodes(first, last, single=64, smooth=96)
    log_p = jax.vmap(log_prob)(x)
    p = weight * jnp.exp(log_p)
    return (p * jax.vmap(g)(x, log_p)).sum(0) / p.sum(0)


def total(log_prob: LogProb, low: Counts, high: Counts) -> Counts:
    """P(low < X <= high) as a sum, for an interval that holds a small part of what is beyond it."""
    first, last = jax.lax.stop_gradient((jnp.floor(low) + 1, jnp.floor(high)))
    x, weight = nodes(first, last, single=16, smooth=16)
    return (weight * jnp.exp(jax.vmap(log_prob)(x))).sum(0)


def log_total(log_prob: LogProb, low: Counts, high: Counts) -> Counts:
    """The logarithm of `total`, of a law however small there."""
    first, last = jax.lax.stop_gradient((jnp.floor(low) + 1, jnp.floor(high)))
    largest = jax.lax.stop_gradient(jnp.maximum(log_prob(first), log_prob(last)))
    return jnp.log(total(lambda x: log_prob(x) - largest, low, high)) + largest


def poisson_reach(m: Counts) -> tuple[Counts, Counts]:
    """Counts from a law of mean m that leave out exp(-RARE) on either side (Bernstein)."""
    spread = jnp.sqrt(2 * RARE * m)
    return jnp.maximum(m - spread, 0), m + spread + RARE / 3


def gamma_reach(a: Counts) -> tuple[Counts, Counts]:
    """The same of a gamma variate of shape a and rate 1 (Chernoff; Boucheron and others 2013)."""
    spread = jnp.sqrt(2 * RARE * a)
    return jnp.maximum(a - spread, a * jnp.exp(-1 - RARE / a)), a + spread + RARE
