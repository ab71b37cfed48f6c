"""The latent tree: a hidden category behind each column, the categories on a tree."""

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
from pofx.models.trees.tree_model import TreeModel, check_prior, register

TOGETHER = 0.8
"""The chance, at the start, that a node is in the cluster that its parent is in."""


class LatentTree(TreeModel, AbstractStepwiseEMModel):
    """A hidden category s_j of K states behind each column x_j, the categories on a tree.

    p(x_O) = Σ_s Π_j p(s_j | s_pa(j)) Π_{j in O} p_j(x_j | s_j)

    The tree is that of greatest mutual information between columns (Chow and Liu 1968), the hidden
    Chow-Liu tree of Liu and Van den Broeck, "Tractable regularization of probabilistic circuits"
    (2021). EM starts from a mixture, which is a latent tree whose states all agree: the clusters
    of k-means, where a node is in its parent's cluster with probability 0.8. `prior` is a number
    of pseudo-rows for each state of a column, and for each node's pairs of states.

    >>> p = LatentTree.example(jax.random.key(0)).model
    >>> p.size, p.tree.states, p.parents
    (3, 2, (-1, 0, 0))
    """

    random_start: ClassVar[bool] = True

    def init_carry(self) -> Any:
        known = jnp.zeros((self.size, self._states))
        return jnp.zeros_like(self.tree.log_transition), known

    def stepwise_update(
        self, statistics: Any, carried: Any, rate: Float[Array, ""]
    ) -> tuple[Any, Any]:
        counts, weight, own = statistics
        before, known = carried
        assert self.emissions is not None
        counts = before + rate * (counts + self._pseudo_counts() - before)
        pseudo = emission.pseudo_weights(self.emissions)
        emissions = emission.stepwise_update(self.emissions, own, known, rate)
        known = known + rate * (weight + pseudo - known)
        return self._with(counts, emissions), (counts, known)

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
        """The mixture of clusters as a tree; no more states than rows."""
        check_at_least(1, states=states)
        k = min(states, rows.count)
        check_prior(prior, k)
        x, observed, weight = rows.to_arrays()
        cells = observed * weight[:, None]
        parents = structure.chow_liu(columns, x, cells, prior)
        owner = kmeans_clusters(key, rows, columns, k, init)
        one = Independent.from_cells(columns, x, cells, prior)
        order = np.asarray(jax.random.permutation(key, len(x)))[:MAX_KMEANS_ROWS]
        shares = np.eye(k, dtype=np.float32)[owner[order], None]
        emissions = emission.from_data(one, shares, x[order], cells[order])
        size = np.bincount(owner, weight, k) + prior / k
        share = size / size.sum()
        transition = TOGETHER * np.eye(k) + (1 - TOGETHER) * share
        root = np.array(parents)[:, None, None] < 0
        log_transition = jnp.log(jnp.asarray(np.where(root, share, transition)))
        levels, hidden = (k,) * len(columns), tuple(range(len(columns)))
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
        noise = jax.random.uniform(key, (3, 2, 2), minval=0.2)
        tree = even_tree((2, 2, 2), (-1, 0, 0)).m_step(noise)
        return Example(cls(tree, emissions, (2, 2, 2), (0, 1, 2), 0.0), columns)


register(LatentTree)


@closed_forms.latent.register(LatentTree)
def _latent(p: LatentTree, x: Row, observed: Mask) -> dict[str, Float[Array, "d k"]]:
    # p(s_j | x_O) of the category behind each column.
    return {"state": p.tree.posterior(p.evidence(x, observed))[:, : p._states]}
