"""The uniform family."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.compilation import to_device
from pofx.core.family import AbstractFixedFamily
from pofx.families.special_functions import log


class Uniform(AbstractFixedFamily):
    """The uniform distribution of a real number between two ends.

    p(x) = 1 / (high - low)  for low <= x <= high

    Its ends are not learned after the start, because the likelihood of rows is highest at the
    smallest and the largest of them, which no sum over rows tells. Johnson, Kotz and Balakrishnan,
    Continuous Univariate Distributions 2 (1995), chapter 26.

    Args:
        low, high: the ends, in the units of x, of shape (c,).

    >>> print(f"{Uniform(jnp.zeros(1), 2 * jnp.ones(1)).log_prob(jnp.ones(1))[0]:.4f}")
    -0.6931
    """

    low: Float[Array, "c"]
    high: Float[Array, "c"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"real"})
    support_point: ClassVar[float] = 0.0

    @property
    def width(self) -> Float[Array, "c"]:
        """The length of the interval."""
        return self.high - self.low

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        inside = (x >= self.low) & (x <= self.high)
        return jnp.where(inside, -jnp.log(self.width), -jnp.inf)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        u = jax.random.uniform(key, self.low.shape, self.low.dtype)
        return jnp.minimum(self.low + u * self.width, self.high)

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return jnp.clip((x - self.low) / self.width, 0, 1)

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return jnp.clip((self.high - x) / self.width, 0, 1)

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return (jnp.minimum(high, self.high) - jnp.maximum(low, self.low)) / self.width

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return log(self._between(low, high))

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        return jnp.where(u <= above, self.low + u * self.width, self.high - above * self.width)

    def mean(self) -> Float[Array, "c"]:
        return self.low + self.width / 2

    def variance(self) -> Float[Array, "c"]:
        return self.width**2 / 12

    def mode(self) -> Float[Array, "c"]:
        return self.low

    def entropy(self) -> Float[Array, "c"]:
        return jnp.log(self.width)

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Uniform":
        """From the smallest to the largest cell, and half a resolution further on both sides."""
        present = np.asarray(weight) > 0
        low = np.where(present, x, np.inf).min(0, initial=np.inf)
        high = np.where(present, x, -np.inf).max(0, initial=-np.inf)
        low, high = np.where(present.any(0), (low, high), ([0.0], [1.0]))
        margin = np.array([c.resolution / 2 for c in columns])
        margin = np.where(high - low + 2 * margin > 0, margin, 0.05 * np.abs(low) + 0.5)
        return cls(to_device(low - margin), to_device(high + margin))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Uniform, tuple[Column, ...]]":
        columns = tuple(Column(name, "real", family="uniform") for name in ("a", "b"))
        low = jax.random.normal(key, (2,))
        return cls(low, low + jnp.array([0.5, 4.0])), columns


@closed_forms.kl.register(Uniform, Uniform)
def _kl(p: Uniform, q: Uniform) -> Float[Array, "c"]:
    inside = (p.low >= q.low) & (p.high <= q.high)
    return jnp.where(inside, jnp.log(q.width) - jnp.log(p.width), jnp.inf)
