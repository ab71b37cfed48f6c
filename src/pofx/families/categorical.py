"""The categorical family."""

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
from pofx.families.special_functions import divergence, entr, log


class Categorical(AbstractFamily):
    """The categorical distribution of a level code 0, 1, ..., L - 1.

    log p(x) = log probabilities[x]

    Columns whose numbers of levels round up to the same power of two share an instance. Levels that
    a column does not have keep probability zero. Bishop, Pattern Recognition and Machine Learning
    (2006), section 2.2.

    Args:
        probabilities: the probabilities of the levels, of shape (c, L).

    >>> family = Categorical(probabilities=jnp.array([[0.5, 0.25, 0.25, 0.0]]))
    >>> print(family.log_prob(jnp.array([3.0])), f"{family.entropy()[0]:.4f}")
    [-inf] 1.0397
    """

    probabilities: Float[Array, "c levels"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"categorical", "ordinal", "binary"})
    support_point: ClassVar[float] = 0.0

    def _levels(self) -> Float[Array, "levels"]:
        return jnp.arange(self.probabilities.shape[-1], dtype=self.probabilities.dtype)

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        # Over rows and components this is one matrix product per column, and no gather would be.
        # The logarithm comes last, because log 0 times 0 would be NaN.
        one_hot = (x[:, None] == self._levels()).astype(self.probabilities.dtype)
        return log(jnp.einsum("cl,cl->c", one_hot, self.probabilities, precision="highest"))

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        codes = jax.random.categorical(key, log(self.probabilities))
        return codes.astype(self.probabilities.dtype)

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        below = self._levels() <= x[:, None]
        return jnp.where(below, self.probabilities, 0).sum(-1)

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        above = self._levels() > x[:, None]
        return jnp.where(above, self.probabilities, 0).sum(-1)

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        levels = self._levels()
        within = (levels > low[:, None]) & (levels <= high[:, None])
        return jnp.where(within, self.probabilities, 0).sum(-1)

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        return log(self._between(low, high))

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        reached = jnp.cumsum(self.probabilities, -1)
        left = jnp.cumsum(self.probabilities[:, ::-1], -1)[:, ::-1] - self.probabilities
        short = jnp.where((u <= above)[:, None], reached < u[:, None], left > above[:, None])
        # The sum of all probabilities may be below u by rounding.
        last = jnp.where(self.probabilities > 0, self._levels(), 0).max(-1)
        return jnp.minimum(short.sum(-1).astype(last.dtype), last)

    def mean(self) -> Float[Array, "c"]:
        return (self.probabilities * self._levels()).sum(-1)

    def variance(self) -> Float[Array, "c"]:
        deviation = self._levels() - self.mean()[:, None]
        return (self.probabilities * deviation**2).sum(-1)

    def mode(self) -> Float[Array, "c"]:
        return jnp.argmax(self.probabilities, -1).astype(self.probabilities.dtype)

    def entropy(self) -> Float[Array, "c"]:
        return entr(self.probabilities).sum(-1)

    def statistics(
        self, x: Float[Array, "n c"], weight: Float[Array, "n c"]
    ) -> Float[Array, "c l"]:
        one_hot = (x[:, :, None] == self._levels()).astype(weight.dtype)
        return jnp.einsum("nc,ncl->cl", weight, one_hot, precision="highest")

    def expected_statistics(self, other: "Categorical") -> Float[Array, "c levels"]:
        return other.probabilities

    def m_step(self, statistics: Float[Array, "c levels"]) -> "Categorical":
        total = statistics.sum(-1, keepdims=True)
        has_rows = total > 0
        frequencies = statistics / jnp.where(has_rows, total, 1)
        return Categorical(jnp.where(has_rows, frequencies, self.probabilities))

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Categorical":
        """Frequencies after the addition of one row, spread evenly over a column's levels."""
        levels = np.array([[c.levels] for c in columns])
        codes = range(cls.num_raw(columns[0]))
        counts = np.stack([np.where(x == code, weight, 0.0).sum(0) for code in codes], -1)
        counts = np.where(np.arange(len(codes)) < levels, counts + 1 / levels, 0.0)
        return cls(to_device(counts / counts.sum(-1, keepdims=True)))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return (cls.num_raw(column),)

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 1 << (column.levels - 1).bit_length()

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Categorical":
        # A level of probability zero keeps it, so that absent levels stay absent.
        probabilities = jax.lax.stop_gradient(self.probabilities)
        return Categorical(jax.nn.softmax(log(probabilities) + raw, -1))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Categorical, tuple[Column, ...]]":
        columns = tuple(
            Column(name, "categorical", levels=levels, family="categorical")
            for name, levels in (("a", 3), ("b", 4))
        )
        absent = jnp.array([[0.0, 0.0, 0.0, -jnp.inf], [0.0, 0.0, 0.0, 0.0]])
        return cls(jax.nn.softmax(jax.random.normal(key, (2, 4)) + absent, -1)), columns


@closed_forms.kl.register(Categorical, Categorical)
def _kl(p: Categorical, q: Categorical) -> Float[Array, "c"]:
    return divergence(p.probabilities, q.probabilities).sum(-1)
