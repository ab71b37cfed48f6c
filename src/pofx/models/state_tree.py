"""A tree of categories, and the sums over all their values that message passing makes cheap."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

IMPOSSIBLE = -1e30
"""Stands for log 0, which times zero is not a number."""
UNROLLED = 48
"""Levels that are compiled one by one; those of a deeper tree are one step of a loop."""


class StateTree(eqx.Module):
    """p(s) = Π_j p(s_j | s_pa(j)): categories s_1, ..., s_d of up to K states on a forest.

    `log_transition[j, a, b]` is log p(s_j = b | s_pa(j) = a); a root, whose parent is -1, has
    log p(s_j) in row 0. Evidence is a row of K numbers log e_j(s_j) for each node j. Messages go
    up a level at a time, each level one batched product of matrices of probabilities, rescaled by
    their largest (Pearl 1988, section 4.2; Liu and Van den Broeck 2021).

    >>> half = jnp.log(jnp.array([[[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.1], [0.2, 0.8]]]))
    >>> tree = StateTree(half, (-1, 0))
    >>> seen = jnp.array([[0.0, 0.0], [0.0, IMPOSSIBLE]])  # s_1 = 0
    >>> print(f"{jnp.exp(tree.log_evidence(seen)):.2f}")
    0.55
    """

    log_transition: Float[Array, "d k k"]
    parents: tuple[int, ...] = eqx.field(static=True)

    @property
    def states(self) -> int:
        """The number of states K."""
        return self.log_transition.shape[-1]

    def log_prob(self, hot: Float[Array, "d k"]) -> Float[Array, ""]:
        """log p(s) of states all known, one-hot.

        One inner product: over rows and components one matrix product.
        """
        root = jnp.eye(1, self.states, dtype=hot.dtype)[0]
        parents = np.array(self.parents)
        above = jnp.where(parents[:, None] < 0, root, hot[parents])
        pairs = above[:, :, None] * hot[:, None, :]
        log_t = jnp.maximum(self.log_transition, IMPOSSIBLE)
        total = jnp.vdot(pairs, log_t, precision="highest")
        return jnp.where(total > IMPOSSIBLE / 2, total, -jnp.inf)

    def log_evidence(self, log_e: Float[Array, "d k"]) -> Float[Array, ""]:
        """log Σ_s p(s) Π_j e_j(s_j), in nats; -inf where no state is possible."""
        total = self._up(log_e, _sum)[0]
        return jnp.where(total > IMPOSSIBLE / 2, total, -jnp.inf)

    def posterior(self, log_e: Float[Array, "d k"]) -> Float[Array, "d k"]:
        """p(s_j | e) of each node j: the gradient of the log-evidence (Darwiche 2003)."""
        return jax.grad(self.log_evidence)(log_e)

    def expected_counts(
        self, log_e: Float[Array, "n d k"], weight: Float[Array, "n"]
    ) -> tuple[Float[Array, "d k k"], Float[Array, "n d k"], Float[Array, ""]]:
        """Of weighted rows the counts of (s_pa(j), s_j), the weights of states, and log p: E-step.

        A gradient again, with respect to log p(s_j | s_pa(j)) and log e_j(s_j).
        """

        def total(tree, log_e):
            each = jax.vmap(tree.log_evidence)(log_e)
            return jnp.where(weight > 0, weight * each, 0).sum()

        value, (counts, shares) = jax.value_and_grad(total, (0, 1))(self, log_e)
        return counts.log_transition, shares, value

    def maximise(self, counts: Float[Array, "d k k"]) -> "StateTree":
        """The tree of greatest likelihood for expected counts; where they are none, as it is."""
        total = counts.sum(-1, keepdims=True)
        some = total > 0
        new = jnp.log(counts) - jnp.log(jnp.where(some, total, 1))
        return StateTree(jnp.where(some, new, self.log_transition), self.parents)

    def sample(self, key: PRNGKeyArray, log_e: Float[Array, "d k"]) -> Int[Array, "d"]:
        """A draw of all states from p(s | e): up with the evidence, then down from the roots."""
        u = jax.random.uniform(key, (len(self.parents) + 1, 1), log_e.dtype)

        def draw(nodes, p):
            total = jnp.cumsum(p, -1)
            return (total <= u[nodes] * total[:, -1:]).sum(-1)

        return self._down(log_e, _sum, draw)

    def likeliest(self, log_e: Float[Array, "d k"]) -> Int[Array, "d"]:
        """The states that together have the highest p(s | e) (max-product; Viterbi 1967)."""
        return self._down(log_e, _max, lambda nodes, p: jnp.argmax(p, -1))

    def _up(self, log_e: Array, combine: Callable) -> tuple[Array, Any]:
        """The log-evidence, and that at and below each node by levels, from the roots."""
        log_t = jnp.maximum(self.log_transition, IMPOSSIBLE)
        log_e = jnp.maximum(log_e, IMPOSSIBLE)

        def ascend(m, level, log_e, log_t):
            b = log_e[level.nodes] + jnp.asarray(level.children, log_e.dtype) @ m
            return combine(log_t[level.nodes], b), b

        levels, deep = _levels(self.parents)
        if deep:
            m = jnp.zeros_like(log_e[: levels.nodes.shape[1]])
            padded = _padded(log_e, log_t)
            m, below = jax.lax.scan(lambda m, at: ascend(m, at, *padded), m, levels, reverse=True)
            return m[:, 0].sum(), below
        m, below = jnp.zeros((0, self.states), log_e.dtype), []
        for level in reversed(levels):
            m, b = ascend(m, level, log_e, log_t)
            below.append(b)
        return m[:, 0].sum(), below[::-1]

    def _down(self, log_e: Array, combine: Callable, choose: Callable) -> Int[Array, "d"]:
        """All states from the roots on, each chosen by its probability given its parent's."""
        d = len(self.parents)
        _, below = self._up(log_e, combine)
        _, log_t = _padded(log_e, self.log_transition)

        def descend(states, at):
            level, b = at
            log_p = log_t[level.nodes, states[level.above]] + b
            p = jnp.exp(log_p - log_p.max(-1, keepdims=True))
            return states.at[level.nodes].set(choose(level.nodes, p)), None

        states = jnp.zeros(d + 1, int)
        levels, deep = _levels(self.parents)
        if deep:
            return jax.lax.scan(descend, states, (levels, below))[0][:d]
        for at in zip(levels, below):
            states, _ = descend(states, at)
        return states[:d]


