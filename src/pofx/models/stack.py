"""The stack: a mixture of models of any structures."""

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
    check_em_steps,
    log_weights,
    mixture_moments,
    most_probable_component,
    part_class,
    responsibilities,
)
from pofx.models.latent_tree import LatentTree
from pofx.models.trees import emission


class Stack(AbstractEMModel):
    """A mixture of tractable models that may differ in structure.

    log p(x_O) = log Σ_i w_i p_i(x_O)

    Columns: the kinds that all parts support. Fitted models weighted by their log-probability of
    held-out rows are a stack (Smyth and Wolpert, "Linearly combining density estimators via
    stacking", 1999). A forest is one too: several trees learned together by EM, each started from
    a cluster of the rows.

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

    def log_joint(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(i, x_O) in nats for each part i."""
        scores = jnp.stack([part.log_prob(x, observed) for part in self.parts])
        return jax.nn.log_softmax(self.log_weights) + scores

    def terms(self, x: Row, observed: Mask) -> Double:
        """The terms of log p_i(x_O) for each part i, (k, d+1)."""
        # Parts of different structure use different formulas. Without double-double precision,
        # rounding errors alone would favour one of two equal parts.
        terms_of_parts = [terms(part, x, observed, True) for part in self.parts]
        return Double(*map(jnp.stack, zip(*terms_of_parts)))

    def log_posterior(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(i | x_O) for each part i; NaN if x_O is impossible."""
        return log_posterior(jax.nn.log_softmax(self.log_weights), self.terms(x, observed))

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return jax.nn.logsumexp(self.log_joint(x, observed))

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        part_key, draw_key = jax.random.split(key)
        i = jax.random.categorical(part_key, self.log_posterior(x, observed))
        return jnp.stack([part.sample(draw_key, x, observed) for part in self.parts])[i]

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        joint = jax.vmap(self.log_joint, (0, None), 1)(x, observed)
        shares, log_likelihood = responsibilities(joint, weight)
        statistics = [
            part.expected_statistics(x, observed, w)[0]
            for part, w in zip(check_em_steps(self.parts), shares)
        ]
        return (shares.sum(1), tuple(statistics)), log_likelihood

    def m_step(self, statistics: Any) -> "Stack":
        part_weights, statistics_of_parts = statistics
        parts = tuple(
            part.m_step(s) for part, s in zip(check_em_steps(self.parts), statistics_of_parts)
        )
        return Stack(log_weights(part_weights, self.prior, self.log_weights), parts, self.prior)

    def log_prior_density(self) -> Float[Array, ""]:
        of_parts = sum(part.log_prior_density() for part in check_em_steps(self.parts))
        return of_parts + self.prior * jax.nn.log_softmax(self.log_weights).sum()

    @classmethod
    def supported_kinds(
        cls, variable: str, *, part: str = "chow_liu_tree", **options: Any
    ) -> frozenset[Kind]:
        cls_of_part, options = part_class(part, options)
        return cls_of_part.supported_kinds(variable, **options)

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
        """One part per cluster of the rows, started from the rows of that cluster.

        Args:
            components: number of parts, default 4.
            part: model of a part, default "chow_liu_tree".
            prior: number of pseudo-rows per part, and within each part, default 1.
            options: options of the parts.

        Raises PofxError if there are fewer rows than components.
        """
        if not 1 <= components <= rows.count:
            raise PofxError(
                f"components: expected 1 to {rows.count}, the number of rows; got {components}"
            )
        cluster_key, *part_keys = jax.random.split(key, components + 1)
        cluster = kmeans_clusters(cluster_key, rows, columns, components, "k-means++")
        cls_of_part, options = part_class(part, options)
        x, observed, weight = rows.to_arrays()
        parts = []
        part_weights = []
        for i, part_key in enumerate(part_keys):
            members = cluster == i
            part_weights.append(weight[members].sum() + prior)
            # A part whose cluster has no rows starts from all rows.
            members = members if members.any() else ~members
            part_rows = make_rows(x[members], observed[members], weight[members])
            parts.append(
                cls_of_part.from_data(part_key, part_rows, columns, prior=prior, **options)
            )
        return cls(jnp.log(jnp.asarray(np.array(part_weights))), tuple(parts), prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        tree, columns = LatentTree.example(key)
        independent = emission.select_states(tree.emissions, jnp.array([1, 0, 1]))
        return Example(cls(jnp.log(jnp.array([0.3, 0.7])), (independent, tree)), columns)


def _apply_rule(rule: closed_forms.Rule, p: Stack, *arguments: Any) -> list[Any] | None:
    """The closed form of each part, or None if one part has none."""
    functions = [rule.find(part) for part in p.parts]
    answers = [f(part, *arguments) if f else None for f, part in zip(functions, p.parts)]
    return None if any(a is None for a in answers) else answers


@closed_forms.conditional_column.register(Stack)
def _column(p: Stack, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    mixtures = _apply_rule(closed_forms.conditional_column, p, x, observed, j)
    if mixtures is None or len({jax.tree.structure(m.family) for m in mixtures}) > 1:
        return None
    weights = p.log_posterior(x, observed)
    log_weights = [w + jax.nn.log_softmax(m.log_weights) for w, m in zip(weights, mixtures)]
    family = jax.tree.map(lambda *a: jnp.concatenate(a), *(m.family for m in mixtures))
    return ColumnMixture(jnp.concatenate(log_weights), family)


@closed_forms.expectation.register(Stack)
def _expectation(p: Stack, x: Row, observed: Mask) -> Row | None:
    means = _apply_rule(closed_forms.expectation, p, x, observed)
    return None if means is None else jnp.exp(p.log_posterior(x, observed)) @ jnp.stack(means)


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
        log_probs = _apply_rule(closed_forms.log_prob_box, p, x, observed, place, low, high, given)
    elif given is None:
        return p.log_prob(x, observed)
    else:
        log_probs = [log_conditional(part, x, observed, given) for part in p.parts]
    if log_probs is None:
        return None
    weights = jax.nn.log_softmax(p.log_weights) if given is None else p.log_posterior(x, given)
    # A part in which x_G is impossible has a NaN there, and weight zero.
    log_probs = jnp.where(weights == -jnp.inf, -jnp.inf, jnp.stack(log_probs))
    return jax.nn.logsumexp(weights + log_probs)


@closed_forms.terms.register(Stack)
def _terms(p: Stack, x: Row, observed: Mask, fine: bool) -> Double:
    return mixture_terms(jax.nn.log_softmax(p.log_weights), p.terms(x, observed))


@closed_forms.moments.register(Stack)
def _moments(p: Stack) -> tuple[Row, Float[Array, "d d"]] | None:
    moments = _apply_rule(closed_forms.moments, p)
    if moments is None:
        return None
    means, covariances = map(jnp.stack, zip(*moments))
    return mixture_moments(p.log_weights, means, covariances)


@closed_forms.most_probable.register(Stack)
def _completion(p: Stack, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]] | None:
    completions = _apply_rule(closed_forms.most_probable, p, x, observed)
    if completions is None:
        return None
    rows, log_probs = map(jnp.stack, zip(*completions))
    return most_probable_component(jax.nn.log_softmax(p.log_weights), rows, log_probs)
