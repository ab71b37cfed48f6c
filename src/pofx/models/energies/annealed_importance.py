"""log Z by annealed importance sampling, its reliability, and checks that Markov chains mix.

Neal, "Annealed importance sampling" (2001); for restricted Boltzmann machines: Salakhutdinov and
Murray (2008).
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

PILOT_DIVISOR = 10
"""The pilot run has so many times fewer temperatures than the final run."""
MIN_PILOT_TEMPERATURES = 8
MIN_ESS_SHARE = 0.1
"""The least effective sample size, as a share of the weights, for a reliable log Z."""
MAX_MEAN_OFFSET_SDS = 0.15
"""How far the mean of the chains may be from the data's, in standard deviations of a column."""
MAX_CHAIN_SPREAD_SDS = 0.7
"""How far the means of the chains may spread, in standard deviations of a column."""
BLOCK_BITS = 12
"""Bits whose settings are summed over at once, to bound memory."""
LEAPFROG_STEPS = 5
"""Leapfrog steps of a Hamiltonian move."""

Energy = Callable[[Row, Float[Array, ""]], Float[Array, ""]]
Step = Callable[[PRNGKeyArray, Row, Float[Array, ""]], Row]


class LogZEstimate(NamedTuple):
    """log Z and its standard error in nats, and the quality of the weights behind it.

    Attributes:
        log_z: the estimate.
        stderr: its standard error.
        ess_share: effective sample size of the weights, as a share of their number.
        pareto_k: shape of the tail of the weights.
    """

    log_z: Float[Array, ""]
    stderr: Float[Array, ""]
    ess_share: Float[Array, ""]
    pareto_k: Float[Array, ""]


def average_weights(log_w: Float[Array, "s"], smooth: bool = False) -> LogZEstimate:
    """The logarithm of the mean of weights, with `smooth` after Pareto smoothing.

    >>> estimate = average_weights(jnp.log(jnp.array([1.0, 3.0])))
    >>> round(float(jnp.exp(estimate.log_z)), 3)
    2.0
    """
    s = len(log_w)
    smoothed, k = pareto_smoothed(log_w)
    log_w = smoothed if smooth else log_w
    share = jax.nn.softmax(log_w)
    square = (share**2).sum()
    # The relative error of a mean of weights, which is the error of its logarithm to first order.
    stderr = jnp.sqrt(jnp.maximum(square - 1 / s, 0) * s / (s - 1))
    return LogZEstimate(jax.nn.logsumexp(log_w) - jnp.log(s), stderr, 1 / square / s, k)


