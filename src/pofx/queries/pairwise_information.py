"""Mutual information of every pair of variables, from the same draws."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.queries.enumeration import Columns
from pofx.queries.information import enumerated_entropy, exact_entropy
from pofx.queries.monte_carlo import BLOCK, DRAWS, MAX_DRAWS, check_request

SMALL = 256
"""Joint levels of a pair that are summed whatever rule there is."""


def mutual_informations(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    groups: Sequence[Columns],
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
) -> Answer:
    """I(x_i; x_j) of all pairs of groups in nats, a symmetric matrix with NaN on its diagonal.

    E[log p(x_i, x_j) - log p(x_i) - log p(x_j)] over draws that all pairs share, until each has the
    standard error asked for; exact where all three entropies are.
    """
    check_request(stderr, max_draws, "nats")
    m = len(groups)
    pairs = [(i, j) for i in range(m) for j in range(i)]
    value, error = np.full((m, m), np.nan), np.full((m, m), np.nan)

    def entropy(asked: Columns) -> Answer | None:
        # A small sum, compiled once for all pairs, is sooner there than a rule that walks a tree.
        small = enumerated_entropy(model, columns, asked, SMALL)
        return exact_entropy(model, columns, asked) if small is None else small

    single = [entropy(g) for g in groups]
    left = []
    for i, j in pairs:
        three = [single[i], single[j], entropy(groups[i] | groups[j])]
        closed = [float(h) for h in three if h is not None]
        if len(closed) < len(three):
            left.append((i, j))
        else:
            one, other, both = closed
            value[i, j], error[i, j] = max(one + other - both, 0.0), 0.0
    draws = 0
    if left:
        first, second = map(np.array, zip(*left))
        mean, spread, draws = _drawn(key, model, np.stack(groups), first, second, stderr, max_draws)
        value[first, second], error[first, second] = mean, spread
    value, error = (np.where(np.isnan(a), a.T, a) for a in (value, error))
    missed = stderr is not None and left and np.nanmax(error) > stderr
    how = f"asked for ± {stderr:g}, budget spent" if missed else ""
    kind = "estimate" if left else "exact"
    return Answer(value, error if left else 0.0, kind, draws, how, "nats")


def _drawn(key, model, groups, first, second, stderr, max_draws):
    """Mean and standard error of each pair's log-ratio, and how many rows were drawn."""
    masks = jnp.asarray(np.concatenate([groups, groups[first] | groups[second]]))
    total, square, count = np.zeros(len(first)), np.zeros(len(first)), 0
    mean, error = total, np.full(len(first), math.inf)
    least = min(DRAWS, max_draws)
    while count < least or (stderr is not None and error.max() > stderr and count < max_draws):
        key, own = jax.random.split(key)
        log_prob = np.asarray(_scores(model, own, masks), np.float64)
        ratio = log_prob[len(groups) :] - log_prob[first] - log_prob[second]
        total, square = total + ratio.sum(1), square + (ratio**2).sum(1)
        count += BLOCK
        mean = total / count
        error = np.sqrt(np.maximum(square / count - mean**2, 0) / (count - 1))
    return mean, error, count


@eqx.filter_jit
def _scores(model, key, masks):
    """log p of the columns of each mask, at each of a block of draws."""
    x = jax.lax.map(model.sample, jax.random.split(key, BLOCK), batch_size=256)
    # Mask by mask: all draws share its factorisation.
    return jax.lax.map(lambda mask: jax.vmap(model.log_prob, (0, None))(x, mask), masks)
