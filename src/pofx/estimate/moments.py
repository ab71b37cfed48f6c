"""Whether draws from a model have the joint moments of the rows that it was learned from."""

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm

from pofx.estimate.copulas import ClosedDensity, uniform_scores

DRAWS_PER_ROW = 5
LEVEL = 0.01
"""How often a model that is right is called wrong, at most."""


def misfit(density: ClosedDensity, seed: int) -> bool:
    """Whether some moment of x and y differs more from the model's than chance allows.

    The moments are of normal scores, of third and fourth order: products of x_i or its square with
    y_j or its square, and x_i y_j weighted by the length of x or of y. Of all their differences in
    standard errors the largest is judged (Bonferroni).
    """
    rows = len(density.columns)
    draws = density.draw(np.random.default_rng(seed), DRAWS_PER_ROW * rows)
    seen = _moments(density.columns, density.sizes)
    expected = _moments(draws, density.sizes)
    spread = np.sqrt(seen[1] / rows + expected[1] / len(draws))
    largest = np.abs((seen[0] - expected[0]) / spread).max()
    return bool(largest > norm.isf(LEVEL / 2 / seen[0].size))


def _moments(columns: np.ndarray, sizes: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The means over rows of products of functions of x and of y, and their variances."""
    z = ndtri(uniform_scores(columns))
    x, y = z[:, : sizes[0]], z[:, sizes[0] : sizes[0] + sizes[1]]
    length_x, length_y = _length(x), _length(y)
    pairs = [(x**2, y), (x, y**2), (x**2, y**2), (x * length_x, y), (x, y * length_y)]
    count = len(z)
    means = np.array([a.T @ b / count for a, b in pairs])
    squares = np.array([(a**2).T @ b**2 / count for a, b in pairs])
    return means, squares - means**2


def _length(z: np.ndarray) -> np.ndarray:
    """The squared length of each row, with mean 0 and variance 1, of shape (n, 1)."""
    length = (z**2).sum(axis=1, keepdims=True)
    return (length - length.mean()) / length.std()
