"""Expectation maximisation (EM) by sums over all rows; a closed form is EM with one step."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pofx.core.abstract import AbstractEMSteps
from pofx.core.closed_forms import with_structure_as_data
from pofx.core.compilation import (
    array_size,
    compiled,
    compiled_fully,
    compiled_quickly,
    to_device,
)
from pofx.core.errors import check_at_least, warn
from pofx.core.rows import Rows
from pofx.core.work_time import work_time

MAX_BRIEF_NUMBERS = 2**16
"""Numbers of the model, times rows, up to which compilation takes longer than the steps."""
MIN_LONG_NUMBERS = 2**27
"""The same from which a faster program is worth a longer compilation."""
MAX_BLOCK_STEPS = 256
"""Largest number of steps in one compiled call."""
SLOW_GAIN_SHARE = 0.05
"""EM ends if the gain of a step shrinks and is below this share of the tolerance."""
MAX_LAST_GAIN_TOLERANCES = 10.0
"""EM that ran out of steps has converged if its last gain is below this many tolerances."""
PRIOR_NATS = 5.0
"""Nats, over all rows, by which a prior without a closed density may change from step to step."""


class FitProgress(NamedTuple):
    """Progress of a fit: steps done, largest number of steps, and log-likelihood in nats.

    `phase` says in words what is under way if that is not learning itself.
    """

    step: int
    steps: int
    log_likelihood: float
    phase: str = ""


ProgressCallback: TypeAlias = Callable[[FitProgress], None]


class FitResult(NamedTuple):
    """A learned model, and a record of learning.

    `history` holds the log-likelihood before each step, in nats per unit of weight. `skipped` is
    the number of gradient steps that were skipped because they were not finite.
    """

    model: Any
    history: list[float]
    converged: bool
    seconds: float
    skipped: int = 0

    @property
    def log_likelihood(self) -> float:
        """The last value of the history, in nats per unit of weight."""
        return self.history[-1] if self.history else float("nan")


@compiled_fully
def em_step(model: AbstractEMSteps, rows: Rows) -> tuple[AbstractEMSteps, jax.Array]:
    """One step of EM: the next model, and the mean log-likelihood of this model in nats."""
    statistics, log_likelihood = rows.sum(model.expected_statistics)
    return model.m_step(statistics), log_likelihood / rows.total


def fit_em(
    model: AbstractEMSteps,
    rows: Rows,
    *,
    tolerance: float = 1e-6,
    steps: int = 1000,
    seconds: float = float("inf"),
    report: ProgressCallback | None = None,
) -> FitResult:
    """Maximise the likelihood by EM; no step lowers the likelihood times the prior.

    EM stops if the gain still to come, extrapolated from the last two steps (Aitken; Böhning et
    al. 1994), is below `tolerance`, if steps gain less than a twentieth of the tolerance, or if the
    float type resolves no smaller gain. A fit that runs out of steps or time is returned with a
    warning. If rounding lowers the likelihood, the best model is returned with a warning.

    Args:
        model: the start.
        rows: rows to learn from.
        tolerance: gain still to come, in nats per unit of weight.
        steps: largest number of steps, at least 1.
        seconds: time limit, compilation excluded.
        report: called after each block of steps.
    """
    check_at_least(1, steps=steps)
    start_time = work_time()
    model, restore = with_structure_as_data(model)
    history: list[float] = []
    recent = to_device(np.full(4, -np.inf, rows.x.dtype))
    lowest = to_device(np.asarray(-np.inf, rows.x.dtype))
    best = _BestModel(eqx.filter(model, eqx.is_array), lowest, lowest, lowest)
    done = False
    block_steps = 4
    numbers = rows.weight.size * array_size(model)
    run_block = _run_small_block if numbers <= MAX_BRIEF_NUMBERS else _run_block
    run_block = _run_large_block if numbers >= MIN_LONG_NUMBERS else run_block
    while not done and len(history) < steps:
        limit = min(block_steps, steps - len(history))
        block_start = work_time()
        state = run_block(model, best, rows, recent, np.asarray(limit), np.asarray(tolerance))
        model, best, recent, trace, count, done = state
        count, done = int(count), bool(done)
        history += np.asarray(trace)[:count].tolist()
        if report:
            report(FitProgress(len(history), steps, history[-1]))
        if work_time() - start_time >= seconds:
            break
        # About two reports per second.
        is_quick = work_time() - block_start < 0.25
        block_steps = min(2 * block_steps, MAX_BLOCK_STEPS) if is_quick else block_steps
    # Gains that shrink like 1 / steps² never end, and never matter.
    done = done or abs(_last_gain(history)) < MAX_LAST_GAIN_TOLERANCES * tolerance
    loss = float(best.objective) - float(best.last_objective)
    if loss > _allowed_loss(rows, history[-1]):
        model = eqx.combine(best.arrays, eqx.filter(model, eqx.is_array, inverse=True))
        warn(
            f"EM lost {loss:.2g} nats per row to rounding and returned its best step; "
            "rescale extreme values, or enable float64 in JAX",
        )
        history.append(float(best.log_likelihood))
        done = False
    elif not np.isfinite(history[-1]):
        warn(
            f"the log-likelihood became {history[-1]} after {len(history)} steps; the model may "
            "give some rows probability 0: try prior=1, or check the data for extreme values",
        )
    elif not done:
        warn(
            f"EM had not converged after {len(history)} steps (last gain "
            f"{_last_gain(history):.2g} nats per row); the model is usable, more steps may "
            "improve it",
        )
    converged = bool(done and np.isfinite(history[-1]))
    return FitResult(restore(model), history, converged, work_time() - start_time)


def _last_gain(history: list[float]) -> float:
    return history[-1] - history[-2] if len(history) > 1 else float("nan")


class _BestModel(NamedTuple):
    """The arrays of the best model so far, its objective and its mean log-likelihood in nats.

    The objective, which EM climbs, is the mean log-likelihood plus the log prior per unit of
    weight. `last_objective` is the objective of the last model.
    """

    arrays: Any
    objective: jax.Array
    log_likelihood: jax.Array
    last_objective: jax.Array


def _allowed_loss(rows: Rows, log_likelihood: float) -> float:
    """How far rounding and a prior may lower the objective, in nats per unit of weight."""
    rounding = 64 * float(jnp.finfo(rows.x.dtype).eps) * abs(log_likelihood)
    return PRIOR_NATS / np.asarray(rows.weight, np.float64).sum() + rounding


def _steps(
    model: Any, best: _BestModel, rows: Rows, recent: jax.Array, limit: jax.Array, tolerance: float
) -> tuple[Any, _BestModel, jax.Array, jax.Array, jax.Array, jax.Array]:
    """Up to `limit` steps in one compiled loop, and their log-likelihoods."""
    arrays, static = eqx.partition(model, eqx.is_array)

    def proceed(state):
        *_, count, done = state
        return (count < limit) & ~done

    def advance(state):
        arrays, best, recent, trace, count, _ = state
        model, value = em_step(eqx.combine(arrays, static), rows)
        objective = value + eqx.combine(arrays, static).log_prior_density() / rows.total
        objective = objective.astype(value.dtype)
        current = _BestModel(arrays, objective, value, objective)
        is_best = objective > best.objective
        best = jax.tree.map(lambda a, b: jnp.where(is_best, a, b), current, best)
        best = best._replace(last_objective=objective)
        recent = jnp.append(recent[1:], value)
        done = _has_settled(recent, tolerance) | ~jnp.isfinite(value)
        arrays = eqx.filter(model, eqx.is_array)
        return arrays, best, recent, trace.at[count].set(value), count + 1, done

    trace = jnp.zeros(MAX_BLOCK_STEPS, rows.x.dtype)
    state = (arrays, best, recent, trace, jnp.asarray(0), jnp.asarray(False))
    arrays, best, recent, trace, count, done = jax.lax.while_loop(proceed, advance, state)
    return eqx.combine(arrays, static), best, recent, trace, count, done


_run_block = compiled(_steps)
_run_small_block = compiled_quickly(_steps)
_run_large_block = compiled_fully(_steps)


def _has_settled(recent: jax.Array, tolerance: float) -> jax.Array:
    """Whether the last four log-likelihoods promise no change beyond `tolerance`.

    They do so in four cases: changes that shrink geometrically sum to less (Aitken); changes
    shrink, however slowly, and are a small share of the tolerance; the float type does not resolve
    the changes; changes only go up and down, which is rounding. The size of a change counts,
    because under a prior the likelihood may fall while the posterior density rises.
    """
    changes = jnp.diff(recent)
    size = jnp.abs(changes)
    rate = jnp.minimum(size[2] / size[1], 0.9999)
    remaining = size[2] / (1 - jnp.where(jnp.isfinite(rate), rate, 0.9))
    slow = (size[2] < SLOW_GAIN_SHARE * tolerance) & (rate < 0.9999)
    unresolved = size[2] < 4 * jnp.finfo(recent.dtype).eps * jnp.abs(recent[-1])
    turns = jnp.sign(changes[1:]) * jnp.sign(changes[:-1])
    rounding = jnp.isfinite(changes).all() & (turns < 0).all()
    return (remaining < tolerance) | slow | unresolved | rounding
