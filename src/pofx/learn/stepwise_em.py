"""The learner by sums over batches of rows: stepwise EM, for tables too long to read often."""

import time
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import AbstractStepwiseEMModel
from pofx.core.closed_forms import with_structure_as_data
from pofx.core.errors import PofxError
from pofx.core.rows import Rows
from pofx.core.rows import log_prob as scores_of
from pofx.learn.batches import batches
from pofx.learn.em import FitProgress, FitResult, ProgressCallback


class StepwiseConfig(NamedTuple):
    """How stepwise EM goes: passes over the rows, rows a batch, and the share of a step.

    The share falls geometrically from `first` to `last`; the first step of all is whole. No pass
    begins after `seconds`, of which the first, which compiles, is no part.
    """

    epochs: int = 30
    batch: int = 256
    first: float = 0.5
    last: float = 0.02
    patience: int = 5
    seconds: float = float("inf")


DEFAULT_STEPWISE_CONFIG = StepwiseConfig()


def stepwise(
    key: PRNGKeyArray,
    model: AbstractStepwiseEMModel,
    rows: Rows,
    *,
    valid: Rows | None = None,
    sgd_defaults: StepwiseConfig = DEFAULT_STEPWISE_CONFIG,
    report: ProgressCallback | None = None,
) -> FitResult:
    """Maximum likelihood by EM on batches, each a step of falling size (Cappé and Moulines 2009).

    θ ← argmax of (1 - γ) s(θ) + γ s(batch), with s the expected statistics of all rows

    With rows held out, `valid`, it stops where they have not become likelier for `patience`
    epochs, and returns the model they prefer. The history holds the log-likelihood of each epoch's
    batches as they were met, in nats a unit of weight.
    """
    if sgd_defaults.epochs < 1 or sgd_defaults.batch < 1:
        raise PofxError(f"pace: expected at least 1 epoch and 1 row a batch, got {sgd_defaults}")
    began = time.perf_counter()
    x, observed, weight = map(jnp.asarray, rows.to_arrays())
    observed = observed[0] if bool(observed.all()) else observed
    steps = -(-len(x) // sgd_defaults.batch)
    rates = np.geomspace(sgd_defaults.first, sgd_defaults.last, sgd_defaults.epochs * steps).astype(
        x.dtype
    )
    rates[0] = 1.0
    model, back = with_structure_as_data(model)
    carried, history = model.init_carry(), []
    best, score, waited = model, -np.inf, 0
    compiled = 0.0
    for epoch in range(sgd_defaults.epochs):
        own = jnp.asarray(rates[epoch * steps : (epoch + 1) * steps])
        shuffle = jax.random.fold_in(key, epoch)
        model, carried, value = _epoch(
            shuffle, model, carried, x, observed, weight, own, sgd_defaults.batch
        )
        history.append(float(value))
        if report:
            report(FitProgress(epoch + 1, sgd_defaults.epochs, history[-1]))
        if valid is not None:
            heavy = valid.to_arrays()[2]
            now = float(np.average(scores_of(model, valid), weights=heavy))
            best, score, waited = (model, now, 0) if now > score else (best, score, waited + 1)
        # The first epoch compiles, which is not this one's time.
        compiled = compiled or time.perf_counter()
        if (
            waited >= sgd_defaults.patience
            or time.perf_counter() - compiled >= sgd_defaults.seconds
        ):
            break
    chosen = best if np.isfinite(score) else model
    return FitResult(
        back(chosen), history, bool(np.isfinite(history[-1])), time.perf_counter() - began
    )


@eqx.filter_jit
def _epoch(
    key: PRNGKeyArray,
    model: AbstractStepwiseEMModel,
    carried: Any,
    x: Float[Array, "n d"],
    observed: Array,
    weight: Float[Array, "n"],
    rates: Float[Array, "steps"],
    batch: int,
) -> tuple[Any, Any, Float[Array, ""]]:
    arrays, static = eqx.partition(model, eqx.is_array)
    n, total = len(x), weight.sum()
    index, inside = batches(n, batch)
    order = jax.random.permutation(key, n)[index]

    def step(state, at):
        arrays, carried = state
        index, inside, rate = at
        own = jnp.where(inside, weight[index], 0)
        seen = observed if observed.ndim == 1 else observed[index]
        model = eqx.combine(arrays, static)
        statistics, log_likelihood = model.expected_statistics(x[index], seen, own)
        # Rows of no weight teach nothing.
        heavy = own.sum() > 0
        scale = jnp.where(heavy, total / jnp.where(heavy, own.sum(), 1), 0)
        statistics = jax.tree.map(lambda s: s * scale, statistics)
        new, carried = model.stepwise_update(statistics, carried, jnp.where(heavy, rate, 0))
        return (eqx.filter(new, eqx.is_array), carried), log_likelihood

    (arrays, carried), values = jax.lax.scan(step, (arrays, carried), (order, inside, rates))
    return eqx.combine(arrays, static), carried, values.sum() / total
