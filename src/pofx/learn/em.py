"""The learner by sums over rows: expectation maximisation, and closed form as its one-step case."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pofx.core.abstract import AbstractEMModel
from pofx.core.closed_forms import with_structure_as_data
from pofx.core.errors import check_at_least, warn
from pofx.core.rows import Rows

BLOCK = 256
"""The most steps between two looks from the host."""
SLOW = 0.05
"""The share of the tolerance below which a step's shrinking gain ends EM, whatever the rate."""
ENDLESS = 10.0
"""How many times the tolerance a step may gain for steps that ran out to be no failure."""
PRIOR_NATS = 5.0
"""Nats over all rows that a prior without a closed density may be worth from step to step."""


class FitProgress(NamedTuple):
    """Where a fit stands, for whoever watches it."""

    step: int
    steps: int
    log_likelihood: float


ProgressCallback: TypeAlias = Callable[[FitProgress], None]


class FitResult(NamedTuple):
    """A learned model, and how learning went.

    `history` holds the log-likelihood before each step, in nats a unit of weight; `skipped` is the
    number of steps by gradients that were not taken, for they were not finite.
    """

    model: Any
    history: list[float]
    converged: bool
    seconds: float
    skipped: int = 0

    @property
    def log_likelihood(self) -> float:
        """The last of the history, in nats a unit of weight."""
        return self.history[-1] if self.history else float("nan")


@eqx.filter_jit
def step(model: AbstractEMModel, rows: Rows) -> tuple[AbstractEMModel, jax.Array]:
    """One step of EM: the next model, and this one's mean log-likelihood in nats."""
    statistics, log_likelihood = rows.sum(model.expected_statistics)
    return model.m_step(statistics), log_likelihood / rows.total


def em(
    model: AbstractEMModel,
    rows: Rows,
    *,
    tolerance: float = 1e-6,
    steps: int = 1000,
    seconds: float = float("inf"),
    report: ProgressCallback | None = None,
) -> FitResult:
    """Maximum likelihood by EM from a start; no step lowers the likelihood times the prior.

    If rounding lowers it all the same, the best model is returned, with a warning. EM stops if the
    gain still to come, extrapolated from the last two (Aitken; Böhning et al. 1994), is below
    `tolerance` nats per unit of weight, if steps gain less than a twentieth of that, or if the
    float type resolves no more. To run out of steps, or of `seconds` after compilation, is a result
    and a warning.
    """
    check_at_least(1, steps=steps)
    began = time.perf_counter()
    model, back = with_structure_as_data(model)
    history: list[float] = []
    seen = jnp.full(4, -jnp.inf, rows.x.dtype)
    nothing = jnp.asarray(-jnp.inf, rows.x.dtype)
    best = _Best(eqx.filter(model, eqx.is_array), nothing, nothing, nothing)
    done, block, compiled = False, 4, began
    while not done and len(history) < steps:
        limit = min(block, steps - len(history))
        start = time.perf_counter()
        state = _advance(model, best, rows, seen, jnp.asarray(limit), tolerance)
        model, best, seen, trace, count, done = state
        history += np.asarray(trace)[: int(count)].tolist()
        if report:
            report(FitProgress(len(history), steps, history[-1]))
        # What is compiled for all fits is not this one's time.
        compiled = compiled if len(history) > count else time.perf_counter()
        if time.perf_counter() - compiled >= seconds:
            break
        # Some two looks a second, the compilation of the first left out.
        quick = time.perf_counter() - start < 0.25
        block = min(2 * block, BLOCK) if quick else block
    # Gains that shrink like 1 / steps² end nowhere and matter nowhere.
    done = done or abs(_last_gain(history)) < ENDLESS * tolerance
    fallen = float(best.objective) - float(best.latest)
    if fallen > _allowed_fall(rows, history[-1]):
        model = eqx.combine(best.arrays, eqx.filter(model, eqx.is_array, inverse=True))
        warn(
            f"EM lost {fallen:.2g} nats per row to rounding and returned its best step; "
            "rescale extreme values, or enable float64 in JAX",
        )
        history.append(float(best.log_likelihood))
        done = False
    elif not np.isfinite(history[-1]):
        warn(
            f"the log-likelihood became {history[-1]} after {len(history)} steps; rows that the "
            "model holds impossible? try prior=1, or check the data for extreme values",
        )
    elif not done:
        warn(
            f"EM had not converged after {len(history)} steps (last gain "
            f"{_last_gain(history):.2g} nats a row); the model stands, more steps may better it",
        )
    converged = bool(done and np.isfinite(history[-1]))
    return FitResult(back(model), history, converged, time.perf_counter() - began)


