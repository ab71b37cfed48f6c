"""log Z by Markov chains that go from a distribution whose log Z is known, and how far to trust it.

Annealed importance sampling: Neal (2001); of restricted Boltzmann machines: Salakhutdinov and
Murray (2008). Chains that go on where they stand tell whether they mix.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.core.chain_diagnostics import RHAT_THRESHOLD, effective_size, split_rhat
from pofx.core.errors import PofxError, warn
from pofx.core.importance_weights import pareto_k_threshold, pareto_smoothed

PILOT = 10
"""One in so many temperatures is spent on finding where the others should lie."""
FEWEST = 0.1
"""The least effective sample size, as a share of the weights, that log Z may rest on."""
FAR = 0.15
"""How far the mean of chains may lie from the data's, in standard deviations of a column."""
STAYED = 0.7
"""How far the means of chains may spread, in standard deviations of a column."""
BLOCK = 12
"""Bits whose settings are summed over at once."""
LEAPS = 5
"""Leapfrog steps of a Hamiltonian move."""

Energy = Callable[[Row, Float[Array, ""]], Float[Array, ""]]
Step = Callable[[PRNGKeyArray, Row, Float[Array, ""]], Row]


class LogZEstimate(NamedTuple):
    """log Z in nats, its standard error, and what the weights behind it are worth.

    `effective` is the number of equally weighted draws that would do as well, as a share of them;
    `k` the shape of their tail.
    """

    log_z: Float[Array, ""]
    stderr: Float[Array, ""]
    effective: Float[Array, ""]
    k: Float[Array, ""]


def average_weights(log_w: Float[Array, "s"], smooth: bool = False) -> LogZEstimate:
    """The logarithm of the mean of weights; `smooth`: their largest made quantiles of their tail.

    >>> found = average_weights(jnp.log(jnp.array([1.0, 3.0])))
    >>> round(float(jnp.exp(found.log_z)), 3)
    2.0
    """
    s = len(log_w)
    smoothed, k = pareto_smoothed(log_w)
    own = smoothed if smooth else log_w
    share = jax.nn.softmax(own)
    square = (share**2).sum()
    # Of a mean of weights, relative to it: the error of its logarithm to first order.
    stderr = jnp.sqrt(jnp.maximum(square - 1 / s, 0) * s / (s - 1))
    return LogZEstimate(jax.nn.logsumexp(own) - jnp.log(s), stderr, 1 / square / s, k)


