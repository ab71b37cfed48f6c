"""Nearest neighbours, and counts of points within a distance, in the maximum norm."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

MAX_TREE_COUNT_DIMENSIONS = 3
"""Largest number of dimensions in which a tree counts points faster than all pairs."""
MAX_TREE_SEARCH_DIMENSIONS = 8
"""Largest number of dimensions in which a tree finds neighbours faster than all pairs."""
MAX_PAIRS = 2**22
"""Largest number of pairs whose distances are computed together."""


class NeighbourCounter:
    """Counts the points p within a distance of a centre c: max_j |p_j - c_j| <= r.

    Counting uses a sort in one dimension, a tree in few (Bentley 1975), and all pairs in more.

    Args:
        points: shape (n, d); with d = 0 all points are within any distance.

    >>> NeighbourCounter(np.array([[0.0], [1.0], [3.0]])).count(np.array([[1.0]]), np.array([1.5]))
    array([2])
    """

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        d = points.shape[1]
        self._sorted = np.sort(points[:, 0]) if d == 1 else None
        self._tree = KDTree(points) if 1 < d <= MAX_TREE_COUNT_DIMENSIONS else None

    def count(self, centres: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """The number of points around each centre, of shape (m,), for m centres and radii."""
        if self._sorted is not None:
            last = np.searchsorted(self._sorted, centres[:, 0] + radius, "right")
            return last - np.searchsorted(self._sorted, centres[:, 0] - radius, "left")
        if self._tree is not None:
            return self._tree.query_ball_point(centres, radius, p=np.inf, return_length=True)
        if not self.points.shape[1]:
            return np.full(len(centres), len(self.points))
        counts = [
            (distance <= radius[part, None]).sum(1)
            for part, distance in _distances(centres, self.points)
        ]
        return np.concatenate(counts)


def nearest(points: np.ndarray, k: int) -> np.ndarray:
    """Distances from each point to itself and its k < n nearest others, ascending, (n, k + 1).

    >>> nearest(np.array([[0.0], [1.0], [3.0]]), 1)
    array([[0., 1.],
           [0., 1.],
           [0., 2.]])
    """
    if points.shape[1] <= MAX_TREE_SEARCH_DIMENSIONS:
        return KDTree(points).query(points, k + 1, p=np.inf)[0]
    smallest = [np.partition(d, k, axis=1)[:, : k + 1] for _, d in _distances(points, points)]
    return np.sort(np.concatenate(smallest), axis=1)


def _distances(centres: np.ndarray, points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of the centres, each with the distances of its centres to all points."""
    size = max(MAX_PAIRS // len(points), 1)
    for start in range(0, len(centres), size):
        part = slice(start, start + size)
        yield part, cdist(centres[part], points, "chebyshev")
