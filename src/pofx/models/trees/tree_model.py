"""What models share whose columns sit on a tree of categories, seen or hidden."""

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
from pofx.models.trees.state_tree import MAX_LOG_SPACE_STATES, LOG_ZERO, StateTree, even_counts

LEAST = 1e-9
"""Pseudo-rows that keep every pair of many states possible."""


class TreeModel(AbstractEMModel):
    """p(x_O) = Σ_s p(s) Π_{j in O} p_j(x_j | s_j): columns on the nodes of a tree of categories.

    A node is the column itself, whose level code is the state, or hidden behind it: `hidden` holds
    the places of such columns, `emissions` the family of each in each state. `levels` is the
    number of states of each node, `prior` a number of pseudo-rows, spread evenly over the pairs of
    states of each node and its parent.
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
        """log p(x_j | s_j) of each node and state, zero where x_j is missing."""
        states = jnp.arange(self.tree.states)
        other = observed[:, None] & (x[:, None] != states)
        absent = states >= np.array(self.levels)[:, None]
        seen = jnp.where(other | absent, jnp.asarray(LOG_ZERO, x.dtype), 0)
        if self.emissions is None:
            return seen
        place = np.array(self.hidden)
        own = emission.log_probs(self.emissions, x[place], observed[place])
        return seen.at[place].set(LOG_ZERO).at[place, : own.shape[1]].set(own)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        def summed(x, observed):
            return self.tree.log_evidence(self.evidence(x, observed))

        if self.emissions is not None:
            return summed(x, observed)
        return jax.lax.cond(observed.all(), lambda x, _: self.of_levels(x), summed, x, observed)

    def of_levels(self, x: Row) -> Float[Array, ""]:
        """log p(x) of a row whose nodes are all seen: no sum over states."""
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
        own = emission.expected_statistics(self.emissions, shares, x[:, place])
        return (counts, shares.sum(0), own), log_likelihood

    def m_step(self, statistics: Any) -> Any:
        counts, _, own = statistics
        emissions = self.emissions
        if emissions is not None:
            emissions = emission.m_step(emissions, own)
        return self._with(counts + self._pseudo_counts(), emissions)

    def log_prior_density(self) -> Float[Array, ""]:
        pseudo = self._pseudo_counts()
        total = jnp.where(pseudo > 0, pseudo * self.tree.log_transition, 0).sum()
        return (
            total if self.emissions is None else total + emission.log_prior_density(self.emissions)
        )

    def _with(self, counts: Array, emissions: Independent | None) -> Any:
        parts = self.tree.m_step(counts), emissions
        return type(self)(*parts, self.levels, self.hidden, self.prior)

    def _pseudo_counts(self) -> Float[Array, "d k k"]:
        return jnp.asarray(self.prior * even_counts(self.levels, self.tree.above))

    @property
    def _states(self) -> int:
        """The number of states of a hidden node."""
        return jax.tree.leaves(self.emissions)[0].shape[0]

    @property
    def parents(self) -> tuple[int, ...]:
        """The parent of each column, -1 of a root."""
        return self.tree.parents

    @classmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset(KINDS)


def loose(p: TreeModel) -> tuple[TreeModel, Callable[[TreeModel], TreeModel]]:
    """The model with its skeleton as data, and the way back."""
    parents = p.tree.parents

    def back(p: TreeModel) -> TreeModel:
        return eqx.tree_at(_tree, p, StateTree(p.tree.log_transition, parents))

    return eqx.tree_at(_tree, p, p.tree.with_structure_as_data()), back


def _tree(p: TreeModel) -> StateTree:
    return p.tree


def column(p: TreeModel, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    """p(x_j | x_O) = Σ_s p(s_j | x_O) p_j(x_j | s_j)."""
    if j not in p.hidden or p.emissions is None:
        return None
    posterior = p.tree.posterior(p.evidence(x, observed))[j, : p._states]
    return emission.column(p.emissions, log(posterior), p.hidden.index(j))


def expectation(p: TreeModel, x: Row, observed: Mask) -> Row:
    """E[x_j | x_O] = Σ_s p(s_j | x_O) E[x_j | s_j]."""
    posterior = p.tree.posterior(p.evidence(x, observed))
    codes = posterior @ jnp.arange(p.tree.states, dtype=x.dtype)
    if p.emissions is None:
        return codes
    place, own = np.array(p.hidden), emission.means(p.emissions)
    # A state of no probability may have an infinite mean.
    shares = posterior[place, : own.shape[1]]
    return codes.at[place].set(jnp.where(shares > 0, shares * own, 0).sum(1))


def box(
    p: TreeModel,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    """log Σ_s p(s) Π_{j in O} p_j(x_j | s_j) Π_{j in B} P(low_j < x_j <= high_j | s_j)."""
    if not place and p.emissions is None:
        return None  # of levels no log-probability is so large that it takes digits
    log_e = p.evidence(x, observed)
    codes = jnp.arange(p.tree.states, dtype=x.dtype)
    for j, a, b in zip(place, low, high):
        if p.emissions is not None and j in p.hidden:
            own = emission.log_between(p.emissions, p.hidden.index(j), a, b)
        else:
            own = jnp.where((codes > a) & (codes <= b), 0, LOG_ZERO)
        log_e = log_e.at[j, : len(own)].set(own)
    if given is None:
        return p.tree.log_evidence(log_e)
    both, before = p.tree.terms(log_e).high, p.tree.terms(p.evidence(x, given)).high
    ratio = jnp.where(both == before, 0, both - before).sum()
    return jnp.where((before > -jnp.inf).all(), ratio, jnp.nan)


def terms(p: TreeModel, x: Row, observed: Mask, fine: bool) -> Double | None:
    """The terms of the log-evidence; None of levels, whose messages of many trees go together."""
    if p.emissions is None:
        return None
    log_e = p.evidence(x, observed)
    if not fine:
        return p.tree.terms(log_e)
    place = np.array(p.hidden)
    own = emission.fine_log_probs(p.emissions, x[place], observed[place])
    log_e = log_e.at[place, : p._states].set(own.high)
    return p.tree.terms(log_e, jnp.zeros_like(log_e).at[place, : p._states].set(own.low))


def moments(p: TreeModel) -> tuple[Row, Float[Array, "d d"]]:
    """E[x] and Cov[x], from the marginals of pairs of states."""
    codes = jnp.arange(p.tree.states, dtype=p.tree.log_transition.dtype)
    means = jnp.broadcast_to(codes, (p.size, p.tree.states))
    variances = jnp.zeros_like(means)
    if p.emissions is not None:
        place, k = np.array(p.hidden), p._states
        means = means.at[place].set(0).at[place, :k].set(emission.means(p.emissions))
        variances = variances.at[place, :k].set(emission.variances(p.emissions))
    shares = p.tree.posterior(jnp.zeros_like(means))
    mean = (shares * means).sum(1)
    off = means - mean[:, None]
    own = (shares * (variances + off**2)).sum(1)
    return mean, p.tree.products(off) + jnp.diag(own)


def together(p: TreeModel, x: Row, observed: Mask) -> Float[Array, "n"] | None:
    """The trees along last axes, so that a message of all of them is one piece of memory."""
    log_t = p.tree.log_transition
    if log_t.shape[-1] > MAX_LOG_SPACE_STATES:
        return None

    def known(x, observed):
        return over_components(lambda part, x: part.of_levels(x), shared=1)(p, x)

    def summed(x, observed):
        evidence = over_components(lambda part, *row: part.evidence(*row), shared=2)
        log_e = jnp.moveaxis(evidence(p, x, observed), 0, -1)
        return StateTree(jnp.moveaxis(log_t, 0, -1), p.parents).log_evidence(log_e)

    x = jnp.where(observed, x, 0)
    if p.emissions is not None:
        return summed(x, observed)
    return jax.lax.cond(observed.all(), known, summed, x, observed)


def completion(p: TreeModel, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]]:
    """max over s and x_M of log p(s, x_M, x_O): a missing column is at its mode in each state."""
    log_e, d = p.evidence(x, observed), np.arange(p.size)
    best = jnp.broadcast_to(jnp.arange(p.tree.states, dtype=x.dtype), log_e.shape)
    if p.emissions is not None:
        place, k = np.array(p.hidden), p._states
        own = jnp.where(observed[place, None], x[place, None], emission.modes(p.emissions))
        everything = jnp.ones(len(place), bool)
        score = over_components(lambda part, x: part.log_probs(x, everything))
        best = best.at[place, :k].set(own)
        log_e = log_e.at[place, :k].set(score(p.emissions, own.T).T)
    states = p.tree.viterbi(log_e)
    return best[d, states], p.tree.log_prob(states) + log_e[d, states].sum()


def check_prior(prior: float, states: int) -> None:
    """Raises PofxError where messages could underflow: impossible pairs of many states.

    Of more than FEW states a message is a sum of probabilities beside the largest: a state that
    alone is possible must not be lost beside one that is likelier by far, but forbidden.
    """
    if states > MAX_LOG_SPACE_STATES and prior < LEAST:
        raise PofxError(
            f"prior: expected at least {LEAST:g} pseudo-rows with {states} states (more than {MAX_LOG_SPACE_STATES}"
            f"), got {prior:g}; a small one, as 1e-6, changes next to nothing"
        )


def groups(p: TreeModel) -> tuple[int, ...]:
    """The root of each column's tree."""
    roots = list(range(p.size))
    while any(p.parents[j] >= 0 for j in roots):
        roots = [p.parents[j] if p.parents[j] >= 0 else j for j in roots]
    return tuple(roots)


def register(model: type[TreeModel]) -> None:
    """Has a kind of tree answer by these closed forms."""
    closed_forms.structure_as_data.register(model)(loose)
    closed_forms.conditional_column.register(model)(column)
    closed_forms.expectation.register(model)(expectation)
    closed_forms.log_prob_box.register(model)(box)
    closed_forms.terms.register(model)(terms)
    closed_forms.batched_log_prob.register(model)(together)
    closed_forms.moments.register(model)(moments)
    closed_forms.most_probable.register(model)(completion)
    closed_forms.groups.register(model)(groups)
