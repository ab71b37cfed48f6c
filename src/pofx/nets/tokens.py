"""Input of a network: for each column of a row a number and an integer code."""

from collections.abc import Sequence
from typing import Annotated

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pofx.core.column import KINDS, Column

MAX_LINEAR_SDS = 5.0
"""Standard deviations from the mean beyond which a number grows as a logarithm."""


class RowTokens(eqx.Module):
    """For each column of a row, whatever its kind, a number and an integer code.

    z_j = t((f_j(x_j) - centre_j) / scale_j)

    f is log x for a positive number, log(1 + x) for a count, and x for a real number. t is the
    identity up to 5 and logarithmic beyond. A level has its own code and the number zero. So has a
    spike (point mass): its code is one more than its index. A binary entry is only a number.

    A call maps a row to its numbers and its codes, (d,) each.

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
        numbers = (_log_transform(x, self.kinds) - self.centre) / self.scale
        codes = self._spike_codes(x)
        if set(self.kinds) != {"binary"}:
            numbers = _compress_tails(numbers)
        is_level = np.array([_has_level_codes(kind) for kind in self.kinds])
        if is_level.any():
            levels = jnp.clip(x, 0, np.array(self.counts) - 1).astype(codes.dtype)
            codes = jnp.where(is_level, levels, codes)
        return jnp.where(is_level | (codes > 0), 0, numbers), codes

    def _spike_codes(self, x: Float[Array, "d"]) -> Int[Array, "d"]:
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
        """Standardised over the cells of positive weight that are no spikes."""
        d = len(columns)
        kinds = tuple(c.kind for c in columns)
        points = np.full((d, max(len(c.spikes) for c in columns)), np.inf)
        for j, column in enumerate(columns):
            points[j, : len(column.spikes)] = column.spikes
        counts = tuple(c.levels if _has_level_codes(c.kind) else 1 + len(c.spikes) for c in columns)
        x = np.where(weight > 0, x, 0)
        for point in points.T:
            # Spikes must match in the float width of the rows.
            weight = np.where(x == point.astype(x.dtype), 0, weight)
        y = np.array(_log_transform(jnp.asarray(x), kinds), np.float64)
        total = np.maximum(weight.sum(0, dtype=float), 1e-30)
        mean = np.einsum("nd,nd->d", weight, y) / total
        y -= mean
        spread = np.sqrt(np.einsum("nd,nd,nd->d", weight, y, y) / total)
        # The spread of a constant column is rounding error.
        varies = spread > 1e-10 * np.abs(mean)
        scale = np.where(varies & (np.array(kinds) != "binary"), spread, 1)
        return cls(jnp.asarray(mean), jnp.asarray(scale), jnp.asarray(points), kinds, counts)


def _has_level_codes(kind: str) -> bool:
    return kind in ("categorical", "ordinal")


def _log_transform(x: Float[Array, "... d"], kinds: Sequence[str]) -> Float[Array, "... d"]:
    """log x for positive columns, log(1 + x) for counts, x for the others."""
    positive, count = (np.array(kinds) == kind for kind in ("positive", "count"))
    if positive.any():
        x = jnp.where(positive, jnp.log(jnp.where(positive & (x > 0), x, 1)), x)
    if count.any():
        x = jnp.where(count, jnp.log1p(jnp.where(count & (x > 0), x, 0)), x)
    return x


def _compress_tails(z: Float[Array, "d"]) -> Float[Array, "d"]:
    """z where |z| is at most MAX_LINEAR_SDS, and growing as a logarithm beyond."""
    tail = jnp.log1p(jax.nn.relu(jnp.abs(z) - MAX_LINEAR_SDS))
    compressed = jnp.sign(z) * (MAX_LINEAR_SDS + tail)
    return jnp.where(jnp.abs(z) > MAX_LINEAR_SDS, compressed, z)
