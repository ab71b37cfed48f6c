"""The gamma family."""

import math
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.family import AbstractFamily
from pofx.families.column_moments import variance_floor, weighted_moments
from pofx.families.special_functions import (
    t_minus_log1p,
    above_floor,
    log_minus_digamma,
    log_poisson,
    stirling,
)
from pofx.families.tail_probabilities import (
    bisect,
    gamma_tails,
    cantelli_bound,
    log_gamma_tails,
    log_interval,
    log_positive_integral,
    positive_interval,
)

Moments = tuple[Float[Array, "c"], Float[Array, "c"], Float[Array, "c"]]


def _shape(s: Float[Array, "c"]) -> Float[Array, "c"]:
    """Within 1.5 % of the shape a that solves log a - psi(a) = s (Minka 2002)."""
    return (3 - s + ((s - 3) ** 2 + 24 * s) ** 0.5) / (12 * s)


class Gamma(AbstractFamily):
    """The gamma distribution of a positive number.

    log p(x) = shape log rate + (shape - 1) log x - rate x - log Gamma(shape)

    `shape` is a number, `rate` is in 1/units of x, and `floor` is the least squared coefficient of
    variation, 1 / shape; all have shape (c,). The statistics are sums of 1, t - 1 and
    t - 1 - log t with t = x / mean of the instance, which keep their digits where x varies
    little; the shape then takes generalised Newton steps: Minka, "Estimating a gamma
    distribution" (2002).

    >>> one = jnp.ones(1)
    >>> print(f"{Gamma(shape=one, rate=2 * one, floor=1e-6 * one).log_prob(one)[0]:.4f}")
    -1.3069
    """

    shape: Float[Array, "c"]
    rate: Float[Array, "c"]
    floor: Float[Array, "c"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"positive"})
    support_point: ClassVar[float] = 1.0

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        positive = x > 0
        x = jnp.where(positive, x, 1)
        ratio, lost = self._to_rate(x)
        value = jnp.log(self.shape) - jnp.log(x) + log_poisson(self.shape, ratio)
        value += self.shape * lost
        return jnp.where(positive, value, -jnp.inf)

    def _to_rate(self, x: Float[Array, "c"]) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
        """rate x, at least the least float, and what its logarithm lacks for that."""
        least = jnp.finfo(x.dtype).tiny
        ratio = self.rate * x
        lost = jnp.log(self.rate) + jnp.log(x) - jnp.log(least)
        return jnp.maximum(ratio, least), jnp.where(ratio < least, lost, 0)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        # A small shape takes x below what floats carry unless the rate brings it back first.
        y = jax.random.loggamma(key, self.shape, dtype=self.shape.dtype)
        return jnp.maximum(jnp.exp(y - jnp.log(self.rate)), jnp.finfo(y.dtype).tiny)

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        positive = x > 0
        below, _ = gamma_tails(self.shape, self.rate * jnp.where(positive, x, 1))
        return jnp.where(positive, below, 0)

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        positive = x > 0
        _, above = gamma_tails(self.shape, self.rate * jnp.where(positive, x, 1))
        return jnp.where(positive, above, 1)

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return positive_interval(self, low, high)

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def tails(x):
            below, above = log_gamma_tails(self.shape, self.rate * jnp.where(x > 0, x, 1))
            return jnp.where(x > 0, below, -jnp.inf), jnp.where(x > 0, above, 0)

        narrow = partial(log_positive_integral, self.log_prob)
        return log_interval(tails, low, high, narrow, self.support_point)

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        # P(X <= x) <= (rate x)^shape / Gamma(shape + 1) bounds the logarithm from below.
        within = (u > 0) & (above > 0)
        v = jnp.where(within, u, 0.5)
        low = (jnp.log(v) + gammaln(self.shape + 1)) / self.shape - 1e-3
        v_above = jnp.where(within, above, 0.5)
        high = jnp.log(cantelli_bound(v, v_above, self.shape, jnp.sqrt(self.shape)))
        t = bisect(lambda y: gamma_tails(self.shape, jnp.exp(y)), v, v_above, low, high)
        x = jnp.maximum(jnp.exp(t - jnp.log(self.rate)), jnp.finfo(t.dtype).tiny)
        return jnp.where(within, x, jnp.where(u > 0, jnp.inf, 0))

    def mean(self) -> Float[Array, "c"]:
        return self.shape / self.rate

    def variance(self) -> Float[Array, "c"]:
        return self.shape / self.rate**2

    def mode(self) -> Float[Array, "c"]:
        """The x of highest density; where it falls from 0 on, the least that floats carry."""
        least = 2 * jnp.finfo(self.rate.dtype).tiny * jnp.maximum(1, 1 / self.rate)
        return jnp.maximum((self.shape - 1) / self.rate, least)

    def entropy(self) -> Float[Array, "c"]:
        # shape - log rate + log Gamma(shape) + (1 - shape) psi(shape), without its cancellation.
        a = self.shape
        centred = stirling(a) + (a - 1) * log_minus_digamma(a) - 0.5 * jnp.log(a)
        return jnp.log(self.mean()) + 0.5 * math.log(2 * math.pi) + centred

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Moments:
        mean = self.mean()
        t = (x - mean) / mean
        ratio, lost = self._to_rate(x)
        bend = t_minus_log1p(t, ratio / self.shape) - lost
        return weight.sum(0), (weight * t).sum(0), (weight * bend).sum(0)

    def expected_statistics(self, other: "Gamma") -> Moments:
        t = (other.mean() - self.mean()) / self.mean()
        return jnp.ones_like(t), t, t_minus_log1p(t) + log_minus_digamma(other.shape)

    def m_step(self, statistics: Moments) -> "Gamma":
        total, first, second = statistics
        some = total > 0
        n = jnp.where(some, total, 1)
        t = jnp.where(some, first / n, 0)
        # log of the mean less the mean of the log; a quarter of the floor lies beyond the cap.
        s = jnp.maximum(second / n - t_minus_log1p(t), self.floor / 4)

        def newton(_, a):
            value, slope = jax.jvp(log_minus_digamma, (a,), (jnp.ones_like(a),))
            return 1 / (1 / a + (value - s) / (a * a * slope))

        best = jax.lax.fori_loop(0, 4, newton, _shape(s))
        # The likelihood is unimodal in the shape, so that the nearest shape allowed is the best.
        shape = jnp.where(some, jnp.minimum(best, 1 / self.floor), self.shape)
        rate = jnp.where(some, shape / (self.mean() * (1 + t)), self.rate)
        return Gamma(shape, rate, self.floor)

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Gamma":
        x = np.where(np.asarray(weight) > 0, x, 1.0)
        logs = weighted_moments(np.log(x), weight)
        # Only the mean: squares of numbers over many decades overflow.
        n = np.where(logs.weight > 0, logs.weight, 1.0)
        mean = np.where(logs.weight > 0, (weight * x.astype(np.float64)).sum(0) / n, 1.0)
        resolution = np.array([c.resolution for c in columns]) / np.exp(logs.mean)
        floor = variance_floor(logs, resolution, unit=0.1)
        s = np.where(logs.weight > 0, np.log(mean) - logs.mean, 0.5)
        shape = np.minimum(_shape(jnp.asarray(np.maximum(s, floor / 4))), 1 / floor)
        return cls(jnp.asarray(shape), jnp.asarray(shape / mean), jnp.asarray(floor))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 2

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Gamma":
        own = jax.lax.stop_gradient(self)
        shape = 1 / above_floor(1 / own.shape, own.floor, raw[:, 1])
        return Gamma(shape, shape / above_floor(own.mean(), 0.0, raw[:, 0]), own.floor)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Gamma, tuple[Column, ...]]":
        columns = tuple(Column(name, "positive", family="gamma") for name in ("a", "b"))
        rate = jnp.exp(jax.random.normal(key, (2,)))
        return cls(jnp.array([0.7, 5.0]), rate, jnp.full(2, 1e-6)), columns


@closed_forms.kl.register(Gamma, Gamma)
def _kl(p: Gamma, q: Gamma) -> Float[Array, "c"]:
    # Of log p(x) = log(shape / x) - shape excess(x / mean - 1) - stirling(shape) - ..., and
    # E_p[excess(x / mean_q - 1)] = excess(mean_p / mean_q - 1) + log shape_p - psi(shape_p).
    means = t_minus_log1p((p.mean() - q.mean()) / q.mean(), p.mean() / q.mean())
    shapes = 0.5 * t_minus_log1p((q.shape - p.shape) / p.shape, q.shape / p.shape)
    bend = (q.shape - p.shape) * (log_minus_digamma(p.shape) - 0.5 / p.shape)
    rest = bend + stirling(q.shape) - stirling(p.shape)
    return jnp.maximum(q.shape * means + shapes + rest, 0)
