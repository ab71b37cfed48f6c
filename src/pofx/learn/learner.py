"""Fit a model with the learner that its class asks for: gradients, stepwise EM or EM."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core import float_width, host_keys
from pofx.core.abstract import (
    AbstractDistribution,
    AbstractEMModel,
    AbstractEMSteps,
    AbstractLearnable,
    AbstractQueryable,
    AbstractSGDModel,
    AbstractStepwiseEMModel,
)
from pofx.core.closed_forms import with_structure_as_data
from pofx.core.compilation import compiled
from pofx.core.errors import PofxError, PofxWarning, recording_warnings, warn
from pofx.core.memory_maps import clear_caches_if_maps_run_out
from pofx.core.rows import Rows
from pofx.core.rows import log_prob as row_log_probs
from pofx.learn.em import FitProgress, FitResult, ProgressCallback, fit_em
from pofx.learn.sgd import TrainingResult, train
from pofx.learn.sgd_config import SGDConfig
from pofx.learn.stepwise_em import DEFAULT_STEPWISE_CONFIG, StepwiseConfig, fit_stepwise_em

Start: TypeAlias = Callable[[PRNGKeyArray, Rows], AbstractLearnable]
"""A function that makes the model with which learning starts, from a key and rows."""

TRIAL_STEPS = 15
"""EM steps for each of several starts before the best one goes on (Biernacki et al. 2003)."""
MIN_STEPWISE_ROWS = 1024
"""Number of rows from which a model that can learn by stepwise EM does so."""
MIN_STEPS, MAX_STEPS = 2000, 10_000
"""Steps by batches: few rows get more epochs than usual, many rows get fewer."""
PATIENCE_DIVISOR = 10
"""Training goes on without a gain for at least all epochs divided by this number."""
MIN_EPOCHS = 4
"""Smallest number of passes over the rows, however many rows there are."""
MAX_LOSS_RISE = 0.05
"""Training diverged if its loss rose by this share of (1 nat + the initial loss)."""


class LearnerConfig(NamedTuple):
    """Settings of learning, whichever the learner."""

    restarts: int = 1
    """Random starts of EM, of which the best is kept."""
    tolerance: float = 1e-6
    """EM: gain still to come at which learning stops, in nats per unit of weight."""
    steps: int = 1000
    """EM: largest number of steps."""
    epochs: int = 0
    """Stepwise EM and gradients: largest number of passes over the rows; 0 for the usual number."""
    seconds: float = float("inf")
    """Time limit; learning ends after the pass or the steps that are running."""
    report: ProgressCallback | None = None
    """Called as learning goes on."""
    checkpoint: str | Path | None = None
    """Gradients: the file that keeps the state, so that training can be resumed."""


DEFAULT_CONFIG = LearnerConfig()


def fit(
    key: PRNGKeyArray,
    start: Start,
    rows: Rows,
    config: LearnerConfig = DEFAULT_CONFIG,
    valid: Rows | None = None,
) -> FitResult:
    """Learn a model from rows, starting from `start(key, rows)`.

    A model with a loss learns by gradients. A model that can learn by stepwise EM does so if there
    are many rows. All others learn by EM, from the best of `config.restarts` starts if starts are
    random.

    Args:
        key: seed of the start and of learning.
        start: makes the model to start from.
        rows: rows to learn from.
        config: the settings.
        valid: validation rows, which stop gradients and stepwise EM.
    """
    clear_caches_if_maps_run_out()
    keys = host_keys.split(key, max(config.restarts, 1))
    model = start(keys[0], rows)
    if isinstance(model, AbstractSGDModel):
        return _fit_by_gradients(key, model, rows, config, valid)
    if isinstance(model, AbstractStepwiseEMModel) and stops_on_validation(type(model), rows.count):
        defaults = DEFAULT_STEPWISE_CONFIG
        epochs = min(_epochs(rows, defaults.batch, defaults.epochs, MIN_STEPS), defaults.epochs)
        stepwise = StepwiseConfig(epochs=config.epochs or epochs, seconds=config.seconds)
        return fit_stepwise_em(key, model, rows, valid=valid, config=stepwise, report=config.report)
    assert isinstance(model, AbstractEMModel)
    limits = {"tolerance": config.tolerance, "seconds": config.seconds, "report": config.report}
    if not model.random_start or config.restarts < 2:
        return fit_em(model, rows, steps=config.steps, **limits)
    with recording_warnings(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # a trial need not converge
        models = [model, *(start(k, rows) for k in keys[1:])]
        steps = min(TRIAL_STEPS, config.steps)
        trials = [fit_em(m, rows, tolerance=config.tolerance, steps=steps) for m in models]
    best = max(trials, key=lambda t: np.nan_to_num(t.log_likelihood, nan=-np.inf))
    result = fit_em(best.model, rows, steps=max(config.steps - len(best.history), 1), **limits)
    seconds = result.seconds + sum(t.seconds for t in trials)
    return result._replace(history=[*best.history, *result.history], seconds=seconds)


@compiled
def _step(model: AbstractEMSteps, rows: Rows) -> AbstractEMSteps:
    return model.m_step(rows.sum(model.expected_statistics)[0])


def refined(result: FitResult, rows: Rows) -> FitResult:
    """A model that EM learned in float32, one EM step further in float64.

    After this step the parameters are as precise, and the probabilities sum to one as nearly, as
    float64 allows. If answers are not expected in float64, the result is returned as it is.
    """
    model = result.model
    is_float32 = rows.x.dtype == np.float32
    if not (is_float32 and float_width.prefers_float64() and isinstance(model, AbstractEMModel)):
        return result
    with float_width.float64(True):
        wide_model, restore = with_structure_as_data(float_width.widened(model))
        model = restore(_step(wide_model, float_width.widened(rows)))
        return result._replace(model=model)


def stops_on_validation(model: type[AbstractLearnable], n: int) -> bool:
    """Whether validation rows stop the learner of a model of this class on n rows."""
    return issubclass(model, AbstractSGDModel) or (
        issubclass(model, AbstractStepwiseEMModel) and n >= MIN_STEPWISE_ROWS
    )


def _fit_by_gradients(
    key: PRNGKeyArray,
    model: AbstractSGDModel,
    rows: Rows,
    config: LearnerConfig,
    valid: Rows | None,
) -> FitResult:
    """Train phase after phase, and keep the phase that is best on validation rows.

    Networks are trained in float32 unless the user has enabled float64. `finalise`, which makes
    the model that answers queries, runs in the float width of the caller.
    """
    scored_rows = rows if valid is None else valid

    def score(p: AbstractQueryable) -> Float[np.ndarray, "n"]:
        return row_log_probs(p, scored_rows)

    settings = _sgd_settings(model, rows, config)
    path = config.checkpoint
    if path and not Path(path).exists() and Path(f"{path}.1").exists():
        raise PofxError(
            f"checkpoint: expected {path} beside {path}.1, which is left of another run; "
            "delete it, or give another path"
        )
    phases: list[TrainingResult] = []
    best: AbstractDistribution = model
    best_score = -np.inf
    phase = model
    while phase is not None:
        seconds = config.seconds - sum(t.seconds for t in phases)
        if not seconds > 0:
            break
        # A later phase starts where the one before it ended, so it needs fewer epochs.
        epochs = -(-settings.epochs // (len(phases) + 1))
        with float_width.float64(False):
            trained = train(
                host_keys.fold_in(key, len(phases)),
                float_width.as_default(phase),
                float_width.as_default(rows),
                valid=float_width.as_default(valid),
                settings=settings._replace(seconds=seconds, epochs=epochs),
                report=config.report,
                checkpoint=path and Path(f"{path}.{len(phases)}" if phases else path),
            )
        phases.append(trained)
        if config.report:
            epochs = len(trained.history)
            config.report(FitProgress(epochs, epochs, np.nan, "estimates after learning"))
        final = float_width.as_default(trained.model).finalise(key, rows, score)
        phase = trained.model.next_phase()
        if phase is None and len(phases) == 1:
            best = final
            break
        mean_score = float(np.average(score(final), weights=scored_rows.to_arrays()[2]))
        if mean_score > best_score or len(phases) == 1:
            best, best_score = final, mean_score
    history = [-epoch.train for t in phases for epoch in t.history]
    problems = [message for t in phases if (message := _divergence_message(t))]
    ended_well = all(t.stop_reason in ("epochs", "settled") for t in phases)
    converged = ended_well and not problems
    skipped = sum(t.skipped for t in phases)
    if skipped and all(t.stop_reason != "failed" for t in phases):
        problems.append(f"{skipped} steps were skipped, whose loss or gradient was not finite")
    for problem in problems:
        warn(f"{problem}; check the data for extreme values")
    return FitResult(best, history, converged, sum(t.seconds for t in phases), skipped)


def _divergence_message(t: TrainingResult) -> str:
    """A warning if training never got close to its initial loss; else empty."""
    min_loss = min((epoch.valid for epoch in t.history if epoch.valid < np.inf), default=np.inf)
    if not min_loss - t.initial_loss > MAX_LOSS_RISE * (1 + abs(t.initial_loss)):
        return ""
    return (
        f"training diverged: the loss of validation rows was {t.initial_loss:.4g} nats at the "
        f"start, and {min_loss:.4g} in the best of {len(t.history)} epochs"
    )


def _sgd_settings(model: AbstractSGDModel, rows: Rows, config: LearnerConfig) -> SGDConfig:
    defaults = SGDConfig(patience=8)._replace(**type(model).sgd_defaults)
    epochs = config.epochs or _epochs(rows, defaults.batch, defaults.epochs, MAX_STEPS)
    # With few rows an epoch is a step or two, so patience is a share of all epochs.
    patience = defaults.patience and max(defaults.patience, epochs // PATIENCE_DIVISOR)
    return defaults._replace(epochs=epochs, patience=patience)


def _epochs(rows: Rows, batch: int, default: int, max_steps: int) -> int:
    """The default number of epochs, within MIN_STEPS to `max_steps` steps."""
    steps = -(-rows.count // batch)
    return max(min(max(default, MIN_STEPS // steps), max_steps // steps), MIN_EPOCHS)
