"""The learner by gradients: AdamW on minibatches, whole epochs compiled."""

import time
import warnings
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core.distribution import Trained
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.rows import Rows
from pofx.learn import checkpoint as file
from pofx.learn.em import Progress, Report


class Settings(NamedTuple):
    """How to descend; the first eight settings are compiled in, and new ones compile anew."""

    batch: int = 128
    """Rows of a step, at most: an epoch is cut into equal batches."""
    epochs: int = 40
    """Passes over the rows, at most."""
    rate: float = 1e-3
    """The learning rate at its peak."""
    warmup: float = 0.05
    """The share of all steps in which the rate grows linearly; then it falls as a cosine."""
    final: float = 0.01
    """The last rate, as a share of the peak."""
    clip: float = 1.0
    """The largest global norm of a gradient; 0 for none."""
    decay: float = 0.0
    """AdamW's weight decay (Loshchilov and Hutter 2019)."""
    average: float = 0.0
    """The decay per step of an exponential moving average of the parameters; 0 for none.

    Where there is one, it is what is validated and returned.
    """
    patience: int = 0
    """Epochs without a better validation loss before stopping; 0 for never."""
    seconds: float = float("inf")
    """Wall time after which no epoch begins; a result that it cut short depends on the machine."""


STANDARD = Settings()
RANGES = {
    "batch": ("an integer of at least 1", lambda v: v >= 1),
    "epochs": ("an integer of at least 1", lambda v: v >= 1),
    "rate": ("a finite number above 0", lambda v: 0 < v < np.inf),
    "warmup": ("a share from 0 to below 1", lambda v: 0 <= v < 1),
    "final": ("a share from 0 to 1", lambda v: 0 <= v <= 1),
    "clip": ("a finite number of at least 0", lambda v: 0 <= v < np.inf),
    "decay": ("a finite number of at least 0", lambda v: 0 <= v < np.inf),
    "average": ("a share from 0 to below 1", lambda v: 0 <= v < 1),
    "patience": ("an integer of at least 0", lambda v: v >= 0),
    "seconds": ("a number above 0", lambda v: v > 0),
}


class Epoch(NamedTuple):
    """Losses of an epoch in nats a unit of weight.

    `train` is the mean over its finite steps, NaN if there is none; `valid` is that of the
    parameters after it, NaN without rows to validate on.
    """

    train: float
    valid: float


class Training(NamedTuple):
    """A trained model, and how training went.

    `best` is the epoch, counted from one, after which the model was what is returned; `skipped`
    the number of steps whose loss or gradient was not finite. `stopped` says why training ended:
    "epochs" (all done), "settled" (patience), "seconds" or "failed" (an epoch without a finite
    step).
    """

    model: Any
    history: list[Epoch]
    best: int
    skipped: int
    stopped: str
    seconds: float


class Data(NamedTuple):
    """Rows in order; `observed` is (d,) where all of them observe everything."""

    x: Float[Array, "n d"]
    observed: Bool[Array, "d"] | Bool[Array, "n d"]
    weight: Float[Array, "n"]