def random_tree(key: PRNGKeyArray, levels: tuple[int, ...], parents: tuple[int, ...]) -> StateTree:
    """A tree of random probabilities, for examples: each state about as likely as another."""
    k = max(levels)
    own, above = np.array(levels), np.where(np.array(parents) < 0, 1, np.array(levels)[list(parents)])
    states = np.arange(k)
    some = (states[:, None] < above[:, None, None]) & (states < own[:, None, None])
    counts = jax.random.uniform(key, (len(levels), k, k), minval=0.2)
    return StateTree(jnp.full(counts.shape, -jnp.inf), parents).maximise(jnp.where(some, counts, 0))


def _sum(log_t: Array, b: Array) -> Array:
    """log Σ_b T[a, b] exp(b)."""
    top = jax.lax.stop_gradient(b.max(-1, keepdims=True))
    m = jnp.einsum("jab,jb->ja", jnp.exp(log_t), jnp.exp(b - top), precision="highest")
    some = m > 0
    return jnp.where(some, jnp.log(jnp.where(some, m, 1)), IMPOSSIBLE) + top


def _max(log_t: Array, b: Array) -> Array:
    """max_b log T[a, b] + b."""
    return (log_t + b[:, None]).max(-1)


def _padded(log_e: Array, log_t: Array) -> tuple[Array, Array]:
    """With one node more, certain of its state 0: its message is nothing."""
    k = log_t.shape[-1]
    certain = jnp.where(jnp.arange(k) == 0, 0, IMPOSSIBLE).astype(log_t.dtype)
    more = jnp.broadcast_to(certain, (1, k, k))
    return jnp.concatenate([log_e, jnp.zeros_like(log_e[:1])]), jnp.concatenate([log_t, more])


class Level(NamedTuple):
    """The nodes of one depth, their parents, and which of the next depth are whose children."""

    nodes: Int[np.ndarray, "w"]
    above: Int[np.ndarray, "w"]
    children: Bool[np.ndarray, "w v"]


@cache
def _levels(parents: tuple[int, ...]) -> tuple[Any, bool]:
    """The levels of a forest from its roots: a list, or where it is deep one padded stack."""
    parent = np.array(parents)
    nodes, out = np.flatnonzero(parent < 0), []
    while len(nodes):
        below = np.flatnonzero(np.isin(parent, nodes))
        children = nodes[:, None] == parent[below]
        above = np.maximum(parent[nodes], 0)
        out.append(Level(nodes.astype(np.int32), above.astype(np.int32), children))
        nodes = below
    if len(out) <= UNROLLED:
        return out, False
    d, width = len(parents), max(len(level.nodes) for level in out)

    def pad(level):
        wide, more = width - len(level.nodes), width - level.children.shape[1]
        place = np.pad(level.nodes, (0, wide), constant_values=d)
        above = np.pad(level.above, (0, wide), constant_values=d)
        return Level(place, above, np.pad(level.children, ((0, wide), (0, more))))

    return Level(*map(np.stack, zip(*map(pad, out)))), True
