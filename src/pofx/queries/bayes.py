"""Bayes' rule: the posterior of a discrete column given the other observed entries of a row."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pofx.core.abstract import AbstractQueryable, Mask, Row
from pofx.core.compilation import to_device
from pofx.core.log_ratios import log_joint
from pofx.core.rows import Rows, per_row


def posterior(
    model: AbstractQueryable, rows: Rows, target: int, levels: int
) -> Float[np.ndarray, "n levels"]:
    """p(y | x_O) = p(x_O, y) / Σ_y p(x_O, y) for each row.

    Args:
        model: the model.
        rows: rows with the evidence x_O; the entry of the target column is ignored.
        target: number of the column y.
        levels: number of levels of y.

    Returns NaN for a row that is impossible for every y.
    """
    # Numbers of levels are padded, so that few of them are compiled. Codes of the padding are
    # replaced by the last level and get probability 0.
    padded_levels = 1 << (levels - 1).bit_length()
    query = _Posterior(to_device(target), to_device(levels), padded_levels)
    return per_row(query, model, rows)[:, :levels]


class _Posterior(eqx.Module):
    target: Int[Array, ""]
    levels: Int[Array, ""]
    padded_levels: int = eqx.field(static=True)

    def __call__(
        self, model: AbstractQueryable, x: Row, observed: Mask
    ) -> Float[Array, "padded_levels"]:
        evidence = observed.at[self.target].set(False)
        with_target = observed.at[self.target].set(True)

        def joint(level):
            return log_joint(model, x.at[self.target].set(level), with_target, evidence)

        codes = jnp.arange(self.padded_levels)
        log_probs = jax.vmap(joint)(jnp.minimum(codes, self.levels - 1).astype(x.dtype))
        return jax.nn.softmax(jnp.where(codes < self.levels, log_probs, -jnp.inf))
