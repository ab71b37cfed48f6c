"""The probability of an event, in which each of several entries lies in a set, and draws of it.

P(x_B in S_B) is a sum over the cells of the event, one cell for each choice of a level or an
interval of every entry. A cell is closed if the model has a rule for boxes, or if only one entry is
continuous and its conditional distribution is known. Else the probability is the mean weight of
draws that enter the event one entry after another (GHK),

    P(x_B in S_B) = E[Π_i P(x_i in S_i | x_1..x_i-1)],   x_i drawn from within S_i,

which is unbiased, and whose relative error does not grow for rare events (Geweke 1991,
Hajivassiliou and McFadden 1998, Keane 1994).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms, float_width, host_keys
from pofx.core.abstract import AbstractQueryable, Mask, Row
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.compilation import compiled, compiled_quickly, to_device
from pofx.core.errors import PofxError
from pofx.core.log_ratios import log_joint
from pofx.queries.enumeration import MAX_ENUMERATED_LEVELS, enumerate_levels, log_probs
from pofx.queries.monte_carlo import MAX_DRAWS, log_monte_carlo
from pofx.queries.row_conditionals import conditional_mixture, has_closed_conditional

MAX_EVENT_CELLS = 1024
"""Largest number of joint levels that are enumerated instead of drawn."""
MAX_BOXED_COLUMNS = 64
"""Most numbers of which the box is computed for an event of a few of them."""

Intervals: TypeAlias = tuple[tuple[float, float], ...]
"""Disjoint intervals (low, high] in the units of an entry; a level c is (c - 1/2, c + 1/2]."""
Event: TypeAlias = Mapping[int, Intervals]
"""The set in which each entry lies, by the number of the entry."""


class WeightedRows(NamedTuple):
    """Draws x of p(x_B | x_B in S_B) with weights that sum to one; `observed` is the mask of B."""

    x: Float[Array, "n d"]
    observed: Mask
    weights: Float[np.ndarray, "n"]


def log_probability(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    event: Event,
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
) -> Answer:
    """log P(x_B in S_B) with other entries integrated out: exact if closed, else an estimate.

    Args:
        key: seed of the draws.
        model: the model.
        columns: the columns of the model.
        event: the event.
        stderr: standard error to reach, relative to the probability, as is that of the answer.
        max_draws: largest number of draws.
    """
    log_prob = log_closed_probabilities(model, columns, [event])
    if log_prob is not None:
        return Answer(min(float(log_prob[0]), 0.0), method=_method(columns, event))
    draw = _event_draw(model, columns, event)
    return log_monte_carlo(key, _LogWeight(draw), stderr=stderr, max_draws=max_draws)


def log_closed_probabilities(
    model: AbstractQueryable, columns: Sequence[Column], events: Sequence[Event]
) -> Float[np.ndarray, "e"] | None:
    """log P of each of several events of the same entries; None if they are not closed.

    They are computed in float64 on every machine: float32 would round the ends of an interval, of
    which the probability of a narrow one is a difference.
    """
    with float_width.float64(True):
        return _log_closed_probabilities(float_width.widened(model), columns, events)


def _log_closed_probabilities(
    model: AbstractQueryable, columns: Sequence[Column], events: Sequence[Event]
) -> Float[np.ndarray, "e"] | None:
    place = sorted(events[0])
    levels = [j for j in place if columns[j].discrete]
    numbers = tuple(j for j in place if not columns[j].discrete)
    count = sum(math.prod(len(event[j]) for j in place) for event in events)
    boxed = _boxed_columns(model, columns, numbers) if count <= MAX_ENUMERATED_LEVELS else None
    if boxed is None:
        return None
    cells = [[*product(*(event[j] for j in levels + list(numbers)))] for event in events]
    ends = np.array([c for event_cells in cells for c in event_cells], np.float64)
    ends = ends.reshape(count, len(place), 2)
    # Padded to 4, 16, 64, ... cells, because each number of cells is compiled.
    padding = 4 ** max(1, -(-(count - 1).bit_length() // 2)) - count
    ends = np.pad(ends, ((0, padding), (0, 0), (0, 0)), "edge")
    x = np.zeros((len(ends), len(columns)))
    x[:, levels] = ends[:, : len(levels)].mean(2)
    observed = np.isin(np.arange(len(columns)), levels)
    low, high = np.multiply.outer([-np.inf, np.inf], np.ones((len(ends), len(boxed))))
    index = np.searchsorted(boxed, numbers)
    low[:, index], high[:, index] = np.moveaxis(ends[:, len(levels) :], 2, 0)
    log_prob = _log_prob_boxes(model, x, observed, boxed, low, high)
    owner = np.repeat(np.arange(len(events)), [len(event_cells) for event_cells in cells])
    total = np.full(len(events), -math.inf)
    np.logaddexp.at(total, owner, np.asarray(log_prob, np.float64)[:count])
    return total


def draw_event(
    key: PRNGKeyArray, model: AbstractQueryable, columns: Sequence[Column], event: Event, n: int
) -> WeightedRows:
    """n weighted draws of the entries of an event, given the event.

    Raises:
        PofxError: no draw satisfied the event.
    """
    draw = _event_draw(model, columns, event)
    x, log_weights = _map_draws(draw, key, n)
    log_weights = np.asarray(log_weights, np.float64)
    if not log_weights.max() > -math.inf:
        raise PofxError(
            f"none of {n} draws satisfied the evidence, which is too rare to be answered by draws"
        )
    weights = np.exp(log_weights - log_weights.max())
    observed = _event_mask(columns, event) | isinstance(draw, _RejectionDraw)
    return WeightedRows(x, to_device(observed), weights / weights.sum())


def enumerate_event(
    model: AbstractQueryable, columns: Sequence[Column], event: Event
) -> WeightedRows | None:
    """All joint levels in an event, weighted by their probabilities given the event.

    Returns None if an entry of the event is not discrete, or if there are more than
    MAX_EVENT_CELLS joint levels.

    Raises:
        PofxError: the event has probability zero.
    """
    mask = _event_mask(columns, event)
    x = enumerate_levels(columns, mask, MAX_EVENT_CELLS)
    if x is None:
        return None
    in_event = np.ones(len(x), bool)
    for j, intervals in event.items():
        in_event &= np.any([(x[:, j] > low) & (x[:, j] <= high) for low, high in intervals], 0)
    log_weights = log_probs(model, x, mask)[in_event]
    if not log_weights.max(initial=-math.inf) > -math.inf:
        raise PofxError("the evidence has probability zero")
    weights = np.exp(log_weights - log_weights.max())
    return WeightedRows(to_device(x[in_event]), to_device(mask), weights / weights.sum())


def draw_rows_given_event(
    key: PRNGKeyArray, model: AbstractQueryable, columns: Sequence[Column], event: Event, n: int
) -> WeightedRows:
    """n weighted draws of all entries, given the event."""
    event_key, completion_key = host_keys.split(key)
    rows = draw_event(event_key, model, columns, event, n)
    x = _complete(model, completion_key, rows.x, rows.observed)
    return rows._replace(x=x, observed=jnp.ones_like(rows.observed))


def _method(columns: Sequence[Column], event: Event) -> str:
    return "by enumeration" if all(columns[j].discrete for j in event) else "closed form"


def _boxed_columns(
    model: AbstractQueryable, columns: Sequence[Column], numbers: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The columns of a closed box that has intervals of those numbers; None if none is closed.

    It is the box of all numbers where that is closed, so that the columns of an event are data.
    """
    every = tuple(j for j, column in enumerate(columns) if not column.discrete)
    if not numbers:
        return ()
    if len(every) <= MAX_BOXED_COLUMNS and _has_closed_box(model, every):
        return every
    [first, *others] = numbers
    has_one = not others and has_closed_conditional(model, columns[first], first)
    return numbers if has_one or _has_closed_box(model, numbers) else None


