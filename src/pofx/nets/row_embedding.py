"""Rows of columns of any types as numbers, and the way back."""

from collections.abc import Sequence
from typing import Annotated

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pofx.core.column import KINDS, Column


class Embedding(eqx.Module):
    """The entries of a row as numbers of about mean 0 and scale 1, those of missing ones zero.

    A number gives one code: standardised, of a positive column its logarithm, of a count x
    log(1 + x / knee), where `knee` is the column's mean. So does an ordinal; of a binary column it
    is -1 or 1. A category gives one a level, a number one more a spike: 1 where it is that, else
    -1. The codes of numbers come first.

    >>> columns = (Column("a", "real"), Column("b", "categorical", levels=2))
    >>> x = np.array([[1.0, 0.0], [5.0, 1.0]])
    >>> embed = Embedding.from_data(columns, x, np.ones((2, 2)))
    >>> embed(jnp.array([5.0, 0.0]), jnp.array([True, True])).tolist()
    [1.0, 1.0, -1.0]
    """

    shift: Float[Array, "n"]
    scale: Float[Array, "n"]
    knee: Float[Array, "n"]
    values: Float[Array, "m"]
    numbers: tuple[int, ...] = eqx.field(static=True)
    kinds: tuple[Annotated[str, KINDS], ...] = eqx.field(static=True)
    marked: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """The number of codes."""
        return len(self.numbers) + len(self.marked)

    def __call__(self, x: Float[Array, "d"], observed: Bool[Array, "d"]) -> Float[Array, "c"]:
        place, marked = np.array(self.numbers, int), np.array(self.marked, int)
        hit, plain = self.marks(x)
        plain &= observed[place]
        number = self.straight(jnp.where(plain, x[place], 1))
        mark = jnp.where(observed[marked], jnp.where(hit, 1, -1), 0)
        return jnp.concatenate([jnp.where(plain, number, 0), mark.astype(number.dtype)])

    def marks(self, x: Float[Array, "d"]) -> tuple[Bool[Array, "m"], Bool[Array, "n"]]:
        """Which levels and spikes the row has, and which of its numbers are no spikes."""
        marked = np.array(self.marked, int)
        hit = x[marked] == self.values
        spiked = jnp.zeros(x.shape, bool).at[marked].max(hit)
        return hit, ~spiked[np.array(self.numbers, int)]

    def straight(self, x: Float[Array, "n"]) -> Float[Array, "n"]:
        """The codes of numbers."""
        log, count = self.are("positive"), self.are("count")
        x = jnp.where(log, jnp.log(jnp.where(log, x, 1)), x)
        x = jnp.where(count, jnp.log1p(jnp.where(count, x, 0) / self.knee), x)
        return (x - self.shift) / self.scale

    def bent(self, u: Float[Array, "n"]) -> Float[Array, "n"]:
        """The numbers with these codes."""
        log, count = self.are("positive"), self.are("count")
        x = self.shift + self.scale * u
        x = jnp.where(log, jnp.exp(jnp.where(log, x, 0)), x)
        return jnp.where(count, self.knee * jnp.expm1(jnp.where(count, x, 0)), x)

    def gap(self, x: Float[Array, "n"]) -> Float[Array, "n"]:
        """How far apart the codes of x - 1/2 and x + 1/2 are, of counts and levels."""
        # By their ratio: large neighbours are as one in float32.
        return jnp.where(self.are("count"), jnp.log1p(1 / (self.knee + x - 0.5)), 1) / self.scale

    def are(self, *kinds: str) -> Bool[np.ndarray, "n"]:
        """Which columns of numbers are of one of these kinds."""
        return np.array([own in kinds for own in self.kinds], bool)

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n d"],
        weight: Float[np.ndarray, "n d"],
    ) -> "Embedding":
        """That of these columns, standardised over the cells of positive weight."""
        marks = [(j, value) for j, c in enumerate(columns) for value in _marks(c)]
        # Rows arrive in the width of floats that models use, and spikes must match them there.
        values = np.array([value for _, value in marks]).astype(np.asarray(x).dtype)
        numbers = [j for j, c in enumerate(columns) if c.kind != "categorical"]
        kinds = [columns[j].kind for j in numbers]
        weight = np.array(weight, np.float64)
        for (j, _), value in zip(marks, values):
            weight[:, j] = np.where(x[:, j] == value, 0, weight[:, j])
        share = weight[:, numbers] / np.maximum(weight[:, numbers].sum(0), 1e-30)
        own = np.where(share > 0, np.asarray(x, np.float64)[:, numbers], 1)
        count, log, binary = (
            np.array([k == kind for k in kinds], bool) for kind in ("count", "positive", "binary")
        )
        knee = np.where(count, np.maximum((share * own).sum(0), 1), 1)
        own = np.where(count, np.log1p(np.where(count, own, 0) / knee), own)
        own = np.where(log, np.log(np.where(log, own, 1)), own)
        mean = (share * own).sum(0)
        spread = np.sqrt((share * (own - mean) ** 2).sum(0))
        # A constant column, whose spread is rounding at most, is as wide as it is large.
        size = np.where(mean == 0, 1, np.abs(mean))
        spread = np.where(spread > 1e-9 * size, spread, size)
        return cls(
            jnp.asarray(np.where(binary, 0.5, mean)),
            jnp.asarray(np.where(binary, 0.5, spread)),
            jnp.asarray(knee),
            jnp.asarray(values),
            tuple(numbers),
            tuple(kinds),
            tuple(j for j, _ in marks),
        )


def _marks(column: Column) -> Sequence[float]:
    """The values of a column that have a code each. Counts have the mass of a spike anyway."""
    if column.kind == "categorical":
        return range(column.levels)
    return column.spikes if column.kind in ("real", "positive") else ()
