"""Log-probabilities as sums of terms, so that what two models share cancels in their difference.

The difference log p_i(x_O) - log p_k(x_O) of two numbers near 1e15 has no digits left. By the
closed form `terms` each is a sum of one number per column and one more. For a column far out about
which both models agree, both sums contain the same number, and it is left out. If both models
contain the same marginal computed by different formulas, the numbers differ by rounding alone, and
the rounding errors are carried along.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Mask, Row
from pofx.core.component_axis import over_components
from pofx.core.double_double import Double, add, double, total, two_sum
from pofx.models.components.operations import log_probs


def terms(model: AbstractQueryable, x: Row, observed: Mask, fine: bool) -> Double:
    """d + 1 numbers whose sum is log p(x_O).

    For a model without the closed form `terms`, the last of them is log p(x_O) and the others are
    zero. `fine` asks for rounding errors even if they cost much.
    """
    rule = closed_forms.terms.find(model)
    model_terms = rule(model, x, observed, fine) if rule else None
    if model_terms is None:
        return double(jnp.zeros(model.size + 1, x.dtype).at[-1].set(model.log_prob(x, observed)))
    return model_terms


def part_terms(parts: Any, x: Float[Array, "d"], observed: Bool[Array, "d"], fine: bool) -> Double:
    """The terms (k, d+1) of each of the models that are stacked in the arrays of `parts`."""
    rule = closed_forms.terms.find(parts)
    stacked_terms = None
    if rule:
        stacked_terms = over_components(lambda part, x, o: rule(part, x, o, fine), shared=2)(
            parts, x, observed
        )
    if stacked_terms is None:
        last = log_probs(parts, x, observed)[:, None]
        return double(jnp.pad(last, ((0, 0), (x.shape[-1], 0))))
    return stacked_terms


def log_posterior(log_weights: Float[Array, "k"], terms_of_parts: Double) -> Float[Array, "k"]:
    """log p(k | x_O) from log prior probabilities of k and terms; NaN if x_O is impossible."""
    return _compare(log_weights, terms_of_parts)[0]


def mixture_terms(log_weights: Float[Array, "k"], terms_of_parts: Double) -> Double:
    """The terms of a mixture: those of its most probable part, plus what the other parts add."""
    _, reference, excess = _compare(log_weights, terms_of_parts)
    last = two_sum(reference.high[-1], excess)
    low = reference.low.at[-1].add(last.low)
    return Double(reference.high.at[-1].set(last.high), low)


def _compare(
    log_weights: Float[Array, "k"], terms_of_parts: Double
) -> tuple[Float[Array, "k"], Double, Float[Array, ""]]:
    """log p(k | x_O), the terms of the most probable part, and log p(x_O) less their sum."""
    joint = log_weights + terms_of_parts.high.sum(1)
    best = jnp.argmax(joint)
    reference = Double(terms_of_parts.high[best], terms_of_parts.low[best])
    possible = joint > -jnp.inf
    # Infinite terms are replaced, because their differences would be NaN.
    finite = Double(
        *(jnp.where(possible[:, None], a, b) for a, b in zip(terms_of_parts, reference))
    )
    ratio = total(add(finite, -reference)).value()
    relative = log_weights + jnp.where(possible, ratio, -jnp.inf)
    excess = jax.nn.logsumexp(relative)
    posterior = jnp.where(possible[best], relative - excess, jnp.nan)
    return posterior, reference, excess
