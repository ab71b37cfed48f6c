"""The Chow-Liu tree: each column depends on one other column."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractParametric, Example
from pofx.core.column import Column
from pofx.core.component_axis import over_components
from pofx.core.errors import check_at_least
from pofx.core.rows import Rows
from pofx.families.normal import Normal
from pofx.models.independent import Independent
from pofx.models.trees import emission, information, structure
from pofx.models.trees.state_tree import LOG_ZERO, StateTree, even_counts, even_tree
from pofx.models.trees.tree_model import AbstractTreeModel, check_prior, register


class ChowLiuTree(AbstractTreeModel, AbstractParametric):
    """The most likely tree of columns: each depends on one other column only, its parent.

    p(x) = Π_j p(x_j | x_pa(j))

    Columns: all kinds. A discrete column is a node of the tree itself. A column of numbers, or one
    with more than 64 levels, depends on a hidden category s_j, p(x_j | s_j), which is the node, so
    its density is a mixture. The tree maximises the sum of mutual information over its edges,
    which is estimated from the rows that have both columns. Without hidden or missing entries
    learning is counting, otherwise EM on that tree. Chow and Liu, "Approximating discrete
    probability distributions with dependence trees" (1968).

    >>> p = ChowLiuTree.example(jax.random.key(0)).model
    >>> p.parents, p.hidden
    ((-1, 0, 0), (2,))
    """

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        states: int = 8,
        prior: float = 1.0,
    ) -> "ChowLiuTree":
        """The tree, with nodes started at the counts of levels and of quantile bins.

        Args:
            states: number of states of a hidden category, default 8.
            prior: number of pseudo-rows, spread evenly over the levels, default 1.
        """
        check_at_least(1, states=states)
        x, observed, weight = rows.to_arrays()
        weight = observed * weight[:, None]
        parents = structure.chow_liu(columns, x, weight, prior)
        hidden = tuple(j for j, c in enumerate(columns) if structure.needs_binning(c))
        levels = tuple(states if structure.needs_binning(c) else c.levels for c in columns)
        check_prior(prior, max(levels))
        codes = structure.bin_codes(columns, x, weight, bins=states, max_levels=states)
        emissions = None
        if hidden:
            place = np.array(hidden)
            cells = x[:, place], weight[:, place]
            independent = Independent.from_cells([columns[j] for j in hidden], *cells, prior)
            emissions = emission.from_data(independent, np.eye(states)[codes[:, place]], *cells)
        counts = structure.pair_counts(codes, weight, parents, max(levels))
        pseudo_counts = prior * even_counts(levels, parents)
        tree = even_tree(levels, parents).m_step(jnp.asarray(counts + pseudo_counts))
        return cls(tree, emissions, levels, hidden, prior)

    def raw_shapes(self, columns: Sequence[Column]) -> tuple[tuple[int, ...], ...]:
        d, k, _ = self.tree.log_transition.shape
        if self.emissions is None:
            return ((d, k, k - 1),)
        shapes = self.emissions.raw_shapes([columns[j] for j in self.hidden])
        states = jax.tree.leaves(self.emissions)[0].shape[0]
        return ((d, k, k - 1), *((states, *shape) for shape in shapes))

    def from_unconstrained(self, raw: tuple[Float[Array, "..."], ...]) -> "ChowLiuTree":
        raw_tree, *raw_emissions = raw
        log_transition = jax.lax.stop_gradient(self.tree.log_transition)
        # Adding one number to all logits changes nothing, so the first logit is not moved.
        logits = jnp.maximum(log_transition, LOG_ZERO) + jnp.pad(raw_tree, ((0, 0), (0, 0), (1, 0)))
        tree = StateTree(jax.nn.log_softmax(logits, -1), self.parents)
        emissions = self.emissions
        if emissions is not None:
            emissions = over_components(lambda part, r: part.from_unconstrained(r))(
                emissions, tuple(raw_emissions)
            )
        return ChowLiuTree(tree, emissions, self.levels, self.hidden, self.prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        columns = (
            Column("a", "categorical", levels=3, family="categorical"),
            Column("b", "binary", levels=2, family="bernoulli"),
            Column("c", "real", family="normal"),
        )
        even = even_tree((3, 2, 2), (-1, 0, 0))
        noise = jax.random.uniform(key, even.log_transition.shape, minval=0.2)
        tree = even.m_step(noise * jnp.exp(even.log_transition))
        normal = Normal(
            jnp.array([[-1.0], [2.0]]), jnp.array([[0.5], [1.5]]), jnp.full((2, 1), 1e-6)
        )
        emissions = Independent((normal,), (normal,), ((0,),))
        return Example(cls(tree, emissions, (3, 2, 2), (2,), 0.0), columns)


register(ChowLiuTree)


@closed_forms.entropy.register(ChowLiuTree)
def _entropy(p: ChowLiuTree, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    return information.entropy(p.tree, target_mask) if p.emissions is None else None


@closed_forms.kl.register(ChowLiuTree, ChowLiuTree)
def _kl(
    p: ChowLiuTree, q: ChowLiuTree, target_mask: Bool[np.ndarray, "d"]
) -> Float[Array, ""] | None:
    comparable = p.emissions is None and q.emissions is None and p.levels == q.levels
    return information.kl(p.tree, q.tree) if comparable and target_mask.all() else None
