"""What a family reads off the data before it is fitted: host-side, in float64."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

MIN_VARIANCE_SHARE = 1e-6
"""The least variance of a fitted density, as a share of the variance of its column."""


class WeightedMoments(NamedTuple):
    """Weighted moments of columns; mean 0 and variance 1 where every cell is missing."""

    weight: Float[np.ndarray, "c"]
    mean: Float[np.ndarray, "c"]
    variance: Float[np.ndarray, "c"]
    constant: Bool[np.ndarray, "c"]


def weighted_moments(x: Float[np.ndarray, "n c"], weight: Float[np.ndarray, "n c"]) -> WeightedMoments:
    """Moments of the cells of positive weight; others may hold anything, NaN too.

    >>> x = np.array([[1.0, 7.0], [3.0, np.nan]])
    >>> weighted_moments(x, np.array([[1.0, 1.0], [1.0, 0.0]])).mean.tolist()
    [2.0, 7.0]
    """
    weight = np.asarray(weight, np.float64)
    seen = weight > 0
    x = np.where(seen, x, 0.0).astype(np.float64)
    total = weight.sum(0)
    some = total > 0
    n = np.where(some, total, 1.0)
    mean = (weight * x).sum(0) / n
    variance = (weight * (x - mean) ** 2).sum(0) / n
    low = np.where(seen, x, np.inf).min(0, initial=np.inf)
    high = np.where(seen, x, -np.inf).max(0, initial=-np.inf)
    constant = some & (low == high)
    # Rounding of the mean would leave a constant column a variance of its own making.
    variance = np.where(constant, 0.0, variance)
    return WeightedMoments(total, mean, np.where(some, variance, 1.0), constant)


def variance_floor(
    seen: WeightedMoments, resolution: Float[np.ndarray, "c"], unit: Float[np.ndarray, "c"] | float
) -> Float[np.ndarray, "c"]:
    """The least variance that a density of each column may take.

    That of rounding, resolution^2 / 12, or a millionth of the column's variance if that is more.
    A constant column of unknown resolution has no scale of its own and gets unit^2.
    """
    floor = np.maximum(resolution**2 / 12, MIN_VARIANCE_SHARE * seen.variance)
    floor = np.where(seen.constant & (resolution == 0), np.square(unit), floor)
    return np.clip(floor, 1e-30, 1e30)
