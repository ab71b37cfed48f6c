"""Mutual information under a cross-fitted model, and whether its error is known."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pofx.core.errors import PofxError, warn
from pofx.estimate import ksg as near
from pofx.estimate.choice import Choice, choose, ranked
from pofx.estimate.copulas import ClosedDensity, determined
from pofx.estimate.cross_fit import FOLDS, MIN_ROWS, Task, cross_fit, with_error
from pofx.estimate.input_samples import Sample
from pofx.estimate.moments import misfit
from pofx.estimate.named import fit_function, named_model
from pofx.estimate.subsampling import standard_error

NEIGHBOURS = 3
DISAGREEMENT = 2.0
"""Standard errors by which two estimates of the same number may differ."""
MAX_COLUMNS = 3
"""The most columns in which neighbours confirm a mixture; in more both may miss the same."""
MAX_GROWTH = 3.0
"""How much larger than that over rows the error may be, by what the model's size and fit add."""


class Estimate(NamedTuple):
    """A number in nats, its standard error or NaN, and how it was come by."""

    value: float
    stderr: float
    how: str


def under_model(
    samples: Mapping[str, Sample], model: Any, *, given: bool, seed: int, stderr: bool
) -> Estimate:
    """I(x; y | given) under the model of this name, that a function fits, or that scores best."""
    rows = samples["x"].rows
    if rows < MIN_ROWS:
        raise PofxError(f"x: expected at least {MIN_ROWS} rows to cross-fit a model, got {rows}")
    task = Task(rows, given, seed)
    if isinstance(model, str) and model == "auto":
        return _automatic(samples, task)
    learn = named_model(fit_function(model, seed), samples)
    name = model if isinstance(model, str) else getattr(model, "__name__", "model")
    fit = cross_fit(learn, task, scored=False)
    error = with_error(learn, task, fit)[1] if stderr else math.nan
    return Estimate(fit.value, error, _how(name, rows))


def _automatic(samples: Mapping[str, Sample], task: Task) -> Estimate:
    choice = choose(samples, task)
    value, error = with_error(choice.candidate.learn, task, choice.fit)
    how = _how(choice.candidate.name, task.rows)
    if choice.candidate.flexible:
        error = float(np.hypot(error, choice.larger - value))
    if ranked(samples) and determined(np.hstack([s.numbers for s in samples.values()])):
        return _doubted(value, how, "a column is a function of others, so I may be infinite")
    local, local_error = _by_neighbours(samples, task.seed)
    apart = DISAGREEMENT * float(np.nan_to_num(np.hypot(error, local_error)))
    if local > value + apart:
        how = f"{NEIGHBOURS} neighbours, {task.rows} rows"
        return _doubted(local, how, f"the best model sees no more than {value:.3f} nats")
    if reason := _doubt(choice, error, samples, task, local, apart):
        return _doubted(value, how, reason)
    return Estimate(value, error, how)


def _doubt(
    choice: Choice,
    error: float,
    samples: Mapping[str, Sample],
    task: Task,
    local: float,
    apart: float,
) -> str:
    """Why the error of the estimate is unknown, or nothing."""
    if math.isnan(error):
        return "the largest model that was tried scored best, and a larger one may see more"
    if error > MAX_GROWTH * choice.fit.stderr:
        return "the estimate moves with the size of the model or with the rows learned from"
    if ranked(samples):
        density = choice.candidate.learn(np.arange(task.rows))
        if isinstance(density, ClosedDensity) and misfit(density, task.seed):
            return "draws from the best model do not have the moments of the rows"
    if not choice.candidate.flexible:
        return ""
    if sum(len(sample.columns) for sample in samples.values()) > MAX_COLUMNS:
        return "a mixture approximates, and nothing confirms it in so many columns"
    if abs(local - choice.fit.value) > apart:
        return f"a mixture approximates, and neighbours see {local:.3f} nats"
    return ""


def _doubted(value: float, how: str, reason: str) -> Estimate:
    warn(f"mutual information: error unknown, {reason}")
    return Estimate(value, math.nan, f"{how}, error unknown: {reason}")


def _by_neighbours(samples: Mapping[str, Sample], seed: int) -> tuple[float, float]:
    x, y, z = map(near.normal_scores, samples.values())

    def of(rows: np.ndarray) -> float:
        return near.information(y[rows], z[rows], NEIGHBOURS)(x[rows])

    return of(np.arange(len(x))), standard_error(of, len(x), seed=seed, least=NEIGHBOURS + 2)


def _how(name: str, rows: int) -> str:
    return f"cross-fitted {name}, {FOLDS} folds, {rows} rows"
