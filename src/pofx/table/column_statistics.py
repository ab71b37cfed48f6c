"""Statistics of a column of numbers: distinct values, spikes, resolution, skewness."""

from decimal import Decimal
from typing import cast

import numpy as np

MAX_SPIKES = 3
MIN_SPIKE_SHARE = 0.1
"""The share of the rows that the most frequent values must have to be spikes."""
MIN_SPIKE_ROWS = 5
MIN_SPIKE_RATIO = 4
"""How many times as frequent as the next value the last spike must be."""
MAX_COUNTED_VALUE = 1 << 20
"""Many whole numbers below it are counted rather than sorted, because that is faster."""
MAX_FLOAT32_SIZE = 1e30
"""The range of float32 with room for squares of ratios; its inverse is the smallest size."""
MAX_FLOAT32_INTEGER = 1 << 24
"""float32 holds every whole number up to it."""
SAMPLE_ROWS = 4096
"""Rows on which the distance of neighbouring values is examined."""
MIN_NEIGHBOURS = 8
MIN_FLOAT32_STEPS = 1e4
"""Steps of float32 that so many neighbouring values must span."""
BLOCK_COLUMNS = 256
"""Columns examined at a time."""


def distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers among `values`, in order and without NaN, and how often each occurs.

    >>> distinct(np.array([2.0, np.nan, 1.0, 2.0]))
    (array([1., 2.]), array([1, 2]))
    """
    flat = values[~np.isnan(values)]
    if flat.size > MAX_COUNTED_VALUE and flat.min() >= 0 and flat.max() < MAX_COUNTED_VALUE:
        codes = flat.astype(np.int64)
        if (codes == flat).all():
            # For images: counting takes linear time, sorting does not.
            counts = np.bincount(codes)
            present = np.flatnonzero(counts)
            return present.astype(np.float64), counts[present]
    return np.unique(flat, return_counts=True)


def spikes(values: np.ndarray, counts: np.ndarray) -> tuple[float, ...]:
    """The values so frequent that they are point masses, by the rule of `infer`.

    Args:
        values: the distinct values, as `distinct` returns them.
        counts: how often each occurs.

    >>> spikes(np.array([0.0, 3.5, 4.1]), np.array([90, 6, 4]))
    (0.0,)
    """
    order = np.argsort(-counts, kind="stable")
    ranked = [*counts[order[: MAX_SPIKES + 1]].tolist(), 0]
    min_count = max(MIN_SPIKE_SHARE * counts.sum(), MIN_SPIKE_ROWS)
    number = 0
    for j in range(min(MAX_SPIKES, len(values))):
        if ranked[j] >= min_count and ranked[j] >= MIN_SPIKE_RATIO * ranked[j + 1]:
            number = j + 1
    return tuple(sorted(values[order[:number]].tolist()))


def resolution(values: np.ndarray, positive: bool = False) -> float:
    """The smallest gap between distinct values, 0 for no values.

    For a single value it is the unit of its last digit. Gaps that are rounding errors do not count.

    Args:
        values: the values; NaN is a missing cell.
        positive: whether rounding errors are a share of each value, as for products, rather than of
            the largest value, as for sums.

    >>> resolution(np.array([39.1, 39.5, 40.3, 0.1 + 0.2, 0.3])), resolution(np.array([7.0, 7.0]))
    (0.4, 1.0)
    >>> decades = np.array([1e-30, 3e-30, 1.0, 1e30])
    >>> resolution(decades), resolution(decades, positive=True)
    (1e+30, 2e-30)
    """
    unique = distinct(values)[0]
    if not unique.size:
        return 0.0
    gaps = np.diff(unique)
    gaps = gaps[gaps > 1e-14 * (np.abs(unique[1:]) if positive else np.abs(unique).max())]
    if gaps.size:
        return float(f"{gaps.min():.12g}")
    exponent = Decimal(f"{unique[0]:.7g}").normalize().as_tuple().exponent
    return min(1.0, 10.0 ** cast(int, exponent))


def deviation(values: np.ndarray) -> float:
    """The standard deviation, also of numbers whose squares overflow or underflow.

    >>> deviation(np.array([-1e-200, 1e-200]))
    1e-200
    """
    centred = values - values.mean()
    largest = float(np.abs(centred).max()) or 1.0
    return largest * float((centred / largest).std())


def skewness(values: np.ndarray, counts: np.ndarray) -> float:
    """E[(v - E v)^3] / sd^3, for at least two distinct values and their counts."""
    centred = values - np.average(values, weights=counts)
    centred /= np.abs(centred).max()
    spread = np.average(centred**2, weights=counts) ** 1.5
    return float(np.average(centred**3, weights=counts) / spread)


def needs_float64(x: np.ndarray) -> bool:
    """Whether float32 would lose values of encoded rows, (n, d) with NaN for missing cells.

    Values are lost if a number other than 0 is beyond 10^±30, if a column of whole numbers exceeds
    2^24, or if a twentieth of a column's distinct values are within 10^4 steps of float32.

    >>> needs_float64(np.array([[0.1], [0.2]])), needs_float64(np.array([[3.0], [2.0**31]]))
    (False, True)
    """
    with np.errstate(all="ignore"):
        starts = range(0, x.shape[1], BLOCK_COLUMNS)
        return any(_loses_values(x[:, start : start + BLOCK_COLUMNS]) for start in starts)


def _loses_values(x: np.ndarray) -> bool:
    """Whether float32 would lose values of one block of columns."""
    size = np.abs(x)
    too_small = (size < 1 / MAX_FLOAT32_SIZE) & (size > 0)
    if bool(((size > MAX_FLOAT32_SIZE) | too_small).any()):
        return True
    large_columns = x[:, np.nanmax(size, axis=0, initial=0) > MAX_FLOAT32_INTEGER]
    if any(bool((c == np.rint(c))[~np.isnan(c)].all()) for c in large_columns.T):
        return True
    sample = x[:: max(1, len(x) // SAMPLE_ROWS)]
    return any(_is_crowded(column) for column in sample.T)


def _is_crowded(column: np.ndarray) -> bool:
    """Whether many values of a column are too close to each other for float32."""
    values = distinct(column)[0]
    reach = min(max(MIN_NEIGHBOURS, len(values) // 20), len(values) - 1)
    if reach < 1:
        return False
    low, high = values[:-reach], values[reach:]
    step = np.spacing(np.maximum(np.abs(low), np.abs(high)).astype(np.float32))
    return bool((high - low < MIN_FLOAT32_STEPS * step).any())
