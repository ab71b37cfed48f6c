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
from pofx.families.count_sums import expectation, log_total, poisson_reach, total
from pofx.families.special_functions import divergence, above_floor, log_poisson
from pofx.families.tail_probabilities import (
    count_quantile,
    interval,
    log_interval,
    log_poisson_tails,
    poisson_tails,
)

LEAST = 1e-6
"""The least mean of a count: no count is impossible because none has been seen."""

Moments = tuple[Float[Array, "c"], Float[Array, "c"]]


class Poisson(AbstractFamily):
    """The Poisson distribution of a count.

    log p(x) = x log rate - rate - log x!

    `rate` is the mean count, of shape (c,). Johnson, Kemp and Kotz, Univariate Discrete
    Distributions (2005), chapter 4.

    >>> print(f"{Poisson(rate=jnp.array([2.0])).log_prob(jnp.array([1.0]))[0]:.4f}")
    -1.3069
    """

    rate: Float[Array, "c"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"count"})
    support_point: ClassVar[float] = 0.0

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        count = (x >= 0) & (x == jnp.floor(x))
        return jnp.where(count, self._smooth(jnp.where(count, x, 0)), -jnp.inf)

    def _smooth(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """`log_prob` between the counts, too."""
        return log_poisson(x, self.rate)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        return draws.poisson(key, self.rate)

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return poisson_tails(x, self.rate)[0]

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return poisson_tails(x, self.rate)[1]

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return interval(self, low, high, partial(total, self._smooth))

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def tails(x):
            return log_poisson_tails(x, self.rate)

        return log_interval(tails, low, high, partial(log_total, self._smooth), self.support_point)

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
        return expectation(self._smooth, lambda _, log_p: -log_p, *poisson_reach(self.rate))

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Moments:
        return weight.sum(0), (weight * (x - self.rate)).sum(0)

    def expected_statistics(self, other: "Poisson") -> Moments:
        return jnp.ones_like(self.rate), other.rate - self.rate

    def m_step(self, statistics: Moments) -> "Poisson":
        total, first = statistics
        some = total > 0
        mean = self.rate + first / jnp.where(some, total, 1)
        return Poisson(jnp.where(some, jnp.maximum(mean, LEAST), self.rate))

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Poisson":
        seen = weighted_moments(x, weight)
        return cls(jnp.asarray(np.where(seen.weight > 0, np.maximum(seen.mean, LEAST), 1.0)))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 1

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Poisson":
        return Poisson(above_floor(jax.lax.stop_gradient(self.rate), LEAST, raw[:, 0]))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Poisson, tuple[Column, ...]]":
        columns = tuple(Column(name, "count", resolution=1.0, family="poisson") for name in "ab")
        return cls(jnp.exp(jax.random.normal(key, (2,)))), columns


@closed_forms.kl.register(Poisson, Poisson)
def _kl(p: Poisson, q: Poisson) -> Float[Array, "c"]:
    return divergence(p.rate, q.rate)
