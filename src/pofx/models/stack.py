"""The stack: models of any structures as one mixture."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractEMModel, AbstractQueryable, Example, Mask, Row
from pofx.core.column import Column, Kind
from pofx.core.column_mixture import ColumnMixture
from pofx.core.double_double import Double
from pofx.core.errors import PofxError
from pofx.core.log_ratios import log_conditional
from pofx.core.rows import Rows, make_rows
from pofx.models.components.initial_clusters import kmeans_clusters
from pofx.models.components.log_prob_terms import log_posterior, mixture_terms, terms
from pofx.models.components.operations import (
    most_probable_component,
    log_weights,
    mixture_moments,
    part_class,
    responsibilities,
)
from pofx.models.latent_tree import LatentTree
from pofx.models.trees import emission


class Stack(AbstractEMModel):
    """A mixture of models that need not be of one structure, each a tractable model of all columns.

    log p(x_O) = log Σ_i w_i p_i(x_O)

    Fitted models, weighted by what held-out rows say of them, are a stack (Smyth and Wolpert 1999);
    so is a forest, several trees learned together by EM, each started from a cluster of the rows.

    >>> p = Stack.example(jax.random.key(0)).model
    >>> [type(part).__name__ for part in p.parts]
    ['Independent', 'LatentTree']
    """

    log_weights: Float[Array, "k"]
    parts: tuple[AbstractQueryable, ...]
    prior: float = eqx.field(static=True, default=0.0)

    random_start: ClassVar[bool] = True

    @property
    def size(self) -> int:
        return self.parts[0].size

    def joint(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(i, x_O) of each part i."""
        scores = jnp.stack([part.log_prob(x, observed) for part in self.parts])
        return jax.nn.log_softmax(self.log_weights) + scores

    def terms(self, x: Row, observed: Mask) -> Double:
        """The terms of log p_i(x_O) of each part i, (k, d+1)."""
        # Parts of unlike structure compute by unlike formulas: rounding would tell them apart.
        each = [terms(part, x, observed, True) for part in self.parts]
        return Double(*map(jnp.stack, zip(*each)))

    def posterior(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(i | x_O) of each part i; NaN if x_O is impossible."""
        return log_posterior(jax.nn.log_softmax(self.log_weights), self.terms(x, observed))

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return jax.nn.logsumexp(self.joint(x, observed))

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        choose, draw = jax.random.split(key)
        i = jax.random.categorical(choose, self.posterior(x, observed))
        return jnp.stack([part.sample(draw, x, observed) for part in self.parts])[i]

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        joint = jax.vmap(self.joint, (0, None), 1)(x, observed)
        shares, log_likelihood = responsibilities(joint, weight)
        own = [
            p.expected_statistics(x, observed, w)[0] for p, w in zip(_learned(self.parts), shares)
        ]
        return (shares.sum(1), tuple(own)), log_likelihood

    def m_step(self, statistics: Any) -> "Stack":
        shares, own = statistics
        parts = tuple(part.m_step(s) for part, s in zip(_learned(self.parts), own))
        return Stack(log_weights(shares, self.prior, self.log_weights), parts, self.prior)

    def log_prior_density(self) -> Float[Array, ""]:
        own = sum(part.log_prior_density() for part in _learned(self.parts))
        return own + self.prior * jax.nn.log_softmax(self.log_weights).sum()

    @classmethod
    def supported_kinds(
        cls, variable: str, *, part: str = "chow_liu_tree", **options: Any
    ) -> frozenset[Kind]:
        one, options = part_class(part, options)
        return one.supported_kinds(variable, **options)

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        components: int = 4,
        part: str = "chow_liu_tree",
        prior: float = 1.0,
        **options: Any,
    ) -> "Stack":
        """One part for each cluster of the rows, started on the rows of that cluster."""
        if not 1 <= components <= rows.count:
            raise PofxError(
                f"components: expected 1 to {rows.count}, the number of rows; got {components}"
            )
        seed, *keys = jax.random.split(key, components + 1)
        owner = kmeans_clusters(seed, rows, columns, components, "k-means++")
        one, options = part_class(part, options)
        x, observed, weight = rows.to_arrays()
        parts, shares = [], []
        for i, own_key in enumerate(keys):
            own = owner == i
            shares.append(weight[own].sum() + prior)
            # A cluster without rows starts from all of them.
            own = own if own.any() else ~own
            some = make_rows(x[own], observed[own], weight[own])
            parts.append(one.from_data(own_key, some, columns, prior=prior, **options))
        return cls(jnp.log(jnp.asarray(np.array(shares))), tuple(parts), prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        tree, columns = LatentTree.example(key)
        other = emission.select_states(tree.emissions, jnp.array([1, 0, 1]))
        return Example(cls(jnp.log(jnp.array([0.3, 0.7])), (other, tree)), columns)


def _learned(parts: tuple[AbstractQueryable, ...]) -> list[AbstractEMModel]:
    learned = [part for part in parts if isinstance(part, AbstractEMModel)]
    if len(learned) < len(parts):
        raise PofxError("parts: expected models that are learned from sums over rows")
    return learned


def _each(rule: closed_forms.Rule, p: Stack, *arguments: Any) -> list[Any] | None:
    """What the rule says of each part, or None where of one it is not closed."""
    found = [rule.find(part) for part in p.parts]
    out = [own(part, *arguments) if own else None for own, part in zip(found, p.parts)]
    return None if any(a is None for a in out) else out


@closed_forms.conditional_column.register(Stack)
def _column(p: Stack, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    own = _each(closed_forms.conditional_column, p, x, observed, j)
    if own is None or len({jax.tree.structure(a.family) for a in own}) > 1:
        return None
    weights = p.posterior(x, observed)
    scaled = [w + jax.nn.log_softmax(a.log_weights) for w, a in zip(weights, own)]
    family = jax.tree.map(lambda *a: jnp.concatenate(a), *(a.family for a in own))
    return ColumnMixture(jnp.concatenate(scaled), family)


@closed_forms.expectation.register(Stack)
def _expectation(p: Stack, x: Row, observed: Mask) -> Row | None:
    own = _each(closed_forms.expectation, p, x, observed)
    return None if own is None else jnp.exp(p.posterior(x, observed)) @ jnp.stack(own)


@closed_forms.log_prob_box.register(Stack)
def _box(
    p: Stack,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    if place:
        own = _each(closed_forms.log_prob_box, p, x, observed, place, low, high, given)
    elif given is None:
        return p.log_prob(x, observed)
    else:
        own = [log_conditional(part, x, observed, given) for part in p.parts]
    if own is None:
        return None
    weights = jax.nn.log_softmax(p.log_weights) if given is None else p.posterior(x, given)
    # A part in which x_G is impossible has no such probability, and no weight.
    return jax.nn.logsumexp(weights + jnp.where(weights == -jnp.inf, -jnp.inf, jnp.stack(own)))


@closed_forms.terms.register(Stack)
def _terms(p: Stack, x: Row, observed: Mask, fine: bool) -> Double:
    return mixture_terms(jax.nn.log_softmax(p.log_weights), p.terms(x, observed))


@closed_forms.moments.register(Stack)
def _moments(p: Stack) -> tuple[Row, Float[Array, "d d"]] | None:
    own = _each(closed_forms.moments, p)
    if own is None:
        return None
    means, covariances = map(jnp.stack, zip(*own))
    return mixture_moments(p.log_weights, means, covariances)


@closed_forms.most_probable.register(Stack)
def _completion(p: Stack, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]] | None:
    own = _each(closed_forms.most_probable, p, x, observed)
    if own is None:
        return None
    best, scores = map(jnp.stack, zip(*own))
    return most_probable_component(jax.nn.log_softmax(p.log_weights), best, scores)
