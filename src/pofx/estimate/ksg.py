"""Entropy and information from distances to nearest neighbours, for numbers and levels.

Rows of different levels are infinitely far apart (`GAP`), so that neighbours share all levels.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

from pofx.estimate.input_samples import Sample
from pofx.estimate.neighbour_counts import NeighbourCounter, nearest

GAP = 100.0
"""The distance between levels; in float64, normal scores differ by less than 20."""
SLACK = 1e-12
"""Distances that differ by less are equal up to rounding."""


def normal_scores(sample: Sample) -> np.ndarray:
    """A point a row, (n, d): the normal scores of continuous columns, a place for the level.

    Φ⁻¹((rank - 1/2) / n) is a monotone map of the column, which leaves information as it is, and
    makes the estimate independent of units, of increasing maps, and of how heavy tails are: one
    distance for all columns should mean the same in each (Kraskov et al. 2004).
    """
    ranks = rankdata(sample.numbers, axis=0) - 0.5
    return _points(ndtri(ranks / sample.rows), sample.level)


def _points(numbers: np.ndarray, level: np.ndarray) -> np.ndarray:
    return np.column_stack([numbers, GAP * level]) if level.any() else numbers


def information(y: np.ndarray, z: np.ndarray, k: int) -> Callable[[np.ndarray], float]:
    """The function from points of x to I(x; y | z) in nats, all of shape (n, d), z perhaps d = 0.

    The mean over rows of ψ(k) - ψ(n_xz) - ψ(n_yz) + ψ(n_z), where n_s counts the rows, the own one
    too, that are nearer in the variables s than the k-th neighbour in all of them. Without z it is
    the first estimator of Kraskov, Stögbauer and Grassberger (2004), with z that of Frenzel and
    Pompe (2007), for levels against numbers that of Ross (2014).

    Where the k-th neighbour is tied with the next, counts are of closed balls, and the count in all
    variables stands for k: Gao et al. (2017) and Mesner and Shalizi (2020). Rows of k or fewer that
    share their levels have that many neighbours less, and a row that is alone adds 0.
    """
    yz, own = np.hstack([y, z]), NeighbourCounter(z)
    balls_yz = NeighbourCounter(yz)

    def of(x: np.ndarray) -> float:
        xyz, xz = np.hstack([x, yz]), np.hstack([x, z])
        radius, inside, tied = _reach(xyz, k)
        edge = np.where(tied, radius + SLACK, radius - SLACK)
        if tied.any():
            inside[tied] = NeighbourCounter(xyz).count(xyz[tied], edge[tied])
        counts = (
            inside,
            NeighbourCounter(xz).count(xz, edge),
            balls_yz.count(yz, edge),
            own.count(z, edge),
        )
        terms = [digamma(count) for count in counts]
        return float(np.mean(terms[0] - terms[1] - terms[2] + terms[3]))

    return of


def _reach(points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distance to the k-th neighbour of the same levels, the k found, and whether it is tied.

    A row without such a neighbour reaches everywhere.
    """
    distances = nearest(points, k + 1)
    found = np.minimum((distances < GAP).sum(1) - 1, k)
    rows = np.arange(len(points))
    radius, beyond = distances[rows, found], distances[rows, found + 1]
    alone = found == 0
    return np.where(alone, np.inf, radius), found, alone | (beyond <= radius + SLACK)


def interquartile_scaled(sample: Sample) -> tuple[np.ndarray, float]:
    """A point a row, (n, d), whose continuous columns have one interquartile range and fit in 1.

    And the sum of the logarithms of their units, which a differential entropy adds.
    """
    low, high = np.quantile(sample.numbers, (0.25, 0.75), axis=0)
    # Quartiles of one value tell of ties, which leave no entropy whatever the unit.
    unit = np.where(high > low, high - low, 1)
    unit *= (np.ptp(sample.numbers, axis=0) / unit).max() or 1
    return _points(sample.numbers / unit, sample.level), float(np.log(unit).sum())


def neg_log_density_knn(points: np.ndarray, columns: int, k: int) -> np.ndarray:
    """Estimates of -log p of each row, whose mean is that of the entropy, in nats, of shape (n,).

    ψ(n) - ψ(k) + c log 2r, r the distance to the k-th neighbour and c the continuous columns
    (Kozachenko and Leonenko 1987); rows of other levels are no neighbours. NaN for a row that is
    alone with its levels, or that has k others upon it.
    """
    radius, found, _ = _reach(points, k)
    known = (found > 0) & (radius > 0)
    radius, found = np.where(known, radius, np.nan), np.where(known, found, 1)
    return digamma(len(points)) - digamma(found) + columns * np.log(2 * radius)
