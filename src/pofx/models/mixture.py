"""The mixture model: a hidden category, and one part per value of it."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms, host_keys
from pofx.core.abstract import AbstractEMModel, AbstractTractable, Example, Mask, Row
from pofx.core.column import Column, Kind
from pofx.core.column_mixture import ColumnMixture
from pofx.core.compilation import compiled_quickly, to_device
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
    mixture_column,
    mixture_expectation,
    mixture_log_prob_box,
    mixture_moments,
    mixture_most_probable,
    part_class,
    part_statistics,
    responsibilities,
)
from pofx.models.gaussian import Gaussian


class Mixture(AbstractEMModel):
    """A mixture of K tractable models of one structure, the parts.

    log p(x_O) = log Σ_k w_k p_k(x_O)

    Columns: the kinds that the parts support. The parts' arrays are stacked along a first axis of
    K. x_M | x_O is a mixture of p_k(x_M | x_O) with weights w_k p_k(x_O) / p(x_O). EM learns each
    part from all rows, each row weighted by the posterior probability of the part's component
    (Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
    1977).

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
        return jax.nn.logsumexp(self._log_joint(x, observed))

    def _log_joint(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(k, x_O) for each component k."""
        return jax.nn.log_softmax(self.log_weights) + log_probs(self.parts, x, observed)

    def _log_posterior(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(k | x_O) for each component k."""
        weights = jax.nn.log_softmax(self.log_weights)
        return log_posterior(weights, part_terms(self.parts, x, observed, False))

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        component_key, part_key = jax.random.split(key)
        k = jax.random.categorical(component_key, self._log_posterior(x, observed))
        return draw(self.parts, k, part_key, x, observed)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        weights = jax.nn.log_softmax(self.log_weights)
        joint = weights[:, None] + log_probs_of_rows(self.parts, x, observed)
        shares, log_likelihood = responsibilities(joint, weight)
        statistics = part_statistics(self.parts, shares, x, observed)
        return (shares.sum(1), statistics), log_likelihood

    def m_step(self, statistics: Any) -> "Mixture":
        component_weights, statistics_of_parts = statistics
        weights = log_weights(component_weights, self.prior, self.log_weights)
        return Mixture(weights, m_step_parts(self.parts, statistics_of_parts), self.prior)

    def log_prior_density(self) -> Float[Array, ""]:
        return log_prior_density(self.log_weights, self.prior, self.parts)

    @classmethod
    def supported_kinds(
        cls, variable: str, *, part: str = "independent", **options: Any
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
        components: int = 8,
        part: str = "independent",
        init: str = "k-means++",
        prior: float = 1.0,
        **options: Any,
    ) -> "Mixture":
        """A part fitted to all rows, copied, then one M-step of each copy on its cluster of rows.

        Args:
            components: number of components, default 8.
            part: model of a component, default "independent".
            init: how rows are clustered, "k-means++" (default) or "random".
            prior: number of pseudo-rows per component and part, default 1.
            options: options of the part.

        Raises PofxError if there are fewer rows than components.
        """
        if not 1 <= components <= rows.count:
            raise PofxError(
                f"components: expected 1 to {rows.count}, the number of rows; got {components}"
            )
        cluster_key, part_key = host_keys.split(key)
        cls_of_part, options = part_class(part, options)
        template = cls_of_part.from_data(part_key, rows, columns, prior=prior, **options)
        cluster = kmeans_clusters(cluster_key, rows, columns, components, init)
        shares = np.eye(components, dtype=rows.x.dtype)[cluster]
        no_weights = to_device(np.zeros(components, jnp.result_type(float)))
        copies = cls(no_weights, stack_modules([template] * components), prior)
        return _m_step_by_shares(copies, rows, rows.to_chunks(shares))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        models = [Gaussian.example(k).model for k in jax.random.split(key, 3)]
        parts = [
            eqx.tree_at(lambda p: p.mean, model, model.mean + 2 * i)
            for i, model in enumerate(models)
        ]
        mixture = Mixture(jnp.log(jnp.array([0.5, 0.3, 0.2])), stack_modules(parts))
        return Example(mixture, Gaussian.example(key).columns)


@compiled_quickly
def _m_step_by_shares(p: Mixture, rows: Rows, shares: Float[Array, "m c k"]) -> Mixture:
    """The mixture after an M-step in which each row belongs to components by these shares."""

    def sum_chunk(x, observed, weight, shares):
        statistics = part_statistics(p.parts, weight * shares.T, x, observed)
        return weight @ shares, statistics

    return p.m_step(rows.sum(sum_chunk, shares))


@closed_forms.condition.register(Mixture)
def _condition(
    p: Mixture, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> Mixture | None:
    rule = closed_forms.condition.find(p.parts)
    if rule is None:
        return None
    parts = over_components(lambda part, x: rule(part, x, observed, keep), shared=1)(p.parts, x)
    is_marginal = not np.any(observed)
    weights = p.log_weights if is_marginal else p._log_posterior(x, jnp.asarray(observed))
    return None if parts is None else Mixture(weights, parts, p.prior)


@closed_forms.entropy.register(Mixture)
def _entropy(p: Mixture, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    # For one component it is that component's entropy; for more there is no closed form.
    rule = closed_forms.entropy.find(p.parts)
    if rule is None or len(p.log_weights) > 1:
        return None
    return rule(jax.tree.map(lambda a: a[0], p.parts), target_mask)


@closed_forms.moments.register(Mixture)
def _moments(p: Mixture) -> tuple[Row, Float[Array, "d d"]] | None:
    rule = closed_forms.moments.find(p.parts)
    moments = rule and over_components(rule)(p.parts)
    return None if moments is None else mixture_moments(p.log_weights, *moments)


@closed_forms.conditional_column.register(Mixture)
def _column(p: Mixture, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    return mixture_column(p._log_posterior(x, observed), p.parts, x, observed, j)


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
    weights = jax.nn.log_softmax(p.log_weights) if given is None else p._log_posterior(x, given)
    return mixture_log_prob_box(weights, p.parts, x, observed, place, low, high, given)


@closed_forms.terms.register(Mixture)
def _terms(p: Mixture, x: Row, observed: Mask, fine: bool) -> Double:
    terms = part_terms(p.parts, x, observed, fine)
    return mixture_terms(jax.nn.log_softmax(p.log_weights), terms)


@closed_forms.as_gaussian.register(Mixture)
def _normal(p: Mixture) -> tuple[Row, Float[Array, "d d"]] | None:
    rule = closed_forms.as_gaussian.find(p.parts)
    return rule(jax.tree.map(lambda a: a[0], p.parts)) if rule and len(p.log_weights) == 1 else None


@closed_forms.expectation.register(Mixture)
def _expectation(p: Mixture, x: Row, observed: Mask) -> Row | None:
    return mixture_expectation(p._log_posterior(x, observed), p.parts, x, observed)


@closed_forms.most_probable.register(Mixture)
def _completion(p: Mixture, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]] | None:
    return mixture_most_probable(jax.nn.log_softmax(p.log_weights), p.parts, x, observed)


@closed_forms.latent.register(Mixture)
def _latent(p: Mixture, x: Row, observed: Mask) -> dict[str, Float[Array, "k"]]:
    # Responsibilities, p(k | x_O).
    return {"component": jnp.exp(p._log_posterior(x, observed))}


@closed_forms.groups.register(Mixture)
def _groups(p: Mixture) -> tuple[int, ...] | None:
    rule = closed_forms.groups.find(p.parts)
    return rule(p.parts) if rule and len(p.log_weights) == 1 else None
