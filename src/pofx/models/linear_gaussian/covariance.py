"""Structures of a covariance matrix: each a constrained maximum of the Gaussian likelihood."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from pofx.core.component_axis import sum_over_components
from pofx.core.linalg import eigh

Matrix = Float[Array, "d d"]
Floor = Float[Array, "d"]


def full(scatter: Matrix, weight: Float[Array, ""], floor: Floor) -> Matrix:
    """Any covariance Σ with Σ - diag(floor) positive semidefinite.

    The likelihood's maximum under that constraint clips the eigenvalues of the scaled scatter
    F^(-1/2) S F^(-1/2) at one (Won et al. 2013, for F = I).
    """
    unit = jnp.sqrt(floor)
    values, vectors = eigh(scatter / weight / jnp.outer(unit, unit))
    half = vectors * jnp.sqrt(jnp.maximum(values, 1)) * unit[:, None]
    return half @ half.T


def diagonal(scatter: Matrix, weight: Float[Array, ""], floor: Floor) -> Matrix:
    """Independent columns given the component: a variance each."""
    return jnp.diag(jnp.maximum(jnp.diagonal(scatter) / weight, floor))


def spherical(scatter: Matrix, weight: Float[Array, ""], floor: Floor) -> Matrix:
    """One variance for all columns."""
    variance = jnp.maximum(jnp.trace(scatter) / len(floor) / weight, floor.max())
    return variance * jnp.eye(len(floor), dtype=scatter.dtype)


def tied(scatter: Matrix, weight: Float[Array, ""], floor: Floor) -> Matrix:
    """One covariance for all components of a mixture: scatter and weight are pooled over them."""
    return full(sum_over_components(scatter), sum_over_components(weight), floor)


STRUCTURES: dict[str, Callable[[Matrix, Float[Array, ""], Floor], Matrix]] = {
    f.__name__: f for f in (full, diagonal, spherical, tied)
}
