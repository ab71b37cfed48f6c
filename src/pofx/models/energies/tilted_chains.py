"""Markov chains of a tractable model that a function tilts: r(x) exp(-β f(x)) / Z."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import AbstractTractable, Mask, Row
from pofx.models.energies.annealed_importance import LogZEstimate, anneal_chains, average_weights, hmc_step

LOG_Z_DRAWS, BLOCK = 2**14, 1024
"""Draws of the reference that estimate Z, and how many at a time."""
ANNEALED_CHAINS = 256
"""Chains that estimate Z where draws of the reference do not."""
TUNED, KEPT = 300, 500
"""Steps of chains: by which their moves are tuned, then looked at for how they mix."""
ACCEPTED = 0.7
"""The share of moves that tuning is for."""


class TiltedDistribution(eqx.Module):
    """The reference r, f in nats, and the columns that move by slopes, with their scales."""

    reference: AbstractTractable
    tilt: Callable[[Row], Float[Array, ""]]
    shift: Float[Array, "c"]
    scale: Float[Array, "c"]
    place: tuple[int, ...] = eqx.field(static=True)


class ChainRun(NamedTuple):
    """Chains some steps on, their tuned step size, energies on the way, and what was accepted."""

    chains: Float[Array, "m d"]
    step_size: Float[Array, ""]
    energies: Float[Array, "kept m"]
    accepted: Float[Array, ""]


def mcmc_step(
    key: PRNGKeyArray,
    p: TiltedDistribution,
    x: Row,
    observed: Mask,
    beta: Float[Array, ""],
    step_size: Float[Array, ""],
) -> tuple[Row, Float[Array, ""]]:
    """x after a step that leaves r exp(-β f), given x_O, as it is, and its move's acceptance.

    Some entries are redrawn; then the others of real columns move along slopes.
    """
    redrawing, stretching, moving = jax.random.split(key, 3)
    x = redraw_step(redrawing, p, x, observed, beta)
    if not p.place:
        return x, jnp.ones_like(beta)
    place = np.array(p.place)

    def whole(z):
        # An observed entry of z moves freely, for nothing depends on it.
        return jnp.where(observed, x, x.at[place].set((p.shift + p.scale * z).astype(x.dtype)))

    def log_density(z):
        return p.reference.log_prob(whole(z)) - beta * p.tilt(whole(z))

    # Steps all alike may come back to where they began, as orbits do.
    stretch = jax.random.uniform(stretching, (), p.scale.dtype, 0.8, 1.2)
    z = (x[place] - p.shift) / p.scale
    z, accepted = hmc_step(moving, z, log_density, stretch * step_size)
    return whole(z), accepted


def redraw_step(
    key: PRNGKeyArray, p: TiltedDistribution, x: Row, observed: Mask, beta: Float[Array, ""]
) -> Row:
    """x with some entries, few or many, drawn from the reference given the others, or as it is.

    The reference being what proposes, it cancels in the acceptance (Hastings 1970).
    """
    sizing, choosing, drawing, judging = jax.random.split(key, 4)
    held = jax.random.uniform(choosing, x.shape) < jax.random.uniform(sizing)
    new = p.reference.sample(drawing, x, observed | held).astype(x.dtype)
    gain = beta * (p.tilt(x) - p.tilt(new))
    return jnp.where(jnp.log(jax.random.uniform(judging, dtype=gain.dtype)) < gain, new, x)


@eqx.filter_jit
def estimate_log_z(
    key: PRNGKeyArray, p: TiltedDistribution, chains: int
) -> tuple[LogZEstimate, Float[Array, "m d"], Float[Array, ""]]:
    """log Z by draws of the reference, some picked by their weights, and the most that f tilts."""
    drawing, picking = jax.random.split(key)
    rows = jax.lax.map(p.reference.sample, jax.random.split(drawing, LOG_Z_DRAWS), batch_size=BLOCK)
    log_w = -jax.lax.map(p.tilt, rows, batch_size=BLOCK)
    # One at each of even steps along the weights laid end to end (Kitagawa 1996).
    ends = jnp.cumsum(jax.nn.softmax(log_w))
    at = (jnp.arange(chains) + jax.random.uniform(picking)) / chains * ends[-1]
    own = rows[jnp.minimum(jnp.searchsorted(ends, at), LOG_Z_DRAWS - 1)]
    return average_weights(log_w, smooth=True), own, jnp.abs(log_w).max()


@eqx.filter_jit
def run_chains(
    key: PRNGKeyArray,
    p: TiltedDistribution,
    chains: Float[Array, "m d"],
    step_size: Float[Array, ""],
) -> ChainRun:
    """The chains some steps on, the size of their moves tuned first."""
    none, one = jnp.zeros(chains.shape[1], bool), jnp.ones_like(step_size)

    def step(key, chains, step_size):
        keys = jax.random.split(key, len(chains))
        go = jax.vmap(lambda k, x: mcmc_step(k, p, x, none, one, step_size))
        chains, accepted = go(keys, chains)
        return chains, accepted.mean()

    def tune(carry, now):
        (chains, step_size), (key, rate) = carry, now
        chains, accepted = step(key, chains, step_size)
        return (chains, step_size * jnp.exp(rate * (accepted - ACCEPTED))), None

    def keep(carry, key):
        chains, step_size = carry
        chains, accepted = step(key, chains, step_size)
        energies = jax.vmap(lambda x: p.tilt(x) - p.reference.log_prob(x))(chains)
        return (chains, step_size), (energies, accepted)

    tuning, going = jax.random.split(key)
    # Steps that fall like this tune as long as they last, and come to rest (Robbins and Monro).
    rates = (1 + jnp.arange(TUNED, dtype=step_size.dtype)) ** -0.6
    carry, _ = jax.lax.scan(tune, (chains, step_size), (jax.random.split(tuning, TUNED), rates))
    carry, told = jax.lax.scan(keep, carry, jax.random.split(going, KEPT))
    return ChainRun(*carry, told[0], told[1].mean())


@eqx.filter_jit
def anneal_log_z(
    key: PRNGKeyArray, p: TiltedDistribution, step_size: Float[Array, ""], temperatures: int
) -> LogZEstimate:
    """log Z by chains that go from the reference to the tilted model."""
    starting, going = jax.random.split(key)
    both = jax.vmap(p.reference.sample)(jax.random.split(starting, 2 * ANNEALED_CHAINS))
    pilots, start = jnp.split(both, 2)
    none = jnp.zeros(start.shape[1], bool)

    def energy(x, beta):
        return beta * p.tilt(x)

    def step(key, x, beta):
        return mcmc_step(key, p, x, none, beta, step_size)[0]

    return average_weights(anneal_chains(going, pilots, start, energy, step, temperatures)[1])
