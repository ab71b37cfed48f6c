"""The negative binomial family."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.family import AbstractFamily
from pofx.families import count_sums, draws
from pofx.families.column_moments import weighted_moments
from pofx.families.count_sums import (
    expectation,
    gamma_range,
    interval_sum,
    log_interval_sum,
    poisson_range,
)
from pofx.families.intervals import count_quantile, interval, log_interval
from pofx.families.poisson import MIN_RATE
from pofx.families.special_functions import (
    above_floor,
    log_minus_digamma,
    log_negative_binomial,
    t_minus_log1p,
)
from pofx.families.tail_probabilities import log_negative_binomial_tails, negative_binomial_tails

MIN_SIZE = 1e-3
"""The minimum of the size."""
MAX_SIZE_PER_COUNT = 1e4
"""The maximum of the size per count of the mean, see `_max_size`."""

Statistics = tuple[Float[Array, "c"], Float[Array, "c"], Float[Array, "c"]]


def _max_size(mean: Float[Array, "c"]) -> Float[Array, "c"]:
    """The largest size for a mean count, reached if counts vary no more than a Poisson variate.

    The variance is then that of a Poisson distribution to within 1 part in 10^4, for any mean.
    """
    return MAX_SIZE_PER_COUNT * jnp.maximum(mean, 1)


class NegativeBinomial(AbstractFamily):
    """The negative binomial distribution of a count: Poisson with a gamma-distributed rate.

    p(x) = Gamma(x + size) / (Gamma(size) x!) q^size (1 - q)^x with q = size / (size + rate)

    The likelihood has no sufficient statistics for the size. So `m_step` raises a lower bound of it
    that is tight at the present size, with
    log Gamma(x + size) - log Gamma(size) >= size_0 (psi(x + size_0) - psi(size_0)) log size + ...:
    Hunter and Lange, "A tutorial on MM algorithms" (2004).

    Args:
        rate: the mean count, of shape (c,).
        size: the shape of the gamma distribution; the variance is rate + rate^2 / size.

    >>> one = jnp.ones(1)
    >>> print(f"{NegativeBinomial(rate=one, size=one).log_prob(one)[0]:.4f}")
    -1.3863
    """

    rate: Float[Array, "c"]
    size: Float[Array, "c"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"count"})
    support_point: ClassVar[float] = 0.0

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        count = (x >= 0) & (x == jnp.floor(x))
        return jnp.where(count, self._continuous_log_prob(jnp.where(count, x, 0)), -jnp.inf)

    def _continuous_log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """`log_prob` also between the counts."""
        return log_negative_binomial(x, self.rate, self.size)

    def _expectation(self, g: Callable) -> Float[Array, "c"]:
        """E[g(X, log p(X))] for a function g that is smooth between the counts."""
        return expectation(self._continuous_log_prob, g, *self._range())

    def _range(self) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
        """Counts beyond which the distribution is negligible."""
        low, high = gamma_range(self.size)
        scale = self.rate / self.size
        low, _ = poisson_range(low * scale)
        _, high = poisson_range(high * scale)
        return low, high

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        gamma_key, count_key = jax.random.split(key)
        gamma = jax.random.gamma(gamma_key, self.size, dtype=self.size.dtype)
        return draws.poisson(count_key, gamma / self.size * self.rate)

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return negative_binomial_tails(x, self.rate, self.size)[0]

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return negative_binomial_tails(x, self.rate, self.size)[1]

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return interval(self, low, high, partial(interval_sum, self._continuous_log_prob))

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def tails(x):
            return log_negative_binomial_tails(x, self.rate, self.size)

        return log_interval(
            tails,
            low,
            high,
            partial(log_interval_sum, self._continuous_log_prob),
            self.support_point,
        )

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        tails = partial(negative_binomial_tails, m=self.rate, r=self.size)
        return count_quantile(tails, u, above, self.rate, jnp.sqrt(self.variance()))

    def mean(self) -> Float[Array, "c"]:
        return self.rate

    def variance(self) -> Float[Array, "c"]:
        return self.rate + self.rate**2 / self.size

    def mode(self) -> Float[Array, "c"]:
        # p(x) > p(x - 1) as long as x < rate (size - 1) / size.
        turning_point = self.rate * (self.size - 1) / self.size
        return jnp.maximum(jnp.ceil(turning_point) - 1, 0)

    def entropy(self) -> Float[Array, "c"]:
        return self._expectation(lambda _, log_p: -log_p)

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        # x - r (psi(x + r) - psi(r)), which is small for a large size although its terms are large.
        r = self.size
        size_statistic = t_minus_log1p(x / r) - log_minus_digamma(r) + log_minus_digamma(x + r)
        return (
            weight.sum(0),
            (weight * (x - self.rate)).sum(0),
            (weight * r * size_statistic).sum(0),
        )

    def expected_statistics(self, other: "NegativeBinomial") -> Statistics:
        # psi(x + r) - psi(r) is the integral over s > 0 of e^(-rs) (1 - e^(-xs)) / (1 - e^(-s)),
        # and E e^(-xs) = (1 + rate (1 - e^(-s)) / size)^-size; trapezoid rule in log s.
        r, m = self.size[:, None], other.rate[:, None]
        size = other.size[:, None]
        low = -20 - jnp.log(jnp.maximum(jnp.maximum(m, r), 1))
        high = 4 - jnp.log(r)
        grid = jnp.linspace(0, 1, 129, dtype=m.dtype)
        s = jnp.exp(low + (high - low) * grid)
        complement = -jnp.expm1(-s)
        ratio = -jnp.expm1(-size * jnp.log1p(m * complement / size)) / complement
        integrand = r * jnp.exp(-r * s) * (m - ratio) * s
        size_statistic = jnp.sum(integrand, -1) * ((high - low) / 128)[:, 0]
        return jnp.ones_like(self.rate), other.rate - self.rate, size_statistic

    def m_step(self, statistics: Statistics) -> "NegativeBinomial":
        total, first, size_statistic = statistics
        has_rows = total > 0
        n = jnp.where(has_rows, total, 1)
        mean = jnp.maximum(self.rate + first / n, MIN_RATE)
        share = size_statistic / n / mean

        # Solves size log(1 + mean / size) = E[size_0 (psi(x + size_0) - psi(size_0))]. Written for
        # the complements and divided by the mean, it falls in size.
        def halve(_, bracket):
            low, high = bracket
            middle = (low + high) / 2
            z = mean * jnp.exp(-middle)
            above = t_minus_log1p(z) / z > share
            return jnp.where(above, middle, low), jnp.where(above, high, middle)

        ends = jnp.full_like(mean, np.log(MIN_SIZE)), jnp.log(_max_size(mean))
        size = jnp.exp(sum(jax.lax.fori_loop(0, jnp.finfo(n.dtype).nmant, halve, ends)) / 2)
        has_counts = has_rows & (mean > MIN_RATE)
        rate = jnp.where(has_rows, mean, self.rate)
        return NegativeBinomial(rate, jnp.where(has_counts, size, self.size))

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "NegativeBinomial":
        moments = weighted_moments(x, weight)
        mean = np.where(moments.weight > 0, np.maximum(moments.mean, MIN_RATE), 1.0)
        min_excess = mean**2 / (MAX_SIZE_PER_COUNT * np.maximum(mean, 1))
        size = mean**2 / np.maximum(moments.variance - mean, min_excess)
        return cls(jnp.asarray(mean), jnp.asarray(np.maximum(size, MIN_SIZE)))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 2

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "NegativeBinomial":
        current = jax.lax.stop_gradient(self)
        spread = above_floor(1 / current.size, 1 / _max_size(current.rate), raw[:, 1])
        return NegativeBinomial(above_floor(current.rate, MIN_RATE, raw[:, 0]), 1 / spread)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[NegativeBinomial, tuple[Column, ...]]":
        family = "negative_binomial"
        columns = tuple(Column(name, "count", resolution=1.0, family=family) for name in "ab")
        return cls(jnp.exp(1 + 0.5 * jax.random.normal(key, (2,))), jnp.array([1.5, 6.0])), columns


@closed_forms.kl.register(NegativeBinomial, NegativeBinomial)
def _kl(p: NegativeBinomial, q: NegativeBinomial) -> Float[Array, "c"]:
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), p, q)
    return count_sums.kl(both._continuous_log_prob, *p._range())
