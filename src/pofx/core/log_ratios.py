"""Ratios of probabilities that keep their digits however improbable the evidence is.

log p(x_A | x_G) = log p(x_A, x_G) - log p(x_G) loses every digit of a probability in a difference
of log-densities of 1e16. A model's rule `box` cancels what both have in common before it adds.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Mask, Row


def log_conditional(
    model: AbstractQueryable, x: Row, observed: Mask, given: Mask
) -> Float[Array, ""]:
    """log p(x_O | x_G) in nats, for G a part of O; NaN where x_G is impossible."""
    ratio = _by_rule(model, x, observed, given)
    if ratio is not None:
        return ratio
    return model.log_prob(x, observed) - model.log_prob(x, given)


def log_joint(model: AbstractQueryable, x: Row, observed: Mask, given: Mask) -> Float[Array, ""]:
    """log p(x_O), but for a term that depends on x_G alone: enough to compare values of the others.

    For a model without a rule it costs one log-probability where `log_conditional` costs two.
    """
    ratio = _by_rule(model, x, observed, given)
    return model.log_prob(x, observed) if ratio is None else ratio


def _by_rule(
    model: AbstractQueryable, x: Row, observed: Mask, given: Mask
) -> Float[Array, ""] | None:
    rule, none = closed_forms.log_prob_box.find(model), jnp.zeros(0)
    return rule and rule(model, jnp.where(observed, x, 0), observed, (), none, none, given)
