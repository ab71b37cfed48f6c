"""The visible units of a Boltzmann machine: binary and normal ones."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.core.column import Column, Kind, check_column_kinds
from pofx.core.compilation import compiled_quickly
from pofx.core.rows import Rows
from pofx.families.column_moments import variance_floor, weighted_moments

SUPPORTED_KINDS: tuple[Kind, ...] = ("binary", "real")


class VisibleUnits(eqx.Module):
    """Units z = (x - shift) / scale, each with an energy E and coupled to the rest by a field u.

    binary: E(x) = -b z, weight exp(-E + u z)
    real: E(x) = (z - b)² / 2σ² + log scale, weight exp(-E + u z / σ²)

    So a real unit is normal with mean b + u and variance σ² = exp(log_variance) + floor, in units
    of its scale. A binary unit has log-odds b + u; its scale is 1 and its shift the data's mean.

    The annealed energy at β from 0 to 1 is (1 - β) times the energy of the base, which has the
    means and scales of the data, plus β times E.
    """

    bias: Float[Array, "d"]
    log_variance: Float[Array, "d"]
    shift: Float[Array, "d"]
    scale: Float[Array, "d"]
    floor: Float[Array, "d"]
    real: tuple[bool, ...] = eqx.field(static=True)

    def where_real(self, real: Array, binary: Array) -> Array:
        """`real` in the real columns, `binary` in the binary ones."""
        return jnp.where(np.array(self.real), real, binary)

    def standardise(self, x: Row) -> Float[Array, "d"]:
        """z = (x - shift) / scale."""
        return (x - self.shift) / self.scale

    def variance(self) -> Float[Array, "d"]:
        """σ², which is 1 in binary columns."""
        return self.where_real(jnp.exp(self.log_variance) + self.floor, jnp.ones_like(self.floor))

    def energies(self, z: Float[Array, "d"]) -> Float[Array, "d"]:
        """E of each unit in nats."""
        normal = (z - self.bias) ** 2 / (2 * self.variance()) + jnp.log(self.scale)
        return self.where_real(normal, -self.bias * z)

    def annealed_energy(self, z: Float[Array, "d"], beta: Float[Array, ""]) -> Float[Array, "d"]:
        """(1 - β) times the energy in the base plus β times E, for each unit, in nats."""
        base = self.where_real(z * z / 2 + jnp.log(self.scale), -self._base_odds() * z)
        return (1 - beta) * base + beta * self.energies(z)

    def log_normaliser(self, u: Float[Array, "d"]) -> Float[Array, "d"]:
        """The logarithm of the sum or integral of the weight of each unit in the field u."""
        pull = self.bias + u
        variance = self.variance()
        normal = jnp.log(2 * np.pi * variance) / 2 + (pull**2 - self.bias**2) / (2 * variance)
        return self.where_real(normal, jax.nn.softplus(pull) - self.shift * pull)

    def base_log_normaliser(self) -> Float[Array, "d"]:
        """`log_normaliser` of the base, without a field."""
        odds = self._base_odds()
        normal = jnp.full_like(odds, np.log(2 * np.pi) / 2)
        return self.where_real(normal, jax.nn.softplus(odds) - self.shift * odds)

    def sample(self, key: PRNGKeyArray, u: Float[Array, "d"], beta: Float[Array, ""]) -> Row:
        """A draw of x given the field u, at inverse temperature β."""
        pull = self.bias + u
        odds = (1 - beta) * self._base_odds() + beta * pull
        # Each column uses one of the two draws, so they may share a key.
        bits = jax.random.uniform(key, odds.shape, odds.dtype) < jax.nn.sigmoid(odds)
        if not any(self.real):
            return bits.astype(odds.dtype)
        precision = (1 - beta) + beta / self.variance()
        noise = jax.random.normal(key, odds.shape, odds.dtype) / jnp.sqrt(precision)
        normal = beta * pull / self.variance() / precision + noise
        return self.where_real(self.shift + self.scale * normal, bits.astype(odds.dtype))

    def _base_odds(self) -> Float[Array, "d"]:
        mean = self.where_real(jnp.full_like(self.shift, 0.5), self.shift)
        return jnp.log(mean) - jnp.log1p(-mean)

    @classmethod
    def from_data(cls, rows: Rows, columns: Sequence[Column]) -> "VisibleUnits":
        """Units at the means and scales of the rows, as in the base.

        Raises PofxError for a column that is neither binary nor real.
        """
        check_column_kinds(columns, "an RBM", *SUPPORTED_KINDS)
        x, observed, weight = rows.to_arrays()
        moments = weighted_moments(x, observed * weight[:, None])
        real = np.array([c.kind == "real" for c in columns])
        # Half a row of each level keeps the odds finite.
        frequency = (moments.weight * moments.mean + 0.5) / (moments.weight + 1)
        scale = np.where(real & (moments.variance > 0), np.sqrt(moments.variance), 1)
        resolution = np.array([c.resolution for c in columns])
        floor = variance_floor(moments, resolution, 1.0) / scale**2
        shift = np.where(real, moments.mean, frequency)
        return cls.from_moments(shift, scale, np.where(real, floor, 0), real)

    @classmethod
    def from_moments(
        cls,
        shift: Float[np.ndarray, "d"],
        scale: Float[np.ndarray, "d"],
        floor: Float[np.ndarray, "d"],
        real: np.ndarray,
    ) -> "VisibleUnits":
        """Units with these means and scales; real ones start at half their variance.

        With the whole variance of a column nothing would be left for hidden units to explain.

        Args:
            shift: the means.
            scale: the standard deviations, 1 for binary columns.
            floor: the least variance, in units of the scale.
            real: a mask of the real columns.
        """
        return _start(shift, scale, floor, tuple(real.tolist()))


@compiled_quickly
def _start(shift: Array, scale: Array, floor: Array, real: tuple[bool, ...]) -> VisibleUnits:
    zeros = jnp.zeros(len(real))
    base = VisibleUnits(zeros, zeros + np.log(0.5), shift, scale, floor, real)
    return eqx.tree_at(lambda v: v.bias, base, base.where_real(zeros, base._base_odds()))
