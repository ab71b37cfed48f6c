"""Priors of bounded influence: strong where rows are few, and never worth more than a few rows.

A conjugate prior pulls a component towards the column's scale with a force that grows with the
distance: one pseudo-row 1000 standard deviations away outweighs 3000 rows. Each prior here is a
scale mixture of conjugate ones, so its force is bounded. Its M-step is a conjugate one in which the
pseudo-row is weighted by how well the current parameters explain it (minorise-maximise; Hunter and
Lange 2004), so EM never lowers the log-likelihood plus the log prior.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

PULL = 2.0
"""Nats by which a pseudo-row may miss a one-column family before its weight is halved."""
ROWS = 4.0
"""Rows, and one more for each column, that the pseudo-scatter of a covariance is worth."""


def pseudo_row_weights(kl: Float[Array, "c"]) -> Float[Array, "c"]:
    """The weight of a pseudo-row with that KL from the family: 1 at zero, then falling as 1 / KL.

    The prior is -PULL log(1 + KL / PULL), concave in KL. A KL that is not known counts as zero.
    """
    return 1 / (1 + _known(kl) / PULL)


def log_prior_of_family(kl: Float[Array, "c"]) -> Float[Array, "c"]:
    """The log prior whose tangent is a pseudo-row of weight `pseudo_row_weights(kl)`, up to a constant."""
    return -PULL * jnp.log1p(_known(kl) / PULL)


def _known(kl: Float[Array, "c"]) -> Float[Array, "c"]:
    return jnp.where(jnp.isfinite(kl), kl, 0)


def pseudo_variance(precision: Float[Array, "d"], variance: Float[Array, "d"]) -> Array:
    r"""The scatter of one pseudo-row in each column: D_j = q / ((Σ⁻¹)_jj + (q - 1) / V_j).

    1 / (Σ⁻¹)_jj is the residual variance of column j given the others, V_j its variance over all
    rows. Where they are equal D_j is that variance; a tightly tied column gets q times its residual
    variance, so that n rows outweigh the prior by n / q however tight the tie. Since Σ is at least
    diag(1 / (Σ⁻¹)_jj) / d, no direction is widened by more than d q rows would. The prior is that
    of Huang and Wand (2013, "Simple marginally noninformative prior distributions for covariance
    matrices"), of one column a half-t distribution of the standard deviation.
    """
    q = rows_worth(variance)
    return q / (precision + (q - 1) / variance)


def log_prior_of_covariance(
    half_log_det: Float[Array, ""], precision: Float[Array, "d"], variance: Float[Array, "d"]
) -> Float[Array, ""]:
    """-1/2 [log det Σ + q Σ_j log((Σ⁻¹)_jj + (q - 1) / V_j)], the prior of `pseudo_variance`."""
    q = rows_worth(variance)
    return -half_log_det - 0.5 * q * jnp.log(precision + (q - 1) / variance).sum()


def rows_worth(variance: Float[Array, "d"]) -> float:
    """q: about the rows that the coefficients of a regression on all other columns use up.

    So a residual variance of n rows is right on average, and none collapses onto fewer rows.
    """
    return ROWS + variance.shape[-1]


def scaled(weight: Float[Array, "c"], statistics: Any) -> Any:
    """Statistics of columns, each column's times its weight."""
    return jax.tree.map(lambda a: weight.reshape(-1, *(1,) * (a.ndim - 1)) * a, statistics)
