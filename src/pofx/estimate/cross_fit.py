"""Mutual information under models that are learned from some rows and scored on others.

A model q learned from n rows overfits them. The mean of log q(x, y) / q(x) q(y) is too high over
the rows it was learned from, and too low over other rows, both by k / 2n to first order, for k
parameters of the dependence (Akaike 1973). The average of the two means has neither error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

NUM_FOLDS = 5
MIN_ROWS = 20
MAX_PARTNERS = 8
"""Rows whose y is paired with the x of a held-out row, to score models."""


class Density(Protocol):
    """A joint density of x, y and z, evaluated at rows of the sample."""

    def __call__(
        self, x: np.ndarray | None, y: np.ndarray | None, z: np.ndarray | None
    ) -> np.ndarray:
        """log p(x, y, z) in nats, with the indices of the rows of each variable.

        A variable that is None is integrated out.
        """
        ...


Learner = Callable[[np.ndarray], Density]
"""Learns a density from the rows with these indices."""


class Task(NamedTuple):
    """The number of rows, whether there is a third variable z, and the seed of the folds."""

    rows: int
    given: bool
    seed: int


@dataclass(frozen=True)
class CrossFit:
    """Results of cross-fitting, in nats.

    terms: log-ratio of each row, the average of learned from and held out; their mean is the
        estimate.
    excess: mean log-ratio of the rows learned from, minus that of held-out rows.
    scores: for each row, how well the log-ratio separates true pairs from pairs of different rows.
    """

    terms: np.ndarray
    excess: float
    scores: np.ndarray

    @property
    def value(self) -> float:
        """The estimate of I in nats."""
        return float(self.terms.mean())

    @property
    def stderr(self) -> float:
        """The standard error over rows, at least that of χ² / 2n with the degrees of the fit.

        Under independence the terms vanish with the parameters, and 2n I is χ² (Wilks 1938).
        """
        n = len(self.terms)
        degrees = max(n * self.excess, 1.0)
        return float(np.sqrt(max(self.terms.var(ddof=1) / n, degrees / (2 * n**2))))


def cross_fit(
    learn: Learner, task: Task, *, folds: int = NUM_FOLDS, with_scores: bool = True
) -> CrossFit:
    """Learn a density in each fold, and average the log-ratios of learned and held-out rows.

    Args:
        learn: learns a density from rows.
        task: the rows.
        folds: number of folds.
        with_scores: whether to compute `scores`, else NaN.
    """
    rng = np.random.default_rng(task.seed)
    fold = rng.permutation(task.rows) % folds
    held_out = np.zeros(task.rows)
    in_sample = np.zeros(task.rows)
    scores = np.full(task.rows, np.nan)
    for k in range(folds):
        density = learn(np.flatnonzero(fold != k))
        ratio = log_ratio(density, np.arange(task.rows), task.given)
        held_out += np.where(fold == k, ratio, 0)
        in_sample += np.where(fold == k, 0, ratio / (folds - 1))
        if with_scores:
            rows = rng.permutation(np.flatnonzero(fold == k))
            scores[rows] = _contrast_scores(density, rows, task.given)
    return CrossFit((held_out + in_sample) / 2, float((in_sample - held_out).mean()), scores)


def estimate_with_error(learn: Learner, task: Task, fit: CrossFit) -> tuple[float, float]:
    """The estimate in nats and its error: over rows, and the bias that is left by learning.

    The bias is of order 1 / m² for m rows learned from. The change of the estimate when learning
    from half of the rows shows the size of the bias.
    """
    half_fit = cross_fit(learn, task, folds=2, with_scores=False)
    factor = (NUM_FOLDS / (NUM_FOLDS - 1)) ** 2
    half_factor = 4.0
    bias = (fit.value - half_fit.value) * factor / (half_factor - factor)
    return fit.value, float(np.hypot(fit.stderr, bias))


def log_ratio(density: Density, rows: np.ndarray, given: bool) -> np.ndarray:
    """log p(x, y | z) / p(x | z) p(y | z) of the rows; without z if not `given`."""
    z = rows if given else None
    joint = density(rows, rows, z) - density(rows, None, z) - density(None, rows, z)
    return joint + density(None, None, z) if given else joint


def _contrast_scores(density: Density, rows: np.ndarray, given: bool) -> np.ndarray:
    """The log score of separating rows from rows whose x is that of another row.

    The score is -log(1 + e^-T) for rows and -log(1 + e^T) for pairs of different rows. Among all
    functions T the log-ratio scores highest (Gutmann and Hyvärinen 2012). No tail of e^T makes the
    score noisy.
    """
    partners = min(MAX_PARTNERS, len(rows) - 1)
    x = np.tile(rows, partners + 1)
    # All pairs in one call, because calls of a compiled model cost more than rows.
    others = np.concatenate([np.roll(rows, shift) for shift in range(partners + 1)])
    z = others if given else None
    contrast = density(x, others, z) - density(x, None, None) - density(None, others, z)
    true_pair, *pairs = contrast.reshape(partners + 1, len(rows))
    return -np.logaddexp(0, -true_pair) - np.logaddexp(0, pairs).mean(axis=0)
