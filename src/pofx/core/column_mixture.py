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
"""Steps of bisection: more than the digits of a float, because the first bracket may be wide."""
MODE_GRID_SIZE = 256
"""Quantiles among which the highest density is searched for."""
MIN_FLOAT32_MASS = 1e-3
"""The probability of an interval below which its quantiles have few digits in float32."""
Excess: TypeAlias = Callable[[Float[Array, ""]], Float[Array, ""]]


class ColumnMixture(eqx.Module):
    """The distribution of one entry: p(x) = Σ_k w_k f_k(x), with the k columns f_k of a family.

    Every closed conditional of one column is such a mixture.

    Args:
        log_weights: log w_k in nats, which need not be normalised.
        family: a family of k columns.

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
        """The weights w_k, which sum to one."""
        return jax.nn.softmax(self.log_weights)

    def log_prob(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """log p(x) in nats."""
        normalised = jax.nn.log_softmax(self.log_weights)
        return jax.nn.logsumexp(normalised + self.family.log_prob(self._all(x)))

    def survival(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """P(X > x), with a small relative error also in the far tail."""
        return self.weights @ self.family.survival(self._all(x))

    def cdf(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """P(X <= x)."""
        return self.weights @ self.family.cdf(self._all(x))

    def between(self, low: Float[Array, ""], high: Float[Array, ""]) -> Float[Array, "k"]:
        """P(low < X <= high, component k) for each k; their sum is that of the interval."""
        return self.weights * between(self.family, self._all(low), self._all(high))

    def log_between(self, low: Float[Array, ""], high: Float[Array, ""]) -> Float[Array, "k"]:
        """log P(low < X <= high, component k) for each k, however small it is."""
        return jax.nn.log_softmax(self.log_weights) + self._log_between(low, high)

    def _log_between(self, low: Float[Array, ""], high: Float[Array, ""]) -> Float[Array, "k"]:
        return log_between(self.family, self._all(low), self._all(high))

    def mean(self) -> Float[Array, ""]:
        """E[X]."""
        return _average(self.weights, self.family.mean())

    def variance(self) -> Float[Array, ""]:
        """Var[X] = E[Var[X | k]] + Var[E[X | k]]."""
        means = self.family.mean()
        mean = self.mean()
        deviation = jnp.where(jnp.isfinite(mean), means - mean, jnp.inf)
        return _average(self.weights, self.family.variance() + deviation**2)

    def quantile(
        self, u: Float[Array, ""], column: Column, above: Float[Array, ""] | None = None
    ) -> Float[Array, ""]:
        """The smallest x with P(X <= x) >= u, by a search between the components' quantiles.

        Args:
            u: the level.
            column: what the entry holds, so that x is one of its values.
            above: 1 - u; it has digits that u near one has lost.
        """
        above = 1 - u if above is None else above
        quantiles = self.family.quantile(self._all(u), self._all(above))
        has_weight = self.weights > 0
        low = jnp.where(has_weight, quantiles, jnp.inf).min()
        high = jnp.where(has_weight, quantiles, -jnp.inf).max()
        excess = self._excess(u, above)
        # The smallest of the components' quantiles may be the answer itself.
        reached = excess(low) >= 0
        searched = ~reached & jnp.isfinite(low) & jnp.isfinite(high)
        ends = jnp.where(searched, low, 0), jnp.where(searched, high, 0)
        x = jnp.where(reached, low, jnp.where(searched, first_root(excess, *ends), high))
        return _on_support(x, lambda x: excess(x) >= 0, column)

    def _excess(self, u: Float[Array, ""], above: Float[Array, ""]) -> Excess:
        """P(X <= x) - u, or above - P(X > x) if that has more digits, as a function of x."""

        def excess(x: Float[Array, ""]) -> Float[Array, ""]:
            return jnp.where(u > above, above - self.survival(x), self.cdf(x) - u)

        return excess

    def mode(self, column: Column) -> Float[Array, ""]:
        """The x of highest density, by a search; with point masses, the heaviest of them."""
        candidates = self.family.mode()
        if column.kind != "count" and not column.spikes and len(candidates) > 1:
            # The density of a mixture may be highest between the modes of its components.
            u = jnp.linspace(0, 1, MODE_GRID_SIZE + 2, dtype=candidates.dtype)[1:-1]
            grid = jax.vmap(lambda u: self.quantile(u, column))(u)
            candidates = jnp.sort(jnp.concatenate([candidates, grid]))
            return _climb(self.log_prob, candidates)
        return candidates[jnp.argmax(jax.vmap(self.log_prob)(candidates))]

    def sample_truncated(
        self, key: PRNGKeyArray, low: Float[Array, "i"], high: Float[Array, "i"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """A draw given that X is in one of the intervals (low_i, high_i], and log P of them."""
        log_in_component = jax.vmap(self._log_between)(low, high)
        log_mass = jax.nn.log_softmax(self.log_weights) + log_in_component
        piece_key, share_key = jax.random.split(key)
        piece = jax.random.categorical(piece_key, log_mass.ravel())
        i, k = jnp.divmod(piece, len(self.log_weights))
        component = jax.tree.map(lambda a: a[k][None], self.family)
        share = jax.random.uniform(share_key, (), self.log_weights.dtype)
        draw = _truncated_quantile(component, share, low[i], high[i], log_in_component[i, k])
        return draw, jax.nn.logsumexp(log_mass)

    def _all(self, x: Float[Array, ""]) -> Float[Array, "k"]:
        return jnp.broadcast_to(jnp.asarray(x, self.log_weights.dtype), self.log_weights.shape)


def _average(weights: Float[Array, "k"], values: Float[Array, "k"]) -> Float[Array, ""]:
    """Σ_k w_k v_k, where values without weight do not count, even if they are infinite."""
    return weights @ jnp.where(weights > 0, values, 0)


def _truncated_quantile(family, share, low, high, log_mass):
    """The x with P(low < X <= x) = share P(low < X <= high), for a family of one column.

    It is a quantile of the family if the interval has enough probability. For a smaller one, far
    in a tail or narrow, a float does not resolve the levels, and x is found by bisection on
    probabilities that keep their relative error.
    """
    low, high = low[None], high[None]
    start = family.cdf(low)
    target = log_mass + jnp.log(share)
    quantile = jnp.clip(family.quantile(start + share * (family.cdf(high) - start)), low, high)

    def halve(_, ends):
        first, last = ends
        x = middle(first, last)
        reached = log_between(family, low, x) >= target
        return jnp.where(reached, first, x), jnp.where(reached, x, last)

    largest = jnp.finfo(quantile.dtype).max
    ends = jnp.maximum(low, -largest), jnp.minimum(high, largest)
    x = jax.lax.fori_loop(0, BISECTION_STEPS, halve, ends)[1]
    return jnp.where(log_mass > np.log(MIN_FLOAT32_MASS), quantile, x)[0]


def _on_support(x, reached, column: Column):
    """The place of a jump of the cdf, because a search stops a rounding above it."""
    if column.discrete or column.kind == "count":
        return jnp.round(x)
    spikes: Sequence[float] = column.spikes
    for spike in spikes:
        x = jnp.where(reached(jnp.asarray(spike, x.dtype)), jnp.minimum(x, spike), x)
    return x


def _climb(log_prob, grid):
    """The highest point between the neighbours of the highest grid point, by ternary search."""
    best = jnp.argmax(jax.vmap(log_prob)(grid))
    ends = grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, len(grid) - 1)]

    def narrow(_, ends):
        low, high = ends
        left, right = low + (high - low) / 3, high - (high - low) / 3
        rises = log_prob(left) < log_prob(right)
        return jnp.where(rises, left, low), jnp.where(rises, high, right)

    low, high = jax.lax.fori_loop(0, BISECTION_STEPS, narrow, ends)
    x = low + (high - low) / 2
    return jnp.where(log_prob(x) > log_prob(grid[best]), x, grid[best])


def flatten(log_weights: Float[Array, "k"], parts: ColumnMixture) -> ColumnMixture:
    """A mixture of mixtures as one mixture; `parts` has a leading axis of size k."""
    weights = log_weights[:, None] + jax.nn.log_softmax(parts.log_weights, axis=-1)
    family = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), parts.family)
    return ColumnMixture(weights.ravel(), family)
