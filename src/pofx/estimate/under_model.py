"""Mutual information under a cross-fitted model, with an error if the model can be trusted."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pofx.core.errors import PofxError, warn
from pofx.estimate import ksg
from pofx.estimate.choice import SelectedCandidate, choose_candidate, has_continuous_ranks
from pofx.estimate.copulas import ClosedDensity, has_determined_column
from pofx.estimate.cross_fit import MIN_ROWS, NUM_FOLDS, Task, cross_fit, estimate_with_error
from pofx.estimate.input_samples import Sample
from pofx.estimate.moments import is_misfit
from pofx.estimate.named import fit_function, named_learner
from pofx.estimate.subsampling import standard_error

NUM_NEIGHBOURS = 3
MAX_DISAGREEMENT = 2.0
"""Standard errors by which two estimates of the same number may differ."""
MAX_CONFIRMED_COLUMNS = 3
"""Largest number of columns in which neighbours confirm a mixture; in more both may be biased."""
MAX_ERROR_GROWTH = 3.0
"""Largest ratio of the whole error, with model size and learning, to the error over rows."""


class Estimate(NamedTuple):
    """A number in nats, its standard error or NaN, and a description of the method."""

    value: float
    stderr: float
    method: str


def under_model(
    samples: Mapping[str, Sample], model: Any, *, given: bool, seed: int, stderr: bool
) -> Estimate:
    """I(x; y | given) under a cross-fitted model.

    Args:
        samples: the samples "x", "y" and "given".
        model: the name of a model, a function that fits one, or "auto" for the best of several.
        given: whether there is a condition.
        seed: seed of folds and fits.
        stderr: whether to compute the standard error of a named model, else NaN.
    """
    rows = samples["x"].rows
    if rows < MIN_ROWS:
        raise PofxError(f"x: expected at least {MIN_ROWS} rows to cross-fit a model, got {rows}")
    task = Task(rows, given, seed)
    if isinstance(model, str) and model == "auto":
        return _estimate_with_best_model(samples, task)
    learn = named_learner(fit_function(model, seed), samples)
    name = model if isinstance(model, str) else getattr(model, "__name__", "model")
    fit = cross_fit(learn, task, with_scores=False)
    error = estimate_with_error(learn, task, fit)[1] if stderr else math.nan
    return Estimate(fit.value, error, _describe(name, rows))


def _estimate_with_best_model(samples: Mapping[str, Sample], task: Task) -> Estimate:
    best = choose_candidate(samples, task)
    value, error = estimate_with_error(best.candidate.learn, task, best.fit)
    method = _describe(best.candidate.name, task.rows)
    if best.candidate.is_mixture:
        error = float(np.hypot(error, best.larger_value - value))
    columns = np.hstack([s.numbers for s in samples.values()])
    if has_continuous_ranks(samples) and has_determined_column(columns):
        reason = "a column is a function of others, so I may be infinite"
        return _unknown_error(value, method, reason)
    ksg_value, ksg_error = _ksg_estimate(samples, task.seed)
    tolerance = MAX_DISAGREEMENT * float(np.nan_to_num(np.hypot(error, ksg_error)))
    if ksg_value > value + tolerance:
        method = f"{NUM_NEIGHBOURS} neighbours, {task.rows} rows"
        reason = f"the best model sees no more than {value:.3f} nats"
        return _unknown_error(ksg_value, method, reason)
    if reason := _reason_for_doubt(best, error, samples, task, ksg_value, tolerance):
        return _unknown_error(value, method, reason)
    return Estimate(value, error, method)


def _reason_for_doubt(
    best: SelectedCandidate,
    error: float,
    samples: Mapping[str, Sample],
    task: Task,
    ksg_value: float,
    tolerance: float,
) -> str:
    """Why the error of the estimate is unknown; empty if it is known."""
    if math.isnan(error):
        return "the largest model that was tried scored best, and a larger one may see more"
    if error > MAX_ERROR_GROWTH * best.fit.stderr:
        return "the estimate moves with the size of the model or with the rows learned from"
    if has_continuous_ranks(samples):
        density = best.candidate.learn(np.arange(task.rows))
        if isinstance(density, ClosedDensity) and is_misfit(density, task.seed):
            return "draws from the best model do not have the moments of the rows"
    if not best.candidate.is_mixture:
        return ""
    if sum(len(sample.columns) for sample in samples.values()) > MAX_CONFIRMED_COLUMNS:
        return "a mixture approximates, and nothing confirms it in so many columns"
    if abs(ksg_value - best.fit.value) > tolerance:
        return f"a mixture approximates, and neighbours see {ksg_value:.3f} nats"
    return ""


def _unknown_error(value: float, method: str, reason: str) -> Estimate:
    warn(f"mutual information: error unknown, {reason}")
    return Estimate(value, math.nan, f"{method}, error unknown: {reason}")


def _ksg_estimate(samples: Mapping[str, Sample], seed: int) -> tuple[float, float]:
    """I in nats by nearest neighbours, and its standard error."""
    x, y, z = map(ksg.normal_scores, samples.values())

    def estimate(rows: np.ndarray) -> float:
        return ksg.information(y[rows], z[rows], NUM_NEIGHBOURS)(x[rows])

    stderr = standard_error(estimate, len(x), seed=seed, min_rows=NUM_NEIGHBOURS + 2)
    return estimate(np.arange(len(x))), stderr


def _describe(name: str, rows: int) -> str:
    return f"cross-fitted {name}, {NUM_FOLDS} folds, {rows} rows"
