"""Decisions: the act of least expected cost, and whether to act at all."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.rows import Rows, log_prob
from pofx.queries import imputation

DRAWS = 4096


def tail_probability(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    rows: Rows,
    draws: int = DRAWS,
    reference: Rows | None = None,
) -> Answer:
    """P(log p(X_O) <= log p(x_O)) of each row, X a fresh draw of the model, or one of some rows.

    Small where the row is unlike what was learned. Each row is compared on its own pattern of
    observed entries O. Estimated as the rank (1 + number of draws as unlikely) / (1 + draws), which
    is uniform under the model, and never 0 (Phipson and Smyth 2010). Among rows that were held out
    it is uniform for further such rows, right or wrong as the model may be: a conformal p-value
    (Vovk, Gammerman and Shafer 2005); their own missing entries are drawn.
    """
    own = log_prob(model, rows)
    if reference is None:
        fresh = _draw(model, jax.random.split(key, draws))
    else:
        fresh = jnp.asarray(imputation.draw_missing(key, model, reference))
        draws = reference.count
    _, observed, _ = rows.to_arrays()
    patterns, owner = np.unique(observed, axis=0, return_inverse=True)
    owner, rank = owner.reshape(-1), np.empty(len(own))
    for i, pattern in enumerate(patterns):
        scores = np.sort(np.asarray(_scores(model, fresh, jnp.asarray(pattern))))
        mine = owner == i
        rank[mine] = np.searchsorted(scores, own[mine], side="right")
    share = (1 + rank) / (1 + draws)
    return Answer(share, np.sqrt(share * (1 - share) / draws), "estimate", draws)


def least_cost(
    posterior: Float[np.ndarray, "n levels"], cost: Float[np.ndarray, "acts levels"]
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """The act of least expected cost in each row, by its number, and that cost.

    argmin_a Σ_y cost[a, y] p(y | x) (Berger 1985, section 4.4.1).

    >>> least_cost(np.array([[0.9, 0.1]]), np.array([[0.0, 20.0], [1.0, 0.0]]))
    (array([1]), array([0.9]))
    """
    expected = posterior @ cost.T
    # A row without a posterior has no expected cost; its act is arbitrary.
    act = np.nan_to_num(expected).argmin(1)
    return act, expected[np.arange(len(expected)), act]


@eqx.filter_jit
def _draw(model, keys):
    return jax.lax.map(model.sample, keys, batch_size=1024)


@eqx.filter_jit
def _scores(model, x, observed):
    return jax.vmap(model.log_prob, (0, None))(x, observed)
