"""Which learner, from which start, and which of several models."""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from pofx.core.answer import Answer, mean_over_rows
from pofx.core.distribution import Statistical
from pofx.core.errors import PofxWarning
from pofx.core.rows import Rows
from pofx.core.rows import log_prob as scores_of
from pofx.learn.em import Fit, Report, em

Start: TypeAlias = Callable[[PRNGKeyArray, Rows], Statistical]

TRIAL = 15
"""Steps given to each of several starts before the best goes on (Biernacki et al. 2003)."""


class Candidate(NamedTuple):
    """A model under comparison: its name and its start."""

    name: str
    start: Start


class Line(NamedTuple):
    """A line of the leaderboard: held-out log-likelihood in nats a row.

    `gain` is the paired difference from the line kept before it, with its standard error.
    """

    name: str
    log_likelihood: float
    stderr: float
    gain: float
    gain_stderr: float
    kept: bool


def fit(
    key: PRNGKeyArray,
    start: Start,
    rows: Rows,
    *,
    restarts: int = 1,
    tolerance: float = 1e-6,
    steps: int = 1000,
    report: Report | None = None,
) -> Fit:
    """Learns from `start(key, rows)`, and where starts are random from the best of `restarts`."""
    keys = jax.random.split(key, max(restarts, 1))
    model = start(keys[0], rows)
    if not model.random_start or restarts < 2:
        return em(model, rows, tolerance=tolerance, steps=steps, report=report)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # a trial need not converge
        models = [model, *(start(k, rows) for k in keys[1:])]
        trials = [em(m, rows, tolerance=tolerance, steps=min(TRIAL, steps)) for m in models]
    best = max(trials, key=lambda t: np.nan_to_num(t.log_likelihood, nan=-np.inf))
    left = max(steps - len(best.history), 1)
    last = em(best.model, rows, tolerance=tolerance, steps=left, report=report)
    seconds = last.seconds + sum(t.seconds for t in trials)
    return last._replace(history=[*best.history, *last.history], seconds=seconds)


def select(
    key: PRNGKeyArray,
    candidates: Sequence[Candidate],
    splits: Sequence[tuple[Rows, Rows]],
    *,
    patience: int = 2,
    **options,
) -> tuple[int, list[Fit], list[Line]]:
    """The candidate that held-out rows prefer, in order of growing size, and its fits.

    Each split holds rows to learn from and rows held out; the held-out rows of all of them judge
    together. A larger candidate is kept where its mean paired gain exceeds one standard error, so
    that noise alone buys no parameters; after `patience` that are not, the search ends.
    """
    best, kept, scores, lines = 0, [], None, []
    weight = np.concatenate([valid.flat()[2] for _, valid in splits])
    for i, candidate in enumerate(candidates):
        trials = [fit(key, candidate.start, train, **options) for train, _ in splits]
        score = np.concatenate([scores_of(t.model, v) for t, (_, v) in zip(trials, splits)])
        mean = mean_over_rows(score, weight)
        gain = Answer(0.0) if scores is None else mean_over_rows(_more(score, scores), weight)
        # A single held-out row has no standard error: its word is taken.
        better = scores is None or bool(gain.value > np.nan_to_num(gain.stderr))
        lines.append(
            Line(candidate.name, float(mean), mean.stderr, float(gain), gain.stderr, better)
        )
        if better:
            best, kept, scores = i, trials, score
        elif i - best >= patience:
            break
    return best, kept, lines


def _more(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b; a row that both hold impossible tells nothing between them."""
    return np.subtract(a, b, out=np.zeros_like(a), where=a != b)
