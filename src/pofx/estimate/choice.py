"""Which model the mutual information of a sample is cross-fitted with, if none is named."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from pofx.core.learner import learner
from pofx.estimate.copulas import elliptical, normal_mixture, standardised, uniform_scores
from pofx.estimate.cross_fit import CrossFit, Learner, Task, cross_fit
from pofx.estimate.input_samples import Sample
from pofx.estimate.named import named_model

MIN_DISTINCT_SHARE = 0.5
"""The share of distinct values from which a column's ranks say what the column says."""
ROWS_PER_CENTRE = 5
"""Rows for each number of a component's centre."""
MAX_NAMED_COMPONENTS = 16
PATIENCE = 2
"""Larger models in turn that score no better, after which no larger one is tried."""


class Candidate(NamedTuple):
    """A model: its name, what learns it, and whether it is a mixture of several parts."""

    name: str
    learn: Learner
    flexible: bool


class Choice(NamedTuple):
    """The candidate that scored best, its cross-fit, and the estimate of the next larger one.

    The latter is NaN if there is no larger one.
    """

    candidate: Candidate
    fit: CrossFit
    larger: float


def ranked(samples: Mapping[str, Sample]) -> bool:
    """Whether all columns are continuous, with so few ties that ranks say what columns say."""
    columns = [values for sample in samples.values() for values in sample.columns]
    return all(
        values.dtype == np.float64 and len(np.unique(values)) >= MIN_DISTINCT_SHARE * len(values)
        for values in columns
    )


def choose(samples: Mapping[str, Sample], task: Task) -> Choice:
    """The candidate whose log-ratio scores best on rows held out.

    On a ladder of growing size a larger model is kept if its mean paired gain in the score exceeds
    one standard error; two in turn that are not kept end the ladder. The winners of the ladders
    are compared in the same way, in their order.
    """
    best: Choice | None = None
    for ladder in _ladders(samples, task):
        top = _top(ladder, task)
        if best is None or _gains(top.fit, best.fit):
            best = top
    assert best is not None
    return best


def _top(ladder: Iterator[Candidate], task: Task) -> Choice:
    candidate = next(ladder)
    best = Choice(candidate, cross_fit(candidate.learn, task), math.nan)
    refused = 0
    for candidate in ladder:
        fit = cross_fit(candidate.learn, task)
        if _gains(fit, best.fit):
            best, refused = Choice(candidate, fit, math.nan), 0
            continue
        refused += 1
        if refused == 1:
            best = best._replace(larger=fit.value)
        if refused == PATIENCE:
            break
    return best


def _gains(larger: CrossFit, smaller: CrossFit) -> bool:
    gain = larger.scores - smaller.scores
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def _ladders(samples: Mapping[str, Sample], task: Task) -> list[Iterator[Candidate]]:
    if not ranked(samples):
        return _named_ladders(samples, task)
    blocks = [samples[name].numbers for name in ("x", "y", "given")]
    sizes = blocks[0].shape[1], blocks[1].shape[1], blocks[2].shape[1]
    columns = np.hstack(blocks)
    normal = ndtri(uniform_scores(columns))
    raw = standardised(columns)
    ours = Candidate("elliptical copula", elliptical(columns, sizes), False)
    return [
        iter([ours]),
        _mixtures(raw, sizes, task, 1, "of the columns"),
        _mixtures(normal, sizes, task, 2, "of normal scores"),
    ]


def _mixtures(
    columns: np.ndarray, sizes: tuple[int, int, int], task: Task, first: int, what: str
) -> Iterator[Candidate]:
    for components in _doubling(first, task.rows, columns.shape[1]):
        learn = normal_mixture(columns, sizes, components, task.seed)
        yield Candidate(f"{components} normals {what}", learn, components > 1)


def _doubling(first: int, rows: int, columns: int) -> Iterator[int]:
    """Numbers of components, as many as the rows of the smaller part can carry."""
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
    out = [iter([_named(model, {}, samples, task)]) for model in models]
    return [*out, _named_mixtures(part, samples, task, len(columns))]


def _named_mixtures(
    part: str, samples: Mapping[str, Sample], task: Task, columns: int
) -> Iterator[Candidate]:
    for components in _doubling(2, task.rows, columns):
        if components > MAX_NAMED_COMPONENTS:
            return
        options = {"part": part, "components": components, "restarts": 1}
        yield _named("mixture", options, samples, task)


def _named(
    model: str, options: Mapping[str, object], samples: Mapping[str, Sample], task: Task
) -> Candidate:
    fit = partial(learner(), model=model, seed=task.seed, progress=False, **options)
    settings = ", ".join(str(v) for k, v in options.items() if k != "restarts")
    return Candidate(
        f"{model}({settings})" if settings else model, named_model(fit, samples), model == "mixture"
    )
