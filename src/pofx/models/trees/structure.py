"""The structure of a tree: the spanning tree of greatest mutual information between columns."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from pofx.core.column import Column

DEFAULT_BINS = 8
"""Quantile bins of a column of numbers."""
MAX_LEVELS = 64
"""Levels that a column may have; rarer ones, by frequency, are merged into one."""
MAX_CODES = 8192
"""Codes of all columns together: if there were more, each column gets fewer levels."""
BLOCK_ROWS = 2048
"""Rows that are one-hot encoded at a time, to bound memory."""


def chow_liu(
    columns: Sequence[Column],
    x: Float[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n d"],
    smoothing: float,
) -> tuple[int, ...]:
    """The parent of each column in the tree of greatest mutual information, -1 for its root.

    For discrete columns the tree has the maximum likelihood (Chow and Liu 1968). Numbers enter by
    quantile bins. Each pair of columns is judged by the rows that have both. If these are few or
    the codes many, the information expected by chance is subtracted. The root is the centre.

    Args:
        columns: the d columns.
        x: the cells.
        weight: the weight of each cell, zero if it is missing.
        smoothing: number of pseudo-rows per pair of columns.
    """
    # With one code a column would have no information.
    limit = max(min(MAX_LEVELS, MAX_CODES // len(columns)), 2)
    bins = min(DEFAULT_BINS, limit)
    code = bin_codes(columns, x, weight, bins=bins, max_levels=limit, limit=limit)
    information, common = mutual_informations(code, weight, smoothing)
    # With many codes and few common rows information appears by chance: the bias of Miller and
    # Madow (1955).
    degrees = code.max(0, initial=0)
    chance = np.outer(degrees, degrees) / (2 * np.maximum(common, 1))
    binned = np.array([needs_binning(column, limit) for column in columns])
    biased = binned[:, None] | binned | (common < common.max())
    return root_at_centre(np.where(biased, np.maximum(information - chance, 0), information))


def needs_binning(column: Column, limit: int = MAX_LEVELS) -> bool:
    """Whether a column holds numbers, or more than `limit` levels."""
    return not column.discrete or column.levels > limit


def bin_codes(
    columns: Sequence[Column],
    x: Float[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n d"],
    bins: int = DEFAULT_BINS,
    max_levels: int = MAX_LEVELS,
    limit: int = MAX_LEVELS,
) -> Int[np.ndarray, "n d"]:
    """Cells as small integers; a missing cell is 0.

    Columns of up to `limit` levels keep their codes. Others are binned: numbers and ordered levels
    by quantiles, categories by frequency with the rarest merged.

    Args:
        columns: the d columns.
        x: the cells.
        weight: the weight of each cell, zero if it is missing.
        bins: number of quantile bins.
        max_levels: number of levels that categories are merged to.
        limit: number of levels above which a column is binned.
    """
    out = np.zeros(x.shape, np.int32)
    for j, column in enumerate(columns):
        present = weight[:, j] > 0
        values = x[present, j]
        if not len(values):
            continue
        if not needs_binning(column, limit):
            out[present, j] = values
        elif column.discrete and column.kind != "ordinal":
            code = np.unique(values, return_inverse=True)[1]
            rank = np.argsort(np.argsort(-np.bincount(code), kind="stable"))
            out[present, j] = np.minimum(rank[code], max_levels - 1)
        else:
            edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
            out[present, j] = np.searchsorted(edges, values, side="right")
    return out


def pair_counts(
    code: Int[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n d"],
    parents: tuple[int, ...],
    states: int,
) -> Float[np.ndarray, "d k k"]:
    """Weighted counts of each pair (code of the parent, code) per column; a root uses row 0."""
    counts = np.zeros((len(parents), states, states))
    for j, parent in enumerate(parents):
        parent_code = code[:, parent] if parent >= 0 else np.zeros(len(code), int)
        pair_weight = np.minimum(weight[:, j], weight[:, parent]) if parent >= 0 else weight[:, j]
        flat = np.bincount(parent_code * states + code[:, j], pair_weight, states**2)
        counts[j] = flat.reshape(states, states)
    return counts


def mutual_informations(
    code: Int[np.ndarray, "n d"], weight: Float[np.ndarray, "n d"], smoothing: float
) -> tuple[Float[np.ndarray, "d d"], Float[np.ndarray, "d d"]]:
    """Mutual information in nats of each pair of columns, and the weight of their common rows.

    `smoothing` pseudo-rows are added to the counts of each pair.
    """
    d = code.shape[1]
    sizes = code.max(0, initial=0) + 1
    first = np.concatenate([[0], np.cumsum(sizes)])
    owner = np.repeat(np.arange(d), sizes)
    counts = np.zeros((first[-1], first[-1]), np.float32)
    for begin in range(0, len(code), BLOCK_ROWS):
        block = code[begin : begin + BLOCK_ROWS]
        block_weight = weight[begin : begin + BLOCK_ROWS]
        one_hot = np.zeros((len(block), first[-1]), np.float32)
        one_hot[np.arange(len(block))[:, None], block + first[:-1]] = np.sqrt(block_weight)
        counts += one_hot.T @ one_hot
    even = smoothing / (sizes[owner][:, None] * sizes[owner])
    joint = counts + even.astype(np.float32)
    total = _sum_by_column(joint, first)
    rows = np.add.reduceat(joint, first[:-1], axis=1)[:, owner]
    expected = rows * rows.T
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = joint * np.log(joint * total[np.ix_(owner, owner)] / expected)
        information = _sum_by_column(np.where(joint > 0, terms, 0), first) / total
    return np.where(total > 0, np.maximum(information, 0), 0), total - smoothing


def _sum_by_column(pairs, first):
    """Sums over pairs of codes for each pair of columns, whose codes begin at `first`."""
    return np.add.reduceat(np.add.reduceat(pairs, first[:-1], 0), first[:-1], 1)


def root_at_centre(information: Float[np.ndarray, "d d"]) -> tuple[int, ...]:
    """The parents in the spanning tree of greatest weight, rooted at its centre; -1 for a root."""
    d = len(information)
    # scipy takes a weight of zero for no edge; among equal weights any edge will do.
    weight = np.triu(information + 1e-12, 1)
    tree = minimum_spanning_tree(csr_array(-weight))
    graph = csr_array(tree != 0).astype(np.int8)
    graph = csr_array(graph + graph.T)
    count, label = connected_components(graph, directed=False)
    parents = np.full(d, -1)
    for component in range(count):
        root = _tree_centre(graph, int(np.flatnonzero(label == component)[0]))
        order, before = breadth_first_order(graph, root, directed=False)
        parents[order[1:]] = before[order[1:]]
    return tuple(parents.tolist())


def _tree_centre(graph, node: int) -> int:
    """The middle of a longest path in the tree of a node.

    The last node of a search from anywhere is one end; a search from there finds the other end.
    """
    end = breadth_first_order(graph, node, directed=False)[0][-1]
    order, before = breadth_first_order(graph, end, directed=False)
    path = [int(order[-1])]
    while path[-1] != end:
        path.append(int(before[path[-1]]))
    return path[len(path) // 2]
