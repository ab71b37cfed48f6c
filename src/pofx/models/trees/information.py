"""Entropy of a tree of categories, and KL divergence between two such trees."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pofx.families.special_functions import divergence, entr
from pofx.models.trees.state_tree import StateTree


def marginals(tree: StateTree) -> Float[Array, "d k"]:
    """p(s_j) of each node."""
    return tree.posterior(jnp.zeros(tree.log_transition.shape[:2]))


def entropy(tree: StateTree, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    """H(s_A) in nats of the nodes A of the mask, or None if A has no tree structure of its own.

    H(s_A) = Σ_j H(s_j) - Σ_edges I(s_i; s_j)

    A has one if the other nodes can be summed out one after another, each while it has at most two
    neighbours, which are then joined by an edge.
    """
    p = marginals(tree)
    edges = _edges_between(tree, p, target_mask)
    if edges is None:
        return None
    total = entr(p[np.flatnonzero(target_mask)]).sum()
    if not edges:
        return total
    i, j = map(np.array, zip(*edges))
    joint = jnp.stack(list(edges.values()))
    return total - divergence(joint, p[i][:, :, None] * p[j][:, None, :]).sum()


def _edges_between(
    tree: StateTree, p: Float[Array, "d k"], target_mask: Bool[np.ndarray, "d"]
) -> dict[tuple[int, int], Float[Array, "k k"]] | None:
    """The joint distribution of each edge after the nodes outside the mask are summed out."""
    neighbours: dict[int, dict[int, Array]] = {j: {} for j in range(len(target_mask))}
    for j, parent in enumerate(tree.parents):
        if parent >= 0:
            joint = p[parent][:, None] * jnp.exp(tree.log_transition[j])
            neighbours[parent][j] = joint
            neighbours[j][parent] = joint.T
    remaining = [j for j in neighbours if not target_mask[j]]
    while remaining:
        removable = [j for j in remaining if len(neighbours[j]) <= 2]
        if not removable:
            return None
        j = removable[0]
        remaining.remove(j)
        joints = neighbours.pop(j)
        for i in joints:
            del neighbours[i][j]
        if len(joints) == 2:
            (a, to_a), (b, to_b) = joints.items()
            inverse = jnp.where(p[j] > 0, 1 / jnp.where(p[j] > 0, p[j], 1), 0)
            joint = jnp.matmul(to_a.T * inverse, to_b, precision="highest")
            neighbours[a][b] = joint
            neighbours[b][a] = joint.T
    return {(i, j): joint for i in neighbours for j, joint in neighbours[i].items() if i < j}


def kl(p: StateTree, q: StateTree) -> Float[Array, ""]:
    """KL(p || q) = Σ_j E_p[log p(s_j | s_pa(j)) - log q(s_j | s_pa'(j))] in nats, over all nodes.

    For a node whose parent in q differs from its parent in p, the joint of both is computed along
    the path in p. A node with the same parent in both adds a mean of divergences, which keeps its
    digits when p and q agree.
    """
    p_marginals = marginals(p)
    total = jnp.zeros(())
    for j, (parent, other) in enumerate(zip(p.parents, q.parents)):
        if parent == other:
            total += _edge_kl(p_marginals, parent, p.log_transition[j], q.log_transition[j])
        else:
            total += _mean(_pair(p, p_marginals, parent, j), p.log_transition[j])
            total -= _mean(_pair(p, p_marginals, other, j), q.log_transition[j])
    return jnp.maximum(total, 0)


def _edge_kl(
    p: Float[Array, "d k"], parent: int, log_p: Float[Array, "k k"], log_q: Float[Array, "k k"]
) -> Float[Array, ""]:
    """The mean over the parent's state of KL(p(s_j | s_parent) || q(s_j | s_parent)).

    The distribution of a root is in row 0.
    """
    weight = p[parent] if parent >= 0 else jnp.zeros_like(log_p[0]).at[0].set(1)
    divergences = divergence(jnp.exp(log_p), jnp.exp(log_q)).sum(1)
    return jnp.where(weight > 0, weight * jnp.where(weight > 0, divergences, 0), 0).sum()


def _mean(joint: Float[Array, "k k"], log_p: Float[Array, "k k"]) -> Float[Array, ""]:
    """The expectation of log_p under the joint; pairs without mass count as zero."""
    return jnp.where(joint > 0, joint * jnp.where(joint > 0, log_p, 0), 0).sum()


def _pair(tree: StateTree, p: Float[Array, "d k"], a: int, b: int) -> Float[Array, "k k"]:
    """p(s_a, s_b); with a = -1, for a root b, row 0 holds p(s_b)."""
    if a < 0:
        return jnp.zeros_like(tree.log_transition[b]).at[0].set(p[b])
    path_a = _path_to_root(tree, a)
    path_b = _path_to_root(tree, b)
    meeting = next((j for j in path_a if j in set(path_b)), None)
    if meeting is None:
        return p[a][:, None] * p[b]
    down = [_transition(tree, path[: path.index(meeting)]) for path in (path_a, path_b)]
    return jnp.matmul((p[meeting][:, None] * down[0]).T, down[1], precision="highest")


def _path_to_root(tree: StateTree, j: int) -> list[int]:
    """j, its parent, and so on up to the root."""
    path = [j]
    while tree.parents[path[-1]] >= 0:
        path.append(tree.parents[path[-1]])
    return path


def _transition(tree: StateTree, path: list[int]) -> Float[Array, "k k"]:
    """p(s of the first node | s of the parent of the last node) along a path upwards."""
    product = jnp.eye(tree.states)
    for j in path:
        product = jnp.matmul(jnp.exp(tree.log_transition[j]), product, precision="highest")
    return product
