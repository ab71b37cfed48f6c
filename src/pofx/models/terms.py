"""Log-probabilities as sums, so that what two models agree on cancels in their difference.

log p_i(x_O) - log p_k(x_O) of two numbers of 1e15 has no digits left. By the rule `terms` each is a
sum of a number for each column, and one more: a column far out of which both models say the same
has the same number in both, and is left out.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pofx.core import rules
from pofx.core.axes import over_components
from pofx.core.distribution import Mask, Queryable, Row
from pofx.models.stacked import log_probs


def terms(model: Queryable, x: Row, observed: Mask) -> Float[Array, "d+1"]:
    """Numbers whose sum is log p(x_O); in a model without a rule it is the last of them."""
    rule = rules.terms.find(model)
    each = rule(model, x, observed) if rule else None
    if each is None:
        return jnp.zeros(model.size + 1, x.dtype).at[-1].set(model.log_prob(x, observed))
    return each


def part_terms(
    parts: Any, x: Float[Array, "d"], observed: Bool[Array, "d"]
) -> Float[Array, "k d+1"]:
    """The terms of each of the models stacked in the arrays of `parts`."""
    rule = rules.terms.find(parts)
    each = over_components(rule, shared=2)(parts, x, observed) if rule else None
    if each is None:
        last = log_probs(parts, x, observed)[:, None]
        return jnp.pad(last, ((0, 0), (x.shape[-1], 0)))
    return each


def log_posterior(
    log_weights: Float[Array, "k"], each: Float[Array, "k m"]
) -> Float[Array, "k"]:
    """log p(k | x_O) from prior probabilities of k and terms; NaN if x_O is impossible."""
    return _compared(log_weights, each)[0]


def mixed_terms(log_weights: Float[Array, "k"], each: Float[Array, "k m"]) -> Float[Array, "m"]:
    """The terms of a mixture: those of its most probable part, and how much the others add."""
    _, reference, more = _compared(log_weights, each)
    return reference.at[-1].add(more)


def _compared(
    log_weights: Float[Array, "k"], each: Float[Array, "k m"]
) -> tuple[Float[Array, "k"], Float[Array, "m"], Float[Array, ""]]:
    """log p(k | x_O), the terms of the most probable part, and log p(x_O) less their sum."""
    joint = log_weights + each.sum(1)
    best = jnp.argmax(joint)
    reference = each[best]
    ratio = jnp.where(each == reference, 0, each - reference).sum(1)
    relative = log_weights + jnp.where(joint > -jnp.inf, ratio, -jnp.inf)
    more = jax.nn.logsumexp(relative)
    posterior = jnp.where(joint[best] > -jnp.inf, relative - more, jnp.nan)
    return posterior, reference, more
