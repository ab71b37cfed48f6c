"""Entropy and information from distances to nearest neighbours, for numbers and levels.

Rows of different levels are infinitely far apart (`LEVEL_DISTANCE`), so neighbours share all
levels.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

from pofx.estimate.input_samples import Sample
from pofx.estimate.neighbour_counts import NeighbourCounter, nearest

LEVEL_DISTANCE = 100.0
"""The distance between levels; in float64, normal scores differ by less than 20."""
ROUNDING_SLACK = 1e-12
"""Distances that differ by less are equal up to rounding."""


def normal_scores(sample: Sample) -> np.ndarray:
    """One point per row, (n, d): normal scores of the continuous columns, and a place for levels.

    Φ⁻¹((rank - 1/2) / n) is an increasing map of a column, which does not change information. The
    map makes the estimate independent of units, of increasing maps and of heavy tails. One distance
    for all columns should mean the same in each of them (Kraskov et al. 2004).
    """
    ranks = rankdata(sample.numbers, axis=0) - 0.5
    return _points(ndtri(ranks / sample.rows), sample.level)


def _points(numbers: np.ndarray, level: np.ndarray) -> np.ndarray:
    return np.column_stack([numbers, LEVEL_DISTANCE * level]) if level.any() else numbers


def information(y: np.ndarray, z: np.ndarray, k: int) -> Callable[[np.ndarray], float]:
    """A function from points of x to I(x; y | z) in nats.

    I is the mean over rows of ψ(k) - ψ(n_xz) - ψ(n_yz) + ψ(n_z). Here n_s counts the rows,
    including the row itself, that are nearer in the variables s than the k-th neighbour in all
    variables. Without z this is the first estimator of Kraskov, Stögbauer and Grassberger (2004),
    with z that of Frenzel and Pompe (2007), and for levels and numbers that of Ross (2014).

    If the k-th neighbour is tied with the next one, rows at the same distance count too, and the
    count in all variables replaces k (Gao et al. 2017; Mesner and Shalizi 2020). If at most k rows
    share their levels, k is smaller for them, and a row that is alone with its levels adds 0.

    Args:
        y: points of y, (n, d).
        z: points of z, (n, d), with d = 0 for no condition.
        k: number of neighbours.
    """
    yz = np.hstack([y, z])
    counter_z = NeighbourCounter(z)
    counter_yz = NeighbourCounter(yz)

    def estimate(x: np.ndarray) -> float:
        xyz = np.hstack([x, yz])
        xz = np.hstack([x, z])
        radius, count_xyz, is_tied = _kth_distance(xyz, k)
        edge = np.where(is_tied, radius + ROUNDING_SLACK, radius - ROUNDING_SLACK)
        if is_tied.any():
            count_xyz[is_tied] = NeighbourCounter(xyz).count(xyz[is_tied], edge[is_tied])
        counts = (
            count_xyz,
            NeighbourCounter(xz).count(xz, edge),
            counter_yz.count(yz, edge),
            counter_z.count(z, edge),
        )
        terms = [digamma(count) for count in counts]
        return float(np.mean(terms[0] - terms[1] - terms[2] + terms[3]))

    return estimate


def _kth_distance(points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distance to the k-th neighbour of the same levels, the k found, and whether it is tied.

    A row without such a neighbour has an infinite distance.
    """
    distances = nearest(points, k + 1)
    neighbours = np.minimum((distances < LEVEL_DISTANCE).sum(1) - 1, k)
    rows = np.arange(len(points))
    radius = distances[rows, neighbours]
    next_distance = distances[rows, neighbours + 1]
    is_alone = neighbours == 0
    is_tied = is_alone | (next_distance <= radius + ROUNDING_SLACK)
    return np.where(is_alone, np.inf, radius), neighbours, is_tied


def interquartile_scaled(sample: Sample) -> tuple[np.ndarray, float]:
    """One point per row, (n, d), with continuous columns of equal interquartile range within 1.

    Returns the points, and the sum of the logarithms of the units of the columns, which a
    differential entropy adds.
    """
    low, high = np.quantile(sample.numbers, (0.25, 0.75), axis=0)
    # Equal quartiles are due to ties, for which there is no entropy in any unit.
    unit = np.where(high > low, high - low, 1)
    unit *= (np.ptp(sample.numbers, axis=0) / unit).max() or 1
    return _points(sample.numbers / unit, sample.level), float(np.log(unit).sum())


def neg_log_density_knn(points: np.ndarray, columns: int, k: int) -> np.ndarray:
    """An estimate of -log p of each row in nats, of shape (n,); its mean estimates the entropy.

    ψ(n) - ψ(k) + c log 2r, with r the distance to the k-th neighbour and c the number of continuous
    columns (Kozachenko and Leonenko 1987). Rows of other levels are no neighbours. The estimate is
    NaN for a row that is alone with its levels, or that equals k others.

    Args:
        points: one point per row.
        columns: number of continuous columns.
        k: number of neighbours.
    """
    radius, neighbours, _ = _kth_distance(points, k)
    is_valid = (neighbours > 0) & (radius > 0)
    radius = np.where(is_valid, radius, np.nan)
    neighbours = np.where(is_valid, neighbours, 1)
    return digamma(len(points)) - digamma(neighbours) + columns * np.log(2 * radius)
