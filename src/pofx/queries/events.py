"""The probability of an event: each of some entries lies in a set of its own.

P(x_B in S_B) is a sum over the cells of the event, one for each choice of a level or an interval of
every entry. A cell is closed where the model has a rule for boxes, or where one continuous entry is
left whose distribution is known. Else it is the mean weight of draws that walk into the event,

    P(x_B in S_B) = E[Π_i P(x_i in S_i | x_1..x_i-1)],   x_i drawn from within S_i,

which is unbiased and keeps its relative error where the event is rare (Geweke 1991, Hajivassiliou
and McFadden 1998, Keane 1994).
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

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Mask, Row
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.core.log_ratios import log_joint
from pofx.queries.enumeration import ENUMERABLE, enumerate_levels, log_probs
from pofx.queries.monte_carlo import MAX_DRAWS, log_monte_carlo
from pofx.queries.row_conditionals import atoms, closed

CELLS = 1024
"""The most joint levels that stand in for draws."""

Pieces: TypeAlias = tuple[tuple[float, float], ...]
"""Disjoint intervals (low, high] in the units of an entry; a level c is (c - 1/2, c + 1/2]."""
Event: TypeAlias = Mapping[int, Pieces]
"""What each of some entries lies in, by the number of the entry."""


class WeightedRows(NamedTuple):
    """Draws x with weights that sum to one: of p(x_B | x_B in S_B), `observed` telling B."""

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
    """log P(x_B in S_B), other entries integrated out: exact where closed, else an estimate.

    Errors, `stderr` too, are relative to the probability.
    """
    cells = log_cells(model, columns, [event])
    if cells is not None:
        return Answer(min(float(cells[0]), 0.0), method=_how(columns, event))
    walk = _walk(model, columns, event)
    return log_monte_carlo(key, _LogWeight(walk), stderr=stderr, max_draws=max_draws)


def log_cells(
    model: AbstractQueryable, columns: Sequence[Column], events: Sequence[Event]
) -> Float[np.ndarray, "e"] | None:
    """log P of each of some events over the same entries; None where not closed."""
    place = sorted(events[0])
    levels = [j for j in place if columns[j].discrete]
    others = tuple(j for j in place if not columns[j].discrete)
    count = sum(math.prod(len(event[j]) for j in place) for event in events)
    if count > ENUMERABLE or not _box_closed(model, columns, others):
        return None
    cells = [[*product(*(event[j] for j in levels + list(others)))] for event in events]
    ends = np.array([c for own in cells for c in own], np.float64).reshape(count, len(place), 2)
    # 4, 16, 64, ... of them, for each number is compiled.
    more = 4 ** max(1, -(-(count - 1).bit_length() // 2)) - count
    ends = np.pad(ends, ((0, more), (0, 0), (0, 0)), "edge")
    x = np.zeros((len(ends), len(columns)))
    x[:, levels] = ends[:, : len(levels)].mean(2)
    observed = np.isin(np.arange(len(columns)), levels)
    low, high = np.moveaxis(ends[:, len(levels) :], 2, 0)
    rest = map(jnp.asarray, (low, high))
    log_prob = _boxes(model, jnp.asarray(x), jnp.asarray(observed), others, *rest)
    owner = np.repeat(np.arange(len(events)), [len(own) for own in cells])
    total = np.full(len(events), -math.inf)
    np.logaddexp.at(total, owner, np.asarray(log_prob, np.float64)[:count])
    return total


def draws(
    key: PRNGKeyArray, model: AbstractQueryable, columns: Sequence[Column], event: Event, n: int
) -> WeightedRows:
    """n weighted draws of the entries of the event, given that it happens."""
    walk = _walk(model, columns, event)
    x, log_weights = _draws(walk, jax.random.split(key, n))
    log_weights = np.asarray(log_weights, np.float64)
    if not log_weights.max() > -math.inf:
        raise PofxError(
            f"none of {n} draws satisfied the evidence, which is too rare to be answered by draws"
        )
    weights = np.exp(log_weights - log_weights.max())
    observed = _asked(columns, event) | isinstance(walk, _Rejection)
    return WeightedRows(x, jnp.asarray(observed), weights / weights.sum())


def cells(model: AbstractQueryable, columns: Sequence[Column], event: Event) -> WeightedRows | None:
    """All joint levels in an event of levels, for draws, weighted by their probability given it.

    None where the event is of numbers too, or of very many levels.
    """
    asked = _asked(columns, event)
    x = enumerate_levels(columns, asked, CELLS)
    if x is None:
        return None
    inside = np.ones(len(x), bool)
    for j, pieces in event.items():
        inside &= np.any([(x[:, j] > low) & (x[:, j] <= high) for low, high in pieces], 0)
    log_weights = log_probs(model, x, asked)[inside]
    if not log_weights.max(initial=-math.inf) > -math.inf:
        raise PofxError("the evidence has probability zero")
    weights = np.exp(log_weights - log_weights.max())
    return WeightedRows(jnp.asarray(x[inside]), jnp.asarray(asked), weights / weights.sum())


def completed(
    key: PRNGKeyArray, model: AbstractQueryable, columns: Sequence[Column], event: Event, n: int
) -> WeightedRows:
    """n weighted draws of all entries given that the event happens."""
    walking, completing = jax.random.split(key)
    found = draws(walking, model, columns, event, n)
    x = _complete(model, jax.random.split(completing, n), found.x, found.observed)
    return found._replace(x=x, observed=jnp.ones_like(found.observed))


def _how(columns: Sequence[Column], event: Event) -> str:
    return "by enumeration" if all(columns[j].discrete for j in event) else "closed form"


def _box_closed(
    model: AbstractQueryable, columns: Sequence[Column], others: tuple[int, ...]
) -> bool:
    if not others:
        return True
    rule, x = closed_forms.log_prob_box.find(model), jnp.zeros(model.size)
    ends = jnp.zeros(len(others))
    # Traced, not computed: a rule may say only then that one of its parts has none.
    if rule and eqx.filter_eval_shape(rule, model, x, x > 0, others, ends, ends) is not None:
        return True
    return len(others) == 1 and closed(model, columns[others[0]], others[0])


@eqx.filter_jit
def _boxes(model, x, observed, others, low, high):
    rule = closed_forms.log_prob_box.find(model) if others else None

    def one(x, low, high):
        both = rule(model, x, observed, others, low, high) if rule else None
        if both is not None:
            return both
        log_prob = model.log_prob(x, observed)
        if not others:
            return log_prob
        own = atoms(model, x, observed, others[0])
        assert own is not None
        return log_prob + jax.nn.logsumexp(own.log_between(low[0], high[0]))

    return jax.lax.map(lambda cell: one(*cell), (x, low, high), batch_size=1024)


def _log_mass(model: AbstractQueryable, columns: Sequence[Column], event: Event) -> float:
    """log P of an event of one column that has a closed form."""
    mass = log_cells(model, columns, [event])
    return 0.0 if mass is None else float(mass[0])


def _walk(
    model: AbstractQueryable, columns: Sequence[Column], event: Event
) -> "_Walk | _Rejection":
    """How to draw with weights from within the event."""
    place = sorted(event, key=lambda j: (not columns[j].discrete, j))
    numbers = [j for j in place if not columns[j].discrete]
    if len(numbers) > 1 and all(closed(model, columns[j], j) for j in numbers):
        # The rarest first: what is drawn within it makes the others more probable.
        rare = {j: _log_mass(model, columns, {j: event[j]}) for j in numbers}
        place[len(place) - len(numbers) :] = sorted(numbers, key=rare.__getitem__)
    most = max((len(event[j]) for j in place), default=0)
    # Empty intervals fill up the rest.
    ends = np.full((len(place), most, 2), np.inf)
    for i, j in enumerate(place):
        ends[i, : len(event[j])] = event[j]
    low, high = map(jnp.asarray, np.moveaxis(ends, 2, 0))
    walks = all(columns[j].discrete or closed(model, columns[j], j) for j in place)
    kind = _Walk if walks else _Rejection
    return kind(model, tuple(columns), tuple(place), low, high)


def _asked(columns: Sequence[Column], event: Event) -> np.ndarray:
    return np.isin(np.arange(len(columns)), sorted(event))


class _Walk(eqx.Module):
    """One draw of the entries of the event, each from within its set, and its log-weight."""

    model: AbstractQueryable
    columns: tuple[Column, ...] = eqx.field(static=True)
    place: tuple[int, ...] = eqx.field(static=True)
    low: Float[Array, "b i"]
    high: Float[Array, "b i"]

    def __call__(self, key: PRNGKeyArray) -> tuple[Row, Float[Array, ""]]:
        x, total = jnp.zeros(self.model.size), jnp.zeros(())
        observed = jnp.zeros(self.model.size, bool)
        keys = jax.random.split(key, len(self.place))
        for j, key, low, high in zip(self.place, keys, self.low, self.high):
            step = self._level if self.columns[j].discrete else self._number
            value, log_mass = step(key, x, observed, j, low, high)
            total += log_mass
            x, observed = x.at[j].set(value), observed.at[j].set(True)
        return x, total

    def _level(self, key, x, observed, j, low, high):
        levels = jnp.arange(self.columns[j].levels, dtype=x.dtype)
        seen = observed.at[j].set(True)

        def joint(level):
            return log_joint(self.model, x.at[j].set(level), seen, observed)

        log_joints = jax.vmap(joint)(levels)
        inside = ((levels[:, None] > low) & (levels[:, None] <= high)).any(1)
        allowed = jnp.where(inside, jax.nn.log_softmax(log_joints), -jnp.inf)
        return jax.random.categorical(key, allowed), jax.nn.logsumexp(allowed)

    def _number(self, key, x, observed, j, low, high):
        own = atoms(self.model, x, observed, j)
        assert own is not None
        value, log_mass = own.sample_truncated(key, low, high)
        return _within(value, low, high, self.columns[j].kind == "count"), log_mass


def _within(x, low, high, count: bool):
    """A draw where rounding may have taken its level to 0 or 1, or a count to a half."""
    x = jnp.where(x == jnp.inf, jnp.where(low < jnp.inf, low, -jnp.inf).max(), x)
    x = jnp.where(x == -jnp.inf, jnp.where(low < jnp.inf, high, jnp.inf).min(), x)
    up = jnp.ceil(x)
    whole = jnp.where(((up > low) & (up <= high)).any(), up, jnp.floor(x))
    return whole if count else x


class _Rejection(eqx.Module):
    """A draw of all entries, of weight one within the event and none outside.

    For a model whose conditional distributions have no closed form.
    """

    model: AbstractQueryable
    columns: tuple[Column, ...] = eqx.field(static=True)
    place: tuple[int, ...] = eqx.field(static=True)
    low: Float[Array, "b i"]
    high: Float[Array, "b i"]

    def __call__(self, key: PRNGKeyArray) -> tuple[Row, Float[Array, ""]]:
        x = self.model.sample(key)
        own = x[np.array(self.place)][:, None]
        inside = ((own > self.low) & (own <= self.high)).any(1).all()
        return x, jnp.where(inside, 0.0, -jnp.inf)


class _LogWeight(eqx.Module):
    walk: Callable[[PRNGKeyArray], tuple[Row, Float[Array, ""]]]

    def __call__(self, key: PRNGKeyArray) -> Float[Array, ""]:
        return self.walk(key)[1]


@eqx.filter_jit
def _draws(walk, keys):
    return jax.lax.map(walk, keys, batch_size=256)


@eqx.filter_jit
def _complete(model, keys, x, observed):
    def one(pair):
        return model.sample(pair[0], pair[1], observed)

    return jax.lax.map(one, (keys, x), batch_size=256)
