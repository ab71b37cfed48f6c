"""Columns that depend each on a hidden category of its own: one family a column and state.

`emissions` are independent columns, their arrays stacked along a first axis of K states.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pofx.core.abstract import Mask, Row
from pofx.core.column_mixture import ColumnMixture
from pofx.core.component_axis import over_components, stack_modules
from pofx.core.double_double import Double
from pofx.core.family import AbstractFamily
from pofx.core.family import log_between as log_between_ends
from pofx.models.independent import Independent
from pofx.models.linear_gaussian.shrinkage import scaled

BLOCK_ROWS = 512
"""Rows of which each level of each column is told apart, for each state, at a time."""


def log_probs(emissions: Independent, x: Row, observed: Mask) -> Float[Array, "d k"]:
    """log p(x_j | s_j) for each state, zero where x_j is missing."""
    score = over_components(lambda part, x, o: part.log_probs(x, o), shared=2)
    return score(emissions, x, observed).T


def fine_log_probs(emissions: Independent, x: Row, observed: Mask) -> Double:
    """`log_probs`, and what rounding took from them."""
    score = over_components(lambda part, x, o: part.fine_log_probs(x, o), shared=2)
    return Double(*(a.T for a in score(emissions, x, observed)))


def expected_statistics(
    emissions: Independent, shares: Float[Array, "n d k"], x: Float[Array, "n d"]
) -> Any:
    """Statistics of each column and state, each cell weighted by its share in the state."""
    sums = over_components(lambda part, w, x: part.cell_statistics(x, w), shared=1)
    return sums(emissions, jnp.moveaxis(shares, -1, 0), x)


def m_step(emissions: Independent, own: Any) -> Independent:
    """Each state's columns at their maximum, with their pseudo-rows."""
    return over_components(lambda part, s: part.m_step(s))(emissions, own)


def from_data(
    one: Independent,
    shares: Float[np.ndarray, "n d k"],
    x: Float[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n d"],
) -> Independent:
    """Columns alike in all states, then each state at its maximum for its share of the cells."""
    blocks = -(-len(x) // BLOCK_ROWS)

    def lay(a: np.ndarray) -> Array:
        room = [(0, blocks * BLOCK_ROWS - len(a)), *[(0, 0)] * (a.ndim - 1)]
        return jnp.asarray(np.pad(a, room).reshape(blocks, BLOCK_ROWS, *a.shape[1:]))

    return _from_blocks(one, lay(shares), lay(x), lay(weight))


@eqx.filter_jit
def _from_blocks(one: Independent, shares: Array, x: Array, weight: Array) -> Independent:
    template = stack_modules([one] * shares.shape[-1])

    def own(shares, x, weight):
        return expected_statistics(template, shares * weight[..., None], x)

    def add(total, block):
        return jax.tree.map(jnp.add, total, own(*block)), None

    blocks = shares, x, weight
    shapes = jax.eval_shape(own, *(a[0] for a in blocks))
    zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return m_step(template, jax.lax.scan(add, zero, blocks)[0])


def stepwise_update(
    emissions: Independent, own: Any, known: Float[Array, "d k"], rate: Float[Array, ""]
) -> Independent:
    """Each family on its way, by `rate`, to its maximum for the statistics and pseudo-rows.

    Statistics are about a family's own parameters, and those move: what was learned before, of
    weight `known`, is recalled as draws from the family it led to.
    """

    def one(part, own, known):
        recalled = tuple(
            scaled(known[np.array(place)], e) for e, place in zip(part.expected(), part.places)
        )
        both = jax.tree.map(
            lambda r, s, a: (1 - rate) * r + rate * (s + part.prior * a),
            recalled,
            own,
            part.pseudo_row(),
        )
        return part.likeliest(both)

    return over_components(one)(emissions, own, known.T)


def pseudo_weights(emissions: Independent) -> Float[Array, "d k"]:
    """The weight of a pseudo-row in each column and state."""
    return over_components(lambda part: part.prior * part.pseudo_weights())(emissions).T


def log_prior_density(emissions: Independent) -> Float[Array, ""]:
    """The log prior of all states' columns."""
    return over_components(lambda part: part.log_prior_density())(emissions).sum()


def select_states(emissions: Independent, states: Int[Array, "d"]) -> Independent:
    """The columns, each as in its own state."""

    def chosen(families):
        return tuple(
            _select(family, states[np.array(place)])
            for family, place in zip(families, emissions.places)
        )

    own = chosen(emissions.groups)
    return Independent(own, own, emissions.places, emissions.prior)


def _select(family: AbstractFamily, states: Int[Array, "c"]) -> AbstractFamily:
    return jax.tree.map(lambda a: a[states, np.arange(len(states))], family)


def sample(emissions: Independent, key: PRNGKeyArray, states: Int[Array, "d"]) -> Row:
    """A draw of each column from its state."""
    return select_states(emissions, states).sample(key)


def column(emissions: Independent, log_weights: Float[Array, "k"], j: int) -> ColumnMixture:
    """The mixture over states of column j."""
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
    """The value of x_j of highest mass or density in each state."""
    return over_components(lambda part: part.modes())(emissions).T


def log_between(
    emissions: Independent, j: int, low: Float[Array, ""], high: Float[Array, ""]
) -> Float[Array, "k"]:
    """log P(low < x_j <= high | s_j)."""
    family = column(emissions, jnp.zeros(()), j).family
    k = family.mean().shape
    return log_between_ends(family, jnp.broadcast_to(low, k), jnp.broadcast_to(high, k))
