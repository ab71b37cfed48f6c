"""Rows of columns of any kinds as vectors of numbers, and numbers decoded again."""

from collections.abc import Sequence
from typing import Annotated

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pofx.core.column import KINDS, Column


class Embedding(eqx.Module):
    """The entries of a row as codes of about mean 0 and scale 1; the codes of missing ones are 0.

    - A number or an ordinal has one code: its standardised value. A positive number is replaced by
      its logarithm first, a count x by log(1 + x / log_knee), where `log_knee` is the column's
      mean.
    - A binary entry has one code, -1 or 1.
    - A category has one code per level, and a number one more per spike (point mass). These marks
      are 1 if the entry has that value, else -1.

    The codes of numbers come first. A call maps a row and its mask of observed entries to codes.

    >>> columns = (Column("a", "real"), Column("b", "categorical", levels=2))
    >>> x = np.array([[1.0, 0.0], [5.0, 1.0]])
    >>> embed = Embedding.from_data(columns, x, np.ones((2, 2)))
    >>> embed(jnp.array([5.0, 0.0]), jnp.array([True, True])).tolist()
    [1.0, 1.0, -1.0]
    """

    shift: Float[Array, "n"]
    scale: Float[Array, "n"]
    log_knee: Float[Array, "n"]
    mark_values: Float[Array, "m"]
    numbers: tuple[int, ...] = eqx.field(static=True)
    kinds: tuple[Annotated[str, KINDS], ...] = eqx.field(static=True)
    mark_columns: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """The number of codes."""
        return len(self.numbers) + len(self.mark_columns)

    def __call__(self, x: Float[Array, "d"], observed: Bool[Array, "d"]) -> Float[Array, "c"]:
        place = np.array(self.numbers, int)
        mark_columns = np.array(self.mark_columns, int)
        hit, smooth = self.mark_indicators(x)
        smooth &= observed[place]
        number = self.encode_numbers(jnp.where(smooth, x[place], 1))
        mark = jnp.where(observed[mark_columns], jnp.where(hit, 1, -1), 0)
        return jnp.concatenate([jnp.where(smooth, number, 0), mark.astype(number.dtype)])

    def mark_indicators(self, x: Float[Array, "d"]) -> tuple[Bool[Array, "m"], Bool[Array, "n"]]:
        """Which levels and spikes the row has, and which of its numbers are no spikes."""
        mark_columns = np.array(self.mark_columns, int)
        hit = x[mark_columns] == self.mark_values
        is_spike = jnp.zeros(x.shape, bool).at[mark_columns].max(hit)
        return hit, ~is_spike[np.array(self.numbers, int)]

    def encode_numbers(self, x: Float[Array, "n"]) -> Float[Array, "n"]:
        """The codes of numbers."""
        log = self.kind_mask("positive")
        count = self.kind_mask("count")
        x = jnp.where(log, jnp.log(jnp.where(log, x, 1)), x)
        x = jnp.where(count, jnp.log1p(jnp.where(count, x, 0) / self.log_knee), x)
        return (x - self.shift) / self.scale

    def decode_numbers(self, u: Float[Array, "n"]) -> Float[Array, "n"]:
        """The numbers with these codes."""
        log = self.kind_mask("positive")
        count = self.kind_mask("count")
        x = self.shift + self.scale * u
        x = jnp.where(log, jnp.exp(jnp.where(log, x, 0)), x)
        return jnp.where(count, self.log_knee * jnp.expm1(jnp.where(count, x, 0)), x)

    def level_gap(self, x: Float[Array, "n"]) -> Float[Array, "n"]:
        """The distance between the codes of x - 1/2 and x + 1/2, for counts and levels."""
        # From the ratio, because the codes of large neighbours are equal in float32.
        gap = jnp.log1p(1 / (self.log_knee + x - 0.5))
        return jnp.where(self.kind_mask("count"), gap, 1) / self.scale

    def kind_mask(self, *kinds: str) -> Bool[np.ndarray, "n"]:
        """Which of the columns of numbers have one of these kinds."""
        return np.array([kind in kinds for kind in self.kinds], bool)

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n d"],
        weight: Float[np.ndarray, "n d"],
    ) -> "Embedding":
        """The embedding of these columns, standardised over the cells of positive weight."""
        marks = [(j, value) for j, c in enumerate(columns) for value in _values_with_code(c)]
        # Rows arrive in the float width of the models, and spikes must match them exactly.
        mark_values = np.array([value for _, value in marks]).astype(np.asarray(x).dtype)
        numbers = [j for j, c in enumerate(columns) if c.kind != "categorical"]
        kinds = [columns[j].kind for j in numbers]
        weight = np.array(weight, np.float64)
        for (j, _), value in zip(marks, mark_values):
            weight[:, j] = np.where(x[:, j] == value, 0, weight[:, j])
        share = weight[:, numbers] / np.maximum(weight[:, numbers].sum(0), 1e-30)
        y = np.where(share > 0, np.asarray(x, np.float64)[:, numbers], 1)
        count, log, binary = (
            np.array([k == kind for k in kinds], bool) for kind in ("count", "positive", "binary")
        )
        log_knee = np.where(count, np.maximum((share * y).sum(0), 1), 1)
        y = np.where(count, np.log1p(np.where(count, y, 0) / log_knee), y)
        y = np.where(log, np.log(np.where(log, y, 1)), y)
        mean = (share * y).sum(0)
        spread = np.sqrt((share * (y - mean) ** 2).sum(0))
        # The spread of a constant column is rounding error; its magnitude is the scale instead.
        magnitude = np.where(mean == 0, 1, np.abs(mean))
        spread = np.where(spread > 1e-9 * magnitude, spread, magnitude)
        return cls(
            shift=jnp.asarray(np.where(binary, 0.5, mean)),
            scale=jnp.asarray(np.where(binary, 0.5, spread)),
            log_knee=jnp.asarray(log_knee),
            mark_values=jnp.asarray(mark_values),
            numbers=tuple(numbers),
            kinds=tuple(kinds),
            mark_columns=tuple(j for j, _ in marks),
        )


def _values_with_code(column: Column) -> Sequence[float]:
    """The values of a column that have a code each. Spikes of counts need none."""
    if column.kind == "categorical":
        return range(column.levels)
    return column.spikes if column.kind in ("real", "positive") else ()
