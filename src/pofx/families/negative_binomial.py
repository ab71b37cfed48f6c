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
from pofx.families import draws
from pofx.families.column_moments import weighted_moments
from pofx.families.count_sums import expectation, gamma_reach, log_total, poisson_reach, total
from pofx.families.poisson import LEAST
from pofx.families.special_functions import (
    t_minus_log1p,
    above_floor,
    log_minus_digamma,
    log_negative_binomial,
)
from pofx.families.tail_probabilities import (
    count_quantile,
    interval,
    log_interval,
    log_negative_binomial_tails,
    negative_binomial_tails,
)

SMALLEST, LARGEST = 1e-3, 1e4
"""Bounds of the size, the upper one for each count of the mean: see `_largest`."""

Moments = tuple[Float[Array, "c"], Float[Array, "c"], Float[Array, "c"]]


def _largest(mean: Float[Array, "c"]) -> Float[Array, "c"]:
    """The largest size for a mean count; counts that spread no wider than a Poisson's reach it.

    The variance is then that of a Poisson law to within 1 part in 10^4, whatever the mean.
    """
    return LARGEST * jnp.maximum(mean, 1)


class NegativeBinomial(AbstractFamily):
    """The negative binomial distribution of a count: Poisson, its rate gamma-distributed.

    p(x) = Gamma(x + size) / (Gamma(size) x!) q^size (1 - q)^x with q = size / (size + rate)

    `rate` is the mean count and `size` the shape of the gamma law, so that the variance is
    rate + rate^2 / size; both have shape (c,). The likelihood has no sufficient statistics in the
    size, so `m_step` raises a lower bound of it that touches it at the present size, with
    log Gamma(x + size) - log Gamma(size) >= size_0 (psi(x + size_0) - psi(size_0)) log size + ...:
    Hunter and Lange, "A tutorial on MM algorithms" (2004).

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
        return jnp.where(count, self._smooth(jnp.where(count, x, 0)), -jnp.inf)

    def _smooth(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """`log_prob` between the counts, too."""
        return log_negative_binomial(x, self.rate, self.size)

    def _expectation(self, g: Callable) -> Float[Array, "c"]:
        """E[g(X, log p(X))] of a function that is smooth between the counts."""
        low, high = gamma_reach(self.size)
        scale = self.rate / self.size
        low, _ = poisson_reach(low * scale)
        _, high = poisson_reach(high * scale)
        return expectation(self._smooth, g, low, high)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        mixing, counting = jax.random.split(key)
        gamma = jax.random.gamma(mixing, self.size, dtype=self.size.dtype)
        return draws.poisson(counting, gamma / self.size * self.rate)

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return negative_binomial_tails(x, self.rate, self.size)[0]

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return negative_binomial_tails(x, self.rate, self.size)[1]

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return interval(self, low, high, partial(total, self._smooth))

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def tails(x):
            return log_negative_binomial_tails(x, self.rate, self.size)

        return log_interval(tails, low, high, partial(log_total, self._smooth), self.support_point)

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        tails = partial(negative_binomial_tails, m=self.rate, r=self.size)
        return count_quantile(tails, u, above, self.rate, jnp.sqrt(self.variance()))

    def mean(self) -> Float[Array, "c"]:
        return self.rate

    def variance(self) -> Float[Array, "c"]:
        return self.rate + self.rate**2 / self.size

    def mode(self) -> Float[Array, "c"]:
        # p(x) > p(x - 1) as long as x < rate (size - 1) / size.
        falling = self.rate * (self.size - 1) / self.size
        return jnp.maximum(jnp.ceil(falling) - 1, 0)

    def entropy(self) -> Float[Array, "c"]:
        return self._expectation(lambda _, log_p: -log_p)

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Moments:
        # x - r (psi(x + r) - psi(r)), which is small for a large size where its terms are not.
        r = self.size
        bend = t_minus_log1p(x / r) - log_minus_digamma(r) + log_minus_digamma(x + r)
        return weight.sum(0), (weight * (x - self.rate)).sum(0), (weight * r * bend).sum(0)

    def expected_statistics(self, other: "NegativeBinomial") -> Moments:
        # psi(x + r) - psi(r) is the integral over s > 0 of e^(-rs) (1 - e^(-xs)) / (1 - e^(-s)),
        # and E e^(-xs) = (1 + rate (1 - e^(-s)) / size)^-size; trapezoid rule in log s.
        r, m = self.size[:, None], other.rate[:, None]
        size = other.size[:, None]
        low = -20 - jnp.log(jnp.maximum(jnp.maximum(m, r), 1))
        high = 4 - jnp.log(r)
        grid = jnp.linspace(0, 1, 129, dtype=m.dtype)
        s = jnp.exp(low + (high - low) * grid)
        rest = -jnp.expm1(-s)
        seen = -jnp.expm1(-size * jnp.log1p(m * rest / size)) / rest
        bend = jnp.sum(r * jnp.exp(-r * s) * (m - seen) * s, -1) * ((high - low) / 128)[:, 0]
        return jnp.ones_like(self.rate), other.rate - self.rate, bend

    def m_step(self, statistics: Moments) -> "NegativeBinomial":
        total, first, bend = statistics
        some = total > 0
        n = jnp.where(some, total, 1)
        mean = jnp.maximum(self.rate + first / n, LEAST)
        share = bend / n / mean

        # size log(1 + mean / size) = E[size_0 (psi(x + size_0) - psi(size_0))], falling in size
        # when written for the complements and divided by the mean.
        def halve(_, bracket):
            low, high = bracket
            middle = (low + high) / 2
            z = mean * jnp.exp(-middle)
            above = t_minus_log1p(z) / z > share
            return jnp.where(above, middle, low), jnp.where(above, high, middle)

        ends = jnp.full_like(mean, np.log(SMALLEST)), jnp.log(_largest(mean))
        size = jnp.exp(sum(jax.lax.fori_loop(0, jnp.finfo(n.dtype).nmant, halve, ends)) / 2)
        learned = some & (mean > LEAST)
        return NegativeBinomial(
            jnp.where(some, mean, self.rate), jnp.where(learned, size, self.size)
        )

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "NegativeBinomial":
        seen = weighted_moments(x, weight)
        mean = np.where(seen.weight > 0, np.maximum(seen.mean, LEAST), 1.0)
        poisson = mean**2 / (LARGEST * np.maximum(mean, 1))
        size = mean**2 / np.maximum(seen.variance - mean, poisson)
        return cls(jnp.asarray(mean), jnp.asarray(np.maximum(size, SMALLEST)))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 2

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "NegativeBinomial":
        own = jax.lax.stop_gradient(self)
        spread = above_floor(1 / own.size, 1 / _largest(own.rate), raw[:, 1])
        return NegativeBinomial(above_floor(own.rate, LEAST, raw[:, 0]), 1 / spread)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[NegativeBinomial, tuple[Column, ...]]":
        family = "negative_binomial"
        columns = tuple(Column(name, "count", resolution=1.0, family=family) for name in "ab")
        return cls(jnp.exp(1 + 0.5 * jax.random.normal(key, (2,))), jnp.array([1.5, 6.0])), columns


@closed_forms.kl.register(NegativeBinomial, NegativeBinomial)
def _kl(p: NegativeBinomial, q: NegativeBinomial) -> Float[Array, "c"]:
    return jnp.maximum(p._expectation(lambda x, log_p: log_p - q._smooth(x)), 0)
