"""The distribution of one entry as a finite mixture of one-column families."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.column import Column
from pofx.core.family import AbstractFamily, between, log_between
from pofx.core.root_finding import first_root, middle

BISECTION_STEPS = 64
"""Steps of bisection: more than the digits of a float, for the bracket may begin wide."""
MODE_GRID_SIZE = 256
"""Quantiles among which the highest density is looked for."""
MIN_FLOAT32_MASS = 1e-3
"""The probability of an interval within which quantiles in float32 have few digits left."""
Excess: TypeAlias = Callable[[Float[Array, ""]], Float[Array, ""]]


class ColumnMixture(eqx.Module):
    """p(x) = Σ_k w_k f_k(x) of one entry x, the f_k being the k columns of one family.

    What every closed conditional of one column comes to. `log_weights` need not be normalised.

    >>> from pofx.families.normal import Normal
    >>> ones = jnp.ones(2)
    >>> p = ColumnMixture(jnp.zeros(2), Normal(jnp.array([-1.0, 1.0]), ones, ones))
    >>> float(p.mean()), float(p.variance())
    (0.0, 2.0)
    """

    log_weights: Float[Array, "k"]
    family: AbstractFamily

    @property
    def weights(self) -> Float[Array, "k"]:
        """w_k, which sum to one."""
        return jax.nn.softmax(self.log_weights)

    def log_prob(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """log p(x) in nats."""
        normalised = jax.nn.log_softmax(self.log_weights)
        return jax.nn.logsumexp(normalised + self.family.log_prob(self._all(x)))

    def survival(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """P(X > x), to its relative error far out."""
        return self.weights @ self.family.survival(self._all(x))

    def cdf(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """P(X <= x)."""
        return self.weights @ self.family.cdf(self._all(x))

    def between(self, low: Float[Array, ""], high: Float[Array, ""]) -> Float[Array, "k"]:
        """P(low < X <= high) and component k, whose sum is the probability of the interval."""
        return self.weights * between(self.family, self._all(low), self._all(high))

    def log_between(self, low: Float[Array, ""], high: Float[Array, ""]) -> Float[Array, "k"]:
        """log P(low < X <= high) and component k, however small it is."""
        inside = log_between(self.family, self._all(low), self._all(high))
        return jax.nn.log_softmax(self.log_weights) + inside

    def mean(self) -> Float[Array, ""]:
        """E[X]."""
        return _average(self.weights, self.family.mean())

    def variance(self) -> Float[Array, ""]:
        """Var[X] = E[Var[X | k]] + Var[E[X | k]]."""
        mean, centre = self.family.mean(), self.mean()
        apart = jnp.where(jnp.isfinite(centre), mean - centre, jnp.inf)
        return _average(self.weights, self.family.variance() + apart**2)

    def quantile(
        self, u: Float[Array, ""], column: Column, above: Float[Array, ""] | None = None
    ) -> Float[Array, ""]:
        """The smallest x with P(X <= x) >= u, by bisection between the components' own.

        `above` is 1 - u, which has the digits that u near one has lost.
        """
        above = 1 - u if above is None else above
        each = self.family.quantile(self._all(u), self._all(above))
        weighted = self.weights > 0
        low = jnp.where(weighted, each, jnp.inf).min()
        high = jnp.where(weighted, each, -jnp.inf).max()
        excess = self._excess(u, above)
        # The least of the components' quantiles may be the answer itself.
        reached = excess(low) >= 0
        inside = ~reached & jnp.isfinite(low) & jnp.isfinite(high)
        ends = jnp.where(inside, low, 0), jnp.where(inside, high, 0)
        x = jnp.where(reached, low, jnp.where(inside, first_root(excess, *ends), high))
        return _on_support(x, lambda x: excess(x) >= 0, column)

    def _excess(self, u: Float[Array, ""], above: Float[Array, ""]) -> Excess:
        """P(X <= x) - u or above - P(X > x), whichever keeps its digits, as a function of x."""

        def excess(x: Float[Array, ""]) -> Float[Array, ""]:
            return jnp.where(u > above, above - self.survival(x), self.cdf(x) - u)

        return excess

    def mode(self, column: Column) -> Float[Array, ""]:
        """The highest density, to the resolution of a search; of point masses the heaviest."""
        candidates = self.family.mode()
        if column.kind != "count" and not column.spikes and len(candidates) > 1:
            # A mixture's density may be highest between the modes of its components.
            u = jnp.linspace(0, 1, MODE_GRID_SIZE + 2, dtype=candidates.dtype)[1:-1]
            grid = jax.vmap(lambda u: self.quantile(u, column))(u)
            candidates = jnp.sort(jnp.concatenate([candidates, grid]))
            return _climb(self.log_prob, candidates)
        return candidates[jnp.argmax(jax.vmap(self.log_prob)(candidates))]

    def sample_truncated(
        self, key: PRNGKeyArray, low: Float[Array, "i"], high: Float[Array, "i"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """A draw given that X is in one of the intervals (low_i, high_i], and log P of that."""
        log_mass = jax.vmap(self.log_between)(low, high)
        choose, draw = jax.random.split(key)
        which = jax.random.categorical(choose, log_mass.ravel())
        i, k = jnp.divmod(which, len(self.log_weights))
        one = jax.tree.map(lambda a: a[k][None], self.family)
        share = jax.random.uniform(draw, (), self.log_weights.dtype)
        return _cut(one, share, low[i], high[i]), jax.nn.logsumexp(log_mass)

    def _all(self, x: Float[Array, ""]) -> Float[Array, "k"]:
        return jnp.broadcast_to(jnp.asarray(x, self.log_weights.dtype), self.log_weights.shape)


def _average(weights: Float[Array, "k"], values: Float[Array, "k"]) -> Float[Array, ""]:
    """Σ_k w_k v_k, in which what has no weight counts for nothing, infinite or not."""
    return weights @ jnp.where(weights > 0, values, 0)


def _cut(family, share, low, high):
    """The x with P(low < X <= x) = share P(low < X <= high), of a family of one column.

    By the family's quantile; of an interval that holds little, far out or narrow, whose levels a
    float does not tell from 0 or 1, by bisection on probabilities that keep their relative error.
    """
    low, high = low[None], high[None]
    whole, start = log_between(family, low, high), family.cdf(low)
    expected = whole + jnp.log(share)
    plain = jnp.clip(family.quantile(start + share * (family.cdf(high) - start)), low, high)

    def halve(_, ends):
        first, last = ends
        x = middle(first, last)
        enough = log_between(family, low, x) >= expected
        return jnp.where(enough, first, x), jnp.where(enough, x, last)

    largest = jnp.finfo(plain.dtype).max
    ends = jnp.maximum(low, -largest), jnp.minimum(high, largest)
    x = jax.lax.fori_loop(0, BISECTION_STEPS, halve, ends)[1]
    return jnp.where(whole > np.log(MIN_FLOAT32_MASS), plain, x)[0]


def _on_support(x, reached, column: Column):
    """Where the cdf jumps, the place of the jump: bisection stops a rounding above it."""
    if column.discrete or column.kind == "count":
        return jnp.round(x)
    spikes: Sequence[float] = column.spikes
    for spike in spikes:
        x = jnp.where(reached(jnp.asarray(spike, x.dtype)), jnp.minimum(x, spike), x)
    return x


def _climb(log_prob, grid):
    """The highest point between the neighbours of the highest of a grid, by ternary search."""
    best = jnp.argmax(jax.vmap(log_prob)(grid))
    ends = grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, len(grid) - 1)]

    def narrow(_, ends):
        low, high = ends
        one, other = low + (high - low) / 3, high - (high - low) / 3
        up = log_prob(one) < log_prob(other)
        return jnp.where(up, one, low), jnp.where(up, high, other)

    low, high = jax.lax.fori_loop(0, BISECTION_STEPS, narrow, ends)
    found = low + (high - low) / 2
    return jnp.where(log_prob(found) > log_prob(grid[best]), found, grid[best])


def flatten(log_weights: Float[Array, "k"], parts: ColumnMixture) -> ColumnMixture:
    """The mixture of mixtures as one: `parts` has a leading axis of k."""
    weights = log_weights[:, None] + jax.nn.log_softmax(parts.log_weights, axis=-1)
    family = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), parts.family)
    return ColumnMixture(weights.ravel(), family)
