"""Sufficient statistics of a Gaussian, and the location and scale of real columns."""

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
"""The least variance of a column given the others, as a share of its variance.

In float64 the regression on the others then has as many digits left as the deviations from it."""


class GaussianStatistics(NamedTuple):
    """Weighted sums over complete rows of 1, z and z zᵀ, with z = x - centre.

    The centre is the mean of the model that computed them. About a centre far from the data the
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
    """The location and scale of the data in each column, to which floors and priors are relative.

    Attributes:
        centre: the mean.
        variance: the variance.
        floor: the least variance that a model may give a column, so that rounded or repeated
            numbers do not make the likelihood unbounded: the variance of rounding, resolution²/12,
            and at least what the float type resolves of the column's variance.
    """

    centre: Float[Array, "d"]
    variance: Float[Array, "d"]
    floor: Float[Array, "d"]


def column_scale(
    rows: Rows, columns: Sequence[Column]
) -> tuple[ColumnScale, Float[np.ndarray, "n d"]]:
    """The scale of real columns, and the rows in float64 with column means in missing cells.

    Raises PofxError for a column that is not real.
    """
    check_column_kinds(columns, "a Gaussian", "real")
    x, observed, weight = rows.to_arrays()
    x = x.astype(np.float64)
    weight = observed * weight[:, None].astype(np.float64)
    total = weight.sum(0)
    centre = (weight * x).sum(0) / np.where(total > 0, total, 1)
    z = np.where(observed, x - centre, 0)
    variance = (weight * z**2).sum(0) / np.where(total > 0, total, 1)
    resolution = np.array([c.resolution for c in columns])
    # A column with one value or none gets the scale of its resolution, or one unit; its computed
    # variance would be that of the rounding of its mean.
    present = weight > 0
    low, high = (
        f(x, axis=0, where=present, initial=e) for f, e in ((np.min, np.inf), (np.max, -np.inf))
    )
    constant = (low >= high) | (variance <= 0)
    variance = np.where(constant, np.where(resolution > 0, resolution**2, 1.0), variance)
    # The floor of a single column is a millionth of its variance. The residual variance given
    # other columns may be as small as Cholesky resolves: a date one day after another, over ten
    # years.
    min_share = MIN_VARIANCE_SHARE if len(columns) == 1 else MIN_RESIDUAL_VARIANCE_SHARE
    relative = max(min_share, 16 * len(columns) * np.finfo(rows.x.dtype).eps)
    floor = np.maximum(resolution**2 / 12, relative * variance)
    return ColumnScale(*map(jnp.asarray, (centre, variance, floor))), centre + z
