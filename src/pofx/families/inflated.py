"""Point masses beside any other family."""

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
    """Point masses at a column's spikes, and a base family for the rest.

    P(X = points[j]) gains probabilities[j]; the last probability is that of the base

    `points` has shape (c, s), in the units of x, `probabilities` (c, s + 1). With a base of counts
    a spike has its own mass and the base's, the usual zero-inflated law, and learning shares such a
    cell between them by their posterior (EM). With a continuous base the law is a density with
    respect to Lebesgue measure plus counting measure at the spikes, and a cell that equals a spike
    is one. Lambert, "Zero-inflated Poisson regression" (1992).

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
    def counts(self) -> bool:
        """Whether the base, too, gives the spikes probability."""
        return "count" in self.base.kinds

    def _split(self, x: Float[Array, "... c"]) -> tuple[Bool[Array, "... c s"], Array]:
        # A spike may lie outside the support of a continuous base.
        hit = x[..., None] == self.points
        filled = x if self.counts else jnp.where(hit.any(-1), self.base.support_point, x)
        return hit, filled

    def _masses(self, x: Float[Array, "c m"]) -> tuple[Float[Array, "c m"], Float[Array, "c m"]]:
        """The mass that the spikes give to each x, and that which the base gives."""
        hit = x[:, :, None] == self.points[:, None]
        spikes = jnp.where(hit, self.probabilities[:, None, :-1], 0).sum(-1)
        if not self.counts:
            return spikes, jnp.zeros_like(spikes)
        at = jax.vmap(self.base.log_prob, 1, 1)(x)
        return spikes, self.probabilities[:, -1:] * jnp.exp(at)

    def _share(self) -> Float[Array, "c s"]:
        """The posterior probability that a cell which equals a spike came from it."""
        own, base = self._masses(self.points)
        both = own + base
        return jnp.where(both > 0, own / jnp.where(both > 0, both, 1), 0)

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        hit, filled = self._split(x)
        spike = log(jnp.where(hit, self.probabilities[:, :-1], 0).sum(-1))
        rest = log(self.probabilities[:, -1]) + self.base.log_prob(filled)
        spiked = hit.any(-1)
        # Where both are -inf the sum has no gradient: keep it to the spikes.
        shared = jnp.logaddexp(jnp.where(spiked, spike, 0), jnp.where(spiked, rest, 0))
        return jnp.where(spiked, shared if self.counts else spike, rest)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        choosing, drawing = jax.random.split(key)
        which = jax.random.categorical(choosing, log(self.probabilities))
        values = jnp.concatenate([self.points, self.base.sample(drawing)[:, None]], 1)
        return jnp.take_along_axis(values, which[:, None], 1)[:, 0]

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
        # Between two spikes the cdf is the base's, scaled and raised: in each gap the first x that
        # reaches u is the base's quantile or the spike on the left, if the gap holds it.
        order = jnp.argsort(self.points, 1)
        points = jnp.take_along_axis(self.points, order, 1)
        raised = jnp.cumsum(jnp.take_along_axis(self.probabilities[:, :-1], order, 1), 1)
        edge = jnp.full_like(points[:, :1], jnp.inf)
        left, right = jnp.concatenate([-edge, points], 1), jnp.concatenate([points, edge], 1)
        raised = jnp.concatenate([jnp.zeros_like(edge), raised], 1)
        share = self.probabilities[:, -1:]
        part = jnp.where(share > 0, share, 1)
        v = (u[:, None] - raised) / part
        v = jnp.where((share > 0) | (v <= 0), v, jnp.inf)
        # Of the spikes on the right the upper level is lowered, with the digits that it has.
        v_above = (above[:, None] - (raised[:, -1:] - raised)) / part
        at = jax.vmap(self.base.quantile, 1, 1)(jnp.clip(v, 0, 1), jnp.clip(v_above, 0, 1))
        low = (u <= above)[:, None] | (share <= 0)
        first = jnp.maximum(left, jnp.where(jnp.where(low, v > 0, v_above < 1), at, -jnp.inf))
        inside = jnp.where(low, v <= 1, v_above >= 0)
        return jnp.where((first < right) & inside, first, jnp.inf).min(1)

    def mean(self) -> Float[Array, "c"]:
        spikes = (self.probabilities[:, :-1] * self.points).sum(-1)
        return spikes + self.probabilities[:, -1] * self.base.mean()

    def variance(self) -> Float[Array, "c"]:
        mean, share = self.mean(), self.probabilities[:, -1]
        spikes = (self.probabilities[:, :-1] * (self.points - mean[:, None]) ** 2).sum(-1)
        return spikes + share * (self.base.variance() + (self.base.mean() - mean) ** 2)

    def mode(self) -> Float[Array, "c"]:
        """The smallest x of greatest mass: no density has any, however high it is."""
        x = jnp.concatenate([self.points, self.base.mode()[:, None]], 1).sort(1)
        spikes, base = self._masses(x)
        mass = spikes + base
        best = jnp.take_along_axis(x, mass.argmax(1)[:, None], 1)[:, 0]
        return jnp.where(mass.max(1) > 0, best, self.base.mode())

    def entropy(self) -> Float[Array, "c"]:
        # Were no mass at the spikes but the base's, E[-log p] would be the base's, scaled.
        own, base = self._masses(self.points)
        share = self.probabilities[:, -1]
        apart = entr(share) + share * self.base.entropy()
        return apart + (entr(own + base) - entr(base)).sum(-1)

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        hit, filled = self._split(x)
        hit = hit.astype(weight.dtype)
        share = self._share()
        spikes = jnp.einsum("nc,ncs->cs", weight, hit, precision="highest") * share
        rest = weight * (1 - jnp.einsum("ncs,cs->nc", hit, share, precision="highest"))
        counts = jnp.concatenate([spikes, rest.sum(0)[:, None]], 1)
        return counts, self.base.statistics(filled, rest)

    def expected_statistics(self, other: "Inflated") -> Statistics:
        own, base = other._masses(other.points)
        spikes = (own + base) * self._share()
        counts = jnp.concatenate([spikes, 1 - spikes.sum(-1, keepdims=True)], 1)
        share = other.probabilities[:, -1]
        rest = jax.tree.map(
            lambda leaf: leaf * share.reshape(-1, *[1] * (leaf.ndim - 1)),
            self.base.expected_statistics(other.base),
        )
        # Statistics are linear in the weights: move what changes hands at the spikes.
        _, filled = self._split(self.points.T)
        moved = self.base.statistics(filled, (own - spikes).T)
        return counts, jax.tree.map(jnp.add, rest, moved)

    def m_step(self, statistics: Statistics) -> "Inflated":
        counts, base = statistics
        total = counts.sum(-1, keepdims=True)
        some = total > 0
        probabilities = jnp.where(some, counts / jnp.where(some, total, 1), self.probabilities)
        return Inflated(self.points, probabilities, self.base.m_step(base))

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Inflated":
        """Frequencies to which one row has been added, spread evenly over the spikes and base."""
        points = np.array([c.spikes for c in columns], np.float64)
        weight = np.asarray(weight, np.float64)
        # Rows arrive in the width of floats that models use, and spikes must match them there.
        hit = np.asarray(x)[:, :, None] == points.astype(np.asarray(x).dtype)
        spikes = np.where(hit, weight[:, :, None], 0).sum(0)
        rest = np.where(hit.any(-1), 0, weight)
        counts = np.concatenate([spikes, rest.sum(0)[:, None]], 1) + 1 / (points.shape[1] + 1)
        probabilities = counts / counts.sum(1, keepdims=True)
        base = base_class(columns[0]).from_data(columns, x, rest)
        return cls(jnp.asarray(points), jnp.asarray(probabilities), base)

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        base = base_class(column)
        return (base.__name__, len(column.spikes), *base.stack_key(column))

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return len(column.spikes) + 1 + base_class(column).num_raw(column)

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Inflated":
        own = jax.lax.stop_gradient(self)
        parts = own.probabilities.shape[1]
        probabilities = jax.nn.softmax(log(own.probabilities) + raw[:, :parts], -1)
        return Inflated(own.points, probabilities, self.base.from_unconstrained(raw[:, parts:]))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Inflated, tuple[Column, ...]]":
        columns = tuple(
            Column(name, "positive", spikes=(0.0,), family="log_normal") for name in "ab"
        )
        base, _ = base_class(columns[0]).example(key)
        return cls(jnp.zeros((2, 1)), jnp.array([[0.3, 0.7], [0.6, 0.4]]), base), columns


def aligned(model: Model, columns: Sequence[Column]) -> Model:
    """The model with its point masses at the columns' spikes, to the last digit of float64.

    A model learned in float32 has them rounded, and no float64 entry of a row would meet them.
    """
    spikes = {spike for column in columns for spike in column.spikes}

    def moved(node: Any) -> Any:
        if not isinstance(node, Inflated) or node.points.dtype != jnp.float64:
            return node
        points = np.array(node.points)
        for spike in spikes:
            points[points.astype(np.float32) == np.float32(spike)] = spike
        return eqx.tree_at(lambda n: n.points, node, jnp.asarray(points, jnp.float64))

    return jax.tree.map(moved, model, is_leaf=lambda node: isinstance(node, Inflated))


@closed_forms.kl.register(Inflated, Inflated)
def _kl(p: Inflated, q: Inflated) -> Float[Array, "c"]:
    share, other = p.probabilities[:, -1], q.probabilities[:, -1]
    rule = closed_forms.kl.find(p.base, q.base)
    if rule is None:
        return jnp.full_like(share, jnp.nan)
    # The KL of the bases, scaled, and at the spikes of either what differs from that.
    x, seen = jnp.concatenate([p.points, q.points], 1), p.points.shape[1]
    again = (x[:, :, None] == p.points[:, None]).any(-1) & (jnp.arange(x.shape[1]) >= seen)
    (own_p, base_p), (own_q, base_q) = p._masses(x), q._masses(x)
    spikes = divergence(own_p + base_p, own_q + base_q) - divergence(base_p, base_q)
    apart = divergence(share, other) + jnp.where(share > 0, share * rule(p.base, q.base), 0)
    whole = jnp.maximum(apart + jnp.where(again, 0, spikes).sum(-1), 0)
    return jnp.where((share > 0) & (other == 0), jnp.inf, whole)


@closed_forms.fine.register(Inflated)
def _fine(p: Inflated, x: Float[Array, "c"]) -> Double:
    hit, filled = p._split(x)
    spiked = hit.any(-1)
    smooth = add(fine_log_prob(p.base, filled), double(log(p.probabilities[:, -1])))
    near = jnp.where(spiked, p.log_prob(x), smooth.high)
    return Double(near, jnp.where(spiked, 0, smooth.low))