def _has_closed_box(model: AbstractQueryable, numbers: tuple[int, ...]) -> bool:
    x = np.zeros(model.size)
    return _has_boxes(model, x, x > 0, numbers, np.zeros(len(numbers)))


@compiled_quickly
def _has_boxes(model, x, observed, numbers, ends) -> bool:
    # Some rules return None only when they are called.
    rule = closed_forms.log_prob_box.find(model)
    return bool(rule) and rule(model, x, observed, numbers, ends, ends) is not None


@compiled_quickly
def _log_prob_boxes(model, x, observed, numbers, low, high):
    rule = closed_forms.log_prob_box.find(model) if numbers else None

    def one(x, low, high):
        log_prob_box = rule(model, x, observed, numbers, low, high) if rule else None
        if log_prob_box is not None:
            return log_prob_box
        log_prob = model.log_prob(x, observed)
        if not numbers:
            return log_prob
        mixture = conditional_mixture(model, x, observed, numbers[0])
        assert mixture is not None
        return log_prob + jax.nn.logsumexp(mixture.log_between(low[0], high[0]))

    return jax.lax.map(lambda cell: one(*cell), (x, low, high), batch_size=1024)


def _log_prob_or_zero(model: AbstractQueryable, columns: Sequence[Column], event: Event) -> float:
    """log P of an event of one column; 0 if it is not closed."""
    log_prob = log_closed_probabilities(model, columns, [event])
    return 0.0 if log_prob is None else float(log_prob[0])


