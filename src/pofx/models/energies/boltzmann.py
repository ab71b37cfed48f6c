"""The two layers of a Boltzmann machine, on the way from independent columns to it, and its Z."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.models.energies.annealed_importance import LogZEstimate, anneal_chains, enumerate_log_sum, average_weights
from pofx.models.energies.visible_units import VisibleUnits

MAX_ENUMERATED_UNITS = 16
"""The most units over whose settings Z is summed."""
ANNEALED_CHAINS = 256
"""Chains that estimate Z where it cannot be summed."""


class BoltzmannLayers(NamedTuple):
    """Hidden binary units that tie visible ones.

    p_β(x, h) ∝ exp(-E_β(x) + β Σ_k (c_k + Σ_j W_jk z_j / σ_j²) (h_k - ½))

    β = 1 is the machine, β = 0 are columns at the data's means; E_β is that of `VisibleUnits`.
    """

    weights: Float[Array, "d hidden"]
    hidden_bias: Float[Array, "hidden"]
    visible: VisibleUnits

    @property
    def is_enumerable(self) -> bool:
        """Whether Z is a sum over few enough settings of one of the layers."""
        d, hidden = self.weights.shape
        return hidden <= MAX_ENUMERATED_UNITS or (not any(self.visible.real) and d <= MAX_ENUMERATED_UNITS)

    def inputs(self, z: Float[Array, "d"]) -> Float[Array, "hidden"]:
        """The log-odds of each hidden unit."""
        return self.hidden_bias + (z / self.visible.variance()) @ self.weights

    def energy(self, x: Row, beta: Float[Array, ""]) -> Float[Array, ""]:
        """-log Σ_h p_β(x, h), but for Z."""
        z = self.visible.standardise(x)
        return self.visible.annealed_energy(z, beta).sum() - log_hidden_sum(beta * self.inputs(z)).sum()

    def gibbs_sweep(self, key: PRNGKeyArray, x: Row, beta: Float[Array, ""]) -> Row:
        """A row given hidden units given x: a sweep of block Gibbs sampling."""
        up, down = jax.random.split(key)
        odds = beta * self.inputs(self.visible.standardise(x))
        h = jax.random.uniform(up, odds.shape, odds.dtype) < jax.nn.sigmoid(odds)
        return self.visible.sample(down, self.weights @ (h - 0.5), beta).astype(x.dtype)


def log_hidden_sum(inputs: Float[Array, "... hidden"]) -> Float[Array, "... hidden"]:
    """log Σ_h exp(input (h - ½)) over h = 0 and 1."""
    return jax.nn.softplus(inputs) - inputs / 2


@eqx.filter_jit
def draw_base(p: BoltzmannLayers, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
    """Rows of independent columns at the data's means and scales."""
    none, zero = jnp.zeros_like(p.visible.bias), jnp.zeros((), p.weights.dtype)
    return jax.vmap(lambda k: p.visible.sample(k, none, zero))(jax.random.split(key, n))


def log_partition(p: BoltzmannLayers, key: PRNGKeyArray, temperatures: int) -> LogZEstimate:
    """log Z: a sum over the hidden units or over the rows, or an estimate."""
    if p.is_enumerable:
        return LogZEstimate(exact_log_z(p), jnp.zeros(()), jnp.ones(()), jnp.asarray(-jnp.inf))
    return anneal_log_z(p, key, temperatures)


@eqx.filter_jit
def exact_log_z(p: BoltzmannLayers) -> Float[Array, ""]:
    """log Z = log Σ_h Σ_x exp(-E(x, h)), one of the sums being closed."""

    def of_hidden(h):
        """log Σ_x exp(-E(x, h))"""
        s = h - 0.5
        return p.hidden_bias @ s + p.visible.log_normaliser(p.weights @ s).sum()

    d, hidden = p.weights.shape
    if hidden <= MAX_ENUMERATED_UNITS:
        return enumerate_log_sum(of_hidden, hidden)
    return enumerate_log_sum(lambda x: -p.energy(x, jnp.ones((), x.dtype)), d)


@eqx.filter_jit
def anneal_log_z(p: BoltzmannLayers, key: PRNGKeyArray, temperatures: int) -> LogZEstimate:
    """log Z by chains that go from independent columns to the machine."""
    starting, going = jax.random.split(key)
    pilots, start = jnp.split(draw_base(p, starting, 2 * ANNEALED_CHAINS), 2)
    _, log_w = anneal_chains(going, pilots, start, p.energy, p.gibbs_sweep, temperatures)
    found = average_weights(log_w)
    base = p.visible.base_log_normaliser().sum() + len(p.hidden_bias) * np.log(2)
    return found._replace(log_z=found.log_z + base)
