"""Mutual information of every pair of variables, from draws that all pairs share."""

import math
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from pofx.core import host_keys
from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.compilation import compiled
from pofx.queries.enumeration import ColumnMask
from pofx.queries.information import enumerated_entropy, exact_entropy
from pofx.queries.monte_carlo import BLOCK_DRAWS, DEFAULT_DRAWS, MAX_DRAWS, check_request

MAX_PAIR_LEVELS = 256
"""Up to this number of joint levels of a pair are summed, even if there is a rule."""


def mutual_informations(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    groups: Sequence[ColumnMask],
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
) -> Answer:
    """I(x_i; x_j) of all pairs of groups in nats, E[log p(x_i, x_j) - log p(x_i) - log p(x_j)].

    Args:
        key: seed of the draws.
        model: the model.
        columns: the columns of the model.
        groups: the mask of each group of columns.
        stderr: standard error to reach for each pair, in nats.
        max_draws: largest number of draws.

    Returns a symmetric matrix with NaN on its diagonal. A pair is exact if its three entropies are,
    else an estimate.
    """
    check_request(stderr, max_draws, "nats")
    m = len(groups)
    value = np.full((m, m), np.nan)
    error = np.full((m, m), np.nan)

    def entropy(mask: ColumnMask) -> Answer | None:
        # A small sum, compiled once for all pairs, is faster than a rule that walks a tree.
        small_sum = enumerated_entropy(model, columns, mask, MAX_PAIR_LEVELS)
        return exact_entropy(model, columns, mask) if small_sum is None else small_sum

    group_entropies = [entropy(group) for group in groups]
    open_pairs = []
    for i in range(m):
        for j in range(i):
            entropies = [group_entropies[i], group_entropies[j], entropy(groups[i] | groups[j])]
            closed = [float(h) for h in entropies if h is not None]
            if len(closed) < len(entropies):
                open_pairs.append((i, j))
            else:
                h_i, h_j, h_ij = closed
                value[i, j] = max(h_i + h_j - h_ij, 0.0)
                error[i, j] = 0.0
    draws = 0
    if open_pairs:
        first, second = map(np.array, zip(*open_pairs))
        mean, mean_error, draws = _estimate_pairs(
            key, model, np.stack(groups), first, second, stderr, max_draws
        )
        value[first, second] = mean
        error[first, second] = mean_error
    value, error = (np.where(np.isnan(a), a.T, a) for a in (value, error))
    is_short = stderr is not None and open_pairs and np.nanmax(error) > stderr
    method = f"asked for ± {stderr:g}, budget spent" if is_short else ""
    kind = "estimate" if open_pairs else "exact"
    return Answer(value, error if open_pairs else 0.0, kind, draws, method, "nats")


def _estimate_pairs(key, model, groups, first, second, stderr, max_draws):
    """Mean and standard error of the log-ratio of each pair, and the number of draws."""
    masks = np.concatenate([groups, groups[first] | groups[second]])
    total = np.zeros(len(first))
    square = np.zeros(len(first))
    count = 0
    mean = total
    error = np.full(len(first), math.inf)
    min_draws = min(DEFAULT_DRAWS, max_draws)
    while count < min_draws or (stderr is not None and error.max() > stderr and count < max_draws):
        key, block_key = host_keys.split(key)
        log_prob = np.asarray(_log_probs(model, block_key, masks), np.float64)
        ratio = log_prob[len(groups) :] - log_prob[first] - log_prob[second]
        total = total + ratio.sum(1)
        square = square + (ratio**2).sum(1)
        count += BLOCK_DRAWS
        mean = total / count
        error = np.sqrt(np.maximum(square / count - mean**2, 0) / (count - 1))
    return mean, error, count


@compiled
def _log_probs(model, key, masks):
    """log p of the columns of each mask, for each of a block of draws."""
    x = jax.lax.map(model.sample, jax.random.split(key, BLOCK_DRAWS), batch_size=256)
    # Mask by mask, so that all draws share the factorisation of a mask.
    return jax.lax.map(lambda mask: jax.vmap(model.log_prob, (0, None))(x, mask), masks)
