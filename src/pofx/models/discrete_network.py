"""Bayesian networks of discrete columns: a directed graph with a table per column."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractEMSteps, Example, Mask, Row
from pofx.core.column import Column
from pofx.core.column_mixture import ColumnMixture
from pofx.families.categorical import Categorical
from pofx.families.special_functions import divergence, entr, log
from pofx.models.graphs.elimination import (
    Factor,
    Scope,
    connected,
    eliminate,
    plan,
    trace_back,
)

Tables = tuple[Array, ...]


class DiscreteNetwork(AbstractEMSteps):
    """A Bayesian network of discrete columns, exact for any pattern of missing cells.

    p(x) = Π_j p(x_j | x_parents(j)),  p(x_O) = Σ_{x_M} p(x)

    The sums are taken by bucket elimination, whose cost grows with the largest table on the way
    (the tree width of the graph), not with the number of joint levels. Expected counts of EM and
    posterior marginals are gradients of log p(x_O): Darwiche, "A differential approach to inference
    in Bayesian networks" (2003).

    Args:
        tables: log p(x_j | parents) of each column j, an axis for each parent and one for x_j.
        parents: the parents of each column, in the order of the axes.

    >>> p = DiscreteNetwork.example(jax.random.key(0)).model
    >>> p.parents
    ((), (0,), (0, 1), (2,))
    """

    tables: Tables
    parents: tuple[Scope, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return len(self.parents)

    @property
    def levels(self) -> tuple[int, ...]:
        """The number of levels of each column."""
        return tuple(table.shape[-1] for table in self.tables)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The columns of each table, in the order of its axes."""
        return tuple((*pa, j) for j, pa in enumerate(self.parents))

    def evidence(self, x: Row, observed: Mask) -> list[Array]:
        """For each column, log 1 of the levels that x allows, and log 0 of the others."""
        return [
            jnp.where(observed[j] & (jnp.arange(count) != x[j]), -jnp.inf, 0.0)
            for j, count in enumerate(self.levels)
        ]

    def log_joint(
        self, evidence: list[Array], keep: Scope = (), others: Sequence[Factor] = ()
    ) -> Array:
        """log p(evidence, x_K) for all values of the columns K, in one axis each.

        Args:
            evidence: for each column, the log of a factor for each level.
            keep: the columns K.
            others: factors of p besides the tables.
        """
        factors = self._factors(evidence, others)
        return eliminate(factors, self._order(factors, keep), keep)[0]

    def _factors(self, evidence: list[Array], others: Sequence[Factor] = ()) -> list[Factor]:
        tables = zip(self.scopes, self.tables, evidence)
        return [*(Factor(scope, table + e) for scope, table, e in tables), *others]

    def _order(self, factors: list[Factor], keep: Scope = ()) -> Scope:
        return plan(tuple(factor.scope for factor in factors), self.levels, keep).order

    def draw(
        self, key: PRNGKeyArray, evidence: list[Array], others: Sequence[Factor] = ()
    ) -> list[Int[Array, ""]]:
        """A level of each column, drawn from p(x | evidence)."""
        factors = self._factors(evidence, others)
        order = self._order(factors)
        keys = list(jax.random.split(key, len(order)))
        _, buckets = eliminate(factors, order)
        values = trace_back(buckets, _draw_level, keys)
        return [values[j] for j in range(self.size)]

    def most_probable(
        self, evidence: list[Array], others: Sequence[Factor] = ()
    ) -> tuple[list[Int[Array, ""]], Float[Array, ""]]:
        """The most probable level of each column, all together, and their log p."""
        factors = self._factors(evidence, others)
        order = self._order(factors)
        best, buckets = eliminate(factors, order, reduce=lambda table: table.max(-1))
        values = trace_back(buckets, lambda log_p, _: jnp.argmax(log_p), [None] * len(order))
        return [values[j] for j in range(self.size)], best

    def marginals(self, evidence: list[Array], others: Sequence[Factor] = ()) -> list[Array]:
        """p(x_j | evidence) of each column, as the gradient of log p(evidence) in its evidence."""
        return jax.grad(lambda e: self.log_joint(e, others=others))(evidence)

    def family_marginals(self) -> Tables:
        """p(x_j, x_parents(j)) of each column, as the gradient of log p in its table."""
        nothing = [jnp.zeros(count) for count in self.levels]

        def log_total(tables):
            return DiscreteNetwork(tables, self.parents).log_joint(nothing)

        return jax.grad(log_total)(self.tables)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return self.log_joint(self.evidence(x, observed))

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        return jnp.stack(self.draw(key, self.evidence(x, observed))).astype(x.dtype)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Tables, Float[Array, ""]]:
        def log_likelihood(tables):
            network = DiscreteNetwork(tables, self.parents)
            log_p = jax.vmap(network._log_prob, (0, None))(x, observed)
            return jnp.where(weight > 0, weight * log_p, 0).sum()

        total, counts = jax.value_and_grad(log_likelihood)(self.tables)
        return counts, total

    def m_step(self, statistics: Tables) -> "DiscreteNetwork":
        tables = map(_log_shares, statistics, self.tables)
        return DiscreteNetwork(tuple(tables), self.parents)

    def log_prior_density(self) -> Float[Array, ""]:
        return jnp.zeros(())

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        parents = (), (0,), (0, 1), (2,)
        levels = 2, 3, 2, 3
        keys = jax.random.split(key, len(levels))
        tables = [
            jax.nn.log_softmax(jax.random.normal(k, (*(levels[i] for i in pa), n)))
            for k, pa, n in zip(keys, parents, levels)
        ]
        columns = [Column(name, "categorical", levels=n) for name, n in zip("abcd", levels)]
        return Example(cls(tuple(tables), parents), tuple(columns))