def anneal_chains(
    key: PRNGKeyArray,
    pilots: Float[Array, "m d"],
    start: Float[Array, "s d"],
    energy: Energy,
    step: Step,
    temperatures: int,
) -> tuple[Float[Array, "s d"], Float[Array, "s"]]:
    """Chains led from β = 0 to 1, and the logarithms of their weights, of mean Z(1) / Z(0).

    p_β(x) ∝ exp(-energy(x, β));  log w = Σ_t energy(x_t, β_t) - energy(x_t, β_{t+1})

    `start` are draws from p_0, `pilots` some others, `step(key, x, β)` leaves p_β as it is. A run
    of the pilots on even temperatures finds how far the weights of each would spread; the others
    lie so that all steps spread alike, which makes the sum spread least (Grosse, Maddison and
    Salakhutdinov 2013).
    """
    piloting, going = jax.random.split(key)
    few = max(temperatures // PILOT, 8)
    even = jnp.linspace(0, 1, few + 1, dtype=start.dtype)
    _, _, spread = _run_annealing(piloting, pilots, energy, step, even)
    density = spread / jnp.diff(even)
    density = density + 0.1 * density.mean() + jnp.finfo(start.dtype).tiny
    length = jnp.concatenate([jnp.zeros(1, start.dtype), jnp.cumsum(density * jnp.diff(even))])
    equal = jnp.linspace(0, 1, temperatures + 1, dtype=start.dtype)
    betas = jnp.interp(equal, length / length[-1], even).at[-1].set(1)
    ends, log_w, _ = _run_annealing(going, start, energy, step, betas)
    return ends, log_w


def _run_annealing(
    key: PRNGKeyArray,
    start: Float[Array, "s d"],
    energy: Energy,
    step: Step,
    betas: Float[Array, "t"],
) -> tuple[Float[Array, "s d"], Float[Array, "s"], Float[Array, "t-1"]]:
    """The chains at the last temperature, their weights, and how far each step spread these."""

    def go(carry, now):
        x, log_w = carry
        key, before, beta = now
        gain = jax.vmap(lambda x: energy(x, before) - energy(x, beta))(x)
        x = jax.vmap(lambda k, x: step(k, x, beta))(jax.random.split(key, len(x)), x)
        return (x, log_w + gain), gain.std()

    keys = jax.random.split(key, len(betas) - 1)
    begin = start, jnp.zeros(len(start), start.dtype)
    (x, log_w), spread = jax.lax.scan(go, begin, (keys, betas[:-1], betas[1:]))
    return x, log_w, spread


def enumerate_log_sum(log_weight: Callable[[Row], Float[Array, ""]], bits: int) -> Float[Array, ""]:
    """log Σ_s exp(log_weight(s)) over all s in {0, 1}^bits.

    >>> round(float(jnp.exp(enumerate_log_sum(lambda s: s.sum() * jnp.log(2.0), 3))))
    27
    """
    inner = min(bits, BLOCK)
    dtype = jnp.zeros(()).dtype

    def block(number):
        place = number * 2**inner + jnp.arange(2**inner)
        settings = (place[:, None] >> jnp.arange(bits)) & 1
        return jax.nn.logsumexp(jax.vmap(log_weight)(settings.astype(dtype)))

    return jax.nn.logsumexp(jax.lax.map(block, jnp.arange(2 ** (bits - inner))))


def hmc_step(
    key: PRNGKeyArray,
    z: Row,
    log_density: Callable[[Row], Float[Array, ""]],
    step_size: Float[Array, ""],
) -> tuple[Row, Float[Array, ""]]:
    """z after a Hamiltonian move, which leaves exp(log_density) as it is, and its acceptance.

    PofxError without the extra.
    """
    hmc = blackjax().hmc
    kernel, ones = hmc.build_kernel(), jnp.ones_like(z)
    state, told = kernel(key, hmc.init(z, log_density), log_density, step_size, ones, LEAPS)
    return state.position, told.acceptance_rate


def blackjax() -> Any:
    """The package of samplers. PofxError without the extra."""
    try:
        import blackjax
    except ImportError:
        hint = "try pip install 'pofx[energy]'"
        raise PofxError(f"neural_energy: expected the extra of energies; {hint}") from None
    return blackjax


def is_reliable(found: LogZEstimate, draws: int) -> bool:
    """Whether log Z may rest on these weights."""
    return bool(found.ess_share >= FEWEST and found.pareto_k <= pareto_k_threshold(draws))


def warn_weights(found: LogZEstimate, draws: int) -> None:
    """Warns where log Z rests on few of the weights behind it."""
    if not is_reliable(found, draws):
        effective, k = float(found.ess_share), float(found.pareto_k)
        warn(
            f"log Z, {float(found.log_z):.2f} ± {float(found.stderr):.2g} nats, is not to be "
            f"trusted: its {draws} weights are worth {effective * draws:.0f}, and their tail has k "
            f"{k:.2f}, of which {pareto_k_threshold(draws):.2f} could be; try more temperatures=",
        )


def warn_mixing(energies: Float[np.ndarray, "n chains"]) -> None:
    """Warns where chains have not forgotten, over these steps, where they began."""
    rhat = split_rhat(energies)
    if not rhat <= RHAT_THRESHOLD:
        steps, chains = energies.shape
        warn(
            f"the chains do not mix: over {steps} steps the split R-hat of the energy is "
            f"{rhat:.2f} (limit {RHAT_THRESHOLD}), and {chains} chains are worth "
            f"{effective_size(energies):.0f} draws; new rows lean on where they began",
        )


def warn_means(means: Float[np.ndarray, "chains d"]) -> None:
    """Warns where chains stay where they are, or stand elsewhere than the data.

    The data is at 0 and of deviation 1. Of modes alike in energy R-hat of the energy tells nothing,
    but the chains' means do. Where a column has a bias of its own, its mean is the data's at the
    greatest likelihood.
    """
    if len(means) < 2:
        return
    stderr = means.std(0, ddof=1) / np.sqrt(len(means))
    off = np.abs(means.mean(0))
    spread = means.std(0, ddof=1).max()
    if spread > STAYED:
        warn(
            f"the chains do not mix: the means of {len(means)} chains spread by {spread:.2f} "
            "standard deviations of a column, so that each stays in its part; new rows lean on "
            "where they began",
        )
    lost = off > FAR + 4 * stderr
    if lost.any():
        warn(
            f"draws lie elsewhere than the data: of {lost.sum()} of {len(lost)} columns the mean "
            f"is up to {off[lost].max():.2f} standard deviations off, as where chains stay in one "
            "of several modes while training moves it; try fewer epochs= or more sweeps=",
        )
