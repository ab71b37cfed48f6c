"""Stepwise EM: expectation maximisation on batches of rows, for large tables."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import host_keys
from pofx.core.abstract import AbstractStepwiseEMModel
from pofx.core.closed_forms import with_structure_as_data
from pofx.core.compilation import compiled_fully
from pofx.core.errors import PofxError
from pofx.core.rows import Rows
from pofx.core.rows import log_prob as row_log_probs
from pofx.core.work_time import work_time
from pofx.learn.batches import batch_indices
from pofx.learn.em import FitProgress, FitResult, ProgressCallback


class StepwiseConfig(NamedTuple):
    """Settings of stepwise EM."""

    epochs: int = 30
    """Largest number of passes over the rows."""
    batch: int = 256
    """Largest number of rows per batch."""
    first: float = 0.5
    """Share γ of the second step; γ falls geometrically to `last`. The first step has γ = 1."""
    last: float = 0.02
    """Share γ of the last step."""
    patience: int = 5
    """Epochs without a gain on validation rows before learning stops."""
    seconds: float = float("inf")
    """Time after which no epoch begins, without compilation."""


DEFAULT_STEPWISE_CONFIG = StepwiseConfig()


def fit_stepwise_em(
    key: PRNGKeyArray,
    model: AbstractStepwiseEMModel,
    rows: Rows,
    *,
    valid: Rows | None = None,
    config: StepwiseConfig = DEFAULT_STEPWISE_CONFIG,
    report: ProgressCallback | None = None,
) -> FitResult:
    """Maximise the likelihood by EM on batches with steps of falling size.

    θ ← argmax of (1 - γ) s(θ) + γ s(batch), with s the expected statistics of all rows

    Args:
        key: seed of the order of the rows.
        model: the start.
        rows: rows to learn from.
        valid: validation rows. Learning stops if their likelihood has not risen for
            `config.patience` epochs, and the best model for them is returned.
        config: the settings.
        report: called after each epoch.

    Returns the model and its history: per epoch, the mean log-likelihood of its batches, each
    before its step, in nats per unit of weight.

    Reference: Cappé and Moulines 2009.
    """
    if config.epochs < 1 or config.batch < 1:
        raise PofxError(f"config: expected at least 1 epoch and 1 row per batch, got {config}")
    start_time = work_time()
    x, observed, weight = map(jnp.asarray, rows.to_arrays())
    observed = observed[0] if bool(observed.all()) else observed
    steps = -(-len(x) // config.batch)
    rates = np.geomspace(config.first, config.last, config.epochs * steps).astype(x.dtype)
    rates[0] = 1.0
    model, restore = with_structure_as_data(model)
    carry = model.init_carry()
    history: list[float] = []
    best, best_score = model, -np.inf
    epochs_without_gain = 0
    for epoch in range(config.epochs):
        epoch_rates = jnp.asarray(rates[epoch * steps : (epoch + 1) * steps])
        shuffle_key = host_keys.fold_in(key, epoch)
        model, carry, log_likelihood = _run_epoch(
            shuffle_key, model, carry, x, observed, weight, epoch_rates, config.batch
        )
        history.append(float(log_likelihood))
        if report:
            report(FitProgress(epoch + 1, config.epochs, history[-1]))
        if valid is not None:
            valid_weight = valid.to_arrays()[2]
            score = float(np.average(row_log_probs(model, valid), weights=valid_weight))
            epochs_without_gain += 1
            if score > best_score:
                best, best_score = model, score
                epochs_without_gain = 0
        if epochs_without_gain >= config.patience:
            break
        if work_time() - start_time >= config.seconds:
            break
    final = restore(best if np.isfinite(best_score) else model)
    converged = bool(np.isfinite(history[-1]))
    return FitResult(final, history, converged, work_time() - start_time)


@compiled_fully
def _run_epoch(
    key: PRNGKeyArray,
    model: AbstractStepwiseEMModel,
    carry: Any,
    x: Float[Array, "n d"],
    observed: Array,
    weight: Float[Array, "n"],
    rates: Float[Array, "steps"],
    batch: int,
) -> tuple[Any, Any, Float[Array, ""]]:
    """One pass over the rows: the model, its carry, and the mean log-likelihood in nats."""
    arrays, static = eqx.partition(model, eqx.is_array)
    n = len(x)
    total = weight.sum()
    index, not_padding = batch_indices(n, batch)
    order = jax.random.permutation(key, n)[index]

    def step(state, inputs):
        arrays, carry = state
        index, not_padding, rate = inputs
        batch_weight = jnp.where(not_padding, weight[index], 0)
        batch_observed = observed if observed.ndim == 1 else observed[index]
        model = eqx.combine(arrays, static)
        statistics, log_likelihood = model.expected_statistics(
            x[index], batch_observed, batch_weight
        )
        # A batch of weight zero changes nothing.
        has_weight = batch_weight.sum() > 0
        scale = jnp.where(has_weight, total / jnp.where(has_weight, batch_weight.sum(), 1), 0)
        statistics = jax.tree.map(lambda s: s * scale, statistics)
        new, carry = model.stepwise_update(statistics, carry, jnp.where(has_weight, rate, 0))
        return (eqx.filter(new, eqx.is_array), carry), log_likelihood

    (arrays, carry), values = jax.lax.scan(step, (arrays, carry), (order, not_padding, rates))
    return eqx.combine(arrays, static), carry, values.sum() / total
