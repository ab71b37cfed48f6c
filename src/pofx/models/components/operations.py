"""What models share that hold one part for each value of a category, seen or hidden."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pofx.core import closed_forms
from pofx.core.abstract import AbstractEMModel, AbstractLearnable
from pofx.core.column_mixture import ColumnMixture, flatten
from pofx.core.component_axis import over_components
from pofx.core.errors import PofxError
from pofx.core.registry import class_by_name, discover


def part_class(part: str, options: dict[str, Any]) -> tuple[type[AbstractEMModel], dict[str, Any]]:
    """The class of a part and the options of its start; a part of its own stands after a dot.

    >>> cls, options = part_class("mixture.factor_analysis", {"latent": 2})
    >>> cls.__name__, options
    ('Mixture', {'latent': 2, 'part': 'factor_analysis'})
    """
    name, _, inner = part.partition(".")
    known = discover("pofx.models", AbstractEMModel)
    if name not in known and name in discover("pofx.models", AbstractLearnable):
        raise PofxError(
            f"part: expected a model that is learned by sums over rows, and {name!r} is not; there "
            f"are: {', '.join(known)}; a flow or a diffusion of each class is model='flow', on='y'"
        )
    cls = class_by_name("pofx.models", AbstractEMModel, "part", name)
    return cls, {**options, "part": inner} if inner else options


def log_probs(parts: Any, x: Float[Array, "d"], observed: Bool[Array, "d"]) -> Float[Array, "k"]:
    """log p_k(x_O) of each part."""
    rule = closed_forms.batched_log_prob.find(parts)
    own = rule(parts, x, observed) if rule else None
    if own is not None:
        return own
    return over_components(lambda part, x, o: part.log_prob(x, o), shared=2)(parts, x, observed)


def log_probs_of_rows(
    parts: Any, x: Float[Array, "n d"], observed: Bool[Array, "d"]
) -> Float[Array, "k n"]:
    """log p_k(x_O) of rows that share one pattern.

    Parts first, rows last: the layout in which the weighted sums that follow run fastest.
    """
    score = over_components(lambda part, x, o: jax.vmap(part.log_prob, (0, None))(x, o), shared=2)
    return score(parts, x, observed)


def draws(parts: Any, key: Any, x: Float[Array, "d"], observed: Bool[Array, "d"]) -> Array:
    """A completion of x by each part, (k, d).

    All parts draw with one key, for only one of the draws is kept: the noise is made once.
    """
    return over_components(lambda part, *rest: part.sample(*rest), shared=3)(
        parts, key, x, observed
    )


def draw(parts: Any, k: Int[Array, ""], key: Any, x: Array, observed: Array) -> Array:
    """A completion of x by part k.

    Where rows of one pattern would share a factorisation a part, all parts draw; else only it does.
    """
    if parts.pattern_free:
        return jax.tree.map(lambda a: a[k], parts).sample(key, x, observed)
    return draws(parts, key, x, observed)[k]


def responsibilities(
    joint: Float[Array, "k n"], weight: Float[Array, "n"]
) -> tuple[Float[Array, "k n"], Float[Array, ""]]:
    """Weights times the posterior of the category, and the weighted log-likelihood.

    A row that is impossible whatever the category has no posterior: it counts for none.
    """
    log_prob = jax.nn.logsumexp(joint, axis=0)
    posterior = jnp.where(log_prob > -jnp.inf, jnp.exp(joint - log_prob), 0)
    return weight * posterior, jnp.where(weight > 0, weight * log_prob, 0).sum()


def log_weights(
    shares: Float[Array, "k"], prior: float, before: Float[Array, "k"]
) -> Float[Array, "k"]:
    """The most likely log-probabilities of the category; without rows, those of before."""
    total = (shares + prior).sum()
    return jnp.where(total > 0, jnp.log((shares + prior) / jnp.where(total > 0, total, 1)), before)


def log_prior_density(log_weights: Float[Array, "k"], prior: float, parts: Any) -> Float[Array, ""]:
    """The log prior of the category's probabilities and of the parts, up to a constant."""
    own = over_components(lambda part: part.log_prior_density())(parts).sum()
    return own + prior * jax.nn.log_softmax(log_weights).sum() if prior else own


