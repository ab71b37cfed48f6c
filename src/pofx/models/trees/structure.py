"""The skeleton of a tree: which columns tell most about which."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from pofx.core.column import Column

DEFAULT_BINS = 8
"""Quantile bins of a column of numbers."""
MAX_LEVELS = 64
"""Levels of a column told apart; those beyond, in order of frequency, count as one."""
MAX_CODES = 8192
"""Codes of all columns together: where they would be more, fewer levels are told apart."""
BLOCK_ROWS = 2048
"""Rows whose levels are held one-hot at a time."""


def chow_liu(
    columns: Sequence[Column],
    x: Float[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n d"],
    smoothing: float,
) -> tuple[int, ...]:
    """The parent of each column in the tree of greatest mutual information, -1 for its root.

    The maximum-likelihood tree of discrete columns (Chow and Liu 1968); numbers enter by quantile
    bins, cells of weight zero not at all: each pair is judged by the rows that have both, less what
    chance would tell where these are few or the codes many. The root is the centre.
    """
    # At least two, or a column would tell nothing.
    limit = max(min(MAX_LEVELS, MAX_CODES // len(columns)), 2)
    code = codes(columns, x, weight, bins=min(DEFAULT_BINS, limit), most=limit, limit=limit)
    information, common = mutual_informations(code, weight, smoothing)
    # Codes of many values, and few common rows, tell by chance: Miller and Madow's (1955) bias.
    degrees = code.max(0, initial=0)
    chance = np.outer(degrees, degrees) / (2 * np.maximum(common, 1))
    loose = np.array([needs_binning(column, limit) for column in columns])
    doubtful = loose[:, None] | loose | (common < common.max())
    return root_at_centre(np.where(doubtful, np.maximum(information - chance, 0), information))


def needs_binning(column: Column, limit: int = MAX_LEVELS) -> bool:
    """Whether a column has more values than are told apart: numbers, or levels beyond `limit`."""
    return not column.discrete or column.levels > limit


def codes(
    columns: Sequence[Column],
    x: Float[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n d"],
    bins: int = DEFAULT_BINS,
    most: int = MAX_LEVELS,
    limit: int = MAX_LEVELS,
) -> Int[np.ndarray, "n d"]:
    """Levels as they are, the rarest of many as one, and numbers by the quantile bin they are in.

    Of columns with more values than `limit`, `bins` are made of what has an order and `most` of
    levels.
    """
    out = np.zeros(x.shape, np.int32)
    for j, column in enumerate(columns):
        seen = weight[:, j] > 0
        own = x[seen, j]
        if not len(own):
            continue
        if not needs_binning(column, limit):
            out[seen, j] = own
        elif column.discrete and column.kind != "ordinal":
            code = np.unique(own, return_inverse=True)[1]
            rank = np.argsort(np.argsort(-np.bincount(code), kind="stable"))
            out[seen, j] = np.minimum(rank[code], most - 1)
        else:
            edges = np.unique(np.quantile(own, np.linspace(0, 1, bins + 1)[1:-1]))
            out[seen, j] = np.searchsorted(edges, own, side="right")
    return out


def pair_counts(
    code: Int[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n d"],
    parents: tuple[int, ...],
    states: int,
) -> Float[np.ndarray, "d k k"]:
    """How often each code goes with each of its parent's; of a root, in row 0, how often it is."""
    counts = np.zeros((len(parents), states, states))
    for j, parent in enumerate(parents):
        above = code[:, parent] if parent >= 0 else np.zeros(len(code), int)
        both = np.minimum(weight[:, j], weight[:, parent]) if parent >= 0 else weight[:, j]
        flat = np.bincount(above * states + code[:, j], both, states**2)
        counts[j] = flat.reshape(states, states)
    return counts


def mutual_informations(
    code: Int[np.ndarray, "n d"], weight: Float[np.ndarray, "n d"], smoothing: float
) -> tuple[Float[np.ndarray, "d d"], Float[np.ndarray, "d d"]]:
    """I(a; b) in nats of each pair of columns, and the weight of the rows that have both.

    From counts to which `smoothing` pseudo-rows are added.
    """
    d = code.shape[1]
    sizes = code.max(0, initial=0) + 1
    first = np.concatenate([[0], np.cumsum(sizes)])
    owner = np.repeat(np.arange(d), sizes)
    counts = np.zeros((first[-1], first[-1]), np.float32)
    for begin in range(0, len(code), BLOCK_ROWS):
        part, heavy = code[begin : begin + BLOCK_ROWS], weight[begin : begin + BLOCK_ROWS]
        hot = np.zeros((len(part), first[-1]), np.float32)
        hot[np.arange(len(part))[:, None], part + first[:-1]] = np.sqrt(heavy)
        counts += hot.T @ hot
    even = smoothing / (sizes[owner][:, None] * sizes[owner])
    joint = counts + even.astype(np.float32)
    # Pairs of levels summed to pairs of columns, which is what reduceat does along each axis.
    total = _by_column(joint, first)
    rows = np.add.reduceat(joint, first[:-1], axis=1)[:, owner]
    expected = rows * rows.T
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = joint * np.log(joint * total[np.ix_(owner, owner)] / expected)
        information = _by_column(np.where(joint > 0, terms, 0), first) / total
    return np.where(total > 0, np.maximum(information, 0), 0), total - smoothing


def _by_column(pairs, first):
    return np.add.reduceat(np.add.reduceat(pairs, first[:-1], 0), first[:-1], 1)


def root_at_centre(information: Float[np.ndarray, "d d"]) -> tuple[int, ...]:
    """The spanning tree of greatest weight, each node pointing towards its tree's centre."""
    d = len(information)
    # Of equal weights any would do; a weight of zero would be no edge to scipy.
    weight = np.triu(information + 1e-12, 1)
    tree = minimum_spanning_tree(csr_array(-weight))
    graph = csr_array(tree != 0).astype(np.int8)
    graph = csr_array(graph + graph.T)
    count, label = connected_components(graph, directed=False)
    parents = np.full(d, -1)
    for part in range(count):
        root = _tree_centre(graph, int(np.flatnonzero(label == part)[0]))
        order, before = breadth_first_order(graph, root, directed=False)
        parents[order[1:]] = before[order[1:]]
    return tuple(parents.tolist())


def _tree_centre(graph, node: int) -> int:
    """The middle of a longest path, found by walking to its one end and from there to the other."""
    end = breadth_first_order(graph, node, directed=False)[0][-1]
    order, before = breadth_first_order(graph, end, directed=False)
    path = [int(order[-1])]
    while path[-1] != end:
        path.append(int(before[path[-1]]))
    return path[len(path) // 2]
