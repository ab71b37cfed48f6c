"""Which learner, and from which start."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core import float_width
from pofx.core.abstract import (
    AbstractDistribution,
    AbstractEMModel,
    AbstractLearnable,
    AbstractQueryable,
    AbstractSGDModel,
    AbstractStepwiseEMModel,
)
from pofx.core.closed_forms import with_structure_as_data
from pofx.core.errors import PofxError, PofxWarning, recording_warnings, warn
from pofx.core.memory_maps import clear_caches_if_maps_run_out
from pofx.core.rows import Rows
from pofx.core.rows import log_prob as scores_of
from pofx.learn.em import FitResult, ProgressCallback, em
from pofx.learn.sgd import TrainingResult, train
from pofx.learn.sgd_config import SGDConfig
from pofx.learn.stepwise_em import DEFAULT_STEPWISE_CONFIG, StepwiseConfig, stepwise

Start: TypeAlias = Callable[[PRNGKeyArray, Rows], AbstractLearnable]

TRIAL = 15
"""Steps given to each of several starts before the best goes on (Biernacki et al. 2003)."""
MANY = 1024
"""Rows from which on a model that can learns by batches."""
FEWEST, MOST = 2000, 10_000
"""Steps by batches or gradients: few rows are passed over more often, many less."""
PATIENT = 10
"""The share of all epochs, one in so many, that training at least goes on without a gain."""
PASSES = 4
"""Passes over the rows at least, however many they are."""
RISE = 0.05
"""The share of a loss, and of a nat, by which training may end above its start."""


class LearnerConfig(NamedTuple):
    """How learning goes, whichever the learner.

    `tolerance` and `steps` are those of EM; `epochs` the most passes over the rows by batches or
    gradients, 0 for as many as is usual; `seconds` ends learning after the pass, or the steps,
    under way; into the file `checkpoint` gradients write what they need to go on.
    """

    restarts: int = 1
    tolerance: float = 1e-6
    steps: int = 1000
    epochs: int = 0
    seconds: float = float("inf")
    report: ProgressCallback | None = None
    checkpoint: str | Path | None = None


DEFAULT_CONFIG = LearnerConfig()


def fit(
    key: PRNGKeyArray,
    start: Start,
    rows: Rows,
    plan: LearnerConfig = DEFAULT_CONFIG,
    valid: Rows | None = None,
) -> FitResult:
    """Learns from `start(key, rows)`, and where starts are random from the best of `restarts`.

    By gradients what has a loss, by EM on batches what can if there are many rows, else by EM.
    `valid` are held-out rows, by which the former two stop.
    """
    clear_caches_if_maps_run_out()
    keys = jax.random.split(key, max(plan.restarts, 1))
    model = start(keys[0], rows)
    if isinstance(model, AbstractSGDModel):
        return _by_gradients(key, model, rows, plan, valid)
    if isinstance(model, AbstractStepwiseEMModel) and by_batches(type(model), rows.count):
        most = _passes(rows, DEFAULT_STEPWISE_CONFIG.batch, DEFAULT_STEPWISE_CONFIG.epochs, FEWEST)
        sgd_defaults = StepwiseConfig(
            epochs=plan.epochs or min(most, DEFAULT_STEPWISE_CONFIG.epochs), seconds=plan.seconds
        )
        return stepwise(
            key, model, rows, valid=valid, sgd_defaults=sgd_defaults, report=plan.report
        )
    assert isinstance(model, AbstractEMModel)
    limits = {"tolerance": plan.tolerance, "seconds": plan.seconds, "report": plan.report}
    if not model.random_start or plan.restarts < 2:
        return em(model, rows, steps=plan.steps, **limits)
    with recording_warnings(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # a trial need not converge
        models = [model, *(start(k, rows) for k in keys[1:])]
        few = min(TRIAL, plan.steps)
        trials = [em(m, rows, tolerance=plan.tolerance, steps=few) for m in models]
    best = max(trials, key=lambda t: np.nan_to_num(t.log_likelihood, nan=-np.inf))
    last = em(best.model, rows, steps=max(plan.steps - len(best.history), 1), **limits)
    seconds = last.seconds + sum(t.seconds for t in trials)
    return last._replace(history=[*best.history, *last.history], seconds=seconds)


@eqx.filter_jit
def _step(model: AbstractEMModel, rows: Rows) -> AbstractEMModel:
    return model.m_step(rows.sum(model.expected_statistics)[0])


def refined(learned: FitResult, rows: Rows) -> FitResult:
    """What EM learned in float32, one step further in float64 if answers are expected in that.

    Its parameters then are as sure, and its probabilities sum to one as nearly, as float64 allows.
    """
    model = learned.model
    narrow = rows.x.dtype == np.float32
    if not (narrow and float_width.preferred() and isinstance(model, AbstractEMModel)):
        return learned
    with float_width.float64(True):
        wide, back = with_structure_as_data(float_width.widened(model))
        return learned._replace(model=back(_step(wide, float_width.widened(rows))))


def by_batches(model: type[AbstractLearnable], n: int) -> bool:
    """Whether the learner of n rows would stop by held-out rows."""
    return issubclass(model, AbstractSGDModel) or (
        issubclass(model, AbstractStepwiseEMModel) and n >= MANY
    )


def _by_gradients(
    key: PRNGKeyArray, model: AbstractSGDModel, rows: Rows, plan: LearnerConfig, valid: Rows | None
) -> FitResult:
    """One phase of training after another, of which the last that held-out rows prefer is kept.

    Networks are trained in float32 unless the user has enabled float64; what answers are computed
    from is compiled in the width of the caller.
    """
    judges = rows if valid is None else valid

    def score(p: AbstractQueryable) -> Float[np.ndarray, "n"]:
        return scores_of(p, judges)

    settings, path = _settings(model, rows, plan), plan.checkpoint
    if path and not Path(path).exists() and Path(f"{path}.1").exists():
        raise PofxError(
            f"checkpoint: expected {path}.1 beside {path}, which is absent: it is of another run; "
            "delete it, or give another path"
        )
    phases: list[TrainingResult] = []
    best: AbstractDistribution = model
    kept, nxt = -np.inf, model
    while nxt is not None and (left := plan.seconds - sum(t.seconds for t in phases)) > 0:
        # What follows starts where this ends: half as long is enough.
        epochs = -(-settings.epochs // (len(phases) + 1))
        with float_width.float64(False):
            trained = train(
                jax.random.fold_in(key, len(phases)),
                float_width.as_default(nxt),
                float_width.as_default(rows),
                valid=float_width.as_default(valid),
                settings=settings._replace(seconds=left, epochs=epochs),
                report=plan.report,
                checkpoint=path and Path(f"{path}.{len(phases)}" if phases else path),
            )
        phases.append(trained)
        own = float_width.as_default(trained.model).finalise(key, rows, score)
        nxt = trained.model.next_phase()
        if nxt is None and len(phases) == 1:
            best = own
            break
        value = float(np.average(score(own), weights=judges.to_arrays()[2]))
        if value > kept or len(phases) == 1:
            best, kept = own, value
    history = [-epoch.train for t in phases for epoch in t.history]
    doubts = [told for t in phases if (told := _astray(t))]
    converged = all(t.stopped in ("epochs", "settled") for t in phases) and not doubts
    skipped = sum(t.skipped for t in phases)
    if skipped and all(t.stopped != "failed" for t in phases):
        doubts.append(f"{skipped} steps were skipped, whose loss or gradient was not finite")
    for what in doubts:
        warn(f"{what}; check the data for extreme values")
    return FitResult(best, history, converged, sum(t.seconds for t in phases), skipped)


def _astray(t: TrainingResult) -> str:
    """What to tell of training that only led away from its start; empty where it did not."""
    least = min((epoch.valid for epoch in t.history if epoch.valid < np.inf), default=np.inf)
    if not least - t.begun > RISE * (1 + abs(t.begun)):
        return ""
    return (
        f"training diverged: rows held out lose {t.begun:.4g} nats at its start, and {least:.4g} "
        f"at the best of {len(t.history)} epochs"
    )


def _settings(model: AbstractSGDModel, rows: Rows, plan: LearnerConfig) -> SGDConfig:
    usual = SGDConfig(patience=8)._replace(**type(model).sgd_defaults)
    epochs = plan.epochs or _passes(rows, usual.batch, usual.epochs, MOST)
    # Of few rows an epoch is a step or two: patience is a share of all of them.
    patience = usual.patience and max(usual.patience, epochs // PATIENT)
    return usual._replace(epochs=epochs, patience=patience)


def _passes(rows: Rows, batch: int, usual: int, most: int) -> int:
    """Passes over the rows: as usual, but for FEWEST steps at least and `most` at most."""
    steps = -(-rows.count // batch)
    return max(min(max(usual, FEWEST // steps), most // steps), PASSES)
