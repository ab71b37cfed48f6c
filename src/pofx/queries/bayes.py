"""Bayes' rule: the posterior of a discrete column given whatever else is observed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pofx.core.abstract import AbstractQueryable, Mask, Row
from pofx.core.log_ratios import log_joint
from pofx.core.rows import Rows, per_row


def posterior(
    model: AbstractQueryable, rows: Rows, target: int, levels: int
) -> Float[np.ndarray, "n levels"]:
    """p(y | x_O) = p(x_O, y) / Σ_y p(x_O, y) for the column y = `target`, whatever its cell holds.

    A row that is impossible whatever y is has no posterior: NaN.
    """
    # Few numbers of levels are compiled for; what a model says of codes beyond them is not asked.
    padded = 1 << (levels - 1).bit_length()
    asked = _Posterior(jnp.asarray(target), jnp.asarray(levels), padded)
    return per_row(asked, model, rows)[:, :levels]


class _Posterior(eqx.Module):
    target: Int[Array, ""]
    levels: Int[Array, ""]
    padded: int = eqx.field(static=True)

    def __call__(self, model: AbstractQueryable, x: Row, observed: Mask) -> Float[Array, "padded"]:
        given = observed.at[self.target].set(False)
        both = observed.at[self.target].set(True)

        def joint(level):
            return log_joint(model, x.at[self.target].set(level), both, given)

        codes = jnp.arange(self.padded)
        each = jax.vmap(joint)(jnp.minimum(codes, self.levels - 1).astype(x.dtype))
        return jax.nn.softmax(jnp.where(codes < self.levels, each, -jnp.inf))
