"""Linear-Gaussian conditionals of a directed graph, and the normal distribution that they make."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pofx.models.graphs.elimination import Scope


class LinearGaussian(eqx.Module):
    """x | u, s ~ N(intercept_s + coefficients_s · u, variance_s).

    The parents u are real columns, and s are the levels of discrete ones. Koller and Friedman,
    Probabilistic Graphical Models (2009), section 7.2 and definition 5.15.

    Args:
        intercept: with an axis for each discrete parent.
        coefficients: the same axes, and one for the real parents.
        variance: the same axes as the intercept.
        floor: the lower bound of a learned variance.
        numbers: the real parents, as indices of the conditionals before this one.
        levels: the discrete parents, as indices of the discrete columns.
    """

    intercept: Float[Array, "..."]
    coefficients: Float[Array, "... u"]
    variance: Float[Array, "..."]
    floor: Float[Array, ""]
    numbers: Scope = eqx.field(static=True)
    levels: Scope = eqx.field(static=True)

    def in_cells(self, cells: np.ndarray) -> tuple[Array, Array, Array]:
        """Intercept, coefficients and variance in each cell of the discrete parents."""

        def flat(a: Array) -> Array:
            return a.reshape(self.intercept.size, *a.shape[len(self.levels) :])[cells]

        return flat(self.intercept), flat(self.coefficients), flat(self.variance)

    def m_step(self, moments: "Moments", i: int) -> "LinearGaussian":
        """The regression of column i on its real parents, in each cell of discrete parents.

        A cell without rows stays as it is.
        """
        n, mean, covariance = moments.of_columns(np.array([*self.numbers, i], int))
        inner, across = covariance[:, :-1, :-1], covariance[:, :-1, -1]
        # A parent that does not vary has coefficient 0: the smallest solution.
        coefficients = jnp.einsum("kij,kj->ki", jnp.linalg.pinv(inner, hermitian=True), across)
        explained = (coefficients * across).sum(1)
        variance = jnp.maximum(covariance[:, -1, -1] - explained, self.floor)
        intercept = mean[:, -1] - (coefficients * mean[:, :-1]).sum(1)

        def kept(new: Array, old: Array) -> Array:
            has_rows = (n > 0).reshape(len(n), *(1,) * (new.ndim - 1))
            return jnp.where(has_rows, new, old.reshape(new.shape)).reshape(old.shape)

        learned = kept(intercept, self.intercept), kept(coefficients, self.coefficients)
        variance = kept(variance, self.variance)
        return LinearGaussian(*learned, variance, self.floor, self.numbers, self.levels)


class Moments(NamedTuple):
    """Weighted sums over rows of 1, z and z zᵀ in each cell, with z = x - centre."""

    centre: Float[Array, "m"]
    weight: Float[Array, "k"]
    first: Float[Array, "k m"]
    second: Float[Array, "k m m"]

    @staticmethod
    def around_common_centre(statistics: Any, means: Float[Array, "k m"]) -> "Moments":
        """The moments from sums in which each configuration has its mean as its centre."""
        weight, first, second = statistics
        centre = means.mean(0)
        shift = means - centre
        cross = first[:, :, None] * shift[:, None]
        square = weight[:, None, None] * shift[:, :, None] * shift[:, None]
        return Moments(
            centre, weight, first + weight[:, None] * shift, second + cross + cross.mT + square
        )

    def pooled(self, cells: np.ndarray, count: int) -> "Moments":
        """The sums over the configurations of each cell."""
        sums = (jax.ops.segment_sum(a, cells, count) for a in self[1:])
        return Moments(self.centre, *sums)

    def of_columns(self, place: np.ndarray) -> tuple[Array, Array, Array]:
        """Weight, mean and covariance of these columns in each cell."""
        n = jnp.where(self.weight > 0, self.weight, 1)
        mean = self.first[:, place] / n[:, None]
        square = self.second[:, place[:, None], place] / n[:, None, None]
        covariance = square - mean[:, :, None] * mean[:, None]
        return self.weight, mean + self.centre[place], covariance


def joint_moments(
    nodes: Sequence[LinearGaussian], parameters: Sequence[tuple[Array, Array, Array]]
) -> tuple[Float[Array, "m"], Float[Array, "m m"]]:
    """The mean and the covariance of the columns, for one configuration of discrete parents.

    Args:
        nodes: the conditionals, parents before children.
        parameters: the intercept, coefficients and variance of each in this configuration.
    """
    count = len(nodes)
    mean, covariance = jnp.zeros(count), jnp.zeros((count, count))
    for i, (node, (intercept, coefficients, variance)) in enumerate(zip(nodes, parameters)):
        place = np.array(node.numbers, int)
        across = coefficients @ covariance[place]
        covariance = covariance.at[i].set(across).at[:, i].set(across)
        covariance = covariance.at[i, i].set(variance + across[place] @ coefficients)
        mean = mean.at[i].set(intercept + coefficients @ mean[place])
    return mean, covariance