def _last_gain(history: list[float]) -> float:
    return history[-1] - history[-2] if len(history) > 1 else float("nan")


class _Best(NamedTuple):
    """The arrays of the best model so far, its objective and mean log-likelihood in nats.

    The objective, which EM climbs, is the mean log-likelihood plus a row's share of the log prior;
    `latest` is that of the latest model.
    """

    arrays: Any
    objective: jax.Array
    log_likelihood: jax.Array
    latest: jax.Array


def _allowed_fall(rows: Rows, log_likelihood: float) -> float:
    """How far, in nats per unit of weight, rounding and a prior may lower the objective."""
    rounding = 64 * float(jnp.finfo(rows.x.dtype).eps) * abs(log_likelihood)
    return PRIOR_NATS / float(rows.total) + rounding


@eqx.filter_jit
def _advance(
    model: Any, best: _Best, rows: Rows, seen: jax.Array, limit: jax.Array, tolerance: float
) -> tuple[Any, _Best, jax.Array, jax.Array, jax.Array, jax.Array]:
    """Up to `limit` steps in one compiled loop, and the log-likelihoods met."""
    arrays, static = eqx.partition(model, eqx.is_array)

    def proceed(state):
        *_, count, done = state
        return (count < limit) & ~done

    def advance(state):
        arrays, best, seen, trace, count, _ = state
        new, now = step(eqx.combine(arrays, static), rows)
        objective = now + eqx.combine(arrays, static).log_prior_density() / rows.total
        objective = objective.astype(now.dtype)
        this = _Best(arrays, objective, now, objective)
        best = jax.tree.map(lambda a, b: jnp.where(objective > best.objective, a, b), this, best)
        best = best._replace(latest=objective)
        seen = jnp.append(seen[1:], now)
        done = _settled(seen, tolerance) | ~jnp.isfinite(now)
        return eqx.filter(new, eqx.is_array), best, seen, trace.at[count].set(now), count + 1, done

    trace = jnp.zeros(BLOCK, rows.x.dtype)
    state = (arrays, best, seen, trace, jnp.asarray(0), jnp.asarray(False))
    arrays, best, seen, trace, count, done = jax.lax.while_loop(proceed, advance, state)
    return eqx.combine(arrays, static), best, seen, trace, count, done


def _settled(seen: jax.Array, tolerance: float) -> jax.Array:
    """Whether the last four likelihoods promise no change beyond `tolerance`.

    So it is if changes that shrink geometrically will sum to less (Aitken); if they shrink, however
    slowly, and are a small share of it; if the float type does not resolve them; or if they only go
    up and down, which is rounding. They count by their size: under a prior the likelihood may fall
    while the posterior density rises.
    """
    changes = jnp.diff(seen)
    size = jnp.abs(changes)
    rate = jnp.minimum(size[2] / size[1], 0.9999)
    remaining = size[2] / (1 - jnp.where(jnp.isfinite(rate), rate, 0.9))
    slow = (size[2] < SLOW * tolerance) & (rate < 0.9999)
    unresolved = size[2] < 4 * jnp.finfo(seen.dtype).eps * jnp.abs(seen[-1])
    turns = jnp.sign(changes[1:]) * jnp.sign(changes[:-1])
    rounding = jnp.isfinite(changes).all() & (turns < 0).all()
    return (remaining < tolerance) | slow | unresolved | rounding
