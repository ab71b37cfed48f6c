"""The latent tree model: one hidden category per column, and a tree over the categories."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractStepwiseEMModel, Example, Mask, Row
from pofx.core.column import Column
from pofx.core.errors import check_at_least
from pofx.core.rows import Rows
from pofx.families.bernoulli import Bernoulli
from pofx.families.normal import Normal
from pofx.models.components.initial_clusters import MAX_KMEANS_ROWS, kmeans_clusters
from pofx.models.independent import Independent
from pofx.models.trees import emission, structure
from pofx.models.trees.state_tree import StateTree, even_tree
from pofx.models.trees.tree_model import AbstractTreeModel, check_prior, register

STAY_PROBABILITY = 0.8
"""The probability, at the start of EM, that a node is in its parent's cluster."""


class LatentTree(AbstractTreeModel, AbstractStepwiseEMModel):
    """A tree of hidden categories: a category s_j of K states for each column x_j.

    p(x_O) = Σ_s Π_j p(s_j | s_pa(j)) Π_{j in O} p_j(x_j | s_j)

    Columns: all kinds. The tree has the greatest mutual information between columns (Chow and Liu
    1968), as in the hidden Chow-Liu tree of Liu and Van den Broeck, "Tractable regularization of
    probabilistic circuits" (2021). EM starts from the clusters of k-means: at first a node is in
    its parent's cluster with probability 0.8. With probability 1 all states would agree, and the
    tree would be a mixture.

    >>> p = LatentTree.example(jax.random.key(0)).model
    >>> p.size, p.tree.states, p.parents
    (3, 2, (-1, 0, 0))
    """

    random_start: ClassVar[bool] = True

    def init_carry(self) -> Any:
        row_weight = jnp.zeros((self.size, self._states))
        return jnp.zeros_like(self.tree.log_transition), row_weight

    def stepwise_update(
        self, statistics: Any, carry: Any, rate: Float[Array, ""]
    ) -> tuple[Any, Any]:
        counts, weight, emission_statistics = statistics
        carried_counts, carried_weight = carry
        assert self.emissions is not None
        counts = carried_counts + rate * (counts + self._pseudo_counts() - carried_counts)
        pseudo = emission.pseudo_weights(self.emissions)
        emissions = emission.stepwise_update(
            self.emissions, emission_statistics, carried_weight, rate
        )
        new_weight = carried_weight + rate * (weight + pseudo - carried_weight)
        return self._with(counts, emissions), (counts, new_weight)

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        states: int = 16,
        prior: float = 1.0,
        init: str = "k-means++",
    ) -> "LatentTree":
        """A tree whose states are the clusters of the rows.

        Args:
            states: number of states per column, default 16; no more than there are rows.
            prior: number of pseudo-rows for each state of a column, and for the pairs of states of
                each node and its parent together, default 1.
            init: how rows are clustered, "k-means++" (default) or "random".
        """
        check_at_least(1, states=states)
        k = min(states, rows.count)
        check_prior(prior, k)
        x, observed, weight = rows.to_arrays()
        cells = observed * weight[:, None]
        parents = structure.chow_liu(columns, x, cells, prior)
        cluster = kmeans_clusters(key, rows, columns, k, init)
        template = Independent.from_cells(columns, x, cells, prior)
        order = np.asarray(jax.random.permutation(key, len(x)))[:MAX_KMEANS_ROWS]
        shares = np.eye(k, dtype=np.float32)[cluster[order], None]
        emissions = emission.from_data(template, shares, x[order], cells[order])
        cluster_weight = np.bincount(cluster, weight, k) + prior / k
        share = cluster_weight / cluster_weight.sum()
        transition = STAY_PROBABILITY * np.eye(k) + (1 - STAY_PROBABILITY) * share
        root = np.array(parents)[:, None, None] < 0
        log_transition = jnp.log(jnp.asarray(np.where(root, share, transition)))
        levels = (k,) * len(columns)
        hidden = tuple(range(len(columns)))
        return cls(StateTree(log_transition, parents), emissions, levels, hidden, prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        columns = (
            Column("a", "binary", levels=2, family="bernoulli"),
            Column("b", "real", family="normal"),
            Column("c", "binary", levels=2, family="bernoulli"),
        )
        normal = Normal(
            jnp.array([[-1.0], [2.0]]), jnp.array([[0.5], [1.5]]), jnp.full((2, 1), 1e-6)
        )
        groups = Bernoulli(jnp.array([[1.0, -2.0], [-1.0, 0.5]])), normal
        emissions = Independent(groups, groups, ((0, 2), (1,)))
        counts = jax.random.uniform(key, (3, 2, 2), minval=0.2)
        tree = even_tree((2, 2, 2), (-1, 0, 0)).m_step(counts)
        return Example(cls(tree, emissions, (2, 2, 2), (0, 1, 2), 0.0), columns)


register(LatentTree)


@closed_forms.latent.register(LatentTree)
def _latent(p: LatentTree, x: Row, observed: Mask) -> dict[str, Float[Array, "d k"]]:
    # p(s_j | x_O) for the category of each column.
    return {"state": p.tree.posterior(p.evidence(x, observed))[:, : p._states]}
