"""Tail probabilities of rows, and the action of least expected cost."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.compilation import compiled
from pofx.core.rows import Rows, log_prob
from pofx.queries import imputation

DEFAULT_DRAWS = 4096


def tail_probability(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    rows: Rows,
    draws: int = DEFAULT_DRAWS,
    reference: Rows | None = None,
) -> Answer:
    """P(log p(X_O) <= log p(x_O)) of each row for a fresh draw X. Small values mean unusual rows.

    Each row is compared on its own pattern of observed entries O. The estimate is the rank
    (1 + number of draws as unlikely) / (1 + draws), which is uniform under the model and never 0
    (Phipson and Smyth 2010).

    Args:
        key: seed of the draws.
        model: the model.
        rows: the rows x.
        draws: number of draws X, if there are no reference rows.
        reference: rows X to compare with instead of draws; their missing entries are drawn. If they
            were held out from learning, the result is uniform for further such rows, even under a
            wrong model: a conformal p-value (Vovk, Gammerman and Shafer 2005).
    """
    log_probs = log_prob(model, rows)
    if reference is None:
        fresh = _draw(model, key, draws)
    else:
        fresh = jnp.asarray(imputation.draw_missing(key, model, reference))
        draws = reference.count
    _, observed, _ = rows.to_arrays()
    patterns, owner = np.unique(observed, axis=0, return_inverse=True)
    owner = owner.reshape(-1)
    rank = np.empty(len(log_probs))
    for i, pattern in enumerate(patterns):
        fresh_log_probs = np.sort(np.asarray(_log_probs(model, fresh, pattern)))
        has_pattern = owner == i
        rank[has_pattern] = np.searchsorted(fresh_log_probs, log_probs[has_pattern], side="right")
    share = (1 + rank) / (1 + draws)
    return Answer(share, np.sqrt(share * (1 - share) / draws), "estimate", draws)


def least_cost(
    posterior: Float[np.ndarray, "n levels"], cost: Float[np.ndarray, "actions levels"]
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """The action of least expected cost in each row, argmin_a Σ_y cost[a, y] p(y | x).

    Args:
        posterior: p(y | x) of each row.
        cost: cost of each action for each level.

    Returns the number of the action, and its expected cost.

    Reference: Berger 1985, section 4.4.1.

    >>> least_cost(np.array([[0.9, 0.1]]), np.array([[0.0, 20.0], [1.0, 0.0]]))
    (array([1]), array([0.9]))
    """
    expected_cost = posterior @ cost.T
    # A row without a posterior has no expected cost; its action is arbitrary.
    action = np.nan_to_num(expected_cost).argmin(1)
    return action, expected_cost[np.arange(len(expected_cost)), action]


@compiled
def _draw(model, key, count):
    return jax.lax.map(model.sample, jax.random.split(key, count), batch_size=1024)


@compiled
def _log_probs(model, x, observed):
    return jax.vmap(model.log_prob, (0, None))(x, observed)
