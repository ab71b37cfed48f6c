"""Means of independent draws, to a requested standard error."""

import math
from numbers import Integral, Real

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from pofx.core import host_keys
from pofx.core.answer import Answer
from pofx.core.compilation import compiled
from pofx.core.errors import PofxError

BLOCK_DRAWS = 2048
"""Number of draws in one compiled call."""
DEFAULT_DRAWS = 8 * BLOCK_DRAWS
MAX_DRAWS = 512 * BLOCK_DRAWS


def monte_carlo(
    key: PRNGKeyArray,
    draw: eqx.Module,
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
    unit: str = "nats",
) -> Answer:
    """The mean of `draw(key)`.

    A draw may be a vector f, c_1, ..., c_m whose c_i have mean zero and are correlated with f. Such
    control variates are regressed on, which makes the error of the mean of f smaller.

    Args:
        key: seed of the draws.
        draw: a module that makes one draw from a key.
        stderr: standard error to reach; None for DEFAULT_DRAWS draws. An answer that does not reach
            it is marked.
        max_draws: largest number of draws, rounded up to blocks of 2048.
        unit: unit of the answer.

    Returns the mean, with a standard error that is at least the rounding error of a number of size
    one, because log-probabilities are rounded.

    Reference: Owen 2013, Monte Carlo theory, methods and examples, section 8.9.
    """
    check_request(stderr, max_draws, unit)
    min_draws = min(DEFAULT_DRAWS, max_draws)
    sums = _Sums()
    error = math.inf
    while sums.count < min_draws or (
        stderr is not None and error > stderr and sums.count < max_draws
    ):
        key, block_key = host_keys.split(key)
        values = np.asarray(_draw_block(draw, block_key), np.float64).reshape(BLOCK_DRAWS, -1)
        if not np.isfinite(values).all():
            # With an infinite value the mean is infinite; with NaN nothing is known of it.
            has_nan = np.isnan(values).any()
            method = "undefined at a draw" if has_nan else "infinite at a draw"
            mean = float(values[:, 0].mean())
            return Answer(mean, math.nan, "estimate", sums.count + BLOCK_DRAWS, method, unit)
        sums.add(values)
        error = max(sums.estimate()[1], _rounding_error(draw) * max(abs(sums.estimate()[0]), 1.0))
    is_short = stderr is not None and error > stderr
    method = f"asked for ± {stderr:g}, budget spent" if is_short else ""
    return Answer(sums.estimate()[0], error, "estimate", sums.count, method, unit)


def log_monte_carlo(
    key: PRNGKeyArray,
    draw: eqx.Module,
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
) -> Answer:
    """The logarithm of the mean of weights, whose logarithms are `draw(key)`.

    Args:
        key: seed of the draws.
        draw: a module that makes one draw of a log-weight from a key.
        stderr: standard error to reach, relative to the mean; None for DEFAULT_DRAWS draws.
        max_draws: largest number of draws, rounded up to blocks of 2048.

    Returns the logarithm with the relative standard error of the mean, so rare events are as
    precise as others. If all weights are zero, it is -inf with an unknown error.
    """
    check_request(stderr, max_draws, "")
    min_draws = min(DEFAULT_DRAWS, max_draws)
    sums = _Sums()
    mean = 0.0
    error = math.inf
    log_scale = -math.inf
    target_error = math.inf if stderr is None else stderr
    # More draws cannot make the error smaller than the rounding error of the weights.
    rounding_error = 0.0
    while sums.count < min_draws or (
        not error <= max(target_error, rounding_error) and sums.count < max_draws
    ):
        key, block_key = host_keys.split(key)
        values = np.asarray(_draw_block(draw, block_key), np.float64).reshape(BLOCK_DRAWS, 1)
        # Before the first positive weight all weights are zero, on any scale.
        log_scale = values.max() if log_scale == -math.inf else log_scale
        sums.add(np.exp(values - (log_scale if log_scale > -math.inf else 0.0)))
        mean, error = sums.estimate()
        rounding_error = _rounding_error(draw) * max(abs(log_scale), 1.0) if mean else 0.0
        error = max(error / mean, rounding_error) if mean else math.inf
    if not mean:
        return Answer(-math.inf, math.nan, "estimate", sums.count, "no draw satisfied the event")
    is_short = error > target_error
    method = f"asked for ± {target_error:.2g} of the value, budget spent" if is_short else ""
    return Answer(log_scale + math.log(mean), error, "estimate", sums.count, method)


def check_request(stderr: float | None, max_draws: int, unit: str) -> None:
    """Raise PofxError for a standard error or a number of draws that is out of range."""
    if not isinstance(max_draws, Integral) or max_draws < 2:
        raise PofxError(f"max_draws: expected a whole number, at least 2; got {max_draws!r}")
    if stderr is not None and not (isinstance(stderr, Real) and stderr > 0):
        raise PofxError(f"stderr: expected a number > 0, in {unit or 'its units'}; got {stderr!r}")


class _Sums:
    """The mean of vectors, and the sum of the outer products of their deviations."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(1)
        self.scatter = np.zeros((1, 1))

    def add(self, values: np.ndarray) -> None:
        """Merge the means and deviations of two samples (Chan, Golub and LeVeque 1983)."""
        total = self.count + len(values)
        mean = values.mean(0)
        deviation = values - mean
        shift = mean - self.mean
        factor = self.count * len(values) / total
        between = factor * np.multiply.outer(shift, shift)
        self.scatter = self.scatter + deviation.T @ deviation + between
        self.mean = self.mean + shift * len(values) / total
        self.count = total

    def estimate(self) -> tuple[float, float]:
        """The mean of the first entry, with the others regressed out, and its standard error."""
        s = self.scatter
        controls = len(self.mean) - 1
        beta = np.linalg.lstsq(s[1:, 1:], s[1:, 0], rcond=1e-9)[0]
        residual = max(s[0, 0] - beta @ s[1:, 0], 0.0)
        mean = self.mean[0] - beta @ self.mean[1:]
        return float(mean), math.sqrt(residual / (self.count - 1 - controls) / self.count)


def _rounding_error(draw: eqx.Module) -> float:
    """The relative rounding error of the float type of a model, below which no error can be."""
    arrays = [a.dtype for a in jax.tree.leaves(draw) if eqx.is_inexact_array(a)]
    return float(jnp.finfo(jnp.result_type(*arrays) if arrays else float).eps)


@compiled
def _draw_block(draw, key):
    return jax.vmap(draw)(jax.random.split(key, BLOCK_DRAWS)).astype(jnp.result_type(float))
