"""What the numbers of a column look like: distinct values, spikes, skewness, resolution."""

from decimal import Decimal
from typing import cast

import numpy as np

MAX_SPIKES, SPIKE_SHARE, SPIKE_DROP, SPIKE_ROWS = 3, 0.1, 4, 5
COUNTABLE = 1 << 20
"""Many whole numbers below it are counted rather than sorted."""
FLOAT32_RANGE, FLOAT32_WHOLE = 1e30, 1 << 24
"""What float32 holds with room for squares of ratios, and every whole number up to there."""
SAMPLED, FEW, STEPS, BLOCK = 4096, 8, 1e4, 256
"""Rows looked at, neighbours at least, steps of float32 that they must span, columns at a time."""


def distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers among `values` in order, and how often each occurs; NaN is left out.

    >>> distinct(np.array([2.0, np.nan, 1.0, 2.0]))
    (array([1., 2.]), array([1, 2]))
    """
    flat = values[~np.isnan(values)]
    if flat.size > COUNTABLE and flat.min() >= 0 and flat.max() < COUNTABLE:
        codes = flat.astype(np.int64)
        if (codes == flat).all():
            # images: counting is linear where sorting is not
            counts = np.bincount(codes)
            found = np.flatnonzero(counts)
            return found.astype(np.float64), counts[found]
    return np.unique(flat, return_counts=True)


def spikes(values: np.ndarray, counts: np.ndarray) -> tuple[float, ...]:
    """The values repeated so heavily that they are point masses, by the rule in `infer`.

    >>> spikes(np.array([0.0, 3.5, 4.1]), np.array([90, 6, 4]))
    (0.0,)
    """
    order = np.argsort(-counts, kind="stable")
    ranked = [*counts[order[: MAX_SPIKES + 1]].tolist(), 0]
    heavy = max(SPIKE_SHARE * counts.sum(), SPIKE_ROWS)
    many = 0
    for j in range(min(MAX_SPIKES, len(values))):
        if ranked[j] >= heavy and ranked[j] >= SPIKE_DROP * ranked[j + 1]:
            many = j + 1
    return tuple(sorted(values[order[:many]].tolist()))


def resolution(values: np.ndarray, positive: bool = False) -> float:
    """The smallest gap between distinct values; of a single value, the unit of its last digit.

    Gaps that rounding errors explain do not count: those of sums, which err by a share of the
    largest value, or where `positive`, those of products, which err by a share of each. 0 where
    there is no value.

    >>> resolution(np.array([39.1, 39.5, 40.3, 0.1 + 0.2, 0.3])), resolution(np.array([7.0, 7.0]))
    (0.4, 1.0)
    >>> decades = np.array([1e-30, 3e-30, 1.0, 1e30])
    >>> resolution(decades), resolution(decades, positive=True)
    (1e+30, 2e-30)
    """
    found = distinct(values)[0]
    if not found.size:
        return 0.0
    gaps = np.diff(found)
    gaps = gaps[gaps > 1e-14 * (np.abs(found[1:]) if positive else np.abs(found).max())]
    if gaps.size:
        return float(f"{gaps.min():.12g}")
    exponent = Decimal(f"{found[0]:.7g}").normalize().as_tuple().exponent
    return min(1.0, 10.0 ** cast(int, exponent))


def deviation(values: np.ndarray) -> float:
    """The standard deviation, of numbers whose squares no float may hold too.

    >>> deviation(np.array([-1e-200, 1e-200]))
    1e-200
    """
    centred = values - values.mean()
    largest = float(np.abs(centred).max()) or 1.0
    return largest * float((centred / largest).std())


def skewness(values: np.ndarray, counts: np.ndarray) -> float:
    """E[(v - E v)^3] / sd^3 of two or more distinct values with their counts."""
    centred = values - np.average(values, weights=counts)
    centred /= np.abs(centred).max()
    spread = np.average(centred**2, weights=counts) ** 1.5
    return float(np.average(centred**3, weights=counts) / spread)


def needs_float64(x: np.ndarray) -> bool:
    """Whether float32 would lose values among encoded rows, (n, d) with NaN for missing cells.

    It does where a number other than 0 lies beyond 10^±30, where a whole number lies beyond 2^24,
    and where a twentieth of a column's distinct values lie within 10^4 steps of float32.

    >>> needs_float64(np.array([[0.1], [0.2]])), needs_float64(np.array([[3.0], [2.0**31]]))
    (False, True)
    """
    with np.errstate(all="ignore"):
        return any(_lost(x[:, start : start + BLOCK]) for start in range(0, x.shape[1], BLOCK))


def _lost(x: np.ndarray) -> bool:
    size = np.abs(x)
    if bool(((size > FLOAT32_RANGE) | ((size < 1 / FLOAT32_RANGE) & (size > 0))).any()):
        return True
    far = x[:, np.nanmax(size, axis=0, initial=0) > FLOAT32_WHOLE]
    if any(bool((column == np.rint(column))[~np.isnan(column)].all()) for column in far.T):
        return True
    sample = x[:: max(1, len(x) // SAMPLED)]
    return any(_crowded(column) for column in sample.T)


def _crowded(column: np.ndarray) -> bool:
    values = distinct(column)[0]
    reach = min(max(FEW, len(values) // 20), len(values) - 1)
    if reach < 1:
        return False
    low, high = values[:-reach], values[reach:]
    step = np.spacing(np.maximum(np.abs(low), np.abs(high)).astype(np.float32))
    return bool((high - low < STEPS * step).any())
