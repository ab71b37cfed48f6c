"""A tree of categories, and the sums over all their states that message passing makes cheap."""

from collections.abc import Callable
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pofx.core.double_double import Double

Nodes = tuple[Int[Array, "d"] | Int[np.ndarray, "d"], Int[Array, "d"] | Int[np.ndarray, "d"]]

LOG_ZERO = -1e30
"""Represents log 0; -inf times zero would be NaN."""
MAX_LOG_SPACE_STATES = 8
"""Up to so many states messages are summed in log space, so that no state underflows."""


class StateTree(eqx.Module):
    """Categories s_1, ..., s_d of up to K states, each depending on its parent in a forest.

    p(s) = Π_j p(s_j | s_pa(j))

    `log_transition[j, a, b]` is log p(s_j = b | s_pa(j) = a). A root has parent -1 and its log
    p(s_j) in row 0. Evidence is an array of log e_j(s_j) for each node j and state.

    Messages go up one node at a time. With more than 8 states and many rows they are products of
    matrices of probabilities, rescaled by their largest entry; entries that underflow beside it
    count as zero (Pearl 1988, section 4.2; Liu and Van den Broeck 2021).

    >>> half = jnp.log(jnp.array([[[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.1], [0.2, 0.8]]]))
    >>> tree = StateTree(half, (-1, 0))
    >>> evidence = jnp.array([[0.0, 0.0], [0.0, LOG_ZERO]])  # s_1 = 0
    >>> print(f"{jnp.exp(tree.log_evidence(evidence)):.2f}")
    0.55
    """

    log_transition: Float[Array, "d k k *n"]
    parents: tuple[int, ...] = eqx.field(static=True)
    nodes: Nodes | None = None

    def with_structure_as_data(self) -> "StateTree":
        """The same tree with its structure in arrays: trees of one size share compiled code."""
        if self.nodes is not None:
            return self
        nodes = jax.tree.map(jnp.asarray, _order(self.parents))
        return StateTree(self.log_transition, (), nodes)

    @property
    def order(self) -> Nodes:
        """The nodes, parents before children, and the parent of each; d means no parent."""
        return _order(self.parents) if self.nodes is None else self.nodes

    @property
    def parent_indices(self) -> Int[Array, "d"] | Int[np.ndarray, "d"]:
        """The parent of each node; d means no parent."""
        nodes, parents = self.order
        if isinstance(nodes, np.ndarray):
            return parents[np.argsort(nodes)]
        return jnp.zeros_like(parents).at[nodes].set(parents)

    @property
    def states(self) -> int:
        """The number of states K."""
        return self.log_transition.shape[1]

    def log_prob(self, s: Int[Array, "d"]) -> Float[Array, ""]:
        """log p(s) in nats, for the states s of all nodes."""
        parents = self.parent_indices
        log_t = jnp.maximum(self.log_transition, LOG_ZERO)
        if self.states > MAX_LOG_SPACE_STATES:
            parent_states = jnp.append(s, 0)[parents]
            total = log_t[np.arange(len(s)), parent_states, s].sum()
        else:
            # An inner product: over rows and components it becomes one matrix product.
            one_hot = (s[:, None] == jnp.arange(self.states)).astype(log_t.dtype)
            root = jnp.eye(1, self.states, dtype=log_t.dtype)
            parent_one_hot = jnp.concatenate([one_hot, root])[parents]
            pairs = parent_one_hot[:, :, None] * one_hot[:, None, :]
            total = jnp.vdot(pairs, log_t, precision="highest")
        return jnp.where(total > LOG_ZERO / 2, total, -jnp.inf)

    def log_evidence(self, log_e: Float[Array, "d k *n"]) -> Float[Array, "*n"]:
        """log Σ_s p(s) Π_j e_j(s_j) in nats; -inf if no state is possible.

        The trees of a stack with one structure and few states may lie along last axes.
        """
        total = self._collect(log_e, _log_sum)[0]
        return jnp.where(total > LOG_ZERO / 2, total, -jnp.inf)

    def terms(
        self, log_e: Float[Array, "d k"], log_e_low: Float[Array, "d k"] | None = None
    ) -> Double:
        """d + 1 numbers whose sum is the log-evidence: the maximum of each node, and a remainder.

        A node with the same evidence in two calls has the same number in both.

        Args:
            log_e: the log-evidence of each node and state.
            log_e_low: the rounding errors of `log_e`, default zero.
        """
        log_e = jnp.maximum(log_e, LOG_ZERO)
        log_e_low = jnp.zeros_like(log_e) if log_e_low is None else log_e_low
        largest, state = log_e.max(1), log_e.argmax(1)[:, None]
        low = jnp.take_along_axis(log_e_low, state, 1)
        remainder = self.log_evidence((log_e - largest[:, None]) + (log_e_low - low))
        high = jnp.append(jnp.where(largest > LOG_ZERO / 2, largest, -jnp.inf), remainder)
        return Double(high, jnp.append(low[:, 0], 0))

    def posterior(self, log_e: Float[Array, "d k"]) -> Float[Array, "d k"]:
        """p(s_j | e) of each node j: the gradient of the log-evidence (Darwiche 2003)."""
        return jax.grad(self.log_evidence)(log_e)

    def expected_counts(
        self, log_e: Float[Array, "n d k"], weight: Float[Array, "n"]
    ) -> tuple[Float[Array, "d k k"], Float[Array, "n d k"], Float[Array, ""]]:
        """The E-step for weighted rows.

        Returns the expected counts of (s_pa(j), s_j), the weight of each row, node and state, and
        the weighted log-likelihood. The first two are gradients with respect to
        log p(s_j | s_pa(j)) and log e_j(s_j).
        """

        def log_likelihood(log_transition, log_e):
            tree = StateTree(log_transition, self.parents, self.nodes)
            log_p = jax.vmap(tree.log_evidence)(log_e)
            return jnp.where(weight > 0, weight * log_p, 0).sum()

        value, gradients = jax.value_and_grad(log_likelihood, (0, 1))(self.log_transition, log_e)
        return *gradients, value

    def m_step(self, counts: Float[Array, "d k k"]) -> "StateTree":
        """The tree of greatest likelihood for expected counts; rows without counts stay."""
        total = counts.sum(-1, keepdims=True)
        has_counts = total > 0
        log_t = jnp.log(counts) - jnp.log(jnp.where(has_counts, total, 1))
        log_t = jnp.where(has_counts, log_t, self.log_transition)
        return StateTree(log_t, self.parents, self.nodes)

    def sample(self, key: PRNGKeyArray, log_e: Float[Array, "d k"]) -> Int[Array, "d"]:
        """A draw of all states from p(s | e): messages go up, then states are drawn downwards."""
        u = jax.random.uniform(key, log_e.shape[:1], log_e.dtype)

        def draw(j, p):
            total = jnp.cumsum(p)
            return (total <= u[j] * total[-1]).sum()

        return self._distribute(log_e, _log_sum, draw)

    def viterbi(self, log_e: Float[Array, "d k"]) -> Int[Array, "d"]:
        """The jointly most probable states given the evidence (max-product; Viterbi 1967)."""
        return self._distribute(log_e, _log_max, lambda j, p: jnp.argmax(p))

    def products(self, m: Float[Array, "d k"]) -> Float[Array, "d d"]:
        """E[m_i(s_i) m_j(s_j)] for each pair of different nodes; zero on the diagonal.

        i and j are independent given the node where their paths to the root meet. Each node
        collects E[m_i(s_i) | s] for all i below it, and pairs are summed where they meet.
        """
        d, k = m.shape
        p = self.posterior(jnp.zeros_like(m))
        # An extra node of one state is the parent of the roots.
        p = jnp.concatenate([p, jnp.eye(1, k, dtype=m.dtype)])
        conditional = jnp.zeros((d + 1, k, d), m.dtype).at[np.arange(d), :, np.arange(d)].set(m)
        nodes, parents = self.order

        def meet(state, edge):
            conditional, total = state
            j, parent = edge
            below = jnp.matmul(jnp.exp(self.log_transition[j]), conditional[j], precision="highest")
            pairs = jnp.matmul(
                (p[parent, :, None] * conditional[parent]).T, below, precision="highest"
            )
            return (conditional.at[parent].add(below), total + pairs), None

        start = conditional, jnp.zeros((d, d), m.dtype)
        (_, total), _ = jax.lax.scan(meet, start, (nodes[::-1], parents[::-1]))
        return total + total.T

    def _collect(self, log_e: Array, combine: Callable) -> tuple[Array, Array]:
        """The log-evidence, and that at and below each node up to a constant per node.

        Messages are relative to their largest entry, because evidence far out would swallow the
        digits of the other nodes.
        """
        log_t = jnp.maximum(self.log_transition, LOG_ZERO)
        # An extra node is the parent of the roots; it collects the total.
        root = jnp.zeros((1, *log_e.shape[1:]), log_e.dtype)
        start = jnp.concatenate([jnp.maximum(log_e, LOG_ZERO), root])
        nodes, parents = self.order

        def ascend(state, edge):
            below, total = state
            j, parent = edge
            largest = jax.lax.stop_gradient(below[j].max(0))
            message = combine(log_t[j], below[j] - largest)
            return (below.at[parent].add(message), total + largest), None

        zero = jnp.zeros(log_e.shape[2:], log_e.dtype)
        (below, total), _ = jax.lax.scan(ascend, (start, zero), (nodes[::-1], parents[::-1]))
        return below[-1, 0] + total, below

    def _distribute(self, log_e: Array, combine: Callable, choose: Callable) -> Int[Array, "d"]:
        """All states from the roots downwards, each chosen by its probabilities given its parent's.

        `choose(j, p)` picks the state of node j from probabilities up to a factor.
        """
        _, below = self._collect(log_e, combine)

        def descend(states, edge):
            j, parent = edge
            log_p = self.log_transition[j, states[parent]] + below[j]
            state = choose(j, jnp.exp(log_p - log_p.max()))
            return states.at[j].set(state.astype(states.dtype)), None

        states = jnp.zeros(len(log_e) + 1, int)
        return jax.lax.scan(descend, states, self.order)[0][:-1]


