"""Averages over seeds, which give answers of models that use estimates a standard error."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, wraps
from typing import Any, ParamSpec

import numpy as np

from pofx.core.abstract_approximate import (
    NUM_SEEDS,
    energy_ids,
    has_estimates,
    reseeded,
    with_shifted_log_z,
)
from pofx.core.answer import Answer
from pofx.core.errors import PofxWarning
from pofx.core.result import AbstractResult, map_values

Q = ParamSpec("Q")

LOG_Z_STEP = 0.5
"""Standard errors by which log Z is moved up and down to measure its effect."""


def average_over_seeds(query: Callable[..., Any], *models: Any) -> Any:
    """query(*models); if the models use estimates, the mean over NUM_SEEDS independent seeds.

    The standard error combines the spread between the seeds with the query's own sampling error. It
    includes the noise of all estimates but not their bias. log Z of an energy is estimated only
    once; the effect of its error is the slope of the answer in log Z.
    """
    if not any(has_estimates(p.model) for p in models):
        return query(*models)

    def with_seed(number: int, energy: bytes = b"", stderrs: float = 0.0) -> Any:
        shifted_models = [
            with_shifted_log_z(p.model, energy, stderrs) if energy else p.model for p in models
        ]
        reseeded_models = [reseeded(model, number) for model in shifted_models]
        return query(*(replace(p, model=m) for p, m in zip(models, reseeded_models)))

    results = [with_seed(0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # one warning is enough
        results += [with_seed(i) for i in range(1, NUM_SEEDS)]
        ids = energy_ids([p.model for p in models])
        up = [with_seed(0, energy, LOG_Z_STEP) for energy in ids]
        down = [with_seed(0, energy, -LOG_Z_STEP) for energy in ids]
    return _average(results, up, down)


def averaged_over_seeds(query: Callable[Q, Any]) -> Callable[Q, Any]:
    """Decorates a query of a NamedModel, its first argument, whose model may use estimates."""

    @wraps(query)
    def averaged(*arguments: Q.args, **options: Q.kwargs) -> Any:
        p, *others = arguments
        restricted: Callable[..., Any] = query
        return average_over_seeds(lambda q: restricted(q, *others, **options), p)

    return averaged


def _average(results: list[Any], up: list[Any], down: list[Any]) -> Any:
    """One result from those of the seeds, and from those with each log Z moved up and down."""
    first = results[0]
    if isinstance(first, Mapping) and all(isinstance(v, Answer) for v in first.values()):
        average = partial(_average_answers, len(results), len(up))
        return map_values(average, first, *results[1:], *up, *down)
    if isinstance(first, AbstractResult):
        average = partial(_average_answers, len(results), len(up))
        return first.map_answers(average, *results[1:], *up, *down)
    return first


def _average_answers(num_seeds: int, num_energies: int, *answers: Answer) -> Answer:
    up = answers[num_seeds : num_seeds + num_energies]
    down = answers[num_seeds + num_energies :]
    return _mean(list(answers[:num_seeds]), list(zip(up, down)))


def _mean(answers: list[Answer], ends: list[tuple[Answer, Answer]]) -> Answer:
    values = np.stack([np.asarray(a.value, np.float64) for a in answers])
    first = answers[0]
    slopes = [_log_z_slope(*pair) for pair in ends]
    if (values == values[:1]).all() and not any(slope.any() for slope in slopes):
        # Equal values do not prove the absence of noise: a rare level may not have been drawn.
        method = f"weighted draws, {len(answers)} times alike"
        return replace(first, kind="estimate", method=method) if first.kind == "exact" else first
    with np.errstate(invalid="ignore"):
        mean = values.mean(0)
        spread = values.std(0, ddof=1) / math.sqrt(len(answers))
    sampling = np.mean([np.asarray(a.stderr, np.float64) for a in answers], axis=0)
    error = np.sqrt(sampling**2 + spread**2 + sum(slope**2 for slope in slopes))
    shared = math.hypot(*(float(slope.mean()) for slope in slopes))
    scalar = np.ndim(mean) == 0
    return replace(
        first,
        value=float(mean) if scalar else mean,
        stderr=float(error) if scalar else error,
        kind="estimate",
        method=f"weighted draws, {len(answers)} times",
        log=None,
        shared_stderr=0.0 if scalar else math.hypot(_shared_stderr(values, spread), shared),
    )


def _log_z_slope(up: Answer, down: Answer) -> np.ndarray:
    """How far a standard error of log Z moves the answer."""
    with np.errstate(invalid="ignore"):
        slope = np.subtract(up.value, down.value, dtype=np.float64) / (2 * LOG_Z_STEP)
    return np.asarray(np.nan_to_num(slope, posinf=np.inf, neginf=-np.inf))


def _shared_stderr(values: np.ndarray, spread: np.ndarray) -> float:
    """The error c that n entries share because their noise has a common part.

    If the entries have errors e, the variance of their mean is V = c² + Σ (e² - c²) / n².
    """
    n = spread.size
    mean = values.reshape(len(values), -1).mean(1)
    excess = mean.var(ddof=1) / len(values) - (spread**2).sum() / n**2
    return math.sqrt(excess / (1 - 1 / n)) if n > 1 and excess > 0 else 0.0
