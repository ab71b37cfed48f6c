"""Nearest neighbours and counts of points within a distance, in the maximum norm."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

COUNTED, FOUND = 3, 8
"""The most dimensions in which a tree counts, or finds, faster than a look at all pairs."""
PAIRS = 2**22
"""Pairs looked at together."""


class NeighbourCounter:
    """Counts the points within a distance of a centre: max_j |p_j - c_j| <= r.

    `points` has shape (n, d); with d = 0 all are within any distance. In one dimension a sort
    answers, in a few a tree (Bentley 1975), in more a look at all pairs.

    >>> NeighbourCounter(np.array([[0.0], [1.0], [3.0]])).count(np.array([[1.0]]), np.array([1.5]))
    array([2])
    """

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        d = points.shape[1]
        self._sorted = np.sort(points[:, 0]) if d == 1 else None
        self._tree = KDTree(points) if 1 < d <= COUNTED else None

    def count(self, centres: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """How many points each ball holds, of shape (m,), for m centres and radii."""
        if self._sorted is not None:
            last = np.searchsorted(self._sorted, centres[:, 0] + radius, "right")
            return last - np.searchsorted(self._sorted, centres[:, 0] - radius, "left")
        if self._tree is not None:
            return self._tree.query_ball_point(centres, radius, p=np.inf, return_length=True)
        if not self.points.shape[1]:
            return np.full(len(centres), len(self.points))
        within = [(d <= radius[own, None]).sum(1) for own, d in _distances(centres, self.points)]
        return np.concatenate(within)


def nearest(points: np.ndarray, k: int) -> np.ndarray:
    """Distances from each point to itself and its k < n nearest others, ascending, (n, k + 1).

    >>> nearest(np.array([[0.0], [1.0], [3.0]]), 1)
    array([[0., 1.],
           [0., 1.],
           [0., 2.]])
    """
    if points.shape[1] <= FOUND:
        return KDTree(points).query(points, k + 1, p=np.inf)[0]
    least = [np.partition(d, k, axis=1)[:, : k + 1] for _, d in _distances(points, points)]
    return np.sort(np.concatenate(least), axis=1)


def _distances(centres: np.ndarray, points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Distances of all pairs, some centres at a time, which they come with."""
    size = max(PAIRS // len(points), 1)
    for start in range(0, len(centres), size):
        own = slice(start, start + size)
        yield own, cdist(centres[own], points, "chebyshev")
