"""Densities of continuous columns with closed marginals: t copulas and mixtures of normals.

Copulas use the ranks of columns among all rows, held-out rows included. Such ranks are no leak:
increasing maps of columns do not change information, and ranks of one column say nothing of another
column.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import gammaln, logsumexp, ndtri, stdtrit
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from pofx.estimate.cross_fit import Density, Learner

T_DEGREES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, np.inf)
"""Degrees of freedom of a Student-t copula; infinitely many make a Gaussian copula."""
RIDGE = 1e-6
"""Added to variances of 1, so that a column may be a copy of another."""
MAX_STEPS = 100
"""Steps of EM for the scale matrix of a t distribution."""
TOLERANCE = 1e-4
"""Change of the scale matrix below which EM ends."""


@dataclass(frozen=True)
class ClosedDensity:
    """A density of blocks of columns x, y and z whose marginals are closed.

    columns: the rows to score, (n, d).
    sizes: number of columns in each block.
    log_prob: log-density of values (m, c) of the columns with given indices (c,).
    draw: new rows (count, d), from a generator and their count.
    """

    columns: np.ndarray
    sizes: tuple[int, int, int]
    log_prob: Callable[[np.ndarray, np.ndarray], np.ndarray]
    draw: Callable[[np.random.Generator, int], np.ndarray]

    def __call__(
        self, x: np.ndarray | None, y: np.ndarray | None, z: np.ndarray | None
    ) -> np.ndarray:
        """log p of blocks, each with the indices of its rows; None integrates a block out."""
        blocks = np.split(np.arange(sum(self.sizes)), np.cumsum(self.sizes)[:-1])
        present = [(b, rows) for b, rows in zip(blocks, (x, y, z)) if rows is not None]
        values = np.hstack([self.columns[np.ix_(rows, b)] for b, rows in present])
        return self.log_prob(values, np.concatenate([b for b, _ in present]))


def uniform_scores(columns: np.ndarray) -> np.ndarray:
    """(rank - 1/2) / n of each column of shape (n, d); ties share their mean rank."""
    return (rankdata(columns, axis=0) - 0.5) / len(columns)


def standardised(columns: np.ndarray) -> np.ndarray:
    """Columns of shape (n, d) with mean 0 and variance 1; a constant column becomes 0."""
    largest = np.abs(columns).max(axis=0)
    scaled = columns / np.where(largest > 0, largest, 1)  # squares of large numbers overflow
    sd = scaled.std(axis=0)
    return (scaled - scaled.mean(axis=0)) / np.where(sd > 0, sd, 1)


def elliptical_copula_learner(columns: np.ndarray, sizes: tuple[int, int, int]) -> Learner:
    """A function that learns a Student-t copula of blocks of columns.

    The marginals of a multivariate t are t of the same degrees of freedom, so the ratio of its
    densities is that of copulas. For each number in T_DEGREES EM fits the scale matrix (Liu and
    Rubin 1995), and the copula of greatest likelihood is taken.
    """
    uniform = uniform_scores(columns)
    scores = {nu: _t_quantile(uniform, nu) for nu in T_DEGREES}
    normal_scores = scores[np.inf]

    def learn(rows: np.ndarray) -> Density:
        start = normal_scores[rows].T @ normal_scores[rows] / len(rows)
        scales = {nu: _fit_t_scale(z[rows], nu, start) for nu, z in scores.items()}

        def log_likelihood(nu: float) -> float:
            return _copula_log_likelihood(scores[nu][rows], scales[nu], nu)

        best = max(T_DEGREES, key=log_likelihood)

        def log_prob(z: np.ndarray, index: np.ndarray) -> np.ndarray:
            return _log_t(z, scales[best][np.ix_(index, index)], best)

        def draw(rng: np.random.Generator, count: int) -> np.ndarray:
            normals = rng.multivariate_normal(np.zeros(len(start)), scales[best], count)
            if np.isinf(best):
                return normals
            return normals / np.sqrt(rng.chisquare(best, (count, 1)) / best)

        return ClosedDensity(scores[best], sizes, log_prob, draw)

    return learn


def normal_mixture_learner(
    columns: np.ndarray, sizes: tuple[int, int, int], components: int, seed: int
) -> Learner:
    """A function that learns a mixture of normal distributions of blocks of columns."""

    def learn(rows: np.ndarray) -> Density:
        mixture: Any = GaussianMixture(components, reg_covar=1e-4, max_iter=300, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(columns[rows])
        parts = list(zip(mixture.weights_, mixture.means_, mixture.covariances_))

        def log_prob(z: np.ndarray, index: np.ndarray) -> np.ndarray:
            block = np.ix_(index, index)
            log_joints = [
                np.log(weight) + _log_t(z - mean[index], covariance[block], np.inf)
                for weight, mean, covariance in parts
            ]
            return np.asarray(logsumexp(log_joints, axis=0))

        def draw(rng: np.random.Generator, count: int) -> np.ndarray:
            counts = rng.multinomial(count, [weight for weight, _, _ in parts])
            return np.vstack(
                [rng.multivariate_normal(m, c, n) for n, (_, m, c) in zip(counts, parts)]
            )

        return ClosedDensity(columns, sizes, log_prob, draw)

    return learn


def has_determined_column(columns: np.ndarray) -> bool:
    """Whether, by its ranks, some column is a function of the others, as a copy is."""
    z = ndtri(uniform_scores(columns))
    return bool(np.linalg.eigvalsh(np.corrcoef(z.T)).min() < 10 * RIDGE)


def _t_quantile(uniform: np.ndarray, nu: float) -> np.ndarray:
    return ndtri(uniform) if np.isinf(nu) else stdtrit(nu, uniform)


def _fit_t_scale(z: np.ndarray, nu: float, start: np.ndarray) -> np.ndarray:
    """The scale matrix of greatest likelihood of a t distribution about 0, by EM."""
    if np.isinf(nu):
        return start
    scale = start
    d = z.shape[1]
    for _ in range(MAX_STEPS):
        distance, _ = _quadratic_form(z, scale)
        weighted = z * ((nu + d) / (nu + distance))[:, None]
        previous = scale
        scale = weighted.T @ z / len(z)
        if np.abs(scale - previous).max() < TOLERANCE:
            break
    return scale


def _copula_log_likelihood(z: np.ndarray, scale: np.ndarray, nu: float) -> float:
    margins = map(partial(_log_t, nu=nu), z.T[:, :, None], np.diag(scale)[:, None, None])
    return float(_log_t(z, scale, nu).mean() - sum(margin.mean() for margin in margins))


def _log_t(z: np.ndarray, scale: np.ndarray, nu: float) -> np.ndarray:
    """The log-density of a t distribution about 0; of a normal one if `nu` is infinite."""
    distance, half_log_det = _quadratic_form(z, scale)
    d = z.shape[1]
    if np.isinf(nu):
        return -0.5 * (distance + d * np.log(2 * np.pi)) - half_log_det
    constant = gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * np.log(nu * np.pi)
    return constant - half_log_det - 0.5 * (nu + d) * np.log1p(distance / nu)


def _quadratic_form(z: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, float]:
    """z' Σ⁻¹ z of each row, and log det Σ / 2."""
    sd = np.sqrt(np.diag(scale))
    sd = np.where(sd > 0, sd, 1.0)
    ridged = scale / np.outer(sd, sd) + RIDGE * np.eye(len(scale))
    factor = np.linalg.cholesky(ridged)
    # The inverse of a small matrix, because LAPACK's solve with many right sides waits for its
    # threads.
    solved = (z / sd) @ np.linalg.inv(factor).T
    return (solved**2).sum(1), float(np.log(np.diag(factor) * sd).sum())
