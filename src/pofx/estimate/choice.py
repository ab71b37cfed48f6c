"""The choice of the model with which mutual information is cross-fitted, if none is named."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from pofx.core.fit_hook import provided_fit
from pofx.estimate.copulas import (
    elliptical_copula_learner,
    normal_mixture_learner,
    standardised,
    uniform_scores,
)
from pofx.estimate.cross_fit import CrossFit, Learner, Task, cross_fit
from pofx.estimate.input_samples import Sample
from pofx.estimate.named import named_learner

MIN_DISTINCT_SHARE = 0.5
"""Share of distinct values from which the ranks of a column hold all that the column says."""
ROWS_PER_CENTRE = 5
"""Rows per number of the centre of a component."""
MAX_NAMED_COMPONENTS = 16
MAX_FAILURES = 2
"""Number of larger models in a row that score no better, after which no larger one is tried."""


class Candidate(NamedTuple):
    """A model: its name, the function that learns it, and whether it has several components."""

    name: str
    learn: Learner
    is_mixture: bool


class SelectedCandidate(NamedTuple):
    """The candidate that scores best, its cross-fit, and the estimate of the next larger one.

    `larger_value` is NaN if there is no larger one.
    """

    candidate: Candidate
    fit: CrossFit
    larger_value: float


def has_continuous_ranks(samples: Mapping[str, Sample]) -> bool:
    """Whether all columns are continuous, with so few ties that ranks can replace values."""
    columns = [values for sample in samples.values() for values in sample.columns]
    return all(
        values.dtype == np.float64 and len(np.unique(values)) >= MIN_DISTINCT_SHARE * len(values)
        for values in columns
    )


def choose_candidate(samples: Mapping[str, Sample], task: Task) -> SelectedCandidate:
    """The candidate whose log-ratio scores best on held-out rows.

    On a ladder of growing size a larger model is kept if its mean paired gain in the score exceeds
    one standard error. Two models in a row that are not kept end the ladder. The winners of the
    ladders are compared in the same way, in their order.
    """
    best: SelectedCandidate | None = None
    for ladder in _ladders(samples, task):
        winner = _climb(ladder, task)
        if best is None or _has_gain(winner.fit, best.fit):
            best = winner
    assert best is not None
    return best


def _climb(ladder: Iterator[Candidate], task: Task) -> SelectedCandidate:
    candidate = next(ladder)
    best = SelectedCandidate(candidate, cross_fit(candidate.learn, task), math.nan)
    failures = 0
    for candidate in ladder:
        fit = cross_fit(candidate.learn, task)
        if _has_gain(fit, best.fit):
            best = SelectedCandidate(candidate, fit, math.nan)
            failures = 0
            continue
        failures += 1
        if failures == 1:
            best = best._replace(larger_value=fit.value)
        if failures == MAX_FAILURES:
            break
    return best


def _has_gain(larger: CrossFit, smaller: CrossFit) -> bool:
    gain = larger.scores - smaller.scores
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def _ladders(samples: Mapping[str, Sample], task: Task) -> list[Iterator[Candidate]]:
    if not has_continuous_ranks(samples):
        return _named_ladders(samples, task)
    blocks = [samples[name].numbers for name in ("x", "y", "given")]
    sizes = blocks[0].shape[1], blocks[1].shape[1], blocks[2].shape[1]
    columns = np.hstack(blocks)
    normal_scores = ndtri(uniform_scores(columns))
    copula_learner = elliptical_copula_learner(columns, sizes)
    return [
        iter([Candidate("elliptical copula", copula_learner, False)]),
        _normal_mixtures(standardised(columns), sizes, task, 1, "of the columns"),
        _normal_mixtures(normal_scores, sizes, task, 2, "of normal scores"),
    ]


def _normal_mixtures(
    columns: np.ndarray, sizes: tuple[int, int, int], task: Task, first: int, label: str
) -> Iterator[Candidate]:
    for components in _component_counts(first, task.rows, columns.shape[1]):
        learn = normal_mixture_learner(columns, sizes, components, task.seed)
        yield Candidate(f"{components} normals {label}", learn, components > 1)


def _component_counts(first: int, rows: int, columns: int) -> Iterator[int]:
    """Doubling numbers of components, up to what half of the rows supports."""
    for power in count():
        components = first * 2**power
        if power and ROWS_PER_CENTRE * columns * components > rows // 2:
            return
        yield components


def _named_ladders(samples: Mapping[str, Sample], task: Task) -> list[Iterator[Candidate]]:
    columns = [values for sample in samples.values() for values in sample.columns]
    numbers = sum(values.dtype == np.float64 for values in columns)
    part = "correlated" if numbers > 1 else "independent"
    models = ["chow_liu_tree", "correlated"] if numbers > 1 else ["chow_liu_tree"]
    ladders = [iter([_named_candidate(model, {}, samples, task)]) for model in models]
    return [*ladders, _named_mixtures(part, samples, task, len(columns))]


def _named_mixtures(
    part: str, samples: Mapping[str, Sample], task: Task, columns: int
) -> Iterator[Candidate]:
    for components in _component_counts(2, task.rows, columns):
        if components > MAX_NAMED_COMPONENTS:
            return
        options = {"part": part, "components": components, "restarts": 1}
        yield _named_candidate("mixture", options, samples, task)


def _named_candidate(
    model: str, options: Mapping[str, object], samples: Mapping[str, Sample], task: Task
) -> Candidate:
    fit = partial(provided_fit(), model=model, seed=task.seed, progress=False, **options)
    settings = ", ".join(str(v) for k, v in options.items() if k != "restarts")
    name = f"{model}({settings})" if settings else model
    return Candidate(name, named_learner(fit, samples), model == "mixture")
