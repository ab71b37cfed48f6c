"""The layers of a restricted Boltzmann machine, annealed from independent columns, and log Z."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.core.compilation import compiled
from pofx.models.energies.annealed_importance import (
    LogZEstimate,
    anneal_chains,
    average_weights,
    enumerate_log_sum,
)
from pofx.models.energies.visible_units import VisibleUnits

MAX_ENUMERATED_UNITS = 16
"""Units over whose settings Z is summed exactly."""
ANNEALED_CHAINS = 256
"""Chains that estimate Z if there are more units."""


class BoltzmannLayers(NamedTuple):
    """Visible units that depend on each other through hidden binary units.

    p_β(x, h) ∝ exp(-E_β(x) + β Σ_k (c_k + Σ_j W_jk z_j / σ_j²) (h_k - ½))

    β = 1 gives the machine, β = 0 gives independent columns at the means of the data, the base.
    E_β is the energy of `VisibleUnits`.

    Attributes:
        weights: W.
        hidden_bias: c.
        visible: the visible units.
    """

    weights: Float[Array, "d hidden"]
    hidden_bias: Float[Array, "hidden"]
    visible: VisibleUnits

    @property
    def is_enumerable(self) -> bool:
        """Whether one of the layers has few enough settings to sum Z exactly."""
        d, hidden = self.weights.shape
        return hidden <= MAX_ENUMERATED_UNITS or (
            not any(self.visible.real) and d <= MAX_ENUMERATED_UNITS
        )

    def inputs(self, z: Float[Array, "d"]) -> Float[Array, "hidden"]:
        """The log-odds of each hidden unit given standardised visible units z."""
        return self.hidden_bias + (z / self.visible.variance()) @ self.weights

    def energy(self, x: Row, beta: Float[Array, ""]) -> Float[Array, ""]:
        """-log Σ_h p_β(x, h) up to log Z, in nats."""
        z = self.visible.standardise(x)
        visible_energy = self.visible.annealed_energy(z, beta).sum()
        return visible_energy - log_hidden_sum(beta * self.inputs(z)).sum()

    def gibbs_sweep(self, key: PRNGKeyArray, x: Row, beta: Float[Array, ""]) -> Row:
        """A sweep of block Gibbs sampling from p_β: hidden units given x, then a row given them."""
        up, down = jax.random.split(key)
        odds = beta * self.inputs(self.visible.standardise(x))
        h = jax.random.uniform(up, odds.shape, odds.dtype) < jax.nn.sigmoid(odds)
        return self.visible.sample(down, self.weights @ (h - 0.5), beta).astype(x.dtype)


def log_hidden_sum(inputs: Float[Array, "... hidden"]) -> Float[Array, "... hidden"]:
    """log Σ_h exp(input (h - ½)) over h = 0 and 1."""
    return jax.nn.softplus(inputs) - inputs / 2


@compiled
def draw_base(p: BoltzmannLayers, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
    """n rows of the base: independent columns at the means and scales of the data."""
    no_field = jnp.zeros_like(p.visible.bias)
    zero = jnp.zeros((), p.weights.dtype)
    return jax.vmap(lambda k: p.visible.sample(k, no_field, zero))(jax.random.split(key, n))


def log_partition(p: BoltzmannLayers, key: PRNGKeyArray, temperatures: int) -> LogZEstimate:
    """log Z: an exact sum if a layer is small enough, else an estimate by annealing."""
    if p.is_enumerable:
        return LogZEstimate(exact_log_z(p), jnp.zeros(()), jnp.ones(()), jnp.asarray(-jnp.inf))
    return anneal_log_z(p, key, temperatures)


@compiled
def exact_log_z(p: BoltzmannLayers) -> Float[Array, ""]:
    """log Z = log Σ_h Σ_x exp(-E(x, h)); one sum has a closed form, the other is enumerated."""

    def log_sum_visible(h):
        """log Σ_x exp(-E(x, h))"""
        s = h - 0.5
        return p.hidden_bias @ s + p.visible.log_normaliser(p.weights @ s).sum()

    d, hidden = p.weights.shape
    if hidden <= MAX_ENUMERATED_UNITS:
        return enumerate_log_sum(log_sum_visible, hidden)
    return enumerate_log_sum(lambda x: -p.energy(x, jnp.ones((), x.dtype)), d)


@compiled
def anneal_log_z(p: BoltzmannLayers, key: PRNGKeyArray, temperatures: int) -> LogZEstimate:
    """log Z by annealed importance sampling from the base, in this number of temperatures."""
    start_key, run_key = jax.random.split(key)
    pilots, start = jnp.split(draw_base(p, start_key, 2 * ANNEALED_CHAINS), 2)
    _, log_w = anneal_chains(run_key, pilots, start, p.energy, p.gibbs_sweep, temperatures)
    estimate = average_weights(log_w)
    base = p.visible.base_log_normaliser().sum() + len(p.hidden_bias) * np.log(2)
    return estimate._replace(log_z=estimate.log_z + base)
