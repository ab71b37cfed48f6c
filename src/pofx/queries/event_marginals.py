"""The distribution of one entry given an event: its moments, quantiles and mode, with their trust.

Without an event, and where the model has a rule, it is a closed mixture of atoms. An event of other
entries makes it an average of such mixtures: over its levels, which is closed again, or where it is
of intervals over weighted draws, each exact given its draw. Where there is no rule it is the
weighted draws themselves.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.special import logsumexp

from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.column_mixture import ColumnMixture, flatten
from pofx.core.log_ratios import log_joint
from pofx.queries import events
from pofx.queries.enumeration import ENUMERABLE, enumerate_levels, log_probs
from pofx.queries.events import Event, Pieces
from pofx.queries.row_conditionals import atoms, closed

DRAWS = 4096
SHOWS = 1e-6
"""The largest relative error of what is called exact."""


@dataclass(frozen=True)
class Marginal:
    """p(x_j | event) of a continuous entry or a count, in the units of entries.

    An average over parts with `weights` that sum to one; an answer of one part is exact, of many an
    estimate by self-normalised importance sampling (Owen 2013, section 9.2).
    """

    column: Column
    weights: Float[np.ndarray, "n"]

    @abstractmethod
    def _mean(self) -> np.ndarray:
        """E[X] in each part."""

    @abstractmethod
    def _square(self, centre: float) -> np.ndarray:
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
        """Whether it is closed."""
        return False

    def mean(self) -> Answer:
        """E[X]."""
        return self._average(self._mean())

    def variance(self) -> Answer:
        """Var[X]."""
        return self._average(self._square(float(self.weights @ self._mean())))

    def cdf(self, x: float) -> Answer:
        """P(X <= x)."""
        return self._average(self._cdf(x))

    def inside(self, pieces: Pieces) -> Answer:
        """P(X in one of some disjoint intervals (low, high])."""
        each = sum(self._below(high) - self._below(low) for low, high in pieces)
        return self._average(np.asarray(each))

    def _below(self, x: float) -> np.ndarray:
        return self._cdf(x) if math.isfinite(x) else np.full(len(self.weights), float(x > 0))

    def quantile(self, u: float) -> Answer:
        """The smallest x with P(X <= x) >= u."""
        x = self._quantile(u)
        if self.exact:
            return self._answer(x, 0.0)
        error = float(self.cdf(x).stderr)
        if not error > 0 and self._beyond(u):
            return self._answer(x, math.nan)
        # Within half of what is left on either side, and from there on at the same slope.
        low, high = max(u - error, u / 2), min(u + error, 1 - (1 - u) / 2)
        spread = (self._quantile(high) - self._quantile(low)) if error > 0 else 0.0
        return self._answer(x, spread * error / (high - low) if error > 0 else 0.0)

    def _beyond(self, u: float) -> bool:
        """Whether there are no draws so far out that they say where the quantile is."""
        return False

    def _average(self, each: np.ndarray) -> Answer:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(self.weights @ each)
            error = float(np.sqrt((self.weights**2) @ (each - mean) ** 2))
        return self._answer(mean, error)

    def _answer(self, value: float, stderr: float) -> Answer:
        if self.exact:
            return Answer(value, method="closed form")
        return Answer(value, stderr, "estimate", len(self.weights))


@dataclass(frozen=True)
class _Mixed(Marginal):
    """Of parts that are mixtures of atoms."""

    parts: ColumnMixture
    closed: bool

    @property
    def exact(self) -> bool:
        return self.closed

    def _mean(self) -> np.ndarray:
        return np.asarray(_each(ColumnMixture.mean, self.parts), np.float64)

    def _square(self, centre: float) -> np.ndarray:
        variance = np.asarray(_each(ColumnMixture.variance, self.parts), np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            return variance + (self._mean() - centre) ** 2

    def _cdf(self, x: float) -> np.ndarray:
        return np.asarray(_each(ColumnMixture.cdf, self.parts, jnp.asarray(x)), np.float64)

    def _quantile(self, u: float) -> float:
        return float(_quantile(self._whole, jnp.asarray(u), jnp.asarray(1 - u), self.column))

    def mode(self) -> Answer:
        found = float(_mode(self._whole, self.column))
        if self.exact and len(self._whole.log_weights) == 1:
            return self._answer(found, 0.0)
        # The highest point of a mixture is searched for, on a grid of quantiles.
        return Answer(found, np.nan, "estimate", method="by search")

    @cached_property
    def _whole(self) -> ColumnMixture:
        """All parts as one mixture."""
        return flatten(jnp.log(jnp.asarray(self.weights)), self.parts)


@dataclass(frozen=True)
class _Drawn(Marginal):
    """Of single values."""

    values: Float[np.ndarray, "n"]

    def _mean(self) -> np.ndarray:
        return self.values

    def _square(self, centre: float) -> np.ndarray:
        return (self.values - centre) ** 2

    def _cdf(self, x: float) -> np.ndarray:
        return (self.values <= x).astype(np.float64)

    def _beyond(self, u: float) -> bool:
        return min(u, 1 - u) < (self.weights**2).sum()

    def _quantile(self, u: float) -> float:
        order = np.argsort(self.values)
        reached = np.searchsorted(np.cumsum(self.weights[order]), u * (1 - 1e-12))
        return float(self.values[order[min(reached, len(order) - 1)]])

    def mode(self) -> Answer:
        """The heaviest value, or where the shortest interval of a tenth of the draws lies."""
        values, owner = np.unique(self.values, return_inverse=True)
        mass = np.bincount(owner, self.weights)
        if mass.max() > 2 / len(self.values):
            return self._answer(float(values[mass.argmax()]), np.nan)
        total = np.cumsum(mass)
        ends = np.minimum(np.searchsorted(total, total + 0.1), len(values) - 1)
        inside = total + 0.1 <= 1
        best = np.argmin(np.where(inside, values[ends] - values, np.inf))
        return self._answer(float(values[best] + values[ends[best]]) / 2, np.nan)


def marginal(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    j: int,
    event: Event | None = None,
    draws: int = DRAWS,
) -> Marginal:
    """p(x_j | event) for the entry j, which is not one of level codes."""
    column, known = columns[j], closed(model, columns[j], j)
    if known and not event:
        nothing = jnp.zeros((1, model.size)), jnp.zeros(model.size, bool)
        return _Mixed(column, np.ones(1), _atoms(model, *nothing, j), True)
    if known and event and j not in event:
        cells = events.cells(model, columns, event)
        found = cells or events.draws(key, model, columns, event, draws)
        own = _atoms(model, found.x, found.observed, j)
        return _Mixed(column, found.weights, own, cells is not None)
    ask = events.draws if event and j in event else events.completed
    found = ask(key, model, columns, event or {}, draws)
    return _Drawn(column, found.weights, np.asarray(found.x[:, j], np.float64))


def levels(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    asked: np.ndarray,
    event: Event | None = None,
    draws: int = DRAWS,
) -> Answer | None:
    """p(x_A | event) of all joint levels of the asked discrete columns, in order of their codes.

    An `Answer` that holds an array of one axis a column; None for more levels than are summed.
    """
    cells = enumerate_levels(columns, asked)
    if cells is None:
        return None
    shape = [columns[j].levels for j in np.flatnonzero(asked).tolist()]
    if not event:
        return _of_logs(log_probs(model, cells, asked).reshape(shape))
    found = _exact_levels(model, columns, asked, cells, event)
    if found is not None:
        return _of_logs(found.reshape(shape))
    drawn = events.draws(key, model, columns, event, draws)
    each = _conditional_levels(model, jnp.asarray(cells), jnp.asarray(asked), *drawn[:2])
    each = np.asarray(each, np.float64)
    mean = drawn.weights @ each
    error = np.sqrt((drawn.weights**2) @ (each - mean) ** 2)
    return Answer(mean.reshape(shape), error.reshape(shape), "estimate", draws)


def _exact_levels(model, columns, asked, cells, event):
    """By the probability of each cell together with the event."""
    if len(cells) * math.prod(len(s) for s in event.values()) > ENUMERABLE:
        return None
    inside, place = np.ones(len(cells), bool), np.flatnonzero(asked).tolist()
    for j in set(place) & set(event):
        inside &= np.any([(cells[:, j] > a) & (cells[:, j] <= b) for a, b in event[j]], 0)
    own = ({j: ((cell[j] - 0.5, cell[j] + 0.5),) for j in place} for cell in cells)
    joint = [{**event, **levels} for levels in own]
    found = events.log_cells(model, columns, joint)
    if found is None:
        return None
    found = np.where(inside, found, -math.inf)
    # Of an event so rare the logarithms have lost the digits that differ from level to level.
    if not found.max() > -math.inf or -found.max() * jnp.finfo(jnp.zeros(()).dtype).eps > SHOWS:
        return None
    return found - logsumexp(found)


def _of_logs(log: np.ndarray) -> Answer:
    return Answer(np.exp(log), method="closed form", log=log)


@eqx.filter_jit
def _conditional_levels(model, cells, asked, x, observed):
    def one(x):
        def joint(cell):
            # A column of the event has its level from the draw.
            consistent = jnp.where(asked & observed, cell == x, True).all()
            row = jnp.where(asked, cell, x)
            log_prob = log_joint(model, row, asked | observed, observed)
            return jnp.where(consistent, log_prob, -jnp.inf)

        return jax.nn.softmax(jax.vmap(joint)(cells.astype(x.dtype)))

    return jax.lax.map(one, x, batch_size=64)


@eqx.filter_jit
def _atoms(model, x, observed, j):
    def one(x):
        own = atoms(model, x, observed, j)
        assert own is not None
        return own

    return jax.vmap(one)(x)


@eqx.filter_jit
def _each(f, parts, *x):
    return jax.vmap(lambda own: f(own, *x))(parts)


@eqx.filter_jit
def _quantile(whole, u, above, column):
    return whole.quantile(u, column, above)


@eqx.filter_jit
def _mode(whole, column):
    return whole.mode(column)
