"""Patterns of missing entries: which rows share one, and chunks for which that pays."""

import numpy as np

UNSHARED_CHUNK_ROWS = 256
"""Rows in a chunk whose rows have their own patterns, and so their own factorisations."""


def layout(observed: np.ndarray, chunks: tuple[int, ...]) -> tuple[int, bool]:
    """The size of a chunk, and whether it pays to share patterns.

    In units of d^2 operations, a row costs 1, a factorisation about d, and a step of the loop
    about 32. A chunk with a shared pattern has one factorisation; else each row has one.
    """
    n, d = observed.shape
    counts = pattern_numbers(observed)[1]

    def cost(chunk):
        return int(np.ceil(counts / chunk).sum()) * (d + chunk + 32)

    best = min(chunks, key=cost)
    if cost(best) > n * (d + 1) or (len(counts) > 1 and len(counts) > n / 2):
        return min(c for c in chunks if c >= min(n, UNSHARED_CHUNK_ROWS)), False
    return best, True


def pattern_numbers(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's pattern, and how many rows each pattern has."""
    # One extra bit, so that rows without columns have a pattern too.
    packed = np.packbits(np.pad(observed, ((0, 0), (0, 1))), axis=1)
    _, owner, counts = np.unique(
        np.ascontiguousarray(packed).view([("", packed.dtype, packed.shape[1])]),
        return_inverse=True,
        return_counts=True,
    )
    return owner.reshape(len(observed)), counts


def rows_of_patterns(
    observed: np.ndarray, owner: np.ndarray | None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The distinct patterns and, for each, the numbers of its rows in order."""
    if owner is None:
        return observed[:0], [np.arange(len(observed))]
    order = np.argsort(owner, kind="stable")
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    return observed[order[starts]], np.split(order, starts[1:])