def even_counts(levels: tuple[int, ...], parents: Any) -> Any:
    """One row per node, spread evenly over the pairs of states of the node and its parent.

    Args:
        levels: the number of states of each node.
        parents: the parent of each node; d or -1 means no parent.
    """
    node_sizes = np.array(levels)
    state = np.arange(max(levels))
    # The last entry is the parent of the roots, which has one state.
    sizes = np.append(node_sizes, 1)
    parent_sizes = (
        jnp.asarray(sizes)[parents]
        if isinstance(parents, jax.Array)
        else sizes[np.asarray(parents)]
    )
    possible = (state[:, None] < parent_sizes[:, None, None]) & (state < node_sizes[:, None, None])
    return possible / (parent_sizes * node_sizes)[:, None, None]


def even_tree(levels: tuple[int, ...], parents: tuple[int, ...]) -> StateTree:
    """The tree in which all states of a node are equally probable."""
    counts = jnp.asarray(even_counts(levels, parents))
    return StateTree(jnp.full(counts.shape, -jnp.inf), parents).m_step(counts)


def _log_sum(log_t: Array, b: Array) -> Array:
    """log Σ_b T[a, b] exp(b), where the largest b is 0."""
    if len(b) <= MAX_LOG_SPACE_STATES:
        joint = log_t + b
        top = jax.lax.stop_gradient(joint.max(1))
        return jnp.log(jnp.exp(joint - top[:, None]).sum(1)) + top
    m = jnp.matmul(jnp.exp(log_t), jnp.exp(b), precision="highest")
    possible = m > 0
    return jnp.where(possible, jnp.log(jnp.where(possible, m, 1)), LOG_ZERO)


def _log_max(log_t: Array, b: Array) -> Array:
    """max_b log T[a, b] + b."""
    return (log_t + b).max(-1)


@cache
def _order(parents: tuple[int, ...]) -> tuple[Int[np.ndarray, "d"], Int[np.ndarray, "d"]]:
    d = len(parents)
    parent = np.array(parents)
    generation = np.flatnonzero(parent < 0)
    generations = []
    while len(generation):
        generations.append(generation)
        generation = np.flatnonzero(np.isin(parent, generation))
    nodes = np.concatenate(generations)
    node_parents = np.where(parent[nodes] < 0, d, parent[nodes])
    return nodes.astype(np.int32), node_parents.astype(np.int32)
