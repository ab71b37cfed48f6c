"""Log-probabilities as sums, so that what two models agree on cancels in their difference.

log p_i(x_O) - log p_k(x_O) of two numbers of 1e15 has no digits left. By the rule `terms` each is a
sum of a number for each column, and one more: a column far out of which both models say the same
has the same number in both, and is left out. What both say in other words, as the same marginal by
another formula, differs by roundings alone, and these are told beside the numbers.
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
    """Numbers (d+1,) whose sum is log p(x_O); in a model without a rule it is the last of them."""
    rule = closed_forms.terms.find(model)
    each = rule(model, x, observed, fine) if rule else None
    if each is None:
        return double(jnp.zeros(model.size + 1, x.dtype).at[-1].set(model.log_prob(x, observed)))
    return each


def part_terms(parts: Any, x: Float[Array, "d"], observed: Bool[Array, "d"], fine: bool) -> Double:
    """The terms (k, d+1) of each of the models stacked in the arrays of `parts`."""
    rule = closed_forms.terms.find(parts)
    each = None
    if rule:
        each = over_components(lambda part, x, o: rule(part, x, o, fine), shared=2)(
            parts, x, observed
        )
    if each is None:
        last = log_probs(parts, x, observed)[:, None]
        return double(jnp.pad(last, ((0, 0), (x.shape[-1], 0))))
    return each


def log_posterior(log_weights: Float[Array, "k"], each: Double) -> Float[Array, "k"]:
    """log p(k | x_O) from prior probabilities of k and terms; NaN if x_O is impossible."""
    return _compared(log_weights, each)[0]


def mixture_terms(log_weights: Float[Array, "k"], each: Double) -> Double:
    """The terms (m,) of a mixture: those of its most probable part, and what the others add."""
    _, reference, more = _compared(log_weights, each)
    last = two_sum(reference.high[-1], more)
    low = reference.low.at[-1].add(last.low)
    return Double(reference.high.at[-1].set(last.high), low)


def _compared(
    log_weights: Float[Array, "k"], each: Double
) -> tuple[Float[Array, "k"], Double, Float[Array, ""]]:
    """log p(k | x_O), the terms of the most probable part, and log p(x_O) less their sum."""
    joint = log_weights + each.high.sum(1)
    best = jnp.argmax(joint)
    reference = Double(each.high[best], each.low[best])
    possible = joint > -jnp.inf
    # Of what is infinite no difference is taken.
    shown = Double(*(jnp.where(possible[:, None], a, b) for a, b in zip(each, reference)))
    ratio = total(add(shown, -reference)).value()
    relative = log_weights + jnp.where(possible, ratio, -jnp.inf)
    more = jax.nn.logsumexp(relative)
    posterior = jnp.where(possible[best], relative - more, jnp.nan)
    return posterior, reference, more
