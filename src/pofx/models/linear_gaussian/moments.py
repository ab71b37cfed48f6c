"""First and second moments of complete rows: the sufficient statistics of a Gaussian."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pofx.core.column import Column, check_column_kinds
from pofx.core.rows import Rows
from pofx.families.column_moments import MIN_VARIANCE_SHARE

MIN_RESIDUAL_VARIANCE_SHARE = 1e-10
"""The least variance that is left of a column given others, as a share of its variance: in float64
with as many digits left in the regression on the others as in the deviations from it."""


class GaussianStatistics(NamedTuple):
    """Sums over rows of weight times 1, z and z zᵀ, with z = x - centre.

    The centre is the mean of the model that took them: about a centre far from the data the
    second moments would cancel (Chan, Golub and LeVeque 1983).
    """

    weight: Float[Array, ""]
    first: Float[Array, "d"]
    second: Float[Array, "d d"]

    def scatter(self) -> tuple[Float[Array, "d"], Float[Array, "d d"]]:
        """The mean of z, and the scatter matrix (a sum) about it."""
        mean = self.first / jnp.where(self.weight > 0, self.weight, 1)
        return mean, self.second - jnp.outer(mean, self.first)


class ColumnScale(eqx.Module):
    """Where the data of each column lie: what floors and priors are relative to.

    `floor` is the smallest variance that a column may be given, so that rounded or repeated
    numbers buy no unbounded likelihood: resolution²/12, the variance of rounding, and no less than
    what the float type resolves of the column's own variance.
    """

    centre: Float[Array, "d"]
    variance: Float[Array, "d"]
    floor: Float[Array, "d"]


def column_scale(rows: Rows, columns: Sequence[Column]) -> tuple[ColumnScale, Float[np.ndarray, "n d"]]:
    """The scale of real columns, and the rows in float64 with column means in missing cells."""
    check_column_kinds(columns, "a Gaussian", "real")
    x, observed, weight = rows.to_arrays()
    x, weight = x.astype(np.float64), observed * weight[:, None].astype(np.float64)
    total = weight.sum(0)
    centre = (weight * x).sum(0) / np.where(total > 0, total, 1)
    z = np.where(observed, x - centre, 0)
    variance = (weight * z**2).sum(0) / np.where(total > 0, total, 1)
    resolution = np.array([c.resolution for c in columns])
    # A column of one value, or of none, has the scale of its resolution, else of one unit; not
    # that of the rounding of its mean.
    seen = weight > 0
    low, high = (
        f(x, axis=0, where=seen, initial=e) for f, e in ((np.min, np.inf), (np.max, -np.inf))
    )
    constant = (low >= high) | (variance <= 0)
    variance = np.where(constant, np.where(resolution > 0, resolution**2, 1.0), variance)
    # A column alone is no narrower than a millionth of its variance. What is left of one given the
    # others may be as little as Cholesky resolves: a date a day after another, over ten years.
    narrowest = MIN_VARIANCE_SHARE if len(columns) == 1 else MIN_RESIDUAL_VARIANCE_SHARE
    relative = max(narrowest, 16 * len(columns) * np.finfo(rows.x.dtype).eps)
    floor = np.maximum(resolution**2 / 12, relative * variance)
    return ColumnScale(*map(jnp.asarray, (centre, variance, floor))), centre + z
