"""What a network sees of a row of columns of any kinds: of each a number and a code."""

from collections.abc import Sequence
from typing import Annotated

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pofx.core.column import KINDS, Column

KNEE = 5.0
"""Scales from its mean beyond which a number grows as a logarithm."""


class RowTokens(eqx.Module):
    """A number and a code of each column, whatever it holds.

    z_j = t((f_j(x_j) - centre_j) / scale_j), with f the logarithm of a positive number, log(1 + x)
    of a count and x itself of a real one, and t the identity up to KNEE and logarithmic beyond it.
    A level is a code and its number zero; so is a spike, its code one more than its place. A binary
    column is a number alone.

    >>> columns = [Column("a", "real"), Column("b", "categorical", levels=3)]
    >>> x = np.array([[1.0, 0.0], [3.0, 2.0]])
    >>> numbers, codes = RowTokens.from_data(columns, x, np.ones((2, 2)))(jnp.asarray(x[1]))
    >>> numbers.tolist(), codes.tolist()
    ([1.0, 0.0], [0, 2])
    """

    centre: Float[Array, "d"]
    scale: Float[Array, "d"]
    points: Float[Array, "d s"]
    kinds: tuple[Annotated[str, KINDS], ...] = eqx.field(static=True)
    counts: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: Float[Array, "d"]) -> tuple[Float[Array, "d"], Int[Array, "d"]]:
        numbers, codes = (_bent(x, self.kinds) - self.centre) / self.scale, self._spikes(x)
        if set(self.kinds) != {"binary"}:
            numbers = _tempered(numbers)
        leveled = np.array([_leveled(kind) for kind in self.kinds])
        if leveled.any():
            levels = jnp.clip(x, 0, np.array(self.counts) - 1).astype(codes.dtype)
            codes = jnp.where(leveled, levels, codes)
        return jnp.where(leveled | (codes > 0), 0, numbers), codes

    def _spikes(self, x: Float[Array, "d"]) -> Int[Array, "d"]:
        number = np.arange(1, self.points.shape[1] + 1)
        hit = jnp.where(x[:, None] == self.points, number, 0)
        return hit.max(1, initial=0).astype(jnp.int32)

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n d"],
        weight: Float[np.ndarray, "n d"],
    ) -> "RowTokens":
        """With the mean and scale of the cells of positive weight that are no spikes."""
        d, kinds = len(columns), tuple(c.kind for c in columns)
        points = np.full((d, max(len(c.spikes) for c in columns)), np.inf)
        for j, column in enumerate(columns):
            points[j, : len(column.spikes)] = column.spikes
        counts = tuple(c.levels if _leveled(c.kind) else 1 + len(c.spikes) for c in columns)
        x = np.where(weight > 0, x, 0)
        for point in points.T:
            # Spikes must match in the width of floats that rows have.
            weight = np.where(x == point.astype(x.dtype), 0, weight)
        y, total = _bent(jnp.asarray(x), kinds), np.maximum(weight.sum(0, dtype=float), 1e-30)
        y = np.array(y, np.float64)
        mean = np.einsum("nd,nd->d", weight, y) / total
        y -= mean
        spread = np.sqrt(np.einsum("nd,nd,nd->d", weight, y, y) / total)
        # A constant column has what rounding leaves.
        varies = spread > 1e-10 * np.abs(mean)
        scale = np.where(varies & (np.array(kinds) != "binary"), spread, 1)
        own = (jnp.asarray(mean), jnp.asarray(scale), jnp.asarray(points))
        return cls(*own, kinds, counts)


def _leveled(kind: str) -> bool:
    return kind in ("categorical", "ordinal")


def _bent(x: Float[Array, "... d"], kinds: Sequence[str]) -> Float[Array, "... d"]:
    """Numbers without the long tails of what is positive or counted."""
    positive, count = (np.array(kinds) == kind for kind in ("positive", "count"))
    if positive.any():
        x = jnp.where(positive, jnp.log(jnp.where(positive & (x > 0), x, 1)), x)
    if count.any():
        x = jnp.where(count, jnp.log1p(jnp.where(count & (x > 0), x, 0)), x)
    return x


def _tempered(z: Float[Array, "d"]) -> Float[Array, "d"]:
    far = jnp.sign(z) * (KNEE + jnp.log1p(jax.nn.relu(jnp.abs(z) - KNEE)))
    return jnp.where(jnp.abs(z) > KNEE, far, z)
