"""The Poisson family."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.family import AbstractFamily
from pofx.families import draws
from pofx.families.column_moments import weighted_moments
from pofx.families.count_sums import expectation, interval_sum, log_interval_sum, poisson_range
from pofx.families.intervals import count_quantile, interval, log_interval
from pofx.families.special_functions import above_floor, divergence, log_poisson
from pofx.families.tail_probabilities import log_poisson_tails, poisson_tails

MIN_RATE = 1e-6
"""The minimum mean count, so that no count is impossible because it did not occur."""

Statistics = tuple[Float[Array, "c"], Float[Array, "c"]]


class Poisson(AbstractFamily):
    """The Poisson distribution of a count.

    log p(x) = x log rate - rate - log x!

    Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), chapter 4.

    Args:
        rate: the mean count, of shape (c,).

    >>> print(f"{Poisson(rate=jnp.array([2.0])).log_prob(jnp.array([1.0]))[0]:.4f}")
    -1.3069
    """

    rate: Float[Array, "c"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"count"})
    support_point: ClassVar[float] = 0.0

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        count = (x >= 0) & (x == jnp.floor(x))
        return jnp.where(count, self._continuous_log_prob(jnp.where(count, x, 0)), -jnp.inf)

    def _continuous_log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """`log_prob` also between the counts."""
        return log_poisson(x, self.rate)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        return draws.poisson(key, self.rate)

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return poisson_tails(x, self.rate)[0]

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return poisson_tails(x, self.rate)[1]

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return interval(self, low, high, partial(interval_sum, self._continuous_log_prob))

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def tails(x):
            return log_poisson_tails(x, self.rate)

        return log_interval(
            tails,
            low,
            high,
            partial(log_interval_sum, self._continuous_log_prob),
            self.support_point,
        )

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        tails = partial(poisson_tails, m=self.rate)
        return count_quantile(tails, u, above, self.rate, jnp.sqrt(self.rate))

    def mean(self) -> Float[Array, "c"]:
        return self.rate

    def variance(self) -> Float[Array, "c"]:
        return self.rate

    def mode(self) -> Float[Array, "c"]:
        return jnp.maximum(jnp.ceil(self.rate) - 1, 0)

    def entropy(self) -> Float[Array, "c"]:
        return expectation(
            self._continuous_log_prob, lambda _, log_p: -log_p, *poisson_range(self.rate)
        )

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        return weight.sum(0), (weight * (x - self.rate)).sum(0)

    def expected_statistics(self, other: "Poisson") -> Statistics:
        return jnp.ones_like(self.rate), other.rate - self.rate

    def m_step(self, statistics: Statistics) -> "Poisson":
        total, first = statistics
        has_rows = total > 0
        mean = self.rate + first / jnp.where(has_rows, total, 1)
        return Poisson(jnp.where(has_rows, jnp.maximum(mean, MIN_RATE), self.rate))

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Poisson":
        moments = weighted_moments(x, weight)
        mean = np.maximum(moments.mean, MIN_RATE)
        return cls(jnp.asarray(np.where(moments.weight > 0, mean, 1.0)))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 1

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Poisson":
        return Poisson(above_floor(jax.lax.stop_gradient(self.rate), MIN_RATE, raw[:, 0]))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Poisson, tuple[Column, ...]]":
        columns = tuple(Column(name, "count", resolution=1.0, family="poisson") for name in "ab")
        return cls(jnp.exp(jax.random.normal(key, (2,)))), columns


@closed_forms.kl.register(Poisson, Poisson)
def _kl(p: Poisson, q: Poisson) -> Float[Array, "c"]:
    return divergence(p.rate, q.rate)
