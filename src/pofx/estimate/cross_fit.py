"""Mutual information under models that are learned from some rows and scored on others.

A model q learned from n rows overfits them. The mean of log q(x, y) / q(x) q(y) over the rows it
was learned from is too high, and over other rows too low, both by k / 2n to first order, for k
parameters of the dependence (Akaike 1973). The average of the two has neither error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

FOLDS = 5
"""Parts of the rows; each is held out once."""
MIN_ROWS = 20
PARTNERS = 8
"""Rows whose y is put beside the x of a held-out row, to score models."""


class Density(Protocol):
    """log p of rows in nats: of the variables that are given by the indices of their rows."""

    def __call__(
        self, x: np.ndarray | None, y: np.ndarray | None, z: np.ndarray | None
    ) -> np.ndarray:
        """log p(x, y, z), where a variable that is None is integrated out."""
        ...


Learner = Callable[[np.ndarray], Density]
"""Learns a density from the rows of these indices."""


class Task(NamedTuple):
    """The number of rows, whether a third variable is given, and the seed of the folds."""

    rows: int
    given: bool
    seed: int


@dataclass(frozen=True)
class CrossFit:
    """One number per row for each purpose, in nats, of shape (n,).

    `terms`: the log-ratio, the average of learned and held out; their mean is the estimate.
    `excess`: how far the mean log-ratio of the rows learned from exceeds that of rows held out.
    `scores`: how well the log-ratio tells held-out pairs from pairs of different rows.
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
        """The standard error over rows, at least that of χ² / 2n with as many degrees as were fit.

        Under independence the terms vanish with the parameters, and 2n I is χ² (Wilks 1938).
        """
        n = len(self.terms)
        freedom = max(n * self.excess, 1.0)
        return float(np.sqrt(max(self.terms.var(ddof=1) / n, freedom / (2 * n**2))))


def cross_fit(learn: Learner, task: Task, *, folds: int = FOLDS, scored: bool = True) -> CrossFit:
    """The log-ratio of each row, learned from and held out, over so many folds."""
    rng = np.random.default_rng(task.seed)
    fold = rng.permutation(task.rows) % folds
    held, learned = np.zeros(task.rows), np.zeros(task.rows)
    scores = np.full(task.rows, np.nan)
    for k in range(folds):
        density = learn(np.flatnonzero(fold != k))
        ratio = log_ratio(density, np.arange(task.rows), task.given)
        held += np.where(fold == k, ratio, 0)
        learned += np.where(fold == k, 0, ratio / (folds - 1))
        if scored:
            rows = rng.permutation(np.flatnonzero(fold == k))
            scores[rows] = _scores(density, rows, task.given)
    return CrossFit((held + learned) / 2, float((learned - held).mean()), scores)


def with_error(learn: Learner, task: Task, best: CrossFit) -> tuple[float, float]:
    """The estimate in nats, and its error: over rows, and for what learning from n rows leaves.

    The latter is of order 1 / m², for m rows learned from. Learning from half of the rows shows its
    size: it is the change from there, extrapolated to no error at all.
    """
    half = cross_fit(learn, task, folds=2, scored=False)
    ours, halved = (FOLDS / (FOLDS - 1)) ** 2, 4.0
    left = (best.value - half.value) * ours / (halved - ours)
    return best.value, float(np.hypot(best.stderr, left))


def log_ratio(density: Density, rows: np.ndarray, given: bool) -> np.ndarray:
    """log p(x, y | z) / p(x | z) p(y | z) of the rows."""
    z = rows if given else None
    joint = density(rows, rows, z) - density(rows, None, z) - density(None, rows, z)
    return joint + density(None, None, z) if given else joint


def _scores(density: Density, rows: np.ndarray, given: bool) -> np.ndarray:
    """The log score of telling rows as they are from rows whose x is another row's.

    -log(1 + e^-T) of rows, -log(1 + e^T) of pairs of different rows: of all functions T the
    log-ratio scores highest (Gutmann and Hyvärinen 2012), and no tail of e^T makes it noisy.
    """

    partners = min(PARTNERS, len(rows) - 1)
    x = np.tile(rows, partners + 1)
    # All pairs in one call: calls of a compiled model cost more than rows.
    others = np.concatenate([np.roll(rows, shift) for shift in range(partners + 1)])
    z = others if given else None
    contrast = density(x, others, z) - density(x, None, None) - density(None, others, z)
    true_pair, *pairs = contrast.reshape(partners + 1, len(rows))
    return -np.logaddexp(0, -true_pair) - np.logaddexp(0, pairs).mean(axis=0)
