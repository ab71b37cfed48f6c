"""The two layers of a Boltzmann machine, on the way from independent columns to it, and its Z."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.models.energies.annealed_importance import LogZEstimate, annealed, enumerated, evidence
from pofx.models.energies.visible_units import Visible

EXACT = 16
"""The most units over whose settings Z is summed."""
ANNEALED = 256
"""Chains that estimate Z where it cannot be summed."""


class BoltzmannLayers(NamedTuple):
    """Hidden binary units that tie visible ones.

    p_β(x, h) ∝ exp(-E_β(x) + β Σ_k (c_k + Σ_j W_jk z_j / σ_j²) (h_k - ½))

    β = 1 is the machine, β = 0 are columns at the data's means; E_β is that of `Visible`.
    """

    weights: Float[Array, "d hidden"]
    hidden_bias: Float[Array, "hidden"]
    visible: Visible

    @property
    def countable(self) -> bool:
        """Whether Z is a sum over few enough settings of one of the layers."""
        d, hidden = self.weights.shape
        return hidden <= EXACT or (not any(self.visible.real) and d <= EXACT)

    def inputs(self, z: Float[Array, "d"]) -> Float[Array, "hidden"]:
        """The log-odds of each hidden unit."""
        return self.hidden_bias + (z / self.visible.variance()) @ self.weights

    def energy(self, x: Row, beta: Float[Array, ""]) -> Float[Array, ""]:
        """-log Σ_h p_β(x, h), but for Z."""
        z = self.visible.inward(x)
        return self.visible.on_the_way(z, beta).sum() - log_sum(beta * self.inputs(z)).sum()

    def swept(self, key: PRNGKeyArray, x: Row, beta: Float[Array, ""]) -> Row:
        """A row given hidden units given x: a sweep of block Gibbs sampling."""
        up, down = jax.random.split(key)
        odds = beta * self.inputs(self.visible.inward(x))
        h = jax.random.uniform(up, odds.shape, odds.dtype) < jax.nn.sigmoid(odds)
        return self.visible.sample(down, self.weights @ (h - 0.5), beta).astype(x.dtype)


def log_sum(inputs: Float[Array, "... hidden"]) -> Float[Array, "... hidden"]:
    """log Σ_h exp(input (h - ½)) over h = 0 and 1."""
    return jax.nn.softplus(inputs) - inputs / 2


@eqx.filter_jit
def based(p: BoltzmannLayers, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
    """Rows of independent columns at the data's means and scales."""
    none, zero = jnp.zeros_like(p.visible.bias), jnp.zeros((), p.weights.dtype)
    return jax.vmap(lambda k: p.visible.sample(k, none, zero))(jax.random.split(key, n))


def partition(p: BoltzmannLayers, key: PRNGKeyArray, temperatures: int) -> LogZEstimate:
    """log Z: a sum over the hidden units or over the rows, or an estimate."""
    if p.countable:
        return LogZEstimate(summed(p), jnp.zeros(()), jnp.ones(()), jnp.asarray(-jnp.inf))
    return cooled(p, key, temperatures)


@eqx.filter_jit
def summed(p: BoltzmannLayers) -> Float[Array, ""]:
    """log Z = log Σ_h Σ_x exp(-E(x, h)), one of the sums being closed."""

    def of_hidden(h):
        """log Σ_x exp(-E(x, h))"""
        s = h - 0.5
        return p.hidden_bias @ s + p.visible.log_sum(p.weights @ s).sum()

    d, hidden = p.weights.shape
    if hidden <= EXACT:
        return enumerated(of_hidden, hidden)
    return enumerated(lambda x: -p.energy(x, jnp.ones((), x.dtype)), d)


@eqx.filter_jit
def cooled(p: BoltzmannLayers, key: PRNGKeyArray, temperatures: int) -> LogZEstimate:
    """log Z by chains that go from independent columns to the machine."""
    starting, going = jax.random.split(key)
    pilots, start = jnp.split(based(p, starting, 2 * ANNEALED), 2)
    _, log_w = annealed(going, pilots, start, p.energy, p.swept, temperatures)
    found = evidence(log_w)
    base = p.visible.base_log_sum().sum() + len(p.hidden_bias) * np.log(2)
    return found._replace(log_z=found.log_z + base)