def _draw_level(log_p: Float[Array, "l"], key: PRNGKeyArray | None) -> Int[Array, ""]:
    assert key is not None
    return jax.random.categorical(key, log_p)


def _log_shares(counts: Array, before: Array) -> Array:
    """The log of each count's share of the last axis; the shares before if there are none."""
    total = counts.sum(-1, keepdims=True)
    share = counts / jnp.where(total > 0, total, 1)
    return jnp.where(total > 0, log(share), before)


@closed_forms.entropy.register(DiscreteNetwork)
def _entropy(p: DiscreteNetwork, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    # H(x) = Σ_j H(x_j | parents); the entropy of some columns only has no such form.
    if not np.all(target_mask):
        return None
    joint = p.family_marginals()
    return sum((entr(m).sum() - entr(m.sum(-1)).sum() for m in joint), jnp.zeros(()))


@closed_forms.kl.register(DiscreteNetwork, DiscreteNetwork)
def _kl(
    p: DiscreteNetwork, q: DiscreteNetwork, target_mask: Bool[np.ndarray, "d"]
) -> Float[Array, ""] | None:
    # KL(p || q) = Σ_j E_p[KL(p(x_j | parents) || q(x_j | parents))] if the graphs are the same.
    if p.parents != q.parents or not np.all(target_mask):
        return None
    total = jnp.zeros(())
    for joint, one, other in zip(p.family_marginals(), p.tables, q.tables):
        share = joint.sum(-1)
        kl = divergence(jnp.exp(one), jnp.exp(other)).sum(-1)
        total += jnp.where(share > 0, share * jnp.where(share > 0, kl, 0), 0).sum()
    return total


@closed_forms.conditional_column.register(DiscreteNetwork)
def _column(p: DiscreteNetwork, x: Row, observed: Mask, j: int) -> ColumnMixture:
    free = jnp.where(jnp.arange(p.size) == j, False, observed)
    return categorical_column(p.log_joint(p.evidence(x, free), (j,)))


def categorical_column(log_joint: Float[Array, "l"]) -> ColumnMixture:
    """The distribution of levels with these log-probabilities, up to a constant."""
    probabilities = jax.nn.softmax(log_joint)
    return ColumnMixture(jnp.zeros(1, probabilities.dtype), Categorical(probabilities[None]))


@closed_forms.log_prob_box.register(DiscreteNetwork)
def _box(
    p: DiscreteNetwork,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""]:
    evidence = p.evidence(x, observed)
    log_p = p.log_joint(within(evidence, [observed[j] for j in place], place, [*low], [*high]))
    return log_p if given is None else log_p - p.log_prob(x, given)


def within(
    evidence: list[Array],
    is_observed: Sequence[Array],
    place: Scope,
    low: Sequence[Array],
    high: Sequence[Array],
) -> list[Array]:
    """The evidence that also each column of `place` has a code in (low, high], if unobserved."""
    evidence = list(evidence)
    for j, known, a, b in zip(place, is_observed, low, high):
        code = jnp.arange(len(evidence[j]))
        evidence[j] = evidence[j] + jnp.where(known | (code > a) & (code <= b), 0, -jnp.inf)
    return evidence


@closed_forms.expectation.register(DiscreteNetwork)
def _expectation(p: DiscreteNetwork, x: Row, observed: Mask) -> Row:
    return mean_codes(p.marginals(p.evidence(x, observed)))


def mean_codes(marginals: list[Float[Array, "l"]]) -> Row:
    """The mean code of each column."""
    return jnp.stack([m @ jnp.arange(len(m)).astype(m.dtype) for m in marginals])


@closed_forms.most_probable.register(DiscreteNetwork)
def _completion(p: DiscreteNetwork, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]]:
    codes, best = p.most_probable(p.evidence(x, observed))
    return jnp.stack(codes).astype(x.dtype), best


@closed_forms.groups.register(DiscreteNetwork)
def _groups(p: DiscreteNetwork) -> tuple[int, ...]:
    return connected(p.parents)