def _event_draw(
    model: AbstractQueryable, columns: Sequence[Column], event: Event
) -> "_GHKDraw | _RejectionDraw":
    """A function that makes one weighted draw from within the event."""
    place = sorted(event, key=lambda j: (not columns[j].discrete, j))
    numbers = [j for j in place if not columns[j].discrete]
    if len(numbers) > 1 and all(has_closed_conditional(model, columns[j], j) for j in numbers):
        # The rarest set first, because a draw from within it makes the others more probable.
        rarity = {j: _log_prob_or_zero(model, columns, {j: event[j]}) for j in numbers}
        place[len(place) - len(numbers) :] = sorted(numbers, key=rarity.__getitem__)
    max_intervals = max((len(event[j]) for j in place), default=0)
    # Sets of fewer intervals are padded with empty ones.
    ends = np.full((len(place), max_intervals, 2), np.inf)
    for i, j in enumerate(place):
        ends[i, : len(event[j])] = event[j]
    low, high = map(to_device, np.moveaxis(ends, 2, 0))
    can_walk = all(
        columns[j].discrete or has_closed_conditional(model, columns[j], j) for j in place
    )
    draw_class = _GHKDraw if can_walk else _RejectionDraw
    return draw_class(model, tuple(columns), tuple(place), low, high)


def _event_mask(columns: Sequence[Column], event: Event) -> np.ndarray:
    return np.isin(np.arange(len(columns)), sorted(event))


class _GHKDraw(eqx.Module):
    """One draw of the entries of the event, each from within its set, and its log-weight."""

    model: AbstractQueryable
    columns: tuple[Column, ...] = eqx.field(static=True)
    place: tuple[int, ...] = eqx.field(static=True)
    low: Float[Array, "b i"]
    high: Float[Array, "b i"]

    def __call__(self, key: PRNGKeyArray) -> tuple[Row, Float[Array, ""]]:
        x = jnp.zeros(self.model.size)
        log_weight = jnp.zeros(())
        observed = jnp.zeros(self.model.size, bool)
        keys = jax.random.split(key, len(self.place))
        for j, key, low, high in zip(self.place, keys, self.low, self.high):
            draw = self._draw_level if self.columns[j].discrete else self._draw_number
            value, log_mass = draw(key, x, observed, j, low, high)
            log_weight += log_mass
            x = x.at[j].set(value)
            observed = observed.at[j].set(True)
        return x, log_weight

    def _draw_level(self, key, x, observed, j, low, high):
        levels = jnp.arange(self.columns[j].levels, dtype=x.dtype)
        with_level = observed.at[j].set(True)

        def joint(level):
            return log_joint(self.model, x.at[j].set(level), with_level, observed)

        log_joints = jax.vmap(joint)(levels)
        in_set = ((levels[:, None] > low) & (levels[:, None] <= high)).any(1)
        allowed = jnp.where(in_set, jax.nn.log_softmax(log_joints), -jnp.inf)
        return jax.random.categorical(key, allowed), jax.nn.logsumexp(allowed)

    def _draw_number(self, key, x, observed, j, low, high):
        mixture = conditional_mixture(self.model, x, observed, j)
        assert mixture is not None
        value, log_mass = mixture.sample_truncated(key, low, high)
        return _clip_to_set(value, low, high, self.columns[j].kind == "count"), log_mass


def _clip_to_set(x, low, high, is_count: bool):
    """Correct a draw whose probability was rounded to 0 or 1, and a count that is not whole."""
    x = jnp.where(x == jnp.inf, jnp.where(low < jnp.inf, low, -jnp.inf).max(), x)
    x = jnp.where(x == -jnp.inf, jnp.where(low < jnp.inf, high, jnp.inf).min(), x)
    up = jnp.ceil(x)
    integer = jnp.where(((up > low) & (up <= high)).any(), up, jnp.floor(x))
    return integer if is_count else x


class _RejectionDraw(eqx.Module):
    """A draw of all entries, with weight one within the event and zero outside.

    For a model whose conditional distributions have no closed form.
    """

    model: AbstractQueryable
    columns: tuple[Column, ...] = eqx.field(static=True)
    place: tuple[int, ...] = eqx.field(static=True)
    low: Float[Array, "b i"]
    high: Float[Array, "b i"]

    def __call__(self, key: PRNGKeyArray) -> tuple[Row, Float[Array, ""]]:
        x = self.model.sample(key)
        values = x[np.array(self.place)][:, None]
        in_event = ((values > self.low) & (values <= self.high)).any(1).all()
        return x, jnp.where(in_event, 0.0, -jnp.inf)


class _LogWeight(eqx.Module):
    draw: Callable[[PRNGKeyArray], tuple[Row, Float[Array, ""]]]

    def __call__(self, key: PRNGKeyArray) -> Float[Array, ""]:
        return self.draw(key)[1]


@compiled
def _map_draws(draw, key, n):
    return jax.lax.map(draw, jax.random.split(key, n), batch_size=256)


@compiled
def _complete(model, key, x, observed):
    def one(pair):
        key, row = pair
        return model.sample(key, row, observed)

    return jax.lax.map(one, (jax.random.split(key, len(x)), x), batch_size=256)
