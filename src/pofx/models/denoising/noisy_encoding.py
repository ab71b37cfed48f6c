"""Columns of any types as numbers that normal noise is added to, and read off again."""

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
from pofx.nets.row_embedding import Embedding

FINEST = 0.004
"""The least noise of a number, as a share of its scale."""
APART = 8
"""Neighbouring levels are as many spreads of the least noise apart."""
NEAR = 4
"""Levels on either side of a guess that it may be."""


class NoisyEncoding(eqx.Module):
    """The embedding c(x) of a row, and p(x | y) of the row that y = c(x) + s n was, n normal.

    A number of density has N(y, s²); a count, or one of ordered levels, the mass of that between
    its neighbours; a category, or a spike, p(k | y) ∝ exp(-|y - c(k)|² / 2 s²). The noise s of each
    code, `finest`, is as wide as rounding, and tells levels apart. `levels` is how many a column of
    numbers has, 0 for any. So Kingma, Salimans, Poole and Ho, "Variational diffusion models"
    (2021), read pixels.

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
        """log p(x | y)."""
        hit, plain = self.embedding.marks(x)
        n = len(plain)
        own = jnp.where(plain, x[np.array(self.embedding.numbers, int)], 1)
        numbers = jnp.where(plain, self._numbers(own, y[:n]), 0).sum()
        columns, options = self._options()
        if not len(columns):
            return numbers
        logits = self._logits(y[n:], options)
        hit = jnp.append(hit, jnp.array([False, False]))[options]
        hit = jnp.where(options == len(y) - n, ~hit.any(1, keepdims=True), hit)
        marks = jnp.where(hit, logits, 0).sum(1) - jax.nn.logsumexp(logits, axis=1)
        return numbers + jnp.where(hit.any(1), marks, -jnp.inf).sum()

    def sample(self, key: PRNGKeyArray, y: Float[Array, "c"]) -> Row:
        """A draw from p(x | y)."""
        drawing, choosing = jax.random.split(key)
        place = np.array(self.embedding.numbers, int)
        n = len(place)
        u = y[:n] + self.min_noise[:n] * jax.random.normal(drawing, (n,), y.dtype)
        x = self.embedding.bent(u)
        x = jnp.where(self._cells(), jnp.clip(jnp.rint(x), 0, self._last()), x).astype(y.dtype)
        columns, options = self._options()
        if not len(columns):
            return x
        row = jnp.zeros(len({*place, *columns}), y.dtype).at[place].set(x)
        chosen = jax.random.categorical(choosing, self._logits(y[n:], options))
        mark = jnp.take_along_axis(jnp.asarray(options), chosen[:, None], 1)[:, 0]
        value = jnp.append(self.embedding.values, 0).astype(y.dtype)[mark]
        return row.at[columns].set(jnp.where(mark < len(y) - n, value, row[columns]))

    @property
    def discrete(self) -> Bool[np.ndarray, "c"]:
        """Which codes are of levels or spikes."""
        return np.concatenate([self._cells(), np.ones(len(self.embedding.marked), bool)])

    def posterior_mean_code(
        self, y: Float[Array, "c"], s: Float[Array, "c"], told: Float[Array, "c"]
    ) -> Float[Array, "c"]:
        """E[c(x) | y] by Bayes' rule, with what else is told of the codes.

        Of codes -1 and 1 it is tanh(y / s² + told). Of others, normal with variance one, it would
        be m = (y - told s √(1 + s²)) / (1 + s²); of levels near one another it is the mean of those
        near m, of weights exp(-(m - c(k))² / 2 s²), where s is below their distance.
        """
        f, n = self.embedding, len(self.embedding.numbers)
        m = (y - told * s * jnp.sqrt(1 + s**2)) / (1 + s**2)
        two = np.concatenate([f.are("binary"), np.ones(len(f.marked), bool)])
        out = jnp.where(two, jnp.tanh(y / s**2 + told), m)
        many, last = f.are("count", "ordinal"), self._last()
        if not many.any():
            return out
        m, s = m[:n], s[:n]
        middle = jnp.rint(f.bent(jax.lax.stop_gradient(jnp.where(many, m, 0))))
        middle = jnp.clip(middle, 0, np.where(many, np.minimum(last, 1e9), 0))
        k = middle + jnp.arange(-NEAR, NEAR + 1)[:, None]
        inside = many & (k >= 0) & (k <= last)
        own = jax.vmap(f.straight)(jnp.where(inside, k, 1))
        weight = jax.nn.softmax(jnp.where(inside, -(((m - own) / s) ** 2) / 2, -1e30), axis=0)
        near = many & (s < f.gap(middle))
        return out.at[:n].set(jnp.where(near, (weight * own).sum(0), out[:n]))

    def _numbers(self, x, y) -> Float[Array, "n"]:
        """log p(x_j | y) of the columns of numbers."""
        f, cells, spread = self.embedding, self._cells(), self.min_noise[: len(y)]
        at = (f.straight(x) - y) / spread
        log = jnp.log(jnp.where(f.are("positive"), x, 1))
        density = norm.logpdf(at) - jnp.log(spread * f.scale) - log
        k, half = jnp.where(cells, x, 0), jnp.where(cells, 0.5, 0)
        low = jnp.where(k <= 0, -jnp.inf, (f.straight(x - half) - y) / spread)
        high = jnp.where(k >= self._last(), jnp.inf, (f.straight(x + half) - y) / spread)
        # Neighbours of a large count are as one in float32, but not how far apart they are.
        gap = f.gap(k) / spread
        return jnp.where(cells, _log_mass(low, high, at, gap), density)

    def _logits(self, y, options) -> Float[Array, "g k"]:
        # Codes are of one length: of |y - c(k)|² only the product with y tells them apart.
        own = 2 * y / self.min_noise[-len(y) :] ** 2
        return jnp.concatenate([own, jnp.array([0, -jnp.inf], y.dtype)])[options]

    def _options(self) -> tuple[Int[np.ndarray, "g"], Int[np.ndarray, "g k"]]:
        """Columns with marks, and the marks each may have: m for none of them, then padding."""
        marked, m = self.embedding.marked, len(self.embedding.marked)
        own: dict[int, list[int]] = {}
        for i, j in enumerate(marked):
            own.setdefault(j, []).append(i)
        for j in own:
            own[j] += [m] * (j in self.embedding.numbers)
        most = max(map(len, own.values()), default=0)
        padded = [o + [m + 1] * (most - len(o)) for o in own.values()]
        return np.array(list(own), int), np.array(padded, int)

    def _cells(self) -> Bool[np.ndarray, "n"]:
        return self.embedding.are("count", "binary", "ordinal")

    def _last(self) -> Float[np.ndarray, "n"]:
        return np.array([k - 1 if k else np.inf for k in self.levels])

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n d"],
        weight: Float[np.ndarray, "n d"],
    ) -> "NoisyEncoding":
        """Codes of these columns."""
        embedding = Embedding.from_data(columns, x, weight)
        own = [columns[j] for j in embedding.numbers]
        # A gap of r about a typical x is a gap of r / x about log x.
        log = embedding.are("positive")
        typical = np.where(log, np.exp(np.where(log, embedding.shift, 0)), 1) * embedding.scale
        rounding = np.array([c.resolution for c in own]) / typical / np.sqrt(12)
        cells = embedding.are("count", "binary", "ordinal")
        noise = np.where(cells, embedding.gap(embedding.knee) / APART, rounding)
        # The codes of levels and spikes are 2 apart.
        finest = [np.maximum(noise, FINEST), np.full(len(embedding.marked), 2 / APART)]
        levels = tuple(c.levels for c in own)
        return cls(embedding, jnp.asarray(np.concatenate(finest)), levels)


def _log_mass(low: Array, high: Array, at: Array, gap: Array) -> Array:
    """log P(low < n <= high) of a normal n; where both are near, by the density between them."""
    narrow = (gap < 0.1) & jnp.isfinite(low + high)
    right = low + high > 0
    a, b = jnp.where(right, -low, high), jnp.where(right, -high, low)
    a, b = jnp.where(narrow, 1, a), jnp.where(narrow, -1, b)
    wide = log_ndtr(a) + jnp.log1p(-jnp.exp(log_ndtr(b) - log_ndtr(a)))
    within = norm.logpdf(at) + jnp.log(gap) + (at**2 - 1) * gap**2 / 24
    return jnp.where(narrow, within, wide)
