"""A test of whether draws from a model have the joint moments of the rows it was learned from."""

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm

from pofx.estimate.copulas import ClosedDensity, uniform_scores

DRAWS_PER_ROW = 5
MAX_FALSE_ALARM_RATE = 0.01
"""How often a correct model is called wrong, at most."""


def is_misfit(density: ClosedDensity, seed: int) -> bool:
    """Whether some joint moment of x and y differs more from the model's than chance allows.

    The moments are of third and fourth order, of normal scores: products of x_i or its square with
    y_j or its square, and x_i y_j weighted by the length of x or of y. The largest difference, in
    standard errors, is tested (Bonferroni).
    """
    rows = len(density.columns)
    draws = density.draw(np.random.default_rng(seed), DRAWS_PER_ROW * rows)
    data_mean, data_variance = _moments(density.columns, density.sizes)
    model_mean, model_variance = _moments(draws, density.sizes)
    stderr = np.sqrt(data_variance / rows + model_variance / len(draws))
    largest = np.abs((data_mean - model_mean) / stderr).max()
    return bool(largest > norm.isf(MAX_FALSE_ALARM_RATE / 2 / data_mean.size))


def _moments(columns: np.ndarray, sizes: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The means over rows of products of functions of x and of y, and their variances."""
    z = ndtri(uniform_scores(columns))
    x = z[:, : sizes[0]]
    y = z[:, sizes[0] : sizes[0] + sizes[1]]
    length_x = _standardised_length(x)
    length_y = _standardised_length(y)
    pairs = [(x**2, y), (x, y**2), (x**2, y**2), (x * length_x, y), (x, y * length_y)]
    count = len(z)
    means = np.array([a.T @ b / count for a, b in pairs])
    squares = np.array([(a**2).T @ b**2 / count for a, b in pairs])
    return means, squares - means**2


def _standardised_length(z: np.ndarray) -> np.ndarray:
    """The squared length of each row, with mean 0 and variance 1, of shape (n, 1)."""
    length = (z**2).sum(axis=1, keepdims=True)
    return (length - length.mean()) / length.std()
