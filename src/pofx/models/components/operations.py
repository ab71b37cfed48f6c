"""Operations on parts: models stacked in the arrays of one, one for each value of a category."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pofx.core import closed_forms
from pofx.core.abstract import (
    AbstractEMModel,
    AbstractEMSteps,
    AbstractLearnable,
    AbstractQueryable,
)
from pofx.core.column_mixture import ColumnMixture, flatten
from pofx.core.component_axis import over_components
from pofx.core.errors import PofxError
from pofx.core.registry import class_by_name, discover


def part_class(part: str, options: dict[str, Any]) -> tuple[type[AbstractEMModel], dict[str, Any]]:
    """The class of a part, and the options with which it starts.

    Args:
        part: a model; after a dot, the model of its own parts.
        options: the options of the part.

    Raises PofxError for an unknown model, or one that is not learned by EM.

    >>> cls, options = part_class("mixture.factor_analysis", {"latent": 2})
    >>> cls.__name__, options
    ('Mixture', {'latent': 2, 'part': 'factor_analysis'})
    """
    name, _, inner = part.partition(".")
    em_models = discover("pofx.models", AbstractEMModel)
    if name not in em_models and name in discover("pofx.models", AbstractLearnable):
        raise PofxError(
            f"part: expected a model that is learned by EM, got {name!r}; choose from "
            f"{', '.join(em_models)}; for a flow or a diffusion per class use model='flow', on='y'"
        )
    cls = class_by_name("pofx.models", AbstractEMModel, "part", name)
    return cls, {**options, "part": inner} if inner else options


def check_em_steps(parts: Sequence[AbstractQueryable]) -> list[AbstractEMSteps]:
    """The parts; PofxError if one of them is not learned from sums over rows."""
    models = [part for part in parts if isinstance(part, AbstractEMSteps)]
    if len(models) < len(parts):
        raise PofxError("parts: expected models that are learned from sums over rows")
    return models


def log_probs(parts: Any, x: Float[Array, "d"], observed: Bool[Array, "d"]) -> Float[Array, "k"]:
    """log p_k(x_O) of each part."""
    rule = closed_forms.batched_log_prob.find(parts)
    log_p = rule(parts, x, observed) if rule else None
    if log_p is not None:
        return log_p
    return over_components(lambda part, x, o: part.log_prob(x, o), shared=2)(parts, x, observed)


def log_probs_of_rows(
    parts: Any, x: Float[Array, "n d"], observed: Bool[Array, "d"]
) -> Float[Array, "k n"]:
    """log p_k(x_O) of rows that share one pattern.

    Parts come first and rows last: the weighted sums that follow run fastest in this layout.
    """
    score = over_components(lambda part, x, o: jax.vmap(part.log_prob, (0, None))(x, o), shared=2)
    return score(parts, x, observed)


def draw_all(parts: Any, key: Any, x: Float[Array, "d"], observed: Bool[Array, "d"]) -> Array:
    """A completion of x by each part, (k, d).

    Only one of the draws will be kept, so all parts use one key, and the noise is made once.
    """
    return over_components(lambda part, *row: part.sample(*row), shared=3)(parts, key, x, observed)


def draw(parts: Any, k: Int[Array, ""], key: Any, x: Array, observed: Array) -> Array:
    """A completion of x by part k.

    All parts draw if rows of one pattern can share the factorisation of each part; else only part
    k does.
    """
    if parts.pattern_free:
        return jax.tree.map(lambda a: a[k], parts).sample(key, x, observed)
    return draw_all(parts, key, x, observed)[k]


def responsibilities(
    joint: Float[Array, "k n"], weight: Float[Array, "n"]
) -> tuple[Float[Array, "k n"], Float[Array, ""]]:
    """Row weights times the posterior of the category, and the weighted log-likelihood.

    `joint` is log p(k, x) of each row. A row that no part can produce counts for no part.
    """
    log_prob = jax.nn.logsumexp(joint, axis=0)
    posterior = jnp.where(log_prob > -jnp.inf, jnp.exp(joint - log_prob), 0)
    return weight * posterior, jnp.where(weight > 0, weight * log_prob, 0).sum()


def log_weights(
    shares: Float[Array, "k"], prior: float, before: Float[Array, "k"]
) -> Float[Array, "k"]:
    """The most probable log-probabilities of the category.

    Args:
        shares: the weight of the rows in each part.
        prior: number of pseudo-rows per part.
        before: the log-probabilities that are kept if there are no rows.
    """
    total = (shares + prior).sum()
    return jnp.where(total > 0, jnp.log((shares + prior) / jnp.where(total > 0, total, 1)), before)


def log_prior_density(log_weights: Float[Array, "k"], prior: float, parts: Any) -> Float[Array, ""]:
    """The log prior of the category's probabilities and of the parts, up to a constant."""
    total = over_components(lambda part: part.log_prior_density())(parts).sum()
    return total + prior * jax.nn.log_softmax(log_weights).sum() if prior else total


