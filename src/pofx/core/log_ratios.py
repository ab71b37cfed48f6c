"""Ratios of probabilities that keep their digits, however improbable the evidence is.

log p(x_A | x_G) = log p(x_A, x_G) - log p(x_G) has no digits if the log-densities are as large as
1e16. A model's rule `log_prob_box` cancels what both have in common before it adds.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Mask, Row


def log_conditional(
    model: AbstractQueryable, x: Row, observed: Mask, given: Mask
) -> Float[Array, ""]:
    """log p(x_O | x_G) in nats, where G is a part of O; NaN if x_G is impossible."""
    ratio = _by_rule(model, x, observed, given)
    if ratio is not None:
        return ratio
    return model.log_prob(x, observed) - model.log_prob(x, given)


def log_joint(model: AbstractQueryable, x: Row, observed: Mask, given: Mask) -> Float[Array, ""]:
    """log p(x_O) in nats, up to a term that depends on x_G only.

    That is enough to compare values of the other entries. Without a rule it costs one
    log-probability, and `log_conditional` costs two.
    """
    ratio = _by_rule(model, x, observed, given)
    return model.log_prob(x, observed) if ratio is None else ratio


def _by_rule(
    model: AbstractQueryable, x: Row, observed: Mask, given: Mask
) -> Float[Array, ""] | None:
    rule = closed_forms.log_prob_box.find(model)
    empty = jnp.zeros(0)
    return rule and rule(model, jnp.where(observed, x, 0), observed, (), empty, empty, given)
