"""Moments of columns, from which families start: computed on the host, in float64."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

MIN_VARIANCE_SHARE = 1e-6
"""The minimum variance of a fitted density, as a share of the variance of its column."""


class WeightedMoments(NamedTuple):
    """Weighted moments of columns; mean 0 and variance 1 if every cell is missing."""

    weight: Float[np.ndarray, "c"]
    mean: Float[np.ndarray, "c"]
    variance: Float[np.ndarray, "c"]
    constant: Bool[np.ndarray, "c"]


def weighted_moments(
    x: Float[np.ndarray, "n c"], weight: Float[np.ndarray, "n c"]
) -> WeightedMoments:
    """The moments of cells of positive weight; other cells may hold any value, also NaN.

    >>> x = np.array([[1.0, 7.0], [3.0, np.nan]])
    >>> weighted_moments(x, np.array([[1.0, 1.0], [1.0, 0.0]])).mean.tolist()
    [2.0, 7.0]
    """
    weight = np.asarray(weight, np.float64)
    present = weight > 0
    x = np.where(present, x, 0.0).astype(np.float64)
    total = weight.sum(0)
    has_rows = total > 0
    n = np.where(has_rows, total, 1.0)
    mean = (weight * x).sum(0) / n
    variance = (weight * (x - mean) ** 2).sum(0) / n
    low = np.where(present, x, np.inf).min(0, initial=np.inf)
    high = np.where(present, x, -np.inf).max(0, initial=-np.inf)
    constant = has_rows & (low == high)
    # A constant column has variance zero; rounding of its mean would give it another one.
    variance = np.where(constant, 0.0, variance)
    return WeightedMoments(total, mean, np.where(has_rows, variance, 1.0), constant)


def variance_floor(
    moments: WeightedMoments,
    resolution: Float[np.ndarray, "c"],
    unit: Float[np.ndarray, "c"] | float,
) -> Float[np.ndarray, "c"]:
    """The minimum variance of a density of each column.

    The minimum is the variance of rounding, resolution^2 / 12, or a millionth of the column's
    variance if that is more. A constant column of unknown resolution gets unit^2.

    Args:
        moments: the moments of the columns.
        resolution: the smallest gap between distinct values, 0 if unknown.
        unit: a typical size of differences in a column.
    """
    floor = np.maximum(resolution**2 / 12, MIN_VARIANCE_SHARE * moments.variance)
    floor = np.where(moments.constant & (resolution == 0), np.square(unit), floor)
    return np.clip(floor, 1e-30, 1e30)