def part_statistics(
    parts: Any, weight: Float[Array, "k n"], x: Float[Array, "n d"], observed: Any
) -> Any:
    """The expected statistics of each part, for its own row weights."""
    sums = over_components(lambda part, w, x, o: part.expected_statistics(x, o, w)[0], shared=2)
    return sums(parts, weight, x, observed)


def m_step_parts(parts: Any, statistics: Any) -> Any:
    """The M-step of each part."""
    return over_components(lambda part, s: part.m_step(s))(parts, statistics)


def mixture_moments(
    log_weights: Float[Array, "k"], mean: Float[Array, "k d"], covariance: Float[Array, "k d d"]
) -> tuple[Float[Array, "d"], Float[Array, "d d"]]:
    """E[x] and Cov[x] = E[Cov[x | k]] + Cov[E[x | k]] (laws of total mean and covariance)."""
    w = jax.nn.softmax(log_weights)
    centre = w @ mean
    deviations = mean - centre
    return centre, jnp.tensordot(w, covariance, 1) + (w * deviations.T) @ deviations


def mixture_column(
    log_weights: Float[Array, "k"],
    parts: Any,
    x: Float[Array, "d"],
    observed: Bool[Array, "d"],
    j: int,
) -> ColumnMixture | None:
    """p(x_j | x_O) = Σ_k p(k | x_O) p_k(x_j | x_O), with log p(k | x_O) in `log_weights`."""
    rule = closed_forms.conditional_column.find(parts)
    if rule is None:
        return None
    columns = over_components(lambda part, x, o: rule(part, x, o, j), shared=2)(parts, x, observed)
    return columns and flatten(log_weights, columns)


def mixture_expectation(
    log_weights: Float[Array, "k"], parts: Any, x: Float[Array, "d"], observed: Bool[Array, "d"]
) -> Float[Array, "d"] | None:
    """E[x_M | x_O] = Σ_k p(k | x_O) E_k[x_M | x_O], with log p(k | x_O) in `log_weights`."""
    rule = closed_forms.expectation.find(parts)
    if rule is None:
        return None
    means = over_components(rule, shared=2)(parts, x, observed)
    return None if means is None else jnp.exp(log_weights) @ means


def mixture_most_probable(
    log_weights: Float[Array, "k"], parts: Any, x: Float[Array, "d"], observed: Bool[Array, "d"]
) -> tuple[Float[Array, "d"], Float[Array, ""]] | None:
    """max over k and x_M of log w_k p_k(x_M, x_O)."""
    rule = closed_forms.most_probable.find(parts)
    candidates = over_components(rule, shared=2)(parts, x, observed) if rule else None
    return candidates and most_probable_component(log_weights, *candidates)


def most_probable_component(
    log_weights: Float[Array, "k"], rows: Float[Array, "k d"], log_probs: Float[Array, "k"]
) -> tuple[Float[Array, "d"], Float[Array, ""]]:
    """The row of the component k with the highest log w_k + log_prob_k, and that value."""
    k = jnp.argmax(log_weights + log_probs)
    return rows[k], (log_weights + log_probs)[k]


def mixture_log_prob_box(
    log_weights: Float[Array, "k"],
    parts: Any,
    x: Float[Array, "d"],
    observed: Bool[Array, "d"],
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Bool[Array, "d"] | None,
) -> Float[Array, ""] | None:
    """log Σ_k w_k P_k(x_O, low < x_B <= high | x_G), with log p(k | x_G) in `log_weights`."""
    log_p = _log_prob_boxes(parts, x, observed, place, low, high, given)
    if log_p is None:
        return None
    # If x_G is impossible in a part, this probability is undefined there and the weight is zero.
    return jax.nn.logsumexp(log_weights + jnp.where(log_weights == -jnp.inf, -jnp.inf, log_p))


def _log_prob_boxes(parts, x, observed, place, low, high, given) -> Float[Array, "k"] | None:
    """log P_k(x_O, low < x_B <= high | x_G) of each part."""
    rule = closed_forms.log_prob_box.find(parts)
    if rule is None:
        return None

    def apply_rule(x, observed, low, high, *given):
        def apply(part, x, o, a, b, *given):
            return rule(part, x, o, place, a, b, *given)

        score = over_components(apply, shared=4 + len(given))
        return score(parts, x, observed, low, high, *given)

    def log_prob():
        if rule:
            log_p = apply_rule(x, observed, low, high, *(() if given is None else (given,)))
            if log_p is not None or place:
                return log_p
        if place:
            return None
        before = 0.0 if given is None else log_probs(parts, x, given)
        return log_probs(parts, x, observed) - before

    if place or given is None or parts.pattern_free:
        return log_prob()
    # Often the query is about the category only; then no part has to factorise anything.
    zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(log_prob))
    return jax.lax.cond((observed & ~given).any(), log_prob, lambda: zero)
