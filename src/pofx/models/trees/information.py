"""Entropy and divergence of trees whose every node is seen."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pofx.families.special_functions import divergence, entr
from pofx.models.trees.state_tree import StateTree


def marginals(tree: StateTree) -> Float[Array, "d k"]:
    """p(s_j) of each node."""
    return tree.posterior(jnp.zeros(tree.log_transition.shape[:2]))


def entropy(tree: StateTree, asked: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    """H(s_A) = Σ_j H(s_j) - Σ_edges I(s_i; s_j) over the nodes A, where they are a tree themselves.

    So they are where each node between them has at most two neighbours left: summing it out joins
    those. Else None.
    """
    p = marginals(tree)
    edges = _between(tree, p, asked)
    if edges is None:
        return None
    total = entr(p[np.flatnonzero(asked)]).sum()
    if not edges:
        return total
    i, j = map(np.array, zip(*edges))
    joint = jnp.stack(list(edges.values()))
    return total - divergence(joint, p[i][:, :, None] * p[j][:, None, :]).sum()


def _between(
    tree: StateTree, p: Float[Array, "d k"], asked: Bool[np.ndarray, "d"]
) -> dict[tuple[int, int], Float[Array, "k k"]] | None:
    """The joint of each edge, once nodes that are not asked are summed out."""
    near: dict[int, dict[int, Array]] = {j: {} for j in range(len(asked))}
    for j, parent in enumerate(tree.parents):
        if parent >= 0:
            joint = p[parent][:, None] * jnp.exp(tree.log_transition[j])
            near[parent][j], near[j][parent] = joint, joint.T
    left = [j for j in near if not asked[j]]
    while left:
        some = [j for j in left if len(near[j]) <= 2]
        if not some:
            return None
        j = some[0]
        left.remove(j)
        around = near.pop(j)
        for i in around:
            del near[i][j]
        if len(around) == 2:
            (a, to_a), (b, to_b) = around.items()
            share = jnp.where(p[j] > 0, 1 / jnp.where(p[j] > 0, p[j], 1), 0)
            joint = jnp.matmul(to_a.T * share, to_b, precision="highest")
            near[a][b], near[b][a] = joint, joint.T
    return {(i, j): joint for i in near for j, joint in near[i].items() if i < j}


def kl(p: StateTree, q: StateTree) -> Float[Array, ""]:
    """KL(p || q) = Σ_j E_p[log p(s_j | s_pa(j)) - log q(s_j | s_pa'(j))] over all nodes.

    q's pairs of node and parent have under p the joint that p's way between them gives. A node of
    the same parent in both adds a mean of divergences, which keeps its digits where p and q agree.
    """
    own = marginals(p)
    total = jnp.zeros(())
    for j, (parent, other) in enumerate(zip(p.parents, q.parents)):
        if parent == other:
            total += _edge(own, parent, p.log_transition[j], q.log_transition[j])
        else:
            total += _expected(_pair(p, own, parent, j), p.log_transition[j])
            total -= _expected(_pair(p, own, other, j), q.log_transition[j])
    return jnp.maximum(total, 0)


def _edge(
    p: Float[Array, "d k"], parent: int, log_p: Float[Array, "k k"], log_q: Float[Array, "k k"]
) -> Float[Array, ""]:
    """E over the parent's state of KL(p(s_j | s_parent) || q(s_j | s_parent)); a root has row 0."""
    weight = p[parent] if parent >= 0 else jnp.zeros_like(log_p[0]).at[0].set(1)
    each = divergence(jnp.exp(log_p), jnp.exp(log_q)).sum(1)
    return jnp.where(weight > 0, weight * jnp.where(weight > 0, each, 0), 0).sum()


def _expected(joint: Float[Array, "k k"], log_p: Float[Array, "k k"]) -> Float[Array, ""]:
    return jnp.where(joint > 0, joint * jnp.where(joint > 0, log_p, 0), 0).sum()


def _pair(tree: StateTree, p: Float[Array, "d k"], a: int, b: int) -> Float[Array, "k k"]:
    """p(s_a, s_b); of a root b, whose a is -1, p(s_b) in row 0."""
    if a < 0:
        return jnp.zeros_like(tree.log_transition[b]).at[0].set(p[b])
    above_a, above_b = _ancestors(tree, a), _ancestors(tree, b)
    meeting = next((j for j in above_a if j in set(above_b)), None)
    if meeting is None:
        return p[a][:, None] * p[b]
    down = [_chain(tree, own[: own.index(meeting)]) for own in (above_a, above_b)]
    return jnp.matmul((p[meeting][:, None] * down[0]).T, down[1], precision="highest")


def _ancestors(tree: StateTree, j: int) -> list[int]:
    """j itself, its parent, and so on to the root."""
    out = [j]
    while tree.parents[out[-1]] >= 0:
        out.append(tree.parents[out[-1]])
    return out


def _chain(tree: StateTree, nodes: list[int]) -> Float[Array, "k k"]:
    """p(s of the first | s of what is above the last)."""
    out = jnp.eye(tree.states)
    for j in nodes:
        out = jnp.matmul(jnp.exp(tree.log_transition[j]), out, precision="highest")
    return out
