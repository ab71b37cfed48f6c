"""Structures of a covariance matrix: each maximises the Gaussian likelihood under a constraint.

Each function takes the scatter matrix about the mean, the weight of the rows, and the least
variance of each column, and returns the covariance.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from pofx.core.component_axis import sum_over_components
from pofx.core.linalg import eigh

Matrix = Float[Array, "d d"]
Floor = Float[Array, "d"]


def full(scatter: Matrix, weight: Float[Array, ""], floor: Floor) -> Matrix:
    """Any covariance Σ with Σ - diag(floor) positive semidefinite.

    Under that constraint the maximum of the likelihood clips the eigenvalues of the scaled scatter
    F^(-1/2) S F^(-1/2) at one (Won et al. 2013, for F = I).
    """
    unit = jnp.sqrt(floor)
    values, vectors = eigh(scatter / weight / jnp.outer(unit, unit))
    half = vectors * jnp.sqrt(jnp.maximum(values, 1)) * unit[:, None]
    return half @ half.T


def diagonal(scatter: Matrix, weight: Float[Array, ""], floor: Floor) -> Matrix:
    """One variance per column; columns are independent given the component."""
    return jnp.diag(jnp.maximum(jnp.diagonal(scatter) / weight, floor))


def spherical(scatter: Matrix, weight: Float[Array, ""], floor: Floor) -> Matrix:
    """One variance for all columns."""
    variance = jnp.maximum(jnp.trace(scatter) / len(floor) / weight, floor.max())
    return variance * jnp.eye(len(floor), dtype=scatter.dtype)


def tied(scatter: Matrix, weight: Float[Array, ""], floor: Floor) -> Matrix:
    """One full covariance for all components of a mixture, from their summed scatter and weight."""
    return full(sum_over_components(scatter), sum_over_components(weight), floor)


STRUCTURES: dict[str, Callable[[Matrix, Float[Array, ""], Floor], Matrix]] = {
    f.__name__: f for f in (full, diagonal, spherical, tied)
}
