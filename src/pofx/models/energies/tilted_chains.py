"""Markov chains and log Z of a tractable model tilted by a function: r(x) exp(-β f(x)) / Z."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import AbstractTractable, Mask, Row
from pofx.core.compilation import compiled
from pofx.models.energies.annealed_importance import (
    LogZEstimate,
    anneal_chains,
    average_weights,
    hmc_step,
)

LOG_Z_DRAWS = 2**14
"""Draws from the reference that estimate Z."""
BLOCK_DRAWS = 1024
"""Draws that are made at a time, to bound memory."""
ANNEALED_CHAINS = 256
"""Chains that estimate Z if draws from the reference are not enough."""
TUNING_STEPS = 300
"""Steps of the chains in which the step size is tuned."""
KEPT_STEPS = 500
"""Steps after that, by which mixing is judged."""
TARGET_ACCEPTANCE = 0.7
"""The share of accepted moves that the step size is tuned for."""


class TiltedDistribution(eqx.Module):
    """p_β(x) = r(x) exp(-β f(x)) / Z.

    Attributes:
        reference: r.
        tilt: f, in nats.
        shift: the centres of the columns that move along gradients.
        scale: their scales.
        place: the indices of these columns.
    """

    reference: AbstractTractable
    tilt: Callable[[Row], Float[Array, ""]]
    shift: Float[Array, "c"]
    scale: Float[Array, "c"]
    place: tuple[int, ...] = eqx.field(static=True)


class ChainRun(NamedTuple):
    """Chains after a run of KEPT_STEPS steps.

    Attributes:
        chains: the last row of each chain.
        step_size: the tuned step size, in scales of the columns.
        energies: the energy of each chain after each step, in nats.
        acceptance: the mean acceptance probability of the Hamiltonian moves.
    """

    chains: Float[Array, "m d"]
    step_size: Float[Array, ""]
    energies: Float[Array, "kept m"]
    acceptance: Float[Array, ""]


def mcmc_step(
    key: PRNGKeyArray,
    p: TiltedDistribution,
    x: Row,
    observed: Mask,
    beta: Float[Array, ""],
    step_size: Float[Array, ""],
) -> tuple[Row, Float[Array, ""]]:
    """x after a Markov step that leaves p_β(x_M | x_O) invariant, and the acceptance of its move.

    First some entries are redrawn, then real columns move along gradients.
    """
    redraw_key, stretch_key, move_key = jax.random.split(key, 3)
    x = redraw_step(redraw_key, p, x, observed, beta)
    if not p.place:
        return x, jnp.ones_like(beta)
    place = np.array(p.place)

    def to_row(z):
        # Nothing depends on the observed entries of z, so they move freely.
        return jnp.where(observed, x, x.at[place].set((p.shift + p.scale * z).astype(x.dtype)))

    def log_density(z):
        return p.reference.log_prob(to_row(z)) - beta * p.tilt(to_row(z))

    # With a constant step size orbits may return to where they began.
    stretch = jax.random.uniform(stretch_key, (), p.scale.dtype, 0.8, 1.2)
    z = (x[place] - p.shift) / p.scale
    z, acceptance = hmc_step(move_key, z, log_density, stretch * step_size)
    return to_row(z), acceptance


def redraw_step(
    key: PRNGKeyArray, p: TiltedDistribution, x: Row, observed: Mask, beta: Float[Array, ""]
) -> Row:
    """A Metropolis-Hastings step that redraws a random subset of the missing entries.

    The proposal is the reference given the other entries, so it cancels in the acceptance
    probability (Hastings 1970).
    """
    share_key, subset_key, draw_key, accept_key = jax.random.split(key, 4)
    kept = jax.random.uniform(subset_key, x.shape) < jax.random.uniform(share_key)
    proposal = p.reference.sample(draw_key, x, observed | kept).astype(x.dtype)
    gain = beta * (p.tilt(x) - p.tilt(proposal))
    accepted = jnp.log(jax.random.uniform(accept_key, dtype=gain.dtype)) < gain
    return jnp.where(accepted, proposal, x)


@compiled
def estimate_log_z(
    key: PRNGKeyArray, p: TiltedDistribution, chains: int
) -> tuple[LogZEstimate, Float[Array, "m d"], Float[Array, ""]]:
    """log Z from draws of the reference.

    Returns the estimate, `chains` of the draws resampled by their weights, and the largest |f| of
    the draws in nats.
    """
    draw_key, resample_key = jax.random.split(key)
    keys = jax.random.split(draw_key, LOG_Z_DRAWS)
    rows = jax.lax.map(p.reference.sample, keys, batch_size=BLOCK_DRAWS)
    log_w = -jax.lax.map(p.tilt, rows, batch_size=BLOCK_DRAWS)
    # Systematic resampling: even steps along the weights laid end to end (Kitagawa 1996).
    ends = jnp.cumsum(jax.nn.softmax(log_w))
    positions = (jnp.arange(chains) + jax.random.uniform(resample_key)) / chains * ends[-1]
    resampled = rows[jnp.minimum(jnp.searchsorted(ends, positions), LOG_Z_DRAWS - 1)]
    return average_weights(log_w, smooth=True), resampled, jnp.abs(log_w).max()


@compiled
def run_chains(
    key: PRNGKeyArray,
    p: TiltedDistribution,
    chains: Float[Array, "m d"],
    step_size: Float[Array, ""],
) -> ChainRun:
    """Runs the chains at β = 1: first to tune the step size, then to judge mixing."""
    no_entries = jnp.zeros(chains.shape[1], bool)
    beta = jnp.ones_like(step_size)

    def step(key, chains, step_size):
        keys = jax.random.split(key, len(chains))
        step_all = jax.vmap(lambda k, x: mcmc_step(k, p, x, no_entries, beta, step_size))
        chains, acceptance = step_all(keys, chains)
        return chains, acceptance.mean()

    def step_and_tune(carry, key_and_rate):
        (chains, step_size), (key, rate) = carry, key_and_rate
        chains, acceptance = step(key, chains, step_size)
        energies = jax.vmap(lambda x: p.tilt(x) - p.reference.log_prob(x))(chains)
        factor = jnp.exp(rate * (acceptance - TARGET_ACCEPTANCE))
        return (chains, step_size * factor), (energies, acceptance)

    tune_key, keep_key = jax.random.split(key)
    # Rates that fall this slowly can still tune at the end, and converge (Robbins and Monro 1951).
    rates = (1 + jnp.arange(TUNING_STEPS, dtype=step_size.dtype)) ** -0.6
    # One loop, whose later steps tune at rate 0: a second one would be compiled once more.
    rates = jnp.concatenate([rates, jnp.zeros(KEPT_STEPS, rates.dtype)])
    tune_keys = jax.random.split(tune_key, TUNING_STEPS)
    keys = jnp.concatenate([tune_keys, jax.random.split(keep_key, KEPT_STEPS)])
    carry, (energies, acceptance) = jax.lax.scan(step_and_tune, (chains, step_size), (keys, rates))
    return ChainRun(*carry, energies[TUNING_STEPS:], acceptance[TUNING_STEPS:].mean())


@compiled
def anneal_log_z(
    key: PRNGKeyArray, p: TiltedDistribution, step_size: Float[Array, ""], temperatures: int
) -> LogZEstimate:
    """log Z by annealed importance sampling from the reference, in this number of temperatures."""
    start_key, run_key = jax.random.split(key)
    draws = jax.vmap(p.reference.sample)(jax.random.split(start_key, 2 * ANNEALED_CHAINS))
    pilots, start = jnp.split(draws, 2)
    no_entries = jnp.zeros(start.shape[1], bool)

    def energy(x, beta):
        return beta * p.tilt(x)

    def step(key, x, beta):
        return mcmc_step(key, p, x, no_entries, beta, step_size)[0]

    return average_weights(anneal_chains(run_key, pilots, start, energy, step, temperatures)[1])
