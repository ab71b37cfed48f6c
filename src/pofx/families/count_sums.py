"""Sums over all counts, from about 160 evaluations.

Counts up to some number are summed one by one. Above it, a distribution of counts is smooth in the
logarithm of the count, for any parameters. The sum is then an integral, by the midpoint form of the
formula of Euler and Maclaurin, and the integral is a Gauss-Legendre quadrature. Small counts, means
of a million and tails over ten powers of ten all take the same few evaluations.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

TAIL_NATS = 36.0
"""Sums over all counts leave out tails of probability exp(-TAIL_NATS)."""

_CURVATURE_WEIGHTS = np.array([17, -291, 291, -17]) / 5760
"""Weights of f at four consecutive counts for f'/24 - 7 f'''/5760 in their middle."""

LogProb = Callable[[Float[Array, "c"]], Float[Array, "c"]]
"""log p(x) per column, smooth between the counts."""
LogProbs = Callable[[Float[Array, "c"]], Float[Array, "2 c"]]
"""log p(x) and log q(x) per column."""
Counts = Float[Array, "c"]


def quadrature_nodes(
    first: Counts, last: Counts, num_single: int, num_smooth: int
) -> tuple[Array, Array]:
    """Nodes x and weights w of shape (n, c) with Σ w f(x) = Σ f(x) over counts from first to last.

    The first `num_single` counts have weight one. With n the next count and N the last, the sum of
    the others is

        Σ f(x) = ∫ f(x) dx - [f'(x)/24 - 7 f'''(x)/5760 + ...]    from n - 1/2 to N + 1/2

    with differences for the derivatives. The integral over log x has `num_smooth` nodes.
    """
    one_by_one = first + jnp.arange(num_single, dtype=first.dtype)[:, None]
    n = first + num_single
    start = n - 0.5
    width = jnp.log1p(jnp.maximum(last + 1 - n, 0) / start)
    ordinates, weights = (
        jnp.asarray(a[:, None], first.dtype) for a in np.polynomial.legendre.leggauss(num_smooth)
    )
    # Relative to the start, so that nodes keep their digits if counts are large and vary little.
    steps = start * jnp.expm1(width * (1 + ordinates) / 2)
    has_smooth_part = jnp.where(n <= last, 1, 0).astype(first.dtype)
    around = jnp.arange(-2, 2, dtype=first.dtype)[:, None]
    ends = jnp.concatenate([n + around, jnp.maximum(last, n) + 1 + around])
    slopes = np.concatenate([_CURVATURE_WEIGHTS, -_CURVATURE_WEIGHTS])[:, None]
    slopes = jnp.asarray(slopes, first.dtype)
    x = jnp.concatenate([one_by_one, start + steps, ends])
    all_weights = [
        one_by_one <= last,
        weights * width / 2 * (start + steps),
        has_smooth_part * slopes,
    ]
    return x, jnp.concatenate([w.astype(first.dtype) for w in all_weights])


def expectation(log_prob: LogProb, g: Callable, first: Counts, last: Counts) -> Counts:
    """E[g(X, log p(X))] for a distribution p of counts that is negligible beyond first and last.

    The sum is divided by the sum of p, so that errors in the scale of p do not matter.
    """
    x, weight = _all_counts(first, last)
    log_p = jax.vmap(log_prob)(x)
    p = weight * jnp.exp(log_p)
    return (p * jax.vmap(g)(x, log_p)).sum(0) / p.sum(0)


def kl(log_probs: LogProbs, first: Counts, last: Counts) -> Counts:
    """KL(p || q) for distributions p and q of counts, p negligible beyond first and last.

    Both are one function, so that it is compiled once.
    """
    x, weight = _all_counts(first, last)
    log_p, log_q = jax.vmap(log_probs, out_axes=1)(x)
    p = weight * jnp.exp(log_p)
    return jnp.maximum((p * (log_p - log_q)).sum(0) / p.sum(0), 0)


def _all_counts(first: Counts, last: Counts) -> tuple[Array, Array]:
    first, last = jax.lax.stop_gradient((jnp.floor(first), jnp.ceil(last)))
    return quadrature_nodes(first, last, num_single=64, num_smooth=96)


def interval_sum(log_prob: LogProb, low: Counts, high: Counts) -> Counts:
    """P(low < X <= high) as a sum, for an interval much less probable than the tail beyond it."""
    first, last = jax.lax.stop_gradient((jnp.floor(low) + 1, jnp.floor(high)))
    x, weight = quadrature_nodes(first, last, num_single=16, num_smooth=16)
    return (weight * jnp.exp(jax.vmap(log_prob)(x))).sum(0)


def log_interval_sum(log_prob: LogProb, low: Counts, high: Counts) -> Counts:
    """The logarithm of `interval_sum`, however small that is."""
    first, last = jax.lax.stop_gradient((jnp.floor(low) + 1, jnp.floor(high)))
    largest = jax.lax.stop_gradient(jnp.maximum(log_prob(first), log_prob(last)))
    return jnp.log(interval_sum(lambda x: log_prob(x) - largest, low, high)) + largest


def poisson_range(m: Counts) -> tuple[Counts, Counts]:
    """Counts between which a Poisson variate of mean m lies, except for tails of exp(-TAIL_NATS).

    Bernstein's inequality.
    """
    spread = jnp.sqrt(2 * TAIL_NATS * m)
    return jnp.maximum(m - spread, 0), m + spread + TAIL_NATS / 3


def gamma_range(a: Counts) -> tuple[Counts, Counts]:
    """The same for a gamma variate of shape a and rate 1 (Chernoff; Boucheron and others 2013)."""
    spread = jnp.sqrt(2 * TAIL_NATS * a)
    return jnp.maximum(a - spread, a * jnp.exp(-1 - TAIL_NATS / a)), a + spread + TAIL_NATS