class State(NamedTuple):
    """What an epoch changes; `average` and `best` are None where they are not asked for."""

    parameters: Any
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
    model: Trained,
    rows: Rows,
    *,
    valid: Rows | None = None,
    settings: Settings = STANDARD,
    report: Report | None = None,
    checkpoint: str | Path | None = None,
    every: float = 30.0,
) -> Training:
    """Minimises the weighted mean loss of the rows by stochastic gradients from a start.

    Every row is met once an epoch, in an order that `key` and the epoch give; rows of weight zero
    are left out. With `valid` the parameters of least validation loss are returned, its noise the
    same after each epoch; else the last. A step with a loss or gradient that is not finite is
    skipped, and an epoch of such steps ends training with a warning.

    The whole state is written to the file `checkpoint` after an epoch, once `every` seconds have
    passed, and at the end; the same call goes on from there and returns what it would have
    returned uninterrupted, to the bit. More `seconds` may be given it.

    Raises PofxError for settings out of range, rows that do not fit, and the file of another run.

    >>> from pofx.core.rows import rows
    >>> class Centre(eqx.Module):
    ...     mean: Array
    ...     size = 1
    ...     def loss(self, key, x, observed):
    ...         return ((x - self.mean) ** 2).sum(1)
    >>> start, data = Centre(jnp.zeros(1)), rows(np.array([[1.0], [3.0]]))
    >>> end = train(jax.random.key(0), start, data, settings=Settings(epochs=200, rate=0.1))
    >>> round(float(end.model.mean[0]), 3), end.stopped
    (2.0, 'epochs')
    """
    began = time.perf_counter()
    settings = _checked(settings)
    learned = _data(model, rows, "rows")
    held = None if valid is None else _data(model, valid, "valid")
    parameters, rest = eqx.partition(model, eqx.is_inexact_array)
    state, history = _start(parameters, settings, held), []
    path, run = None if checkpoint is None else Path(checkpoint), {}
    if path:
        # More time may be given to a run: it is another run in no other respect.
        same = settings._replace(seconds=0.0)
        run = file.fingerprint(key=key, model=model, rows=learned, valid=held, settings=same)
        found = file.read(path, state, run)
        if found:
            state, record = found
            history = [Epoch(*losses) for losses in record["history"]]
            began -= record["seconds"]
    learned, held = jax.tree.map(jnp.asarray, (learned, held))
    shuffle, noise = jax.random.split(key)
    compiled = settings._replace(patience=0, seconds=0.0)
    written = time.perf_counter()
    while not (stopped := _stopped(history, held, time.perf_counter() - began, settings)):
        number, least = jnp.asarray(len(history)), jnp.asarray(_best(history)[1])
        state, loss = _epoch((rest, learned, shuffle, number, compiled), state)
        score = float("nan")
        if held:
            state, score = _validate((rest, held, noise, least, compiled), state)
        history.append(Epoch(float(loss), float(score)))
        if path and time.perf_counter() - written >= every:
            _write(path, state, history, began, run)
            written = time.perf_counter()
        if report:
            told = history[-1].valid if held else history[-1].train
            report(Progress(len(history), settings.epochs, -told))
    if path:
        _write(path, state, history, began, run)
    best, _ = _best(history)
    if stopped == "failed":
        _warn(f"no step of epoch {len(history)} had a finite loss and gradient")
    elif held and not best:
        _warn("the validation loss was never finite, and the last parameters are returned")
    model = eqx.combine(state.best if best else state.judged, rest)
    skipped = len(history) * -(-len(learned.x) // settings.batch) - int(state.taken)
    seconds = time.perf_counter() - began
    return Training(model, history, best or len(history), skipped, stopped, seconds)


@eqx.filter_jit(donate="all-except-first")
def _epoch(fixed: tuple, state: State) -> tuple[State, Array]:
    """One pass over the rows in a new order: the next state, and the mean loss met."""
    rest, data, key, number, settings = fixed
    shuffle, noise = jax.random.split(jax.random.fold_in(key, number))
    index, inside = _batches(len(data.x), settings.batch)
    order = jax.random.permutation(shuffle, len(data.x))[index]
    optimiser = _optimiser(settings, settings.epochs * len(index))

    def mean(parameters, batch):
        total, weight = _loss(parameters, rest, data, *batch)
        return total / weight, weight

    def step(state, batch):
        (loss, weight), gradient = jax.value_and_grad(mean, has_aux=True)(state.parameters, batch)
        # Adam keeps the square: one that overflows is as bad as an infinite gradient.
        square = sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
        finite = jnp.isfinite(loss) & jnp.isfinite(square)
        new = _advance(optimiser, settings, state, gradient)
        state = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state)
        return state, jnp.where(finite, jnp.stack([loss * weight, weight]), 0)

    keys = jax.random.split(noise, len(index))
    state, met = jax.lax.scan(step, state, (keys, order, inside))
    total, weight = met.sum(0)
    return state, total / weight


def _advance(optimiser, settings, state, gradient):
    """The state after a step along this gradient."""
    updates, moments = optimiser.update(gradient, state.optimiser, state.parameters)
    if settings.decay:
        # What stop_gradient holds must not decay either.
        updates = jax.tree.map(lambda u, g: u * jnp.any(g != 0), updates, gradient)
    parameters, average = optax.apply_updates(state.parameters, updates), state.average
    taken = state.taken + 1
    if settings.average:
        # Without bias to the start, as Adam's moments (Kingma and Ba 2015).
        share = (1 - settings.average) / (1 - settings.average**taken)
        average = jax.tree.map(
            lambda a, p: a + share.astype(a.dtype) * (p - a), average, parameters
        )
    return State(parameters, moments, taken, average, state.best)


