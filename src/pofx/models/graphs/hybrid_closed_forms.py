"""The closed forms of a network of discrete and other columns: sums over the discrete parents."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Mask, Row
from pofx.core.column_mixture import ColumnMixture
from pofx.core.component_axis import over_components
from pofx.core.double_double import Double
from pofx.models.components.log_prob_terms import mixture_terms, part_terms
from pofx.models.components.operations import (
    log_probs,
    mixture_column,
    mixture_expectation,
    mixture_log_prob_box,
)
from pofx.models.discrete_network import categorical_column, mean_codes, within
from pofx.models.graphs.elimination import connected
from pofx.models.mixture import Mixture


def register(model: type[AbstractQueryable]) -> None:
    """Registers the closed forms of this file for a class of models."""
    closed_forms.condition.register(model)(_condition)
    closed_forms.entropy.register(model)(_entropy)
    closed_forms.as_gaussian.register(model)(_normal)
    closed_forms.moments.register(model)(_moments)
    closed_forms.conditional_column.register(model)(_column)
    closed_forms.log_prob_box.register(model)(_box)
    closed_forms.terms.register(model)(_terms)
    closed_forms.expectation.register(model)(_expectation)
    closed_forms.most_probable.register(model)(_completion)
    closed_forms.groups.register(model)(_groups)


def _condition(
    p: Any, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> AbstractQueryable | None:
    # Numbers alone are a mixture over the discrete columns that they depend on.
    (codes, numbers), (seen, known) = p.split(x), p.split(observed)
    kept_codes, kept = p.split(keep)
    _, order = p.split(np.arange(p.size))
    if kept_codes.any() or (np.diff(order[kept]) < 0).any():
        return None
    rule = closed_forms.condition.find(p.parts)
    assert rule is not None
    if seen[list(p.switches)].all():
        part = jax.tree.map(lambda a: a[p.configuration(codes)], p.parts)
        return rule(part, numbers, known, kept)
    conditional = over_components(lambda part, x: rule(part, x, known, kept), shared=1)
    parts = conditional(p.parts, numbers)
    return None if parts is None else Mixture(p.log_posterior(x, jnp.asarray(observed)), parts)


def _entropy(p: Any, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    # H(d, x) = H(d) + Σ_s p(s) H(x | s)
    codes, others = p.split(target_mask)
    rule = closed_forms.entropy.find(p.parts)
    if not codes.all() or rule is None:
        return None
    of_discrete = closed_forms.entropy.find(p.discrete)
    assert of_discrete is not None
    unknown = np.zeros(len(codes))
    prior = jnp.exp(p.log_prior(p.discrete.evidence(unknown, unknown > 0)))
    conditionals = over_components(lambda part: rule(part, others))(p.parts)
    return None if conditionals is None else of_discrete(p.discrete, codes) + prior @ conditionals


def _normal(p: Any) -> tuple[Row, Float[Array, "d d"]] | None:
    return _without_switches(p, closed_forms.as_gaussian)


def _moments(p: Any) -> tuple[Row, Float[Array, "d d"]] | None:
    return _without_switches(p, closed_forms.moments)


def _without_switches(p: Any, rule: closed_forms.Rule) -> tuple[Row, Float[Array, "d d"]] | None:
    """The moments by a rule of p(x), if there are no discrete columns."""
    if p.discrete.size:
        return None
    part = jax.tree.map(lambda a: a[0], p.parts)
    of_part = rule.find(part)
    moments = of_part and of_part(part)
    if moments is None:
        return None
    order = np.argsort(np.concatenate(p.places))
    return moments[0][order], moments[1][np.ix_(order, order)]


def _column(p: Any, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    free = jnp.where(jnp.arange(p.size) == j, False, observed)
    (codes, numbers), (seen, known) = p.split(x), p.split(free)
    discrete, normal, other = p.places
    if j in discrete:
        evidence = p.discrete.evidence(codes, seen)
        seen_part = p.factor(log_probs(p.parts, numbers, known))
        i = discrete.index(j)
        return categorical_column(p.discrete.log_joint(evidence, (i,), [seen_part]))
    i = (*normal, *other).index(j)
    return mixture_column(p.log_posterior(x, free), p.parts, numbers, known, i)


def _box(
    p: Any,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    (codes, numbers), (seen, known) = p.split(x), p.split(observed)
    discrete, others = p.places[0], (*p.places[1], *p.places[2])
    levels = [i for i, j in enumerate(place) if j in discrete]
    intervals = np.array([i for i, j in enumerate(place) if j not in discrete], int)
    evidence = within(
        p.discrete.evidence(codes, seen),
        [observed[place[i]] for i in levels],
        tuple(discrete.index(place[i]) for i in levels),
        [low[i] for i in levels],
        [high[i] for i in levels],
    )
    weights, known_before = p.log_prior(evidence), None
    if given is not None:
        seen_before, known_before = p.split(given)
        before = p.log_prior(p.discrete.evidence(codes, seen_before))
        possible = before > -jnp.inf
        change = jnp.where(possible, weights - jnp.where(possible, before, 0), -jnp.inf)
        weights = p.log_posterior(x, given) + change
    local = tuple(others.index(place[i]) for i in intervals)
    return mixture_log_prob_box(
        weights, p.parts, numbers, known, local, low[intervals], high[intervals], known_before
    )


def _terms(p: Any, x: Row, observed: Mask, fine: bool) -> Double:
    (codes, numbers), (seen, known) = p.split(x), p.split(observed)
    prior = p.log_prior(p.discrete.evidence(codes, seen))
    terms = mixture_terms(prior, part_terms(p.parts, numbers, known, fine))
    nothing = jnp.zeros(len(codes), x.dtype)
    return Double(*(jnp.append(p.join(nothing, a[:-1]), a[-1]) for a in terms))


def _expectation(p: Any, x: Row, observed: Mask) -> Row | None:
    (codes, numbers), (seen, known) = p.split(x), p.split(observed)
    means = mixture_expectation(p.log_posterior(x, observed), p.parts, numbers, known)
    if means is None:
        return None
    seen_part = p.factor(log_probs(p.parts, numbers, known))
    marginals = p.discrete.marginals(p.discrete.evidence(codes, seen), [seen_part])
    return p.join(mean_codes(marginals) if marginals else codes, means)


def _completion(p: Any, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]] | None:
    (codes, numbers), (seen, known) = p.split(x), p.split(observed)
    rule = closed_forms.most_probable.find(p.parts)
    completions = rule and over_components(rule, shared=2)(p.parts, numbers, known)
    if completions is None:
        return None
    rows, log_p = completions
    levels, best = p.discrete.most_probable(p.discrete.evidence(codes, seen), [p.factor(log_p)])
    codes = jnp.stack(levels).astype(x.dtype) if levels else codes
    return p.join(codes, rows[p.configuration(codes)]), best


def _groups(p: Any) -> tuple[int, ...]:
    count = p.discrete.size
    parents = [*p.discrete.parents]
    parents += [(*node.levels, *(count + i for i in node.numbers)) for node in p.normals]
    parents += p.family_levels
    groups = connected(parents)
    return tuple(int(g) for g in np.array(groups)[np.argsort(np.concatenate(p.places))])
