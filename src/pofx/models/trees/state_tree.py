"""A tree of categories, and the sums over all their values that message passing makes cheap."""

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
"""Stands for log 0, which times zero is not a number."""
MAX_LOG_SPACE_STATES = 8
"""States of which messages are sums of exponentials: no state underflows beside a likelier one."""


class StateTree(eqx.Module):
    """p(s) = Π_j p(s_j | s_pa(j)): categories s_1, ..., s_d of up to K states on a forest.

    `log_transition[j, a, b]` is log p(s_j = b | s_pa(j) = a); a root, whose parent is -1, has
    log p(s_j) in row 0. Evidence is a row of K numbers log e_j(s_j) for each node j. Messages go
    up a node at a time; of more than 8 states they are, over many rows, a product of matrices of
    probabilities, rescaled by their largest, and those that underflow beside it count as zero
    (Pearl 1988, section 4.2; Liu and Van den Broeck 2021).

    >>> half = jnp.log(jnp.array([[[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.1], [0.2, 0.8]]]))
    >>> tree = StateTree(half, (-1, 0))
    >>> seen = jnp.array([[0.0, 0.0], [0.0, LOG_ZERO]])  # s_1 = 0
    >>> print(f"{jnp.exp(tree.log_evidence(seen)):.2f}")
    0.55
    """

    log_transition: Float[Array, "d k k *n"]
    parents: tuple[int, ...] = eqx.field(static=True)
    nodes: Nodes | None = None

    def with_structure_as_data(self) -> "StateTree":
        """The same tree, its skeleton data: what is compiled for it serves all of its size."""
        if self.nodes is not None:
            return self
        nodes = jax.tree.map(jnp.asarray, _order(self.parents))
        return StateTree(self.log_transition, (), nodes)

    @property
    def order(self) -> Nodes:
        """The nodes, parents before their children, and their parents; d stands for none."""
        return _order(self.parents) if self.nodes is None else self.nodes

    @property
    def above(self) -> Int[Array, "d"] | Int[np.ndarray, "d"]:
        """The parent of each node; d stands for none."""
        own, above = self.order
        if isinstance(own, np.ndarray):
            return above[np.argsort(own)]
        return jnp.zeros_like(above).at[own].set(above)

    @property
    def states(self) -> int:
        """The number of states K."""
        return self.log_transition.shape[1]

    def log_prob(self, s: Int[Array, "d"]) -> Float[Array, ""]:
        """log p(s) of states all known."""
        above, log_t = self.above, jnp.maximum(self.log_transition, LOG_ZERO)
        if self.states > MAX_LOG_SPACE_STATES:
            above = jnp.append(s, 0)[above]
            total = log_t[np.arange(len(s)), above, s].sum()
        else:
            # One inner product: over rows and components one matrix product.
            hot = (s[:, None] == jnp.arange(self.states)).astype(log_t.dtype)
            root = jnp.eye(1, self.states, dtype=log_t.dtype)
            above = jnp.concatenate([hot, root])[above]
            pairs = above[:, :, None] * hot[:, None, :]
            total = jnp.vdot(pairs, log_t, precision="highest")
        return jnp.where(total > LOG_ZERO / 2, total, -jnp.inf)

    def log_evidence(self, log_e: Float[Array, "d k *n"]) -> Float[Array, "*n"]:
        """log Σ_s p(s) Π_j e_j(s_j), in nats; -inf where no state is possible.

        Of several trees on one skeleton, of few states, that are stacked along last axes.
        """
        total = self._up(log_e, _sum)[0]
        return jnp.where(total > LOG_ZERO / 2, total, -jnp.inf)

    def terms(self, log_e: Float[Array, "d k"], rest: Float[Array, "d k"] | None = None) -> Double:
        """Numbers whose sum is the log-evidence: the largest of each node, and what is left.

        Nodes that two evidences have in common have the same number in both. `rest` is what
        rounding took from the evidence.
        """
        log_e = jnp.maximum(log_e, LOG_ZERO)
        rest = jnp.zeros_like(log_e) if rest is None else rest
        largest, state = log_e.max(1), log_e.argmax(1)[:, None]
        low = jnp.take_along_axis(rest, state, 1)
        left = self.log_evidence((log_e - largest[:, None]) + (rest - low))
        high = jnp.append(jnp.where(largest > LOG_ZERO / 2, largest, -jnp.inf), left)
        return Double(high, jnp.append(low[:, 0], 0))

    def posterior(self, log_e: Float[Array, "d k"]) -> Float[Array, "d k"]:
        """p(s_j | e) of each node j: the gradient of the log-evidence (Darwiche 2003)."""
        return jax.grad(self.log_evidence)(log_e)

    def expected_counts(
        self, log_e: Float[Array, "n d k"], weight: Float[Array, "n"]
    ) -> tuple[Float[Array, "d k k"], Float[Array, "n d k"], Float[Array, ""]]:
        """Of weighted rows the counts of (s_pa(j), s_j), the weights of states, and log p: E-step.

        A gradient again, with respect to log p(s_j | s_pa(j)) and log e_j(s_j).
        """

        def total(log_transition, log_e):
            tree = StateTree(log_transition, self.parents, self.nodes)
            each = jax.vmap(tree.log_evidence)(log_e)
            return jnp.where(weight > 0, weight * each, 0).sum()

        value, of = jax.value_and_grad(total, (0, 1))(self.log_transition, log_e)
        return *of, value

    def m_step(self, counts: Float[Array, "d k k"]) -> "StateTree":
        """The tree of greatest likelihood for expected counts; where they are none, as it is."""
        total = counts.sum(-1, keepdims=True)
        some = total > 0
        new = jnp.log(counts) - jnp.log(jnp.where(some, total, 1))
        new = jnp.where(some, new, self.log_transition)
        return StateTree(new, self.parents, self.nodes)

    def sample(self, key: PRNGKeyArray, log_e: Float[Array, "d k"]) -> Int[Array, "d"]:
        """A draw of all states from p(s | e): up with the evidence, then down from the roots."""
        u = jax.random.uniform(key, log_e.shape[:1], log_e.dtype)

        def draw(j, p):
            total = jnp.cumsum(p)
            return (total <= u[j] * total[-1]).sum()

        return self._down(log_e, _sum, draw)

    def viterbi(self, log_e: Float[Array, "d k"]) -> Int[Array, "d"]:
        """The states that together have the highest p(s | e) (max-product; Viterbi 1967)."""
        return self._down(log_e, _max, lambda j, p: jnp.argmax(p))

    def products(self, m: Float[Array, "d k"]) -> Float[Array, "d d"]:
        """E[m_i(s_i) m_j(s_j)] of each pair of different nodes; zero on the diagonal.

        Given the node where their ways to the root meet, i and j are independent. So each node
        learns E[m_i(s_i) | s] of all i below it, and pairs are summed where they meet.
        """
        d, k = m.shape
        p = self.posterior(jnp.zeros_like(m))
        # Beyond the roots is one node more, of one state.
        p = jnp.concatenate([p, jnp.eye(1, k, dtype=m.dtype)])
        given = jnp.zeros((d + 1, k, d), m.dtype).at[np.arange(d), :, np.arange(d)].set(m)
        own, above = self.order

        def meet(state, at):
            given, total = state
            j, parent = at
            below = jnp.matmul(jnp.exp(self.log_transition[j]), given[j], precision="highest")
            pairs = jnp.matmul((p[parent, :, None] * given[parent]).T, below, precision="highest")
            return (given.at[parent].add(below), total + pairs), None

        start = given, jnp.zeros((d, d), m.dtype)
        (_, total), _ = jax.lax.scan(meet, start, (own[::-1], above[::-1]))
        return total + total.T

    def _up(self, log_e: Array, combine: Callable) -> tuple[Array, Array]:
        """The log-evidence, and that at and below each node but for a number of the node's own.

        Messages are relative to the largest: evidence far out would swallow the others' digits.
        """
        log_t = jnp.maximum(self.log_transition, LOG_ZERO)
        # The parent of the roots is one node more; what reaches it is the whole.
        beyond = jnp.zeros((1, *log_e.shape[1:]), log_e.dtype)
        start = jnp.concatenate([jnp.maximum(log_e, LOG_ZERO), beyond])
        own, above = self.order

        def ascend(state, at):
            below, total = state
            j, parent = at
            largest = jax.lax.stop_gradient(below[j].max(0))
            message = combine(log_t[j], below[j] - largest)
            return (below.at[parent].add(message), total + largest), None

        nothing = jnp.zeros(log_e.shape[2:], log_e.dtype)
        (below, total), _ = jax.lax.scan(ascend, (start, nothing), (own[::-1], above[::-1]))
        return below[-1, 0] + total, below

    def _down(self, log_e: Array, combine: Callable, choose: Callable) -> Int[Array, "d"]:
        """All states from the roots on, each chosen by its probabilities given its parent's."""
        _, below = self._up(log_e, combine)

        def descend(states, at):
            j, parent = at
            log_p = self.log_transition[j, states[parent]] + below[j]
            state = choose(j, jnp.exp(log_p - log_p.max()))
            return states.at[j].set(state.astype(states.dtype)), None

        states = jnp.zeros(len(log_e) + 1, int)
        return jax.lax.scan(descend, states, self.order)[0][:-1]