@eqx.filter_jit(donate="all-except-first")
def _validate(fixed: tuple, state: State) -> tuple[State, Array]:
    """The mean loss of held-out rows, and the state that keeps the parameters of the least."""
    rest, data, key, least, settings = fixed
    index, inside = _batches(len(data.x), settings.batch)
    keys = jax.random.split(key, len(index))
    blocks = jax.lax.map(lambda b: _loss(state.judged, rest, data, *b), (keys, index, inside))
    total, weight = (a.sum() for a in blocks)
    loss = total / weight
    best = jax.tree.map(lambda a, b: jnp.where(loss < least, a, b), state.judged, state.best)
    return state._replace(best=best), loss


def _loss(parameters, rest, data, key, index, inside):
    """The weighted sum of the losses of some rows, and the sum of their weights."""
    observed = data.observed if data.observed.ndim == 1 else data.observed[index]
    loss = eqx.combine(parameters, rest).loss(key, data.x[index], observed)
    weight = jnp.where(inside, data.weight[index], 0)
    return jnp.where(inside, weight * loss, 0).sum(), weight.sum()


def _batches(n: int, most: int) -> tuple[Int[Array, "m c"], Bool[Array, "m c"]]:
    """Numbers of n rows in m equal batches of at most `most`, and which of them are no padding.

    The padding repeats the last row, so that it is not finite only where its batch is not.
    """
    count = -(-n // most)
    index = jnp.arange(count * -(-n // count)).reshape(count, -1)
    return jnp.minimum(index, n - 1), index < n


def _optimiser(settings: Settings, steps: int) -> optax.GradientTransformation:
    warm = int(settings.warmup * steps)
    # The first step already moves: the ramp begins one step above zero.
    rate = optax.warmup_cosine_decay_schedule(
        settings.rate / (warm + 1), settings.rate, warm, steps, settings.final * settings.rate
    )
    clip = optax.clip_by_global_norm(settings.clip) if settings.clip else optax.identity()
    return optax.chain(clip, optax.adamw(rate, weight_decay=settings.decay))


def _start(parameters: Any, settings: Settings, held: Data | None) -> State:
    def copy():
        # Donated buffers are gone: none is the caller's. And a type stated is not a weak one,
        # which would change after an epoch and compile anew.
        return jax.tree.map(lambda a: jnp.array(a, a.dtype), parameters)

    moments = _optimiser(settings, 1).init(copy())
    average = copy() if settings.average else None
    return State(copy(), moments, jnp.zeros((), jnp.int32), average, copy() if held else None)


def _write(path: Path, state: State, history: list[Epoch], began: float, run: dict) -> None:
    record = {"history": history, "seconds": time.perf_counter() - began}
    file.write(path, state, record, run)


def _data(model: Trained, rows: Rows, name: str) -> Data:
    """The rows that weigh something, on the host."""
    x, observed, weight = rows.flat()
    if x.shape[1] != model.size:
        raise PofxError(f"{name}: wanted {model.size} columns, got {x.shape[1]}")
    if not (np.isfinite(weight) & (weight >= 0)).all() or not weight.any():
        raise PofxError(f"{name}: wanted finite weights of at least 0 and one above, got others")
    x, observed, weight = (a[weight > 0] for a in (x, observed, weight))
    complete = observed.all()
    return Data(np.where(observed, x, 0), observed[0] if complete else observed, weight)


def _best(history: list[Epoch]) -> tuple[int, float]:
    """The epoch of least validation loss, counted from one, and that loss; else 0 and infinity."""
    losses = [(epoch.valid, i) for i, epoch in enumerate(history, 1) if epoch.valid < np.inf]
    least, number = min(losses, default=(float("inf"), 0))
    return number, least


def _stopped(history: list[Epoch], held: Data | None, used: float, settings: Settings) -> str:
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
    warnings.warn(f"{what}; {hint}", PofxWarning, stacklevel=3)


def _checked(settings: Settings) -> Settings:
    """The settings as plain numbers; PofxError for the first that is out of range."""
    plain: dict[str, Any] = {}
    for name, value in settings._asdict().items():
        kind = type(getattr(STANDARD, name))
        wanted, holds = RANGES[name]
        if not issubclass(type(value), Integral if kind is int else Real) or not holds(value):
            raise PofxError(f"{name}: wanted {wanted}, got {value!r}")
        plain[name] = kind(value)
    return Settings(**plain)
