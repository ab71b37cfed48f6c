"""The visible units of a Boltzmann machine: binary ones beside normal ones."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.core.column import Column, Kind, check_column_kinds
from pofx.core.rows import Rows
from pofx.families.column_moments import variance_floor, weighted_moments

SUPPORTED_KINDS: tuple[Kind, ...] = ("binary", "real")


class VisibleUnits(eqx.Module):
    """Units z = (x - shift) / scale, each with an energy of its own and a field u that pulls it.

    binary: E(x) = -b z, exp(-E + u z);  real: E(x) = (z - b)² / 2σ² + log scale, exp(-E + u z / σ²)

    So a real unit is normal about b + u with variance σ² = exp(log_variance) + floor in scales, and
    a binary one has log-odds b + u; its scale is 1 and `shift` the data's mean. On the way, β from
    0 to 1, energies are (1 - β) times those of the data's own means and scales, the base, plus β
    times these.
    """

    bias: Float[Array, "d"]
    log_variance: Float[Array, "d"]
    shift: Float[Array, "d"]
    scale: Float[Array, "d"]
    floor: Float[Array, "d"]
    real: tuple[bool, ...] = eqx.field(static=True)

    def where_real(self, real: Array, binary: Array) -> Array:
        """The one in real columns, the other in binary ones."""
        return jnp.where(np.array(self.real), real, binary)

    def standardise(self, x: Row) -> Float[Array, "d"]:
        """z of a row."""
        return (x - self.shift) / self.scale

    def variance(self) -> Float[Array, "d"]:
        """σ², which is 1 in binary columns."""
        return self.where_real(jnp.exp(self.log_variance) + self.floor, jnp.ones_like(self.floor))

    def energies(self, z: Float[Array, "d"]) -> Float[Array, "d"]:
        """E of each unit."""
        normal = (z - self.bias) ** 2 / (2 * self.variance()) + jnp.log(self.scale)
        return self.where_real(normal, -self.bias * z)

    def annealed_energy(self, z: Float[Array, "d"], beta: Float[Array, ""]) -> Float[Array, "d"]:
        """(1 - β) times the energy in the base, plus β times E, of each unit."""
        base = self.where_real(z * z / 2 + jnp.log(self.scale), -self._base_odds() * z)
        return (1 - beta) * base + beta * self.energies(z)

    def log_normaliser(self, u: Float[Array, "d"]) -> Float[Array, "d"]:
        """The logarithm of the sum, or integral, of what a field makes of each unit."""
        pull, variance = self.bias + u, self.variance()
        normal = jnp.log(2 * np.pi * variance) / 2 + (pull**2 - self.bias**2) / (2 * variance)
        return self.where_real(normal, jax.nn.softplus(pull) - self.shift * pull)

    def base_log_normaliser(self) -> Float[Array, "d"]:
        """The same of the base, which no field pulls."""
        odds = self._base_odds()
        normal = jnp.full_like(odds, np.log(2 * np.pi) / 2)
        return self.where_real(normal, jax.nn.softplus(odds) - self.shift * odds)

    def sample(self, key: PRNGKeyArray, u: Float[Array, "d"], beta: Float[Array, ""]) -> Row:
        """x of the units in a field, on the way."""
        pull = self.bias + u
        odds = (1 - beta) * self._base_odds() + beta * pull
        # Each column takes one of the two draws, so that they may share a key.
        ones = jax.random.uniform(key, odds.shape, odds.dtype) < jax.nn.sigmoid(odds)
        if not any(self.real):
            return ones.astype(odds.dtype)
        precision = (1 - beta) + beta / self.variance()
        noise = jax.random.normal(key, odds.shape, odds.dtype) / jnp.sqrt(precision)
        normal = beta * pull / self.variance() / precision + noise
        return self.where_real(self.shift + self.scale * normal, ones.astype(odds.dtype))

    def _base_odds(self) -> Float[Array, "d"]:
        mean = self.where_real(jnp.full_like(self.shift, 0.5), self.shift)
        return jnp.log(mean) - jnp.log1p(-mean)

    @classmethod
    def from_data(cls, rows: Rows, columns: Sequence[Column]) -> "VisibleUnits":
        """Units at the means and scales of the rows, as the base. PofxError for other columns."""
        check_column_kinds(columns, "an RBM", *SUPPORTED_KINDS)
        x, observed, weight = rows.to_arrays()
        seen = weighted_moments(x, observed * weight[:, None])
        real = np.array([c.kind == "real" for c in columns])
        # Half a row of each level keeps the odds finite.
        ones = (seen.weight * seen.mean + 0.5) / (seen.weight + 1)
        scale = np.where(real & (seen.variance > 0), np.sqrt(seen.variance), 1)
        floor = variance_floor(seen, np.array([c.resolution for c in columns]), 1.0) / scale**2
        return cls.of(np.where(real, seen.mean, ones), scale, np.where(real, floor, 0), real)

    @classmethod
    def of(
        cls,
        shift: Float[np.ndarray, "d"],
        scale: Float[np.ndarray, "d"],
        floor: Float[np.ndarray, "d"],
        real: np.ndarray,
    ) -> "VisibleUnits":
        """Units of these means and scales, real ones at half their variance."""
        own = tuple(jnp.asarray(a) for a in (shift, scale, floor))
        zeros = jnp.zeros(len(real))
        # At all of a column's variance there would be nothing for hidden units to explain.
        base = cls(zeros, zeros + np.log(0.5), own[0], own[1], own[2], tuple(real.tolist()))
        return eqx.tree_at(lambda v: v.bias, base, base.where_real(zeros, base._base_odds()))