def anneal_chains(
    key: PRNGKeyArray,
    pilots: Float[Array, "m d"],
    start: Float[Array, "s d"],
    energy: Energy,
    step: Step,
    temperatures: int,
) -> tuple[Float[Array, "s d"], Float[Array, "s"]]:
    """Chains moved from β = 0 to 1, and their log-weights; the mean weight is Z(1) / Z(0).

    p_β(x) ∝ exp(-energy(x, β));  log w = Σ_t energy(x_t, β_t) - energy(x_t, β_{t+1})

    A pilot run on even temperatures measures how far the weights spread per step. The final
    temperatures are placed so that all steps spread alike, which makes the total spread least
    (Grosse, Maddison and Salakhutdinov 2013).

    Args:
        pilots: draws from p_0 for the pilot run.
        start: draws from p_0 for the final run.
        energy: energy(x, β) in nats.
        step: step(key, x, β), a Markov step that leaves p_β invariant.
        temperatures: number of steps of the final run.
    """
    pilot_key, run_key = jax.random.split(key)
    pilot_steps = max(temperatures // PILOT_DIVISOR, MIN_PILOT_TEMPERATURES)
    even = jnp.linspace(0, 1, pilot_steps + 1, dtype=start.dtype)
    _, _, spread = _run_annealing(pilot_key, pilots, energy, step, even)
    density = spread / jnp.diff(even)
    density = density + 0.1 * density.mean() + jnp.finfo(start.dtype).tiny
    length = jnp.concatenate([jnp.zeros(1, start.dtype), jnp.cumsum(density * jnp.diff(even))])
    equal = jnp.linspace(0, 1, temperatures + 1, dtype=start.dtype)
    betas = jnp.interp(equal, length / length[-1], even).at[-1].set(1)
    ends, log_w, _ = _run_annealing(run_key, start, energy, step, betas)
    return ends, log_w


def _run_annealing(
    key: PRNGKeyArray,
    start: Float[Array, "s d"],
    energy: Energy,
    step: Step,
    betas: Float[Array, "t"],
) -> tuple[Float[Array, "s d"], Float[Array, "s"], Float[Array, "t-1"]]:
    """The chains at the last temperature, their log-weights, and the spread added per step."""

    def advance(carry, temperature):
        x, log_w = carry
        key, before, beta = temperature
        gain = jax.vmap(lambda x: energy(x, before) - energy(x, beta))(x)
        x = jax.vmap(lambda k, x: step(k, x, beta))(jax.random.split(key, len(x)), x)
        return (x, log_w + gain), gain.std()

    keys = jax.random.split(key, len(betas) - 1)
    carry = start, jnp.zeros(len(start), start.dtype)
    (x, log_w), spread = jax.lax.scan(advance, carry, (keys, betas[:-1], betas[1:]))
    return x, log_w, spread


def enumerate_log_sum(log_weight: Callable[[Row], Float[Array, ""]], bits: int) -> Float[Array, ""]:
    """log Σ_s exp(log_weight(s)) over all s in {0, 1}^bits.

    >>> round(float(jnp.exp(enumerate_log_sum(lambda s: s.sum() * jnp.log(2.0), 3))))
    27
    """
    inner = min(bits, BLOCK_BITS)
    dtype = jnp.result_type(float)

    def sum_block(number):
        place = number * 2**inner + jnp.arange(2**inner)
        settings = (place[:, None] >> jnp.arange(bits)) & 1
        return jax.nn.logsumexp(jax.vmap(log_weight)(settings.astype(dtype)))

    return jax.nn.logsumexp(jax.lax.map(sum_block, jnp.arange(2 ** (bits - inner))))


def hmc_step(
    key: PRNGKeyArray,
    z: Row,
    log_density: Callable[[Row], Float[Array, ""]],
    step_size: Float[Array, ""],
) -> tuple[Row, Float[Array, ""]]:
    """z after a Hamiltonian Monte Carlo step for exp(log_density), and its acceptance probability.

    Raises PofxError if blackjax is not installed.
    """
    hmc = import_blackjax().hmc
    kernel = hmc.build_kernel()
    ones = jnp.ones_like(z)
    state = hmc.init(z, log_density)
    state, info = kernel(key, state, log_density, step_size, ones, LEAPFROG_STEPS)
    return state.position, info.acceptance_rate


def import_blackjax() -> Any:
    """The blackjax package. Raises PofxError if it is not installed."""
    try:
        import blackjax
    except ImportError:
        hint = "try pip install 'pofx[energy]'"
        raise PofxError(f"neural_energy: expected the extra 'energy'; {hint}") from None
    return blackjax


def is_reliable(estimate: LogZEstimate, draws: int) -> bool:
    """Whether an estimate of log Z from this number of weights can be trusted."""
    return bool(
        estimate.ess_share >= MIN_ESS_SHARE and estimate.pareto_k <= pareto_k_threshold(draws)
    )


def warn_weights(estimate: LogZEstimate, draws: int) -> None:
    """Warns if an estimate of log Z is not reliable; `draws` is the number of its weights."""
    if not is_reliable(estimate, draws):
        ess_share, k = float(estimate.ess_share), float(estimate.pareto_k)
        warn(
            f"log Z = {float(estimate.log_z):.2f} ± {float(estimate.stderr):.2g} nats is "
            f"unreliable: its {draws} weights are worth {ess_share * draws:.0f}, and Pareto k is "
            f"{k:.2f} (limit {pareto_k_threshold(draws):.2f}); try more temperatures=",
        )


def warn_mixing(energies: Float[np.ndarray, "n chains"]) -> None:
    """Warns if chains still depend on where they began, judged by their energies over n steps."""
    rhat = split_rhat(energies)
    if not rhat <= RHAT_THRESHOLD:
        steps, chains = energies.shape
        warn(
            f"the chains do not mix: over {steps} steps the split R-hat of the energy is "
            f"{rhat:.2f} (limit {RHAT_THRESHOLD}), and {chains} chains are worth "
            f"{effective_size(energies):.0f} draws; new rows depend on where the chains began",
        )


def warn_means(means: Float[np.ndarray, "chains d"]) -> None:
    """Warns if each chain stays in its own region, or if all chains miss the data.

    R-hat of the energy does not see modes of equal energy, but the means of the chains do. A
    column with a bias of its own has the mean of the data at the greatest likelihood.

    Args:
        means: the mean of each chain in each column, in units in which the data has mean 0 and
            standard deviation 1.
    """
    if len(means) < 2:
        return
    stderr = means.std(0, ddof=1) / np.sqrt(len(means))
    offset = np.abs(means.mean(0))
    spread = means.std(0, ddof=1).max()
    if spread > MAX_CHAIN_SPREAD_SDS:
        warn(
            f"the chains do not mix: the means of {len(means)} chains spread by {spread:.2f} "
            "standard deviations of a column, so each chain stays in its own region; new rows "
            "depend on where the chains began",
        )
    is_off = offset > MAX_MEAN_OFFSET_SDS + 4 * stderr
    if is_off.any():
        warn(
            f"draws differ from the data: the mean of {is_off.sum()} of {len(is_off)} columns is "
            f"off by up to {offset[is_off].max():.2f} standard deviations, as happens if chains "
            "stay in one of several modes while training moves it; try fewer epochs= or more "
            "sweeps=",
        )