def part_statistics(
    parts: Any, weight: Float[Array, "k n"], x: Float[Array, "n d"], observed: Any
) -> Any:
    """The statistics of each part, with weights of its own."""
    sums = over_components(lambda part, w, x, o: part.expected_statistics(x, o, w)[0], shared=2)
    return sums(parts, weight, x, observed)


def m_step_parts(parts: Any, statistics: Any) -> Any:
    """Each part at its maximum."""
    return over_components(lambda part, s: part.m_step(s))(parts, statistics)


def mixture_moments(
    log_weights: Float[Array, "k"], mean: Float[Array, "k d"], covariance: Float[Array, "k d d"]
) -> tuple[Float[Array, "d"], Float[Array, "d d"]]:
    """E[x] and Cov[x] = E[Cov[x | k]] + Cov[E[x | k]] (laws of total mean and covariance)."""
    w = jax.nn.softmax(log_weights)
    centre = w @ mean
    off = mean - centre
    return centre, jnp.tensordot(w, covariance, 1) + (w * off.T) @ off


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
    own = over_components(lambda part, x, o: rule(part, x, o, j), shared=2)(parts, x, observed)
    return own and flatten(log_weights, own)


def mixture_expectation(
    log_weights: Float[Array, "k"], parts: Any, x: Float[Array, "d"], observed: Bool[Array, "d"]
) -> Float[Array, "d"] | None:
    """E[x_M | x_O] = Σ_k p(k | x_O) E_k[x_M | x_O], with log p(k | x_O) in `log_weights`."""
    rule = closed_forms.expectation.find(parts)
    if rule is None:
        return None
    own = over_components(rule, shared=2)(parts, x, observed)
    return None if own is None else jnp.exp(log_weights) @ own


def mixture_most_probable(
    log_weights: Float[Array, "k"], parts: Any, x: Float[Array, "d"], observed: Bool[Array, "d"]
) -> tuple[Float[Array, "d"], Float[Array, ""]] | None:
    """max over k and x_M of log w_k p_k(x_M, x_O)."""
    rule = closed_forms.most_probable.find(parts)
    own = over_components(rule, shared=2)(parts, x, observed) if rule else None
    return own and most_probable_component(log_weights, *own)


def most_probable_component(
    log_weights: Float[Array, "k"], rows: Float[Array, "k d"], log_probs: Float[Array, "k"]
) -> tuple[Float[Array, "d"], Float[Array, ""]]:
    """The row of the component with the highest log w_k + log_prob_k, and that."""
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
    own = _boxes(parts, x, observed, place, low, high, given)
    if own is None:
        return None
    # A part in which x_G is impossible has no such probability, and no weight.
    return jax.nn.logsumexp(log_weights + jnp.where(log_weights == -jnp.inf, -jnp.inf, own))


def _boxes(parts, x, observed, place, low, high, given) -> Float[Array, "k"] | None:
    """log P_k(x_O, low < x_B <= high | x_G) of each part."""
    rule = closed_forms.log_prob_box.find(parts)
    if rule is None:
        return None

    def of_parts(x, observed, low, high, *given):
        def one(part, x, o, a, b, *given):
            return rule(part, x, o, place, a, b, *given)

        score = over_components(one, shared=4 + len(given))
        return score(parts, x, observed, low, high, *given)

    def of_rest():
        if rule:
            own = of_parts(x, observed, low, high, *(() if given is None else (given,)))
            if own is not None or place:
                return own
        if place:
            return None
        before = 0.0 if given is None else log_probs(parts, x, given)
        return log_probs(parts, x, observed) - before

    if place or given is None or parts.pattern_free:
        return of_rest()
    # Often nothing but the category is asked for, and then no part has to factorise anything.
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(of_rest))
    return jax.lax.cond((observed & ~given).any(), of_rest, lambda: nothing)
