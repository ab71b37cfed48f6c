"""Columns whose distribution depends on a hidden category: one family per column and state.

`emissions` is an `Independent` model whose arrays are stacked along a first axis of K states.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pofx.core.abstract import Mask, Row
from pofx.core.column_mixture import ColumnMixture
from pofx.core.compilation import compiled
from pofx.core.component_axis import over_components, stack_modules
from pofx.core.double_double import Double
from pofx.core.family import AbstractFamily
from pofx.core.family import log_between as family_log_between
from pofx.models.independent import Independent
from pofx.models.linear_gaussian.shrinkage import scaled

BLOCK_ROWS = 512
"""Rows that are summed at a time, to bound memory."""


def log_probs(emissions: Independent, x: Row, observed: Mask) -> Float[Array, "d k"]:
    """log p(x_j | s_j) for each state, zero if x_j is missing."""
    score = over_components(lambda part, x, o: part.log_probs(x, o), shared=2)
    return score(emissions, x, observed).T


def fine_log_probs(emissions: Independent, x: Row, observed: Mask) -> Double:
    """`log_probs` in double-double precision."""
    score = over_components(lambda part, x, o: part.fine_log_probs(x, o), shared=2)
    return Double(*(a.T for a in score(emissions, x, observed)))


def expected_statistics(
    emissions: Independent, shares: Float[Array, "n d k"], x: Float[Array, "n d"]
) -> Any:
    """Sufficient statistics per column and state; `shares` weights each cell in each state."""
    sums = over_components(lambda part, w, x: part.cell_statistics(x, w), shared=1)
    return sums(emissions, jnp.moveaxis(shares, -1, 0), x)


def m_step(emissions: Independent, statistics: Any) -> Independent:
    """The emissions of greatest likelihood for the statistics, with their pseudo-rows."""
    return over_components(lambda part, s: part.m_step(s))(emissions, statistics)


def from_data(
    columns: Independent,
    shares: Float[np.ndarray, "n d k"],
    x: Float[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n d"],
) -> Independent:
    """Emissions learned from cells that are assigned to states.

    Args:
        columns: the columns without states; every state starts from them.
        shares: the share of each cell in each state.
        x: the cells.
        weight: the weight of each cell, zero if it is missing.
    """
    blocks = -(-len(x) // BLOCK_ROWS)

    def to_blocks(a: np.ndarray) -> Array:
        padding = [(0, blocks * BLOCK_ROWS - len(a)), *[(0, 0)] * (a.ndim - 1)]
        return jnp.asarray(np.pad(a, padding).reshape(blocks, BLOCK_ROWS, *a.shape[1:]))

    return _from_blocks(columns, to_blocks(shares), to_blocks(x), to_blocks(weight))


@compiled
def _from_blocks(columns: Independent, shares: Array, x: Array, weight: Array) -> Independent:
    template = stack_modules([columns] * shares.shape[-1])

    def block_statistics(shares, x, weight):
        return expected_statistics(template, shares * weight[..., None], x)

    def add(total, block):
        return jax.tree.map(jnp.add, total, block_statistics(*block)), None

    blocks = shares, x, weight
    shapes = jax.eval_shape(block_statistics, *(a[0] for a in blocks))
    zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return m_step(template, jax.lax.scan(add, zero, blocks)[0])


def stepwise_update(
    emissions: Independent,
    statistics: Any,
    past_weight: Float[Array, "d k"],
    rate: Float[Array, ""],
) -> Independent:
    """The emissions after a step of stepwise EM.

    Statistics refer to the parameters of a family, and those change from step to step. So the past
    is represented by draws of weight `past_weight` from the current families.

    Args:
        emissions: the current emissions.
        statistics: statistics of the batch, scaled to all rows.
        past_weight: weight of the past rows per column and state.
        rate: share of the new statistics, in [0, 1].
    """

    def update(part, statistics, past_weight):
        past = tuple(
            scaled(past_weight[np.array(place)], e)
            for e, place in zip(part.mean_statistics(), part.places)
        )
        total = jax.tree.map(
            lambda r, s, a: (1 - rate) * r + rate * (s + part.prior * a),
            past,
            statistics,
            part.pseudo_row_statistics(),
        )
        return part.maximum_likelihood(total)

    return over_components(update)(emissions, statistics, past_weight.T)


def pseudo_weights(emissions: Independent) -> Float[Array, "d k"]:
    """The weight of a pseudo-row in each column and state."""
    return over_components(lambda part: part.prior * part.pseudo_weights())(emissions).T


def log_prior_density(emissions: Independent) -> Float[Array, ""]:
    """The log prior density of the emissions, summed over states."""
    return over_components(lambda part: part.log_prior_density())(emissions).sum()


def select_states(emissions: Independent, states: Int[Array, "d"]) -> Independent:
    """The columns given their states: column j has its family of state `states[j]`."""

    def select_groups(families):
        return tuple(
            _select(family, states[np.array(place)])
            for family, place in zip(families, emissions.places)
        )

    groups = select_groups(emissions.groups)
    return Independent(groups, groups, emissions.places, emissions.prior)


def _select(family: AbstractFamily, states: Int[Array, "c"]) -> AbstractFamily:
    return jax.tree.map(lambda a: a[states, np.arange(len(states))], family)


def sample(emissions: Independent, key: PRNGKeyArray, states: Int[Array, "d"]) -> Row:
    """A draw of each column given its state."""
    return select_states(emissions, states).sample(key)


def column(emissions: Independent, log_weights: Float[Array, "k"], j: int) -> ColumnMixture:
    """The distribution of column j, a mixture over its states with these log-weights."""
    groups = zip(emissions.groups, emissions.places)
    family, i = next((f, place.index(j)) for f, place in groups if j in place)
    return ColumnMixture(log_weights, jax.tree.map(lambda a: a[:, i], family))


def means(emissions: Independent) -> Float[Array, "d k"]:
    """E[x_j | s_j]."""
    return over_components(lambda part: part.means())(emissions).T


def variances(emissions: Independent) -> Float[Array, "d k"]:
    """Var[x_j | s_j]."""
    return over_components(lambda part: part.variances())(emissions).T


def modes(emissions: Independent) -> Float[Array, "d k"]:
    """The value of x_j with the highest mass or density in each state."""
    return over_components(lambda part: part.modes())(emissions).T


def log_between(
    emissions: Independent, j: int, low: Float[Array, ""], high: Float[Array, ""]
) -> Float[Array, "k"]:
    """log P(low < x_j <= high | s_j)."""
    family = column(emissions, jnp.zeros(()), j).family
    k = family.mean().shape
    return family_log_between(family, jnp.broadcast_to(low, k), jnp.broadcast_to(high, k))
