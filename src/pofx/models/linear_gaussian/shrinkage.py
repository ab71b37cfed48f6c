"""Priors of bounded influence: strong if rows are few, never worth more than a few rows.

A conjugate prior pulls a component towards the column's scale with a force that grows with the
distance: one pseudo-row 1000 standard deviations away outweighs 3000 rows. Each prior here is a
scale mixture of conjugate priors, so its force is bounded. The M-step is a conjugate one in which
the pseudo-row is weighted by how well the current parameters explain it (minorise-maximise; Hunter
and Lange 2004), so EM never lowers the log-likelihood plus the log prior.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

HALF_WEIGHT_NATS = 2.0
"""The KL of a pseudo-row from a one-column family, in nats, at which its weight is halved."""
MIN_PSEUDO_ROWS = 4.0
"""The rows that the pseudo-scatter of a covariance is worth, plus one per column."""


def pseudo_row_weights(kl: Float[Array, "c"]) -> Float[Array, "c"]:
    """The weight of a pseudo-row with this KL from the family, in nats: 1 at KL 0, then falling.

    The log prior is -h log(1 + KL / h) with h = HALF_WEIGHT_NATS, a concave function of KL. A KL
    that is not finite counts as zero.
    """
    return 1 / (1 + _finite_or_zero(kl) / HALF_WEIGHT_NATS)


def log_prior_of_family(kl: Float[Array, "c"]) -> Float[Array, "c"]:
    """Up to a constant, the log prior with a pseudo-row of `pseudo_row_weights(kl)` as tangent."""
    return -HALF_WEIGHT_NATS * jnp.log1p(_finite_or_zero(kl) / HALF_WEIGHT_NATS)


def _finite_or_zero(kl: Float[Array, "c"]) -> Float[Array, "c"]:
    return jnp.where(jnp.isfinite(kl), kl, 0)


def pseudo_variance(precision: Float[Array, "d"], variance: Float[Array, "d"]) -> Array:
    r"""The scatter of one pseudo-row in each column: D_j = q / ((Σ⁻¹)_jj + (q - 1) / V_j).

    1 / (Σ⁻¹)_jj is the residual variance of column j given the others. If it equals V_j, so does
    D_j. A column that the others determine closely gets q times its residual variance, so n rows
    outweigh the prior by n / q however close the relation. Since Σ is at least
    diag(1 / (Σ⁻¹)_jj) / d, no direction is widened by more than d q rows would. The prior is that
    of Huang and Wand (2013, "Simple marginally noninformative prior distributions for covariance
    matrices"); for one column it is a half-t distribution of the standard deviation.

    Args:
        precision: the diagonal of Σ⁻¹.
        variance: V_j, the variance of each column over all rows.
    """
    q = pseudo_rows(variance)
    return q / (precision + (q - 1) / variance)


def log_prior_of_covariance(
    half_log_det: Float[Array, ""], precision: Float[Array, "d"], variance: Float[Array, "d"]
) -> Float[Array, ""]:
    """-1/2 [log det Σ + q Σ_j log((Σ⁻¹)_jj + (q - 1) / V_j)], the prior of `pseudo_variance`.

    `half_log_det` is half of log det Σ.
    """
    q = pseudo_rows(variance)
    return -half_log_det - 0.5 * q * jnp.log(precision + (q - 1) / variance).sum()


def pseudo_rows(variance: Float[Array, "d"]) -> float:
    """q: about as many rows as the coefficients of a regression on all other columns use up.

    So a residual variance of n rows is right on average, and none collapses onto fewer rows.
    """
    return MIN_PSEUDO_ROWS + variance.shape[-1]


def scaled(weight: Float[Array, "c"], statistics: Any) -> Any:
    """Statistics of columns, each multiplied by the weight of its column."""
    return jax.tree.map(lambda a: weight.reshape(-1, *(1,) * (a.ndim - 1)) * a, statistics)
