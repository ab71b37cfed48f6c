"""Rows of columns of any kinds as codes that normal noise is added to, and rows read off again."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.core.column import Column
from pofx.core.compilation import compiled_quickly, to_device
from pofx.nets.row_embedding import Embedding

MIN_NOISE = 0.004
"""The least noise of a number, as a share of its scale."""
LEVEL_SPACING_SDS = 8
"""The distance between neighbouring levels, in standard deviations of the least noise."""
NEIGHBOUR_LEVELS = 4
"""Levels on either side of a prediction that enter its posterior mean."""


class NoisyEncoding(eqx.Module):
    """The codes c(x) of a row, and the distribution p(x | y) of a row given noisy codes.

    y = c(x) + s n with n standard normal, and s = `min_noise` for each code

    - A number has the density N(y, s²).
    - A count or an ordered level has the mass of N(y, s²) between its neighbours.
    - A category or a spike has p(k | y) ∝ exp(-|y - c(k)|² / 2 s²).

    The noise is as wide as rounding, and narrow enough to distinguish levels. So Kingma, Salimans,
    Poole and Ho, "Variational diffusion models" (2021), decode pixels.

    Attributes:
        embedding: the map c.
        min_noise: the standard deviation s of each code.
        levels: the number of levels of each column of numbers, 0 if it is not bounded.

    >>> columns = (Column("a", "real"), Column("b", "categorical", levels=2))
    >>> data = np.array([[1.0, 0.0], [5.0, 1.0]])
    >>> codes = NoisyEncoding.from_data(columns, data, np.ones((2, 2)))
    >>> x = jnp.array([5.0, 1.0])
    >>> codes(x).tolist(), codes.sample(jax.random.key(0), codes(x)).round(1).tolist()
    ([1.0, -1.0, 1.0], [5.0, 1.0])
    """

    embedding: Embedding
    min_noise: Float[Array, "c"]
    levels: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """The number of codes."""
        return self.embedding.size

    def __call__(self, x: Row) -> Float[Array, "c"]:
        return self.embedding(x, jnp.ones(x.shape, bool))

    def log_prob(self, x: Row, y: Float[Array, "c"]) -> Float[Array, ""]:
        """log p(x | y) in nats."""
        hit, smooth = self.embedding.mark_indicators(x)
        n = len(smooth)
        values = jnp.where(smooth, x[np.array(self.embedding.numbers, int)], 1)
        numbers = jnp.where(smooth, self._log_prob_numbers(values, y[:n]), 0).sum()
        columns, marks = self._mark_table()
        if not len(columns):
            return numbers
        logits = self._logits(y[n:], marks)
        hit = jnp.append(hit, jnp.array([False, False]))[marks]
        hit = jnp.where(marks == len(y) - n, ~hit.any(1, keepdims=True), hit)
        log_p = jnp.where(hit, logits, 0).sum(1) - jax.nn.logsumexp(logits, axis=1)
        return numbers + jnp.where(hit.any(1), log_p, -jnp.inf).sum()

    def sample(self, key: PRNGKeyArray, y: Float[Array, "c"]) -> Row:
        """A draw from p(x | y)."""
        number_key, mark_key = jax.random.split(key)
        place = np.array(self.embedding.numbers, int)
        n = len(place)
        u = y[:n] + self.min_noise[:n] * jax.random.normal(number_key, (n,), y.dtype)
        x = self.embedding.decode_numbers(u)
        x = jnp.where(self._is_ordered(), jnp.clip(jnp.rint(x), 0, self._max_level()), x).astype(
            y.dtype
        )
        columns, marks = self._mark_table()
        if not len(columns):
            return x
        row = jnp.zeros(len({*place, *columns}), y.dtype).at[place].set(x)
        option = jax.random.categorical(mark_key, self._logits(y[n:], marks))
        mark = jnp.take_along_axis(jnp.asarray(marks), option[:, None], 1)[:, 0]
        value = jnp.append(self.embedding.mark_values, 0).astype(y.dtype)[mark]
        return row.at[columns].set(jnp.where(mark < len(y) - n, value, row[columns]))

    @property
    def discrete(self) -> Bool[np.ndarray, "c"]:
        """A mask of the codes of levels and spikes."""
        return np.concatenate([self._is_ordered(), np.ones(len(self.embedding.mark_columns), bool)])

    def posterior_mean_code(
        self, y: Float[Array, "c"], s: Float[Array, "c"], output: Float[Array, "c"]
    ) -> Float[Array, "c"]:
        """E[c(x) | y] by Bayes' rule, where a network's output supplies the prior.

        - Codes of -1 and 1: tanh(y / s² + output).
        - Other codes: m = (y - output s √(1 + s²)) / (1 + s²), as if normal with variance one.
        - Ordered levels with s below their distance: the mean of the codes c(k) of the levels near
          m, with weights exp(-(m - c(k))² / 2 s²).

        Args:
            y: noisy codes.
            s: the standard deviations of their noise.
            output: the network's output for each code.
        """
        f = self.embedding
        n = len(self.embedding.numbers)
        m = (y - output * s * jnp.sqrt(1 + s**2)) / (1 + s**2)
        binary = np.concatenate([f.kind_mask("binary"), np.ones(len(f.mark_columns), bool)])
        out = jnp.where(binary, jnp.tanh(y / s**2 + output), m)
        has_levels = f.kind_mask("count", "ordinal")
        last = self._max_level()
        if not has_levels.any():
            return out
        m, s = m[:n], s[:n]
        middle = jnp.rint(f.decode_numbers(jax.lax.stop_gradient(jnp.where(has_levels, m, 0))))
        middle = jnp.clip(middle, 0, np.where(has_levels, np.minimum(last, 1e9), 0))
        k = middle + jnp.arange(-NEIGHBOUR_LEVELS, NEIGHBOUR_LEVELS + 1)[:, None]
        possible = has_levels & (k >= 0) & (k <= last)
        code = jax.vmap(f.encode_numbers)(jnp.where(possible, k, 1))
        logits = jnp.where(possible, -(((m - code) / s) ** 2) / 2, -1e30)
        weight = jax.nn.softmax(logits, axis=0)
        is_narrow = has_levels & (s < f.level_gap(middle))
        return out.at[:n].set(jnp.where(is_narrow, (weight * code).sum(0), out[:n]))

    def _log_prob_numbers(self, x, y) -> Float[Array, "n"]:
        """log p(x_j | y) of the columns of numbers."""
        f = self.embedding
        is_ordered = self._is_ordered()
        sd = self.min_noise[: len(y)]
        deviation = (f.encode_numbers(x) - y) / sd
        log = jnp.log(jnp.where(f.kind_mask("positive"), x, 1))
        density = norm.logpdf(deviation) - jnp.log(sd * f.scale) - log
        k = jnp.where(is_ordered, x, 0)
        half = jnp.where(is_ordered, 0.5, 0)
        low = jnp.where(k <= 0, -jnp.inf, (f.encode_numbers(x - half) - y) / sd)
        high = jnp.where(k >= self._max_level(), jnp.inf, (f.encode_numbers(x + half) - y) / sd)
        # The codes of neighbouring large counts are equal in float32, but their gap is known.
        gap = f.level_gap(k) / sd
        return jnp.where(is_ordered, _log_mass(low, high, deviation, gap), density)

    def _logits(self, y, marks) -> Float[Array, "g k"]:
        """Logits of the marks of each column, from the codes y of all marks."""
        # All codes c(k) have one length, so only the product with y in |y - c(k)|² matters.
        logits = 2 * y / self.min_noise[-len(y) :] ** 2
        return jnp.concatenate([logits, jnp.array([0, -jnp.inf], y.dtype)])[marks]

    def _mark_table(self) -> tuple[Int[np.ndarray, "g"], Int[np.ndarray, "g k"]]:
        """The columns with marks, and the indices of the marks of each.

        With m marks in total, index m means no mark (in a column of numbers); m + 1 is padding.
        """
        mark_columns = self.embedding.mark_columns
        m = len(self.embedding.mark_columns)
        options: dict[int, list[int]] = {}
        for i, j in enumerate(mark_columns):
            options.setdefault(j, []).append(i)
        for j in options:
            options[j] += [m] * (j in self.embedding.numbers)
        width = max(map(len, options.values()), default=0)
        padded = [o + [m + 1] * (width - len(o)) for o in options.values()]
        return np.array(list(options), int), np.array(padded, int)

    def _is_ordered(self) -> Bool[np.ndarray, "n"]:
        """A mask of the counts and ordered levels among the columns of numbers."""
        return self.embedding.kind_mask("count", "binary", "ordinal")

    def _max_level(self) -> Float[np.ndarray, "n"]:
        """The largest level of each column of numbers, inf if it is not bounded."""
        return np.array([k - 1 if k else np.inf for k in self.levels])

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n d"],
        weight: Float[np.ndarray, "n d"],
    ) -> "NoisyEncoding":
        """The encoding of these columns; `weight` is that of each cell, zero if it is missing."""
        embedding = Embedding.from_data(columns, x, weight)
        numbers = [columns[j] for j in embedding.numbers]
        # A resolution r at a typical x is a resolution r / x of log x.
        log = embedding.kind_mask("positive")
        shift, scale = np.asarray(embedding.shift), np.asarray(embedding.scale)
        typical = np.where(log, np.exp(np.where(log, shift, 0)), 1) * scale
        rounding = np.array([c.resolution for c in numbers]) / typical / np.sqrt(12)
        is_ordered = embedding.kind_mask("count", "binary", "ordinal")
        level_noise = np.asarray(_level_gaps(embedding)) / LEVEL_SPACING_SDS
        noise = np.where(is_ordered, level_noise, rounding)
        # The two codes of a mark are 2 apart.
        mark_noise = np.full(len(embedding.mark_columns), 2 / LEVEL_SPACING_SDS)
        min_noise = [np.maximum(noise, MIN_NOISE), mark_noise]
        levels = tuple(c.levels for c in numbers)
        return cls(embedding, to_device(np.concatenate(min_noise)), levels)


@compiled_quickly
def _level_gaps(embedding: Embedding) -> Float[Array, "n"]:
    """The distance between the codes of neighbouring levels at the knee of each column."""
    return embedding.level_gap(embedding.log_knee)


def _log_mass(low: Array, high: Array, middle: Array, gap: Array) -> Array:
    """log P(low < n <= high) for a standard normal n.

    For a small gap between the ends the mass follows from the density at the `middle`.
    """
    narrow = (gap < 0.1) & jnp.isfinite(low + high)
    right = low + high > 0
    a, b = jnp.where(right, -low, high), jnp.where(right, -high, low)
    a, b = jnp.where(narrow, 1, a), jnp.where(narrow, -1, b)
    by_tails = log_ndtr(a) + jnp.log1p(-jnp.exp(log_ndtr(b) - log_ndtr(a)))
    by_density = norm.logpdf(middle) + jnp.log(gap) + (middle**2 - 1) * gap**2 / 24
    return jnp.where(narrow, by_density, by_tails)
