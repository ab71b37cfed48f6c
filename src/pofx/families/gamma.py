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
from pofx.families.intervals import (
    bisect,
    cantelli_bound,
    log_interval,
    log_positive_integral,
    positive_interval,
)
from pofx.families.special_functions import (
    above_floor,
    log_minus_digamma,
    log_poisson,
    stirling,
    t_minus_log1p,
)
from pofx.families.tail_probabilities import gamma_tails, log_gamma_tails

Statistics = tuple[Float[Array, "c"], Float[Array, "c"], Float[Array, "c"]]


def _shape(s: Float[Array, "c"]) -> Float[Array, "c"]:
    """The shape a that solves log a - psi(a) = s, to within 1.5 % (Minka 2002)."""
    return (3 - s + ((s - 3) ** 2 + 24 * s) ** 0.5) / (12 * s)


def shape_from_log_deficit(s: Float[Array, "c"]) -> Float[Array, "c"]:
    """The shape a that solves log a - psi(a) = s, by generalised Newton steps (Minka 2002).

    >>> print(f"{float(shape_from_log_deficit(jnp.array(0.5772156))):.4f}")
    1.0000
    """

    def newton(_, a):
        value, slope = jax.jvp(log_minus_digamma, (a,), (jnp.ones_like(a),))
        return 1 / (1 / a + (value - s) / (a * a * slope))

    return jax.lax.fori_loop(0, 4, newton, _shape(s))


class Gamma(AbstractFamily):
    """The gamma distribution of a positive number.

    log p(x) = shape log rate + (shape - 1) log x - rate x - log Gamma(shape)

    The statistics are sums of 1, t - 1 and t - 1 - log t, with t = x / mean of the instance. These
    sums keep their digits if x varies little. The shape then takes generalised Newton steps: Minka,
    "Estimating a gamma distribution" (2002).

    Args:
        shape: the shape, of shape (c,).
        rate: the rate, in 1/units of x.
        floor: the minimum squared coefficient of variation, 1 / shape.

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
        scaled, log_deficit = self._scale(x)
        value = jnp.log(self.shape) - jnp.log(x) + log_poisson(self.shape, scaled)
        value += self.shape * log_deficit
        return jnp.where(positive, value, -jnp.inf)

    def _scale(self, x: Float[Array, "c"]) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
        """rate x, raised to the smallest float if necessary, and log of rate x over that float."""
        tiny = jnp.finfo(x.dtype).tiny
        scaled = self.rate * x
        log_deficit = jnp.log(self.rate) + jnp.log(x) - jnp.log(tiny)
        return jnp.maximum(scaled, tiny), jnp.where(scaled < tiny, log_deficit, 0)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        # In logarithms, because a small shape takes y below all floats before the rate rescales it.
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

        log_integral = partial(log_positive_integral, self.log_prob)
        return log_interval(tails, low, high, log_integral, self.support_point)

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
        """The x of highest density; if the density falls from 0 on, a smallest positive float."""
        smallest = 2 * jnp.finfo(self.rate.dtype).tiny * jnp.maximum(1, 1 / self.rate)
        return jnp.maximum((self.shape - 1) / self.rate, smallest)

    def entropy(self) -> Float[Array, "c"]:
        # shape - log rate + log Gamma(shape) + (1 - shape) psi(shape), without its cancellation.
        a = self.shape
        centred = stirling(a) + (a - 1) * log_minus_digamma(a) - 0.5 * jnp.log(a)
        return jnp.log(self.mean()) + 0.5 * math.log(2 * math.pi) + centred

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        mean = self.mean()
        t = (x - mean) / mean
        scaled, log_deficit = self._scale(x)
        log_statistic = t_minus_log1p(t, scaled / self.shape) - log_deficit
        return weight.sum(0), (weight * t).sum(0), (weight * log_statistic).sum(0)

    def expected_statistics(self, other: "Gamma") -> Statistics:
        t = (other.mean() - self.mean()) / self.mean()
        return jnp.ones_like(t), t, t_minus_log1p(t) + log_minus_digamma(other.shape)

    def m_step(self, statistics: Statistics) -> "Gamma":
        total, first, second = statistics
        has_rows = total > 0
        n = jnp.where(has_rows, total, 1)
        t = jnp.where(has_rows, first / n, 0)
        # The log of the mean less the mean of the log; a quarter of the floor is beyond the cap.
        s = jnp.maximum(second / n - t_minus_log1p(t), self.floor / 4)

        best = shape_from_log_deficit(s)
        # The likelihood is unimodal in the shape, so the nearest allowed shape is the best.
        shape = jnp.where(has_rows, jnp.minimum(best, 1 / self.floor), self.shape)
        rate = jnp.where(has_rows, shape / (self.mean() * (1 + t)), self.rate)
        return Gamma(shape, rate, self.floor)

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Gamma":
        x = np.where(np.asarray(weight) > 0, x, 1.0)
        log_moments = weighted_moments(np.log(x), weight)
        # Only the mean of x, because squares of numbers over many decades overflow.
        n = np.where(log_moments.weight > 0, log_moments.weight, 1.0)
        mean = np.where(log_moments.weight > 0, (weight * x.astype(np.float64)).sum(0) / n, 1.0)
        resolution = np.array([c.resolution for c in columns]) / np.exp(log_moments.mean)
        floor = variance_floor(log_moments, resolution, unit=0.1)
        s = np.where(log_moments.weight > 0, np.log(mean) - log_moments.mean, 0.5)
        shape = np.minimum(_shape(jnp.asarray(np.maximum(s, floor / 4))), 1 / floor)
        return cls(jnp.asarray(shape), jnp.asarray(shape / mean), jnp.asarray(floor))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 2

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Gamma":
        current = jax.lax.stop_gradient(self)
        shape = 1 / above_floor(1 / current.shape, current.floor, raw[:, 1])
        mean = above_floor(current.mean(), 0.0, raw[:, 0])
        return Gamma(shape, shape / mean, current.floor)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Gamma, tuple[Column, ...]]":
        columns = tuple(Column(name, "positive", family="gamma") for name in ("a", "b"))
        rate = jnp.exp(jax.random.normal(key, (2,)))
        return cls(jnp.array([0.7, 5.0]), rate, jnp.full(2, 1e-6)), columns


@closed_forms.kl.register(Gamma, Gamma)
def _kl(p: Gamma, q: Gamma) -> Float[Array, "c"]:
    # With e(t) = t_minus_log1p(t), log p(x) = log(shape / x) - shape e(x / mean - 1)
    # - stirling(shape) - ..., and
    # E_p[e(x / mean_q - 1)] = e(mean_p / mean_q - 1) + log shape_p - psi(shape_p).
    from_means = t_minus_log1p((p.mean() - q.mean()) / q.mean(), p.mean() / q.mean())
    from_shapes = 0.5 * t_minus_log1p((q.shape - p.shape) / p.shape, q.shape / p.shape)
    from_logs = (q.shape - p.shape) * (log_minus_digamma(p.shape) - 0.5 / p.shape)
    correction = from_logs + stirling(q.shape) - stirling(p.shape)
    return jnp.maximum(q.shape * from_means + from_shapes + correction, 0)
