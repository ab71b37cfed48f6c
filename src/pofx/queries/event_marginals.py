"""The distribution of one entry given an event: moments, quantiles, mode, and their errors.

The distribution has one of three forms:
    - a closed mixture: without an event, if the model has a rule for the conditional, or averaged
      over the levels of an event of discrete entries;
    - an average of closed mixtures over weighted draws of an event of other entries;
    - the weighted draws themselves, if the model has no rule or the event restricts the entry.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.special import logsumexp

from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.column_mixture import ColumnMixture, flatten
from pofx.core.compilation import compiled, compiled_quickly
from pofx.core.log_ratios import log_joint
from pofx.queries import events
from pofx.queries.enumeration import (
    MAX_ENUMERATED_LEVELS,
    ColumnMask,
    enumerate_levels,
    log_probs,
)
from pofx.queries.events import Event, Intervals
from pofx.queries.row_conditionals import conditional_mixture, has_closed_conditional

DEFAULT_DRAWS = 4096
MAX_EXACT_ERROR = 1e-6
"""Largest relative error of an answer that is called exact."""


@dataclass(frozen=True)
class AbstractMarginal(ABC):
    """p(x_j | event) of a continuous entry or a count, in the units of entries.

    The distribution is an average over parts, with `weights` that sum to one. Answers are exact if
    `exact` says so, else estimates by self-normalised importance sampling (Owen 2013, section 9.2).

    A subclass provides, for each part, `_mean`, `_second_moment` and `_cdf`; for the average over
    parts, `_quantile` and `mode`; and `exact` if its answers may be exact.
    """

    column: Column
    weights: Float[np.ndarray, "n"]

    @abstractmethod
    def _mean(self) -> np.ndarray:
        """E[X] in each part."""

    @abstractmethod
    def _second_moment(self, centre: float) -> np.ndarray:
        """E[(X - centre)²] in each part."""

    @abstractmethod
    def _cdf(self, x: float) -> np.ndarray:
        """P(X <= x) in each part."""

    @abstractmethod
    def _quantile(self, u: float) -> float:
        """The smallest x with P(X <= x) >= u."""

    @abstractmethod
    def mode(self) -> Answer:
        """The value of highest density, or the heaviest point mass."""

    @property
    def exact(self) -> bool:
        """Whether answers are in closed form."""
        return False

    def mean(self) -> Answer:
        """E[X]."""
        return self._average(self._mean())

    def variance(self) -> Answer:
        """Var[X]."""
        return self._average(self._second_moment(float(self.weights @ self._mean())))

    def cdf(self, x: float) -> Answer:
        """P(X <= x)."""
        return self._average(self._cdf(x))

    def interval_probability(self, intervals: Intervals) -> Answer:
        """P(X in one of the disjoint intervals (low, high])."""
        parts = sum(self._cdf_or_limit(high) - self._cdf_or_limit(low) for low, high in intervals)
        return self._average(np.asarray(parts))

    def _cdf_or_limit(self, x: float) -> np.ndarray:
        return self._cdf(x) if math.isfinite(x) else np.full(len(self.weights), float(x > 0))

    def quantile(self, u: float) -> Answer:
        """The smallest x with P(X <= x) >= u.

        The standard error is that of P(X <= x), divided by the slope of P between two quantiles.
        """
        x = self._quantile(u)
        if self.exact:
            return self._answer(x, 0.0)
        error = float(self.cdf(x).stderr)
        if not error > 0 and self._is_beyond_draws(u):
            return self._answer(x, math.nan)
        # The two quantiles take at most half of the probability left on either side.
        low = max(u - error, u / 2)
        high = min(u + error, 1 - (1 - u) / 2)
        spread = (self._quantile(high) - self._quantile(low)) if error > 0 else 0.0
        return self._answer(x, spread * error / (high - low) if error > 0 else 0.0)

    def _is_beyond_draws(self, u: float) -> bool:
        """Whether the quantile is so far out that no draws say where it is."""
        return False

    def _average(self, parts: np.ndarray) -> Answer:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(self.weights @ parts)
            error = float(np.sqrt((self.weights**2) @ (parts - mean) ** 2))
        return self._answer(mean, error)

    def _answer(self, value: float, stderr: float) -> Answer:
        if self.exact:
            return Answer(value, method="closed form")
        return Answer(value, stderr, "estimate", len(self.weights))


@dataclass(frozen=True)
class _MixtureMarginal(AbstractMarginal):
    """A marginal whose parts are mixtures in closed form."""

    parts: ColumnMixture
    closed: bool

    @property
    def exact(self) -> bool:
        return self.closed

    def _mean(self) -> np.ndarray:
        return np.asarray(_map_parts(ColumnMixture.mean, self.parts), np.float64)

    def _second_moment(self, centre: float) -> np.ndarray:
        variance = np.asarray(_map_parts(ColumnMixture.variance, self.parts), np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            return variance + (self._mean() - centre) ** 2

    def _cdf(self, x: float) -> np.ndarray:
        return np.asarray(_map_parts(ColumnMixture.cdf, self.parts, np.asarray(x)), np.float64)

    def _quantile(self, u: float) -> float:
        levels = np.asarray(u), np.asarray(1 - u)
        return float(_quantile(self.weights, self.parts, *levels, self.column))

    def mode(self) -> Answer:
        mode = float(_mode(self.weights, self.parts, self.column))
        if self.exact and self.parts.log_weights.size == 1:
            return self._answer(mode, 0.0)
        # The mode of a mixture is searched for on a grid of quantiles.
        return Answer(mode, np.nan, "estimate", method="by search")


@dataclass(frozen=True)
class _SampleMarginal(AbstractMarginal):
    """A marginal whose parts are single values, one per draw."""

    values: Float[np.ndarray, "n"]

    def _mean(self) -> np.ndarray:
        return self.values

    def _second_moment(self, centre: float) -> np.ndarray:
        return (self.values - centre) ** 2

    def _cdf(self, x: float) -> np.ndarray:
        return (self.values <= x).astype(np.float64)

    def _is_beyond_draws(self, u: float) -> bool:
        return min(u, 1 - u) < (self.weights**2).sum()

    def _quantile(self, u: float) -> float:
        order = np.argsort(self.values)
        place = np.searchsorted(np.cumsum(self.weights[order]), u * (1 - 1e-12))
        return float(self.values[order[min(place, len(order) - 1)]])

    def mode(self) -> Answer:
        """The heaviest value, or the middle of the shortest interval with a tenth of the draws."""
        values, owner = np.unique(self.values, return_inverse=True)
        mass = np.bincount(owner, self.weights)
        if mass.max() > 2 / len(self.values):
            return self._answer(float(values[mass.argmax()]), np.nan)
        cumulative = np.cumsum(mass)
        ends = np.minimum(np.searchsorted(cumulative, cumulative + 0.1), len(values) - 1)
        is_within = cumulative + 0.1 <= 1
        shortest = np.argmin(np.where(is_within, values[ends] - values, np.inf))
        middle = float(values[shortest] + values[ends[shortest]]) / 2
        return self._answer(middle, np.nan)


def marginal(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    j: int,
    event: Event | None = None,
    draws: int = DEFAULT_DRAWS,
) -> AbstractMarginal:
    """p(x_j | event) of a continuous entry or a count.

    Args:
        key: seed of the draws.
        model: the model.
        columns: the columns of the model.
        j: number of the entry, which is not discrete.
        event: the event; None for no condition.
        draws: number of draws, if the answer is not closed.
    """
    column = columns[j]
    is_closed = has_closed_conditional(model, column, j)
    if is_closed and not event:
        x, observed = np.zeros((1, model.size)), np.zeros(model.size, bool)
        parts = _conditional_mixtures(model, x, observed, j)
        return _MixtureMarginal(column, np.ones(1), parts, True)
    if is_closed and event and j not in event:
        cells = events.enumerate_event(model, columns, event)
        rows = cells or events.draw_event(key, model, columns, event, draws)
        parts = _conditional_mixtures(model, rows.x, rows.observed, j)
        return _MixtureMarginal(column, rows.weights, parts, cells is not None)
    draw = events.draw_event if event and j in event else events.draw_rows_given_event
    rows = draw(key, model, columns, event or {}, draws)
    return _SampleMarginal(column, rows.weights, np.asarray(rows.x[:, j], np.float64))


def level_probabilities(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    mask: ColumnMask,
    event: Event | None = None,
    draws: int = DEFAULT_DRAWS,
) -> Answer | None:
    """p(x_A | event) of all joint levels of discrete columns, in order of their codes.

    Args:
        key: seed of the draws.
        model: the model.
        columns: the columns of the model.
        mask: the discrete columns A.
        event: the event; None for no condition.
        draws: number of draws, if the answer is not closed.

    Returns an answer that holds an array with one axis per column of A; None if there are more
    than MAX_ENUMERATED_LEVELS joint levels.
    """
    cells = enumerate_levels(columns, mask)
    if cells is None:
        return None
    shape = [columns[j].levels for j in np.flatnonzero(mask).tolist()]
    if not event:
        return _answer_of_logs(log_probs(model, cells, mask).reshape(shape))
    log_conditional = _exact_log_levels(model, columns, mask, cells, event)
    if log_conditional is not None:
        return _answer_of_logs(log_conditional.reshape(shape))
    rows = events.draw_event(key, model, columns, event, draws)
    row_probs = _conditional_levels(model, cells, np.asarray(mask), rows.x, rows.observed)
    row_probs = np.asarray(row_probs, np.float64)
    mean = rows.weights @ row_probs
    error = np.sqrt((rows.weights**2) @ (row_probs - mean) ** 2)
    return Answer(mean.reshape(shape), error.reshape(shape), "estimate", draws)


def _exact_log_levels(model, columns, mask, cells, event):
    """log p(x_A | event) from the probability of each cell and the event; None if not closed."""
    if len(cells) * math.prod(len(s) for s in event.values()) > MAX_ENUMERATED_LEVELS:
        return None
    in_event = np.ones(len(cells), bool)
    place = np.flatnonzero(mask).tolist()
    for j in set(place) & set(event):
        in_event &= np.any([(cells[:, j] > a) & (cells[:, j] <= b) for a, b in event[j]], 0)
    cell_events = ({j: ((cell[j] - 0.5, cell[j] + 0.5),) for j in place} for cell in cells)
    joint_events = [{**event, **cell_event} for cell_event in cell_events]
    log_joints = events.log_closed_probabilities(model, columns, joint_events)
    if log_joints is None:
        return None
    log_joints = np.where(in_event, log_joints, -math.inf)
    # For a very rare event the logarithms have lost the digits in which levels differ.
    largest = log_joints.max()
    if not largest > -math.inf or -largest * np.finfo(np.float64).eps > MAX_EXACT_ERROR:
        return None
    return log_joints - logsumexp(log_joints)


def _answer_of_logs(log: np.ndarray) -> Answer:
    return Answer(np.exp(log), method="closed form", log=log)


@compiled
def _conditional_levels(model, cells, mask, x, observed):
    """p(cell | x_O) of each cell, for each draw x of the event."""

    def one(x):
        def log_conditional(cell):
            # A column of the event has the level that was drawn.
            is_consistent = jnp.where(mask & observed, cell == x, True).all()
            row = jnp.where(mask, cell, x)
            log_ratio = log_joint(model, row, mask | observed, observed)
            return jnp.where(is_consistent, log_ratio, -jnp.inf)

        return jax.nn.softmax(jax.vmap(log_conditional)(cells.astype(x.dtype)))

    return jax.lax.map(one, x, batch_size=64)


@compiled
def _conditional_mixtures(model, x, observed, j):
    def one(x):
        mixture = conditional_mixture(model, x, observed, j)
        assert mixture is not None
        return mixture

    return jax.vmap(one)(x)


@compiled_quickly
def _map_parts(f, parts, *x):
    return jax.vmap(lambda part: f(part, *x))(parts)


@compiled_quickly
def _quantile(weights, parts, u, above, column):
    return flatten(jnp.log(weights), parts).quantile(u, column, above)


@compiled_quickly
def _mode(weights, parts, column):
    return flatten(jnp.log(weights), parts).mode(column)
