"""Point masses in addition to any other family."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.double_double import Double, add, double
from pofx.core.family import AbstractFamily, Statistics, between, fine_log_prob, log_between
from pofx.families.column_families import base_class
from pofx.families.special_functions import divergence, entr, log

Model = TypeVar("Model")


class Inflated(AbstractFamily):
    """Point masses at a column's spikes, and a base family for the other values.

    P(X = points[j]) gains probabilities[j]; the last probability is that of the base

    If the base is over counts, a spike has its own mass and that of the base: the usual
    zero-inflated distribution. Learning divides such a cell between them by their posterior (EM).
    If the base is continuous, the density is with respect to Lebesgue measure plus counting measure
    at the spikes, and a cell that equals a spike comes from it. Lambert, "Zero-inflated Poisson
    regression" (1992).

    Args:
        points: the spikes in the units of x, of shape (c, s).
        probabilities: those of the spikes and of the base, of shape (c, s + 1).
        base: a family of c columns.

    >>> from pofx.families.poisson import Poisson
    >>> spikes, half = jnp.zeros((1, 1)), jnp.array([[0.5, 0.5]])
    >>> inflated = Inflated(spikes, half, Poisson(jnp.array([1.0])))
    >>> print(f"{jnp.exp(inflated.log_prob(jnp.zeros(1)))[0]:.4f}")
    0.6839
    """

    points: Float[Array, "c s"]
    probabilities: Float[Array, "c s+1"]
    base: AbstractFamily

    kinds: ClassVar[frozenset[Kind]] = frozenset({"real", "positive", "count"})
    support_point: ClassVar[float] = 1.0

    @property
    def base_overlaps_spikes(self) -> bool:
        """Whether the base also gives the spikes probability."""
        return "count" in self.base.kinds

    def _match_spikes(self, x: Float[Array, "... c"]) -> tuple[Bool[Array, "... c s"], Array]:
        """Which spike each x is, and x with a value for the base to evaluate."""
        # A spike may be outside the support of a continuous base.
        hit = x[..., None] == self.points
        if self.base_overlaps_spikes:
            return hit, x
        return hit, jnp.where(hit.any(-1), self.base.support_point, x)

    def _masses(self, x: Float[Array, "c m"]) -> tuple[Float[Array, "c m"], Float[Array, "c m"]]:
        """The probability masses of each x under the spikes and under the base."""
        spikes = self._spike_masses(x)
        if not self.base_overlaps_spikes:
            return spikes, jnp.zeros_like(spikes)
        log_p = jax.vmap(self.base.log_prob, 1, 1)(x)
        return spikes, self.probabilities[:, -1:] * jnp.exp(log_p)

    def _spike_masses(self, x: Float[Array, "c m"]) -> Float[Array, "c m"]:
        hit = x[:, :, None] == self.points[:, None]
        return jnp.where(hit, self.probabilities[:, None, :-1], 0).sum(-1)

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        hit, filled = self._match_spikes(x)
        spike = log(jnp.where(hit, self.probabilities[:, :-1], 0).sum(-1))
        base = log(self.probabilities[:, -1]) + self.base.log_prob(filled)
        is_spike = hit.any(-1)
        # If both terms are -inf, the sum has no gradient, so it is computed for spikes only.
        log_total = jnp.logaddexp(jnp.where(is_spike, spike, 0), jnp.where(is_spike, base, 0))
        return jnp.where(is_spike, log_total if self.base_overlaps_spikes else spike, base)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        choice_key, base_key = jax.random.split(key)
        choice = jax.random.categorical(choice_key, log(self.probabilities))
        values = jnp.concatenate([self.points, self.base.sample(base_key)[:, None]], 1)
        return jnp.take_along_axis(values, choice[:, None], 1)[:, 0]

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        spikes = jnp.where(self.points <= x[:, None], self.probabilities[:, :-1], 0).sum(-1)
        return spikes + self.probabilities[:, -1] * self.base.cdf(x)

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        spikes = jnp.where(self.points > x[:, None], self.probabilities[:, :-1], 0).sum(-1)
        return spikes + self.probabilities[:, -1] * self.base.survival(x)

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        within = (self.points > low[:, None]) & (self.points <= high[:, None])
        spikes = jnp.where(within, self.probabilities[:, :-1], 0).sum(-1)
        return spikes + self.probabilities[:, -1] * between(self.base, low, high)

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        within = (self.points > low[:, None]) & (self.points <= high[:, None])
        spikes = jnp.where(within, self.probabilities[:, :-1], 0).sum(-1)
        base = jnp.log(self.probabilities[:, -1]) + log_between(self.base, low, high)
        return jnp.logaddexp(jnp.log(spikes), base)

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        # Between two spikes the cdf is that of the base, scaled and shifted. In each gap, the first
        # x that reaches u is the base's quantile or the spike on the left, if that is in the gap.
        order = jnp.argsort(self.points, 1)
        points = jnp.take_along_axis(self.points, order, 1)
        shift = jnp.cumsum(jnp.take_along_axis(self.probabilities[:, :-1], order, 1), 1)
        edge = jnp.full_like(points[:, :1], jnp.inf)
        left, right = jnp.concatenate([-edge, points], 1), jnp.concatenate([points, edge], 1)
        shift = jnp.concatenate([jnp.zeros_like(edge), shift], 1)
        share = self.probabilities[:, -1:]
        divisor = jnp.where(share > 0, share, 1)
        v = (u[:, None] - shift) / divisor
        v = jnp.where((share > 0) | (v <= 0), v, jnp.inf)
        # The level from above is reduced by the spikes on the right, and keeps its digits.
        v_above = (above[:, None] - (shift[:, -1:] - shift)) / divisor
        quantile = jax.vmap(self.base.quantile, 1, 1)(jnp.clip(v, 0, 1), jnp.clip(v_above, 0, 1))
        from_below = (u <= above)[:, None] | (share <= 0)
        needs_base = jnp.where(from_below, v > 0, v_above < 1)
        first = jnp.maximum(left, jnp.where(needs_base, quantile, -jnp.inf))
        is_reached = jnp.where(from_below, v <= 1, v_above >= 0)
        return jnp.where((first < right) & is_reached, first, jnp.inf).min(1)

    def mean(self) -> Float[Array, "c"]:
        spikes = (self.probabilities[:, :-1] * self.points).sum(-1)
        return spikes + self.probabilities[:, -1] * self.base.mean()

    def variance(self) -> Float[Array, "c"]:
        mean = self.mean()
        share = self.probabilities[:, -1]
        spikes = (self.probabilities[:, :-1] * (self.points - mean[:, None]) ** 2).sum(-1)
        return spikes + share * (self.base.variance() + (self.base.mean() - mean) ** 2)

    def mode(self) -> Float[Array, "c"]:
        """The smallest x of greatest mass; a density has no mass, however high it is."""
        x = jnp.concatenate([self.points, self.base.mode()[:, None]], 1).sort(1)
        spikes, base = self._masses(x)
        mass = spikes + base
        best = jnp.take_along_axis(x, mass.argmax(1)[:, None], 1)[:, 0]
        return jnp.where(mass.max(1) > 0, best, self.base.mode())

    def entropy(self) -> Float[Array, "c"]:
        # Without the masses of the spikes, E[-log p] would be that of the base, scaled.
        spikes, base = self._masses(self.points)
        share = self.probabilities[:, -1]
        without_spikes = entr(share) + share * self.base.entropy()
        return without_spikes + (entr(spikes + base) - entr(base)).sum(-1)

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        hit, filled = self._match_spikes(x)
        hit = hit.astype(weight.dtype)
        share = _spike_responsibility(*self._masses(self.points))
        spikes = jnp.einsum("nc,ncs->cs", weight, hit, precision="highest") * share
        base_weight = weight * (1 - jnp.einsum("ncs,cs->nc", hit, share, precision="highest"))
        counts = jnp.concatenate([spikes, base_weight.sum(0)[:, None]], 1)
        return counts, self.base.statistics(filled, base_weight)

    def expected_statistics(self, other: "Inflated") -> Statistics:
        (spikes, other_spikes), (base, other_base) = _masses_of_both(self, other, self.points)
        taken = (other_spikes + other_base) * _spike_responsibility(spikes, base)
        counts = jnp.concatenate([taken, 1 - taken.sum(-1, keepdims=True)], 1)
        share = other.probabilities[:, -1]
        base_statistics = jax.tree.map(
            lambda leaf: leaf * share.reshape(-1, *[1] * (leaf.ndim - 1)),
            self.base.expected_statistics(other.base),
        )
        # Statistics are linear in the weights, so the base gains what the spikes do not take.
        _, filled = self._match_spikes(self.points.T)
        gained = self.base.statistics(filled, (other_spikes - taken).T)
        return counts, jax.tree.map(jnp.add, base_statistics, gained)

    def m_step(self, statistics: Statistics) -> "Inflated":
        counts, base = statistics
        total = counts.sum(-1, keepdims=True)
        has_rows = total > 0
        frequencies = counts / jnp.where(has_rows, total, 1)
        probabilities = jnp.where(has_rows, frequencies, self.probabilities)
        return Inflated(self.points, probabilities, self.base.m_step(base))

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Inflated":
        """Frequencies after the addition of one row, spread evenly over the spikes and the base."""
        points = np.array([c.spikes for c in columns], np.float64)
        weight = np.asarray(weight, np.float64)
        # Spikes must match the rows in the float width that the rows have.
        hit = np.asarray(x)[:, :, None] == points.astype(np.asarray(x).dtype)
        spikes = np.where(hit, weight[:, :, None], 0).sum(0)
        base_weight = np.where(hit.any(-1), 0, weight)
        counts = np.concatenate([spikes, base_weight.sum(0)[:, None]], 1)
        counts = counts + 1 / (points.shape[1] + 1)
        probabilities = counts / counts.sum(1, keepdims=True)
        base = base_class(columns[0]).from_data(columns, x, base_weight)
        return cls(jnp.asarray(points), jnp.asarray(probabilities), base)

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        base = base_class(column)
        return (base.__name__, len(column.spikes), *base.stack_key(column))

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return len(column.spikes) + 1 + base_class(column).num_raw(column)

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Inflated":
        current = jax.lax.stop_gradient(self)
        parts = current.probabilities.shape[1]
        probabilities = jax.nn.softmax(log(current.probabilities) + raw[:, :parts], -1)
        base = self.base.from_unconstrained(raw[:, parts:])
        return Inflated(current.points, probabilities, base)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Inflated, tuple[Column, ...]]":
        columns = tuple(
            Column(name, "positive", spikes=(0.0,), family="log_normal") for name in "ab"
        )
        base, _ = base_class(columns[0]).example(key)
        return cls(jnp.zeros((2, 1)), jnp.array([[0.3, 0.7], [0.6, 0.4]]), base), columns


def aligned_to_spikes(model: Model, columns: Sequence[Column]) -> Model:
    """The model with its point masses at the columns' spikes, to the last digit of float64.

    Point masses learned in float32 are rounded, so no float64 entry of a row would be equal to one.
    """
    spikes = {spike for column in columns for spike in column.spikes}

    def align(node: Any) -> Any:
        if not isinstance(node, Inflated) or node.points.dtype != jnp.float64:
            return node
        points = np.array(node.points)
        for spike in spikes:
            points[points.astype(np.float32) == np.float32(spike)] = spike
        return eqx.tree_at(lambda n: n.points, node, jnp.asarray(points, jnp.float64))

    return jax.tree.map(align, model, is_leaf=lambda node: isinstance(node, Inflated))


def _spike_responsibility(
    spikes: Float[Array, "c s"], base: Float[Array, "c s"]
) -> Float[Array, "c s"]:
    """The posterior probability that a cell equal to a spike comes from the spike."""
    total = spikes + base
    return jnp.where(total > 0, spikes / jnp.where(total > 0, total, 1), 0)


def _masses_of_both(
    p: Inflated, q: Inflated, x: Float[Array, "c m"]
) -> tuple[Float[Array, "2 c m"], Float[Array, "2 c m"]]:
    """`_masses` of both, in one call because each call would be compiled anew."""
    spikes = jnp.stack([p._spike_masses(x), q._spike_masses(x)])
    if not p.base_overlaps_spikes:
        return spikes, jnp.zeros_like(spikes)
    bases = jax.tree.map(lambda a, b: jnp.stack([a, b]), p.base, q.base)
    log_p = jax.vmap(lambda base: jax.vmap(base.log_prob, 1, 1)(x))(bases)
    shares = jnp.stack([p.probabilities[:, -1:], q.probabilities[:, -1:]])
    return spikes, shares * jnp.exp(log_p)


@closed_forms.kl.register(Inflated, Inflated)
def _kl(p: Inflated, q: Inflated) -> Float[Array, "c"]:
    share_p, share_q = p.probabilities[:, -1], q.probabilities[:, -1]
    rule = closed_forms.kl.find(p.base, q.base)
    if rule is None:
        return jnp.full_like(share_p, jnp.nan)
    # The KL of the bases, scaled, plus the difference from it at the spikes of p and q.
    x = jnp.concatenate([p.points, q.points], 1)
    num_p = p.points.shape[1]
    is_repeated = (x[:, :, None] == p.points[:, None]).any(-1) & (jnp.arange(x.shape[1]) >= num_p)
    spikes, base = _masses_of_both(p, q, x)
    shares = jnp.stack([share_p, share_q])[..., None]
    # One call for all masses, because each would be compiled anew.
    parts = divergence(*jnp.concatenate([shares, spikes + base, base], -1))
    of_shares, with_spikes, of_base = jnp.split(parts, [1, 1 + x.shape[1]], 1)
    at_spikes = jnp.where(is_repeated, 0, with_spikes - of_base).sum(-1)
    of_bases = jnp.where(share_p > 0, share_p * rule(p.base, q.base), 0)
    kl = jnp.maximum(of_shares[:, 0] + of_bases + at_spikes, 0)
    return jnp.where((share_p > 0) & (share_q == 0), jnp.inf, kl)


@closed_forms.log_prob_double.register(Inflated)
def _log_prob_double(p: Inflated, x: Float[Array, "c"]) -> Double:
    hit, filled = p._match_spikes(x)
    is_spike = hit.any(-1)
    base = add(fine_log_prob(p.base, filled), double(log(p.probabilities[:, -1])))
    high = jnp.where(is_spike, p.log_prob(x), base.high)
    return Double(high, jnp.where(is_spike, 0, base.low))
