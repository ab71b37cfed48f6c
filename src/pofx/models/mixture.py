"""The mixture: a hidden category, and a part for each of its values."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractEMModel, AbstractTractable, Example, Mask, Row
from pofx.core.column import Column, Kind
from pofx.core.column_mixture import ColumnMixture
from pofx.core.component_axis import over_components, stack_modules
from pofx.core.double_double import Double
from pofx.core.errors import PofxError
from pofx.core.rows import Rows
from pofx.models.components.initial_clusters import kmeans_clusters
from pofx.models.components.log_prob_terms import log_posterior, mixture_terms, part_terms
from pofx.models.components.operations import (
    draw,
    log_prior_density,
    log_probs,
    log_probs_of_rows,
    log_weights,
    m_step_parts,
    mixture_log_prob_box,
    mixture_column,
    mixture_most_probable,
    mixture_expectation,
    mixture_moments,
    part_class,
    part_statistics,
    responsibilities,
)
from pofx.models.gaussian import Gaussian


class Mixture(AbstractEMModel):
    """A mixture of K parts, any tractable model with its arrays stacked along a first axis of K.

    log p(x_O) = log Σ_k w_k p_k(x_O)

    x_M | x_O is a mixture of p_k(x_M | x_O) with weights w_k p_k(x_O) / p(x_O). Learned by EM:
    a part sees each row with the posterior probability of its component as weight (Dempster, Laird
    and Rubin 1977). `prior` is a number of pseudo-rows added to each weight.

    >>> p = Mixture.example(jax.random.key(0)).model
    >>> p.size, p.log_weights.shape, p.parts.mean.shape
    (3, (3,), (3, 3))
    """

    log_weights: Float[Array, "k"]
    parts: AbstractTractable
    prior: float = eqx.field(static=True, default=0.0)

    random_start: ClassVar[bool] = True

    @property
    def size(self) -> int:
        return self.parts.size

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return jax.nn.logsumexp(self._joint(x, observed))

    def _joint(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(k, x_O) for each component k."""
        return jax.nn.log_softmax(self.log_weights) + log_probs(self.parts, x, observed)

    def _posterior(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(k | x_O) for each component k."""
        weights = jax.nn.log_softmax(self.log_weights)
        return log_posterior(weights, part_terms(self.parts, x, observed, False))

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        choose, own = jax.random.split(key)
        k = jax.random.categorical(choose, self._posterior(x, observed))
        return draw(self.parts, k, own, x, observed)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        weights = jax.nn.log_softmax(self.log_weights)
        joint = weights[:, None] + log_probs_of_rows(self.parts, x, observed)
        shares, log_likelihood = responsibilities(joint, weight)
        own = part_statistics(self.parts, shares, x, observed)
        return (shares.sum(1), own), log_likelihood

    def m_step(self, statistics: Any) -> "Mixture":
        shares, own = statistics
        weights = log_weights(shares, self.prior, self.log_weights)
        return Mixture(weights, m_step_parts(self.parts, own), self.prior)

    def log_prior_density(self) -> Float[Array, ""]:
        return log_prior_density(self.log_weights, self.prior, self.parts)

    @classmethod
    def supported_kinds(
        cls, variable: str, *, part: str = "independent", **options: Any
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
        components: int = 8,
        part: str = "independent",
        init: str = "k-means++",
        prior: float = 1.0,
        **options: Any,
    ) -> "Mixture":
        """One part for all rows, then one maximisation of each part for the rows of a cluster."""
        if not 1 <= components <= rows.count:
            raise PofxError(
                f"components: expected 1 to {rows.count}, the number of rows; got {components}"
            )
        seed, inner = jax.random.split(key)
        one, options = part_class(part, options)
        template = one.from_data(inner, rows, columns, prior=prior, **options)
        owner = kmeans_clusters(seed, rows, columns, components, init)
        shares = np.eye(components, dtype=rows.x.dtype)[owner]
        unshared = cls(jnp.zeros(components), stack_modules([template] * components), prior)
        return _shared_out(unshared, rows, rows.to_chunks(shares))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        parts = [Gaussian.example(k) for k in jax.random.split(key, 3)]
        parts = [
            eqx.tree_at(lambda p: p.mean, e.model, e.model.mean + 2 * i)
            for i, e in enumerate(parts)
        ]
        return Example(
            Mixture(jnp.log(jnp.array([0.5, 0.3, 0.2])), stack_modules(parts)),
            Gaussian.example(key).columns,
        )


@eqx.filter_jit
def _shared_out(p: Mixture, rows: Rows, shares: Float[Array, "m c k"]) -> Mixture:
    """The mixture at its maximum where each row belongs to components by these shares."""

    def sums(x, observed, weight, shares):
        own = part_statistics(p.parts, weight * shares.T, x, observed)
        return weight @ shares, own

    return p.m_step(rows.sum(sums, shares))


@closed_forms.condition.register(Mixture)
def _condition(
    p: Mixture, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> Mixture | None:
    rule = closed_forms.condition.find(p.parts)
    if rule is None:
        return None
    parts = over_components(lambda part, x: rule(part, x, observed, keep), shared=1)(p.parts, x)
    weights = p._posterior(x, jnp.asarray(observed))
    return None if parts is None else Mixture(weights, parts, p.prior)


@closed_forms.entropy.register(Mixture)
def _entropy(p: Mixture, asked: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    # Of one component it is that component's; of more there is no closed form.
    rule = closed_forms.entropy.find(p.parts)
    if rule is None or len(p.log_weights) > 1:
        return None
    return rule(jax.tree.map(lambda a: a[0], p.parts), asked)


@closed_forms.moments.register(Mixture)
def _moments(p: Mixture) -> tuple[Row, Float[Array, "d d"]] | None:
    rule = closed_forms.moments.find(p.parts)
    return rule and mixture_moments(p.log_weights, *over_components(rule)(p.parts))


@closed_forms.conditional_column.register(Mixture)
def _column(p: Mixture, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    return mixture_column(p._posterior(x, observed), p.parts, x, observed, j)


@closed_forms.log_prob_box.register(Mixture)
def _box(
    p: Mixture,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    weights = jax.nn.log_softmax(p.log_weights) if given is None else p._posterior(x, given)
    return mixture_log_prob_box(weights, p.parts, x, observed, place, low, high, given)


@closed_forms.terms.register(Mixture)
def _terms(p: Mixture, x: Row, observed: Mask, fine: bool) -> Double:
    each = part_terms(p.parts, x, observed, fine)
    return mixture_terms(jax.nn.log_softmax(p.log_weights), each)


@closed_forms.as_gaussian.register(Mixture)
def _normal(p: Mixture) -> tuple[Row, Float[Array, "d d"]] | None:
    rule = closed_forms.as_gaussian.find(p.parts)
    return rule(jax.tree.map(lambda a: a[0], p.parts)) if rule and len(p.log_weights) == 1 else None


@closed_forms.expectation.register(Mixture)
def _expectation(p: Mixture, x: Row, observed: Mask) -> Row | None:
    return mixture_expectation(p._posterior(x, observed), p.parts, x, observed)


@closed_forms.most_probable.register(Mixture)
def _completion(p: Mixture, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]] | None:
    return mixture_most_probable(jax.nn.log_softmax(p.log_weights), p.parts, x, observed)


@closed_forms.latent.register(Mixture)
def _latent(p: Mixture, x: Row, observed: Mask) -> dict[str, Float[Array, "k"]]:
    # Responsibilities, p(k | x_O).
    return {"component": jnp.exp(p._posterior(x, observed))}


@closed_forms.groups.register(Mixture)
def _groups(p: Mixture) -> tuple[int, ...] | None:
    rule = closed_forms.groups.find(p.parts)
    return rule(p.parts) if rule and len(p.log_weights) == 1 else None