def even_counts(levels: tuple[int, ...], above: Any) -> Any:
    """One row for each node, spread evenly over the states that it and its parent have.

    `above` is the parent of each node; d, or -1, stands for none.
    """
    own, state = np.array(levels), np.arange(max(levels))
    # The last of these has one state, and stands above the roots.
    sizes = np.append(own, 1)
    above = jnp.asarray(sizes)[above] if isinstance(above, jax.Array) else sizes[np.asarray(above)]
    some = (state[:, None] < above[:, None, None]) & (state < own[:, None, None])
    return some / (above * own)[:, None, None]


def even_tree(levels: tuple[int, ...], parents: tuple[int, ...]) -> StateTree:
    """The tree in which each state that a node has is as likely as another."""
    counts = jnp.asarray(even_counts(levels, parents))
    return StateTree(jnp.full(counts.shape, -jnp.inf), parents).m_step(counts)


def _sum(log_t: Array, b: Array) -> Array:
    """log Σ_b T[a, b] exp(b), the largest b being 0."""
    if len(b) <= MAX_LOG_SPACE_STATES:
        joint = log_t + b
        top = jax.lax.stop_gradient(joint.max(1))
        return jnp.log(jnp.exp(joint - top[:, None]).sum(1)) + top
    m = jnp.matmul(jnp.exp(log_t), jnp.exp(b), precision="highest")
    some = m > 0
    return jnp.where(some, jnp.log(jnp.where(some, m, 1)), LOG_ZERO)


def _max(log_t: Array, b: Array) -> Array:
    """max_b log T[a, b] + b."""
    return (log_t + b).max(-1)


@cache
def _order(parents: tuple[int, ...]) -> tuple[Int[np.ndarray, "d"], Int[np.ndarray, "d"]]:
    d, parent = len(parents), np.array(parents)
    nodes, out = np.flatnonzero(parent < 0), []
    while len(nodes):
        out.append(nodes)
        nodes = np.flatnonzero(np.isin(parent, nodes))
    own = np.concatenate(out)
    above = np.where(parent[own] < 0, d, parent[own])
    return own.astype(np.int32), above.astype(np.int32)
