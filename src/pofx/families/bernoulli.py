"""The Bernoulli family."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.compilation import to_device
from pofx.core.family import AbstractFamily
from pofx.families.column_moments import weighted_moments
from pofx.families.special_functions import divergence, entr, log

Counts = tuple[Float[Array, "c"], Float[Array, "c"]]


class Bernoulli(AbstractFamily):
    """The Bernoulli distribution of a code 0 or 1.

    p(1) = 1 / (1 + exp(-log_odds)), p(0) = 1 - p(1)

    Bishop, Pattern Recognition and Machine Learning (2006), section 2.1.

    Args:
        log_odds: log p(1) - log p(0) in nats, of shape (c,); if infinite, one code is certain.

    >>> print(f"{Bernoulli(log_odds=jnp.zeros(1)).log_prob(jnp.ones(1))[0]:.4f}")
    -0.6931
    """

    log_odds: Float[Array, "c"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary"})
    support_point: ClassVar[float] = 0.0

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        one, zero = -jax.nn.softplus(-self.log_odds), -jax.nn.softplus(self.log_odds)
        return jnp.where(x == 1, one, jnp.where(x == 0, zero, -jnp.inf))

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        return jax.random.bernoulli(key, self.mean()).astype(self.log_odds.dtype)

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        zero = jax.nn.sigmoid(-self.log_odds)
        return jnp.where(x >= 1, 1, jnp.where(x >= 0, zero, 0))

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return jnp.where(x < 0, 1, jnp.where(x < 1, self.mean(), 0))

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        has_zero, has_one = (low < 0) & (high >= 0), (low < 1) & (high >= 1)
        p_zero = jnp.where(has_zero, jax.nn.sigmoid(-self.log_odds), 0)
        return p_zero + jnp.where(has_one, self.mean(), 0)

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return log(self._between(low, high))

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        zero = jnp.where(u <= above, u <= jax.nn.sigmoid(-self.log_odds), above >= self.mean())
        return jnp.where(zero, 0.0, 1.0).astype(u.dtype)

    def mean(self) -> Float[Array, "c"]:
        return jax.nn.sigmoid(self.log_odds)

    def variance(self) -> Float[Array, "c"]:
        return self.mean() * jax.nn.sigmoid(-self.log_odds)

    def mode(self) -> Float[Array, "c"]:
        return jnp.where(self.log_odds > 0, 1, 0).astype(self.log_odds.dtype)

    def entropy(self) -> Float[Array, "c"]:
        return entr(jax.nn.sigmoid(self.log_odds)) + entr(jax.nn.sigmoid(-self.log_odds))

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Counts:
        return (weight * (1 - x)).sum(0), (weight * x).sum(0)

    def expected_statistics(self, other: "Bernoulli") -> Counts:
        return jax.nn.sigmoid(-other.log_odds), jax.nn.sigmoid(other.log_odds)

    def m_step(self, statistics: Counts) -> "Bernoulli":
        zeros, ones = statistics
        has_rows = zeros + ones > 0
        zeros, ones = jnp.where(has_rows, zeros, 1), jnp.where(has_rows, ones, 1)
        return Bernoulli(jnp.where(has_rows, jnp.log(ones) - jnp.log(zeros), self.log_odds))

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Bernoulli":
        """Frequencies after the addition of one row, half of it 0 and half of it 1."""
        moments = weighted_moments(x, weight)
        ones = moments.weight * moments.mean
        return cls(to_device(np.log(ones + 0.5) - np.log(moments.weight - ones + 0.5)))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 1

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Bernoulli":
        return Bernoulli(jax.lax.stop_gradient(self.log_odds) + raw[:, 0])

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Bernoulli, tuple[Column, ...]]":
        columns = tuple(Column(name, "binary", levels=2, family="bernoulli") for name in "ab")
        return cls(jax.random.normal(key, (2,))), columns


@closed_forms.kl.register(Bernoulli, Bernoulli)
def _kl(p: Bernoulli, q: Bernoulli) -> Float[Array, "c"]:
    zero = divergence(jax.nn.sigmoid(-p.log_odds), jax.nn.sigmoid(-q.log_odds))
    return zero + divergence(p.mean(), q.mean())
