"""The learner by gradients: AdamW on minibatches, whole epochs compiled."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core.abstract import AbstractSGDModel
from pofx.core.errors import PofxError, warn
from pofx.core.rows import Rows
from pofx.learn.batches import batches
from pofx.learn.checkpoint import fingerprint, read, write
from pofx.learn.em import FitProgress, ProgressCallback
from pofx.learn.sgd_config import DEFAULT_SGD_CONFIG, SGDConfig, checked

ADAM = optax.scale_by_adam()


class EpochLosses(NamedTuple):
    """Losses of an epoch in nats a unit of weight.

    `train` is the mean over its finite steps, NaN if there is none; `valid` is that of the
    parameters after it, NaN without rows to validate on.
    """

    train: float
    valid: float


class TrainingResult(NamedTuple):
    """A trained model, and how training went.

    `best` is the epoch, counted from one, after which the model was what is returned; `skipped`
    the number of steps whose loss or gradient was not finite. `stopped` says why training ended:
    "epochs" (all done), "settled" (patience), "seconds" or "failed" (an epoch without a finite
    step). `begun` is the validation loss of the start, NaN without rows to validate on.
    """

    model: Any
    history: list[EpochLosses]
    best: int
    skipped: int
    stopped: str
    begun: float
    seconds: float


class TrainingData(NamedTuple):
    """Rows in order; `observed` is None where all of them observe everything."""

    x: Float[Array, "n d"]
    observed: Bool[Array, "n d"] | None
    weight: Float[Array, "n"]


class TrainState(NamedTuple):
    """What an epoch changes; `average` and `best` are None where they are not asked for.

    `moving` are the model's other arrays, which may move by themselves.
    """

    parameters: Any
    moving: Any
    optimiser: Any
    taken: Int[Array, ""]
    average: Any
    best: Any

    @property
    def judged(self) -> Any:
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
    """Minimises the weighted mean loss of the rows by stochastic gradients from a start.

    Every row is met once an epoch, in an order that `key` and the epoch give; rows of weight zero
    are left out. With `valid` the parameters of least validation loss are returned, its noise the
    same after each epoch; else the last. A step with a loss or gradient that is not finite is
    skipped, and an epoch of such steps ends training with a warning.

    The whole state is written to the file `checkpoint` after an epoch, once `every` seconds have
    passed, and at the end; the same call goes on from there and returns what it would have
    returned uninterrupted, to the bit. More `seconds` may be given it.

    Raises PofxError for settings out of range, rows that do not fit, and the file of another run.

    >>> from pofx.core.rows import make_rows
    >>> class Centre(eqx.Module):
    ...     mean: Array
    ...     size = 1
    ...     def trainable_mask(self):
    ...         return Centre(True)
    ...     def moved(self, key):
    ...         return self
    ...     def loss(self, key, x, observed):
    ...         return ((x - self.mean) ** 2).sum(1)
    ...     validation_loss = loss
    >>> start, data = Centre(jnp.zeros(1)), make_rows(np.array([[1.0], [3.0]]))
    >>> end = train(jax.random.key(0), start, data, settings=SGDConfig(epochs=200, rate=0.1))
    >>> round(float(end.model.mean[0]), 3), end.stopped
    (2.0, 'epochs')
    """
    began = time.perf_counter()
    settings = checked(settings)
    learned = _data(model, rows, "rows")
    held = None if valid is None else _data(model, valid, "valid")
    parameters, rest = eqx.partition(model, model.trainable_mask())
    moving, rest = eqx.partition(rest, _moves)
    state, history, begun = _start(parameters, moving, settings, held), [], float("nan")
    shuffle, noise = jax.random.split(key)
    if held:
        judge = (rest, jax.tree.map(jnp.asarray, held), noise, jnp.asarray(np.inf), settings.batch)
        state, loss = _validate(judge, state)
        begun = float(loss)
    path, run = None if checkpoint is None else Path(checkpoint), {}
    if path:
        # More time may be given to a run: it is another run in no other respect.
        same = settings._replace(seconds=0.0)
        run = fingerprint(key=key, model=model, rows=learned, valid=held, settings=same)
        found = read(path, state, run)
        if found:
            state, record = found
            history = [EpochLosses(*losses) for losses in record["history"]]
            began -= record["seconds"]
    learned, held = jax.tree.map(jnp.asarray, (learned, held))
    numbers = jax.tree.map(jnp.asarray, settings)
    written = time.perf_counter()

    def save() -> None:
        if path:
            told = {"history": history, "seconds": time.perf_counter() - began}
            write(path, state, told, run)

    first = 0.0  # the seconds of the first epoch here, which compiles
    while not (stopped := _stopped(history, held, time.perf_counter() - began - first, settings)):
        start = time.perf_counter()
        number, least = jnp.asarray(len(history)), jnp.asarray(_best(history)[1])
        state, loss = _epoch((rest, learned, shuffle, number, settings.batch, numbers), state)
        score = float("nan")
        if held:
            state, score = _validate((rest, held, noise, least, settings.batch), state)
        history.append(EpochLosses(float(loss), float(score)))
        first = first or time.perf_counter() - start
        if time.perf_counter() - written >= every:
            save()
            written = time.perf_counter()
        if report:
            told = history[-1].valid if held else history[-1].train
            report(FitProgress(len(history), settings.epochs, -told))
    save()
    best, _ = _best(history)
    if stopped == "failed":
        _warn(f"no step of epoch {len(history)} had a finite loss and gradient")
    elif held and not best:
        _warn("the validation loss was never finite, and the last parameters are returned")
    model = eqx.combine(state.best if best else state.judged, state.moving, rest)
    skipped = len(history) * -(-len(learned.x) // settings.batch) - int(state.taken)
    seconds = time.perf_counter() - began
    return TrainingResult(model, history, best or len(history), skipped, stopped, begun, seconds)


@eqx.filter_jit(donate="all-except-first")
def _epoch(fixed: tuple, state: TrainState) -> tuple[TrainState, Array]:
    """One pass over the rows in a new order: the next state, and the mean loss met."""
    rest, data, key, number, batch, settings = fixed
    shuffle, noise = jax.random.split(jax.random.fold_in(key, number))
    index, inside = batches(len(data.x), batch)
    order = jax.random.permutation(shuffle, len(data.x))[index]
    steps = settings.epochs * float(len(index))

    def mean(parameters, moving, batch):
        total, weight = _cost("loss", eqx.combine(parameters, moving, rest), data, *batch)
        return total / weight, weight

    def step(state, batch):
        model = eqx.combine(state.parameters, state.moving, rest)
        moved = model.advance(jax.random.fold_in(batch[0], 0))
        fixed = eqx.filter(moved, model.trainable_mask(), inverse=True)
        moving = eqx.filter(fixed, _moves)
        descend = jax.value_and_grad(mean, has_aux=True)
        (loss, weight), gradient = descend(state.parameters, moving, batch)
        state = state._replace(moving=moving)
        square = sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
        # Adam keeps the square: one that overflows is as bad as an infinite gradient.
        finite = jnp.isfinite(loss) & jnp.isfinite(square)
        new = _advance(settings, steps, state, gradient, jnp.sqrt(square))
        state = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state)
        return state, jnp.where(finite, jnp.stack([loss * weight, weight]), 0)

    keys = jax.random.split(noise, len(index))
    state, met = jax.lax.scan(step, state, (keys, order, inside))
    total, weight = met.sum(0)
    return state, total / weight


def _advance(settings, steps, state, gradient, norm):
    """The state after one of `steps` steps of AdamW along this gradient of this norm."""
    clip = jnp.where(settings.clip > 0, jnp.minimum(1, settings.clip / norm), 1)
    clipped = jax.tree.map(lambda g: g * clip.astype(g.dtype), gradient)
    direction, moments = ADAM.update(clipped, state.optimiser)
    rate = _rate(settings, steps, state.taken)

    def move(p, along):
        return p - rate * (along + settings.decay * p)

    parameters = jax.tree.map(move, state.parameters, direction)
    taken, average = state.taken + 1, state.average
    if average is not None:
        # Without bias to the start, as Adam's moments (Kingma and Ba 2015).
        w = (1 - settings.average) / (1 - settings.average**taken)
        average = jax.tree.map(lambda a, p: a + w.astype(a.dtype) * (p - a), average, parameters)
    return TrainState(parameters, state.moving, moments, taken, average, state.best)


def _rate(settings, steps, taken):
    """The learning rate: a linear ramp, whose first step is above zero, then half a cosine."""
    warm = jnp.floor(settings.warmup * steps)
    cosine = (1 + jnp.cos(jnp.pi * (taken - warm) / (steps - warm))) / 2
    fall = settings.final + (1 - settings.final) * cosine
    return settings.rate * jnp.where(taken < warm, (taken + 1) / (warm + 1), fall)


@eqx.filter_jit(donate="all-except-first")
def _validate(fixed: tuple, state: TrainState) -> tuple[TrainState, Array]:
    """The mean loss of held-out rows, and the state that keeps the parameters of the least."""
    rest, data, key, least, batch = fixed
    index, inside = batches(len(data.x), batch)
    keys = jax.random.split(key, len(index))
    model = eqx.combine(state.judged, state.moving, rest)
    blocks = jax.lax.map(lambda b: _cost("risk", model, data, *b), (keys, index, inside))
    total, weight = (a.sum() for a in blocks)
    loss = total / weight
    best = jax.tree.map(lambda a, b: jnp.where(loss < least, a, b), state.judged, state.best)
    return state._replace(best=best), loss


def _cost(what, model, data, key, index, inside):
    """The weighted sum of the losses, or risks, of some rows, and the sum of their weights."""
    # A constant, so that what a model does about missing entries is not even compiled.
    complete = jnp.ones(data.x.shape[1], bool)
    observed = complete if data.observed is None else data.observed[index]
    cost = getattr(model, what)(key, data.x[index], observed)
    weight = jnp.where(inside, data.weight[index], 0)
    return jnp.where(inside, weight * cost, 0).sum(), weight.sum()


def _moves(leaf: Any) -> bool:
    """Whether a leaf that is not learned is an array of numbers, which a step may change."""
    return eqx.is_array(leaf) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _start(
    parameters: Any, moving: Any, settings: SGDConfig, held: TrainingData | None
) -> TrainState:
    def copy(tree=parameters):
        # Donated buffers are gone: none is the caller's. And a type stated is not a weak one,
        # which would change after an epoch and compile anew.
        return jax.tree.map(lambda a: jnp.array(a, a.dtype), tree)

    taken = jnp.zeros((), jnp.int32)
    average, best = copy() if settings.average else None, copy() if held else None
    return TrainState(copy(), copy(moving), ADAM.init(copy()), taken, average, best)


def _data(model: AbstractSGDModel, rows: Rows, name: str) -> TrainingData:
    """The rows that weigh something, on the host."""
    x, observed, weight = rows.to_arrays()
    if x.shape[1] != model.size:
        raise PofxError(f"{name}: expected {model.size} columns, got {x.shape[1]}")
    if not (np.isfinite(weight) & (weight >= 0)).all() or not weight.any():
        raise PofxError(f"{name}: expected finite weights of at least 0 and one above, got others")
    x, observed, weight = (a[weight > 0] for a in (x, observed, weight))
    complete = observed.all()
    return TrainingData(np.where(observed, x, 0), None if complete else observed, weight)


def _best(history: list[EpochLosses]) -> tuple[int, float]:
    """The epoch of least validation loss, counted from one, and that loss; else 0 and infinity."""
    losses = [(epoch.valid, i) for i, epoch in enumerate(history, 1) if epoch.valid < np.inf]
    least, number = min(losses, default=(float("inf"), 0))
    return number, least


def _stopped(
    history: list[EpochLosses], held: TrainingData | None, used: float, settings: SGDConfig
) -> str:
    """Why training ends here, empty where it does not."""
    if history and np.isnan(history[-1].train):
        return "failed"
    if held and 0 < settings.patience <= len(history) - _best(history)[0]:
        return "settled"
    if len(history) >= settings.epochs:
        return "epochs"
    return "seconds" if history and used >= settings.seconds else ""


def _warn(what: str) -> None:
    hint = "try a smaller rate, or check the data for extreme values"
    warn(f"{what}; {hint}")
