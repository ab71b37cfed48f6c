"""The log-normal family."""

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.double_double import Double, add, double
from pofx.core.family import AbstractFamily, fine_log_prob
from pofx.families.column_moments import variance_floor, weighted_moments
from pofx.families.intervals import positive_interval
from pofx.families.normal import Normal, Statistics


def _representable(x: Float[Array, "c"]) -> Float[Array, "c"]:
    """The nearest positive finite float, because only those are in the support."""
    limits = jnp.finfo(x.dtype)
    return jnp.clip(x, limits.tiny, limits.max)


class LogNormal(AbstractFamily):
    """The distribution of a positive number whose logarithm is normal.

    log p(x) = log N(log x; centre, dispersion) - log x

    Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), chapter 14.

    Args:
        log: the normal distribution of log x, with parameters of shape (c,).

    >>> one = jnp.ones(1)
    >>> print(f"{LogNormal(Normal(0 * one, one, 0.1 * one)).log_prob(2 * one)[0]:.4f}")
    -1.8523
    """

    log: Normal

    kinds: ClassVar[frozenset[Kind]] = frozenset({"positive"})
    support_point: ClassVar[float] = 1.0

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        positive = x > 0
        y = jnp.log(jnp.where(positive, x, 1))
        return jnp.where(positive, self.log.log_prob(y) - y, -jnp.inf)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        return _representable(jnp.exp(self.log.sample(key)))

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        positive = x > 0
        return jnp.where(positive, self.log.cdf(jnp.log(jnp.where(positive, x, 1))), 0)

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        positive = x > 0
        return jnp.where(positive, self.log.survival(jnp.log(jnp.where(positive, x, 1))), 1)

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return positive_interval(self, low, high)

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        finite = jnp.isfinite(high)
        bottom = jnp.where(low > 0, low, 1)
        a = jnp.where(low > 0, jnp.log(bottom), -jnp.inf)
        # For an interval much narrower than its ends, log high - log low would lose digits.
        rise = jnp.log1p(jnp.where(finite & (low > 0), high - low, 1) / bottom)
        b = jnp.where(low > 0, a + rise, jnp.log(jnp.where(high > 0, high, 1)))
        b = jnp.where(finite, b, jnp.inf)
        return jnp.where(high > 0, self.log._log_between(a, b), -jnp.inf)

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        x = jnp.exp(self.log.quantile(u, above))
        return jnp.where((u > 0) & (above > 0), _representable(x), x)

    def mean(self) -> Float[Array, "c"]:
        return jnp.exp(self.log.centre + self.log.dispersion / 2)

    def variance(self) -> Float[Array, "c"]:
        # (e^d - 1) e^(2 centre + d), rewritten because its factors may overflow before the product.
        d = self.log.dispersion
        return -jnp.expm1(-d) * jnp.exp(2 * (self.log.centre + d))

    def mode(self) -> Float[Array, "c"]:
        """The x of highest density, or the nearest positive finite float."""
        return _representable(jnp.exp(self.log.centre - self.log.dispersion))

    def entropy(self) -> Float[Array, "c"]:
        return self.log.entropy() + self.log.centre

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        return self.log.statistics(jnp.log(x), weight)

    def expected_statistics(self, other: "LogNormal") -> Statistics:
        return self.log.expected_statistics(other.log)

    def m_step(self, statistics: Statistics) -> "LogNormal":
        return LogNormal(self.log.m_step(statistics))

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "LogNormal":
        moments = weighted_moments(np.log(np.where(np.asarray(weight) > 0, x, 1.0)), weight)
        # A gap of r near a typical x is a gap of r / x near log x.
        resolution = np.array([c.resolution for c in columns]) / np.exp(moments.mean)
        floor = variance_floor(moments, resolution, unit=0.1)
        variance = np.maximum(moments.variance, floor)
        return cls(Normal(jnp.asarray(moments.mean), jnp.asarray(variance), jnp.asarray(floor)))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 2

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "LogNormal":
        return LogNormal(self.log.from_unconstrained(raw))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[LogNormal, tuple[Column, ...]]":
        normal, columns = Normal.example(key)
        columns = tuple(Column(c.variable, "positive", family="log_normal") for c in columns)
        return cls(Normal(normal.centre / 3, jnp.array([0.1, 0.5]), normal.floor)), columns


@closed_forms.kl.register(LogNormal, LogNormal)
def _kl(p: LogNormal, q: LogNormal) -> Float[Array, "c"]:
    rule = closed_forms.kl.find(p.log, q.log)
    assert rule is not None
    return rule(p.log, q.log)


@closed_forms.log_prob_double.register(LogNormal)
def _log_prob_double(p: LogNormal, x: Float[Array, "c"]) -> Double:
    y = jnp.log(jnp.where(x > 0, x, 1))
    density = add(fine_log_prob(p.log, y), double(-y))
    return Double(jnp.where(x > 0, density.high, -jnp.inf), jnp.where(x > 0, density.low, 0))
