"""The base class of models whose columns lie on a tree of categories, and its closed forms."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractEMModel, Mask, Row
from pofx.core.column import KINDS, Kind
from pofx.core.column_mixture import ColumnMixture
from pofx.core.component_axis import over_components
from pofx.core.double_double import Double
from pofx.core.errors import PofxError
from pofx.families.special_functions import log
from pofx.models.independent import Independent
from pofx.models.trees import emission
from pofx.models.trees.state_tree import LOG_ZERO, MAX_LOG_SPACE_STATES, StateTree, even_counts

MIN_PRIOR_ROWS = 1e-9
"""Pseudo-rows that keep every pair of states possible if there are many states."""


class AbstractTreeModel(AbstractEMModel):
    """Columns on the nodes of a tree of categories.

    p(x_O) = Σ_s p(s) Π_{j in O} p_j(x_j | s_j)

    Either the level code of a column is the state of its node, or the state is hidden behind the
    column. Columns of any kind are supported.

    A subclass provides `from_data` and `example`, and calls `register` with itself.

    Attributes:
        tree: the distribution of the states.
        emissions: the distribution of each hidden node's column given its state, or None.
        levels: the number of states of each node.
        hidden: the columns whose node is hidden.
        prior: number of pseudo-rows per node, spread evenly over the pairs of states of the node
            and its parent.
    """

    tree: StateTree
    emissions: Independent | None
    levels: tuple[int, ...] = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    prior: float = eqx.field(static=True)

    pattern_free: ClassVar[bool] = True

    @property
    def size(self) -> int:
        return len(self.levels)

    def evidence(self, x: Row, observed: Mask) -> Float[Array, "d k"]:
        """log p(x_j | s_j) of each node and state, zero if x_j is missing."""
        states = jnp.arange(self.tree.states)
        other = observed[:, None] & (x[:, None] != states)
        absent = states >= np.array(self.levels)[:, None]
        log_e = jnp.where(other | absent, jnp.asarray(LOG_ZERO, x.dtype), 0)
        if self.emissions is None:
            return log_e
        place = np.array(self.hidden)
        emitted = emission.log_probs(self.emissions, x[place], observed[place])
        return log_e.at[place].set(LOG_ZERO).at[place, : emitted.shape[1]].set(emitted)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        def sum_states(x, observed):
            return self.tree.log_evidence(self.evidence(x, observed))

        if self.emissions is not None:
            return sum_states(x, observed)
        return jax.lax.cond(
            observed.all(), lambda x, _: self.log_prob_levels(x), sum_states, x, observed
        )

    def log_prob_levels(self, x: Row) -> Float[Array, ""]:
        """log p(x) of a complete row without hidden nodes: no sum over states is needed."""
        states = x.astype(int)
        levels = (x == states) & (x >= 0) & (x < np.array(self.levels))
        value = self.tree.log_prob(jnp.where(levels, states, 0))
        return jnp.where(levels.all(), value, -jnp.inf)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        first, second = jax.random.split(key)
        states = self.tree.sample(first, self.evidence(x, observed))
        codes = states.astype(x.dtype)
        if self.emissions is None:
            return codes
        place = np.array(self.hidden)
        return codes.at[place].set(emission.sample(self.emissions, second, states[place]))

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        axes = (0, 0 if observed.ndim == 2 else None)
        log_e = jax.vmap(self.evidence, axes)(x, observed)
        counts, shares, log_likelihood = self.tree.expected_counts(log_e, weight)
        if self.emissions is None:
            return (counts, None, None), log_likelihood
        place = np.array(self.hidden)
        shares = jnp.where(observed[..., None], shares, 0)[:, place, : self._states]
        statistics = emission.expected_statistics(self.emissions, shares, x[:, place])
        return (counts, shares.sum(0), statistics), log_likelihood

    def m_step(self, statistics: Any) -> Any:
        counts, _, emission_statistics = statistics
        emissions = self.emissions
        if emissions is not None:
            emissions = emission.m_step(emissions, emission_statistics)
        return self._with(counts + self._pseudo_counts(), emissions)

    def log_prior_density(self) -> Float[Array, ""]:
        pseudo = self._pseudo_counts()
        total = jnp.where(pseudo > 0, pseudo * self.tree.log_transition, 0).sum()
        return (
            total if self.emissions is None else total + emission.log_prior_density(self.emissions)
        )

    def _with(self, counts: Array, emissions: Independent | None) -> Any:
        """The model with a tree learned from counts, and these emissions."""
        parts = self.tree.m_step(counts), emissions
        return type(self)(*parts, self.levels, self.hidden, self.prior)

    def _pseudo_counts(self) -> Float[Array, "d k k"]:
        return jnp.asarray(self.prior * even_counts(self.levels, self.tree.parent_indices))

    @property
    def _states(self) -> int:
        """The number of states of a hidden node."""
        return jax.tree.leaves(self.emissions)[0].shape[0]

    @property
    def parents(self) -> tuple[int, ...]:
        """The parent of each column, -1 for a root."""
        return self.tree.parents

    @classmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset(KINDS)


def check_prior(prior: float, states: int) -> None:
    """Raises PofxError if messages could underflow: impossible pairs of many states.

    With more than MAX_LOG_SPACE_STATES states a message is a sum of probabilities relative to the
    largest. The only possible state must not be lost beside a likelier state that is forbidden.
    """
    if states > MAX_LOG_SPACE_STATES and prior < MIN_PRIOR_ROWS:
        raise PofxError(
            f"prior: expected at least {MIN_PRIOR_ROWS:g} pseudo-rows with {states} states (more "
            f"than {MAX_LOG_SPACE_STATES}), got {prior:g}; a small prior such as 1e-6 changes "
            "almost nothing"
        )


def register(model: type[AbstractTreeModel]) -> None:
    """Registers the closed forms of this file for a class of tree models."""
    closed_forms.structure_as_data.register(model)(_structure_as_data)
    closed_forms.conditional_column.register(model)(_conditional_column)
    closed_forms.expectation.register(model)(_expectation)
    closed_forms.log_prob_box.register(model)(_log_prob_box)
    closed_forms.terms.register(model)(_terms)
    closed_forms.batched_log_prob.register(model)(_batched_log_prob)
    closed_forms.moments.register(model)(_moments)
    closed_forms.most_probable.register(model)(_most_probable)
    closed_forms.groups.register(model)(_groups)


def _structure_as_data(
    p: AbstractTreeModel,
) -> tuple[AbstractTreeModel, Callable[[AbstractTreeModel], AbstractTreeModel]]:
    """The model with its tree structure as data, and the function that undoes this."""
    parents = p.tree.parents

    def restore(p: AbstractTreeModel) -> AbstractTreeModel:
        return eqx.tree_at(_tree, p, StateTree(p.tree.log_transition, parents))

    return eqx.tree_at(_tree, p, p.tree.with_structure_as_data()), restore


def _tree(p: AbstractTreeModel) -> StateTree:
    return p.tree


def _conditional_column(
    p: AbstractTreeModel, x: Row, observed: Mask, j: int
) -> ColumnMixture | None:
    """p(x_j | x_O) = Σ_s p(s_j | x_O) p_j(x_j | s_j)."""
    if j not in p.hidden or p.emissions is None:
        return None
    posterior = p.tree.posterior(p.evidence(x, observed))[j, : p._states]
    return emission.column(p.emissions, log(posterior), p.hidden.index(j))


def _expectation(p: AbstractTreeModel, x: Row, observed: Mask) -> Row:
    """E[x_j | x_O] = Σ_s p(s_j | x_O) E[x_j | s_j]."""
    posterior = p.tree.posterior(p.evidence(x, observed))
    codes = posterior @ jnp.arange(p.tree.states, dtype=x.dtype)
    if p.emissions is None:
        return codes
    place = np.array(p.hidden)
    means = emission.means(p.emissions)
    # A state of probability zero may have an infinite mean.
    shares = posterior[place, : means.shape[1]]
    return codes.at[place].set(jnp.where(shares > 0, shares * means, 0).sum(1))


def _log_prob_box(
    p: AbstractTreeModel,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    """log Σ_s p(s) Π_{j in O} p_j(x_j | s_j) Π_{j in B} P(low_j < x_j <= high_j | s_j)."""
    if not place and p.emissions is None:
        return None  # log-probabilities of levels are never so large that digits are lost
    log_e = p.evidence(x, observed)
    codes = jnp.arange(p.tree.states, dtype=x.dtype)
    for j, a, b in zip(place, low, high):
        if p.emissions is not None and j in p.hidden:
            log_mass = emission.log_between(p.emissions, p.hidden.index(j), a, b)
        else:
            log_mass = jnp.where((codes > a) & (codes <= b), 0, LOG_ZERO)
        states = slice(len(log_mass))
        log_e = log_e.at[j, states].set(jnp.where(observed[j], log_e[j, states], log_mass))
    if given is None:
        return p.tree.log_evidence(log_e)
    joint = p.tree.terms(log_e).high
    before = p.tree.terms(p.evidence(x, given)).high
    ratio = jnp.where(joint == before, 0, joint - before).sum()
    return jnp.where((before > -jnp.inf).all(), ratio, jnp.nan)


def _terms(p: AbstractTreeModel, x: Row, observed: Mask, fine: bool) -> Double | None:
    """The terms of the log-evidence; None without hidden nodes.

    Then `_batched_log_prob` scores all trees of a mixture together.
    """
    if p.emissions is None:
        return None
    log_e = p.evidence(x, observed)
    if not fine:
        return p.tree.terms(log_e)
    place = np.array(p.hidden)
    emitted = emission.fine_log_probs(p.emissions, x[place], observed[place])
    log_e = log_e.at[place, : p._states].set(emitted.high)
    return p.tree.terms(log_e, jnp.zeros_like(log_e).at[place, : p._states].set(emitted.low))


def _moments(p: AbstractTreeModel) -> tuple[Row, Float[Array, "d d"]]:
    """E[x] and Cov[x], from the marginals of pairs of states."""
    codes = jnp.arange(p.tree.states, dtype=p.tree.log_transition.dtype)
    means = jnp.broadcast_to(codes, (p.size, p.tree.states))
    variances = jnp.zeros_like(means)
    if p.emissions is not None:
        place = np.array(p.hidden)
        k = p._states
        means = means.at[place].set(0).at[place, :k].set(emission.means(p.emissions))
        variances = variances.at[place, :k].set(emission.variances(p.emissions))
    shares = p.tree.posterior(jnp.zeros_like(means))
    mean = (shares * means).sum(1)
    deviations = means - mean[:, None]
    variance = (shares * (variances + deviations**2)).sum(1)
    return mean, p.tree.products(deviations) + jnp.diag(variance)


def _batched_log_prob(p: AbstractTreeModel, x: Row, observed: Mask) -> Float[Array, "n"] | None:
    """log p_k(x_O) of stacked trees, laid along last axes: each message is one piece of memory."""
    log_t = p.tree.log_transition
    if log_t.shape[-1] > MAX_LOG_SPACE_STATES:
        return None

    def look_up(x, observed):
        return over_components(lambda part, x: part.log_prob_levels(x), shared=1)(p, x)

    def sum_states(x, observed):
        evidence = over_components(lambda part, *row: part.evidence(*row), shared=2)
        log_e = jnp.moveaxis(evidence(p, x, observed), 0, -1)
        return StateTree(jnp.moveaxis(log_t, 0, -1), p.parents).log_evidence(log_e)

    x = jnp.where(observed, x, 0)
    if p.emissions is not None:
        return sum_states(x, observed)
    return jax.lax.cond(observed.all(), look_up, sum_states, x, observed)


def _most_probable(p: AbstractTreeModel, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]]:
    """max over s and x_M of log p(s, x_M, x_O): a missing column is at its mode in each state."""
    log_e = p.evidence(x, observed)
    d = np.arange(p.size)
    best = jnp.broadcast_to(jnp.arange(p.tree.states, dtype=x.dtype), log_e.shape)
    if p.emissions is not None:
        place = np.array(p.hidden)
        k = p._states
        values = jnp.where(observed[place, None], x[place, None], emission.modes(p.emissions))
        everything = jnp.ones(len(place), bool)
        score = over_components(lambda part, x: part.log_probs(x, everything))
        best = best.at[place, :k].set(values)
        log_e = log_e.at[place, :k].set(score(p.emissions, values.T).T)
    states = p.tree.viterbi(log_e)
    return best[d, states], p.tree.log_prob(states) + log_e[d, states].sum()


def _groups(p: AbstractTreeModel) -> tuple[int, ...]:
    """The root of each column's tree."""
    roots = list(range(p.size))
    while any(p.parents[j] >= 0 for j in roots):
        roots = [p.parents[j] if p.parents[j] >= 0 else j for j in roots]
    return tuple(roots)
