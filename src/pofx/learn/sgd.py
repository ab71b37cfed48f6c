"""Stochastic gradient descent: AdamW on batches of rows, with each epoch in one compiled call."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lazy_loader
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core import host_keys
from pofx.core.abstract import AbstractSGDModel
from pofx.core.compilation import (
    FULL,
    array_size,
    compiled_in_place,
    compiled_quickly,
    to_device,
)
from pofx.core.errors import PofxError, warn
from pofx.core.rows import Rows
from pofx.core.work_time import work_time
from pofx.learn.adamw import adamw_step
from pofx.learn.batches import batch_indices
from pofx.learn.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from pofx.learn.em import FitProgress, ProgressCallback
from pofx.learn.sgd_config import DEFAULT_SGD_CONFIG, SGDConfig, validated

optax: Any = lazy_loader.load("optax")

MIN_LONG_NUMBERS = 2**36
"""Rows times parameters times epochs from which a faster program is worth a longer compilation."""


class EpochLosses(NamedTuple):
    """Losses of an epoch in nats per unit of weight.

    `train` is the mean over the finite steps of the epoch, NaN if there is none. `valid` is the
    loss of validation rows after the epoch, NaN without such rows.
    """

    train: float
    valid: float


class TrainingResult(NamedTuple):
    """A trained model, and a record of training.

    `best_epoch` is the epoch, counted from one, whose parameters are returned. `skipped` is
    the number of steps whose loss or gradient was not finite. `stop_reason` says why training
    ended: "epochs" (all done), "settled" (patience), "seconds", or "failed" (an epoch without a
    finite step). `initial_loss` is the loss of validation rows before training, NaN without such
    rows.
    """

    model: Any
    history: list[EpochLosses]
    best_epoch: int
    skipped: int
    stop_reason: str
    initial_loss: float
    seconds: float


class TrainingData(NamedTuple):
    """Rows in order; `observed` is None if no entry is missing."""

    x: Float[Array, "n d"]
    observed: Bool[Array, "n d"] | None
    weight: Float[Array, "n"]


class TrainState(NamedTuple):
    """Everything that an epoch changes; `average` and `best` are None if they are not needed.

    `moving` holds arrays that are not learned but may change at each step, such as Markov chains.
    """

    parameters: Any
    moving: Any
    optimiser: Any
    steps: Int[Array, ""]
    average: Any
    best: Any

    @property
    def evaluated(self) -> Any:
        """The parameters that are validated and returned."""
        return self.parameters if self.average is None else self.average


def train(
    key: PRNGKeyArray,
    model: AbstractSGDModel,
    rows: Rows,
    *,
    valid: Rows | None = None,
    settings: SGDConfig = DEFAULT_SGD_CONFIG,
    report: ProgressCallback | None = None,
    checkpoint: str | Path | None = None,
    every: float = 30.0,
) -> TrainingResult:
    """Minimise the weighted mean loss of rows by stochastic gradient descent.

    Each epoch passes once over all rows of positive weight, in an order that depends on `key` and
    the epoch. A step whose loss or gradient is not finite is skipped. An epoch without a finite
    step ends training with a warning.

    Args:
        key: seed of the order of rows and of the noise in the loss.
        model: the start.
        rows: rows to learn from.
        valid: validation rows. The parameters with the least validation loss are returned, else
            the last ones. The noise in the validation loss is the same after each epoch.
        settings: the settings of the optimiser.
        report: called after each epoch.
        checkpoint: a file that keeps the whole state. The same call resumes from it, and returns
            bit for bit the result of an uninterrupted run. The resumed call may set other
            `seconds`.
        every: seconds between two writes of the checkpoint, which is also written at the end.

    Raises:
        PofxError: settings out of range, rows that do not fit the model, or the checkpoint of
            another run.

    >>> from pofx.core.rows import make_rows
    >>> class Centre(eqx.Module):
    ...     mean: Array
    ...     size = 1
    ...     def trainable_mask(self):
    ...         return Centre(True)
    ...     def advance(self, key):
    ...         return self
    ...     def loss(self, key, x, observed):
    ...         return ((x - self.mean) ** 2).sum(1)
    ...     validation_loss = loss
    >>> start, data = Centre(jnp.zeros(1)), make_rows(np.array([[1.0], [3.0]]))
    >>> end = train(jax.random.key(0), start, data, settings=SGDConfig(epochs=200, rate=0.1))
    >>> round(float(end.model.mean[0]), 3), end.stop_reason
    (2.0, 'epochs')
    """
    start_time = work_time()
    settings = validated(settings)
    data = _training_data(model, rows, "rows")
    held_out = None if valid is None else _training_data(model, valid, "valid")
    parameters, constants = eqx.partition(model, model.trainable_mask())
    moving, constants = eqx.partition(constants, _is_moving_array)
    state = _init_state(parameters, moving, bool(settings.average), held_out is not None)
    history: list[EpochLosses] = []
    initial_loss = float("nan")
    shuffle_key, valid_key = host_keys.split(key)
    if held_out:
        valid_data = jax.tree.map(to_device, held_out)
        inputs = (constants, valid_data, valid_key, to_device(np.inf), settings.batch)
        state, loss = _validate(inputs, state)
        initial_loss = float(loss)
    path = None if checkpoint is None else Path(checkpoint)
    run: dict[str, str] = {}
    if path:
        # A run with another time limit counts as the same run.
        timeless = settings._replace(seconds=0.0)
        run = fingerprint(key=key, model=model, rows=data, valid=held_out, settings=timeless)
        stored = read_checkpoint(path, state, run)
        if stored:
            state, record = stored
            history = [EpochLosses(*losses) for losses in record["history"]]
            start_time -= record["seconds"]
    data, held_out = jax.tree.map(to_device, (data, held_out))
    setting_arrays = jax.tree.map(jax.device_put, settings)
    write_time = time.perf_counter()

    def save() -> None:
        if path:
            record = {"history": history, "seconds": work_time() - start_time}
            write_checkpoint(path, state, record, run)

    # Each row passes through each parameter once per epoch.
    is_long = len(data.x) * array_size(parameters) * settings.epochs >= MIN_LONG_NUMBERS
    while True:
        stop_reason = _stop_reason(history, held_out, work_time() - start_time, settings)
        if stop_reason:
            break
        epoch = to_device(len(history))
        min_loss = to_device(_best_epoch(history)[1])
        inputs = (constants, data, shuffle_key, epoch, settings.batch, setting_arrays)
        state, loss = (_run_long_epoch if is_long else _run_epoch)(inputs, state)
        valid_loss = float("nan")
        if held_out:
            inputs = (constants, held_out, valid_key, min_loss, settings.batch)
            state, valid_loss = _validate(inputs, state)
        history.append(EpochLosses(float(loss), float(valid_loss)))
        if time.perf_counter() - write_time >= every:
            save()
            write_time = time.perf_counter()
        if report:
            reported_loss = history[-1].valid if held_out else history[-1].train
            report(FitProgress(len(history), settings.epochs, -reported_loss))
    save()
    best_epoch, _ = _best_epoch(history)
    if stop_reason == "failed":
        _warn(f"no step of epoch {len(history)} had a finite loss and gradient")
    elif held_out and not best_epoch:
        _warn("the validation loss was never finite, and the last parameters are returned")
    final = state.best if best_epoch else state.evaluated
    model = eqx.combine(final, state.moving, constants)
    skipped = len(history) * -(-len(data.x) // settings.batch) - int(state.steps)
    best_epoch = best_epoch or len(history)
    seconds = work_time() - start_time
    return TrainingResult(model, history, best_epoch, skipped, stop_reason, initial_loss, seconds)


def _pass_over_rows(inputs: tuple, state: TrainState) -> tuple[TrainState, Array]:
    """One pass over the rows in a new order: the next state, and the mean loss of its batches."""
    constants, data, key, epoch, batch, settings = inputs
    order_key, noise_key = jax.random.split(jax.random.fold_in(key, epoch))
    index, not_padding = batch_indices(len(data.x), batch)
    order = jax.random.permutation(order_key, len(data.x))[index]
    total_steps = settings.epochs * float(len(index))

    def mean_loss(parameters, moving, batch):
        model = eqx.combine(parameters, moving, constants)
        total, weight = _weighted_loss("loss", model, data, *batch)
        return total / weight, weight

    def step(state, batch):
        model = eqx.combine(state.parameters, state.moving, constants)
        advanced = model.advance(jax.random.fold_in(batch[0], 0))
        not_learned = eqx.filter(advanced, model.trainable_mask(), inverse=True)
        moving = eqx.filter(not_learned, _is_moving_array)
        value_and_grad = jax.value_and_grad(mean_loss, has_aux=True)
        (loss, weight), gradient = value_and_grad(state.parameters, moving, batch)
        state = state._replace(moving=moving)
        square = sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
        # Adam keeps the square, so a square that overflows is as bad as an infinite gradient.
        finite = jnp.isfinite(loss) & jnp.isfinite(square)
        new = adamw_step(settings, total_steps, state, gradient, jnp.sqrt(square))
        state = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state)
        return state, jnp.where(finite, jnp.stack([loss * weight, weight]), 0)

    keys = jax.random.split(noise_key, len(index))
    state, sums = jax.lax.scan(step, state, (keys, order, not_padding))
    total, weight = sums.sum(0)
    return state, total / weight


_run_epoch = compiled_in_place(_pass_over_rows)
_run_long_epoch = compiled_in_place(_pass_over_rows, FULL)


@compiled_in_place
def _validate(inputs: tuple, state: TrainState) -> tuple[TrainState, Array]:
    """The mean loss of validation rows, and the state, which keeps the best parameters."""
    constants, data, key, min_loss, batch = inputs
    index, not_padding = batch_indices(len(data.x), batch)
    keys = jax.random.split(key, len(index))
    model = eqx.combine(state.evaluated, state.moving, constants)

    def batch_loss(batch):
        return _weighted_loss("validation_loss", model, data, *batch)

    sums = jax.lax.map(batch_loss, (keys, index, not_padding))
    total, weight = (a.sum() for a in sums)
    loss = total / weight
    best = jax.tree.map(lambda a, b: jnp.where(loss < min_loss, a, b), state.evaluated, state.best)
    return state._replace(best=best), loss


def _weighted_loss(method, model, data, key, index, not_padding):
    """Weighted sum of `model.loss` or `model.validation_loss` of a batch, and sum of weights."""
    # A constant, so that the code for missing entries is not even compiled.
    complete = jnp.ones(data.x.shape[1], bool)
    observed = complete if data.observed is None else data.observed[index]
    losses = getattr(model, method)(key, data.x[index], observed)
    weight = jnp.where(not_padding, data.weight[index], 0)
    return jnp.where(not_padding, weight * losses, 0).sum(), weight.sum()


def _is_moving_array(leaf: Any) -> bool:
    """Whether a leaf that is not learned is an array of numbers, which a step may change."""
    return eqx.is_array(leaf) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


@compiled_quickly
def _init_state(parameters: Any, moving: Any, averages: bool, keeps_best: bool) -> TrainState:
    def copy(tree=parameters):
        # Donated buffers are lost, so none may be the caller's. A stated type is not a weak type,
        # which would change after an epoch and compile anew.
        return jax.tree.map(lambda a: jnp.array(a, a.dtype), tree)

    steps = jnp.zeros((), jnp.int32)
    average = copy() if averages else None
    best = copy() if keeps_best else None
    moments = optax.scale_by_adam().init(copy())
    return TrainState(copy(), copy(moving), moments, steps, average, best)


def _training_data(model: AbstractSGDModel, rows: Rows, name: str) -> TrainingData:
    """The rows of positive weight, on the host."""
    x, observed, weight = rows.to_arrays()
    if x.shape[1] != model.size:
        raise PofxError(f"{name}: expected {model.size} columns, got {x.shape[1]}")
    if not (np.isfinite(weight) & (weight >= 0)).all() or not weight.any():
        raise PofxError(f"{name}: expected finite weights of at least 0 and one above, got others")
    x, observed, weight = (a[weight > 0] for a in (x, observed, weight))
    complete = observed.all()
    return TrainingData(np.where(observed, x, 0), None if complete else observed, weight)


def _best_epoch(history: list[EpochLosses]) -> tuple[int, float]:
    """The epoch of least validation loss, counted from one, and that loss; else 0 and infinity."""
    losses = [(epoch.valid, i) for i, epoch in enumerate(history, 1) if epoch.valid < np.inf]
    min_loss, epoch = min(losses, default=(float("inf"), 0))
    return epoch, min_loss


def _stop_reason(
    history: list[EpochLosses], held_out: TrainingData | None, seconds: float, settings: SGDConfig
) -> str:
    """Why training ends here; empty if it goes on."""
    if history and np.isnan(history[-1].train):
        return "failed"
    if held_out and 0 < settings.patience <= len(history) - _best_epoch(history)[0]:
        return "settled"
    if len(history) >= settings.epochs:
        return "epochs"
    return "seconds" if history and seconds >= settings.seconds else ""


def _warn(problem: str) -> None:
    warn(f"{problem}; try a smaller rate, or check the data for extreme values")
