"""Means of independent draws, to a standard error asked for."""

import math
from numbers import Integral, Real

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from pofx.core.answer import Answer
from pofx.core.errors import PofxError

BLOCK = 2048
"""Rows drawn at a time."""
DRAWS = 8 * BLOCK
MAX_DRAWS = 512 * BLOCK


def monte_carlo(
    key: PRNGKeyArray,
    draw: eqx.Module,
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
    unit: str = "nats",
) -> Answer:
    """The mean of `draw(key)`, to the standard error asked for or to the end of the budget.

    Without a request, after a fixed number of draws. A request that the budget did not meet is
    answered with what was reached, and marked. Draws come in whole blocks of 2048; a standard error
    is not told smaller than the rounding of a number of size one, as log-probabilities are.

    A draw may be a vector f, c_1, ..., c_m, the c_i of mean zero and correlated with f: control
    variates, regressed on to make the error of the mean of f smaller (Owen 2013, Monte Carlo
    theory, methods and examples, section 8.9).
    """
    check_request(stderr, max_draws, unit)
    least, sums, error = min(DRAWS, max_draws), _Sums(), math.inf
    while sums.count < least or (stderr is not None and error > stderr and sums.count < max_draws):
        key, own = jax.random.split(key)
        values = np.asarray(_draw_block(draw, own), np.float64).reshape(BLOCK, -1)
        if not np.isfinite(values).all():
            # Of infinity the mean is infinite; of what is no number nothing is known.
            how = "infinite at a draw" if not np.isnan(values).any() else "undefined at a draw"
            mean, count = float(values[:, 0].mean()), sums.count + BLOCK
            return Answer(mean, math.nan, "estimate", count, how, unit)
        sums.add(values)
        error = max(sums.estimate()[1], _rounding(draw) * max(abs(sums.estimate()[0]), 1.0))
    missed = stderr is not None and error > stderr
    how = f"asked for ± {stderr:g}, budget spent" if missed else ""
    return Answer(sums.estimate()[0], error, "estimate", sums.count, how, unit)


def log_monte_carlo(
    key: PRNGKeyArray,
    draw: eqx.Module,
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
) -> Answer:
    """The logarithm of the mean of weights whose logarithms are draw(key).

    Its standard error is that of the mean relative to the mean, and so is the `stderr` asked for:
    as precise for a rare event as for others. -inf, of unknown error, where all weights are zero.
    """
    check_request(stderr, max_draws, "")
    least, sums, error, anchor = min(DRAWS, max_draws), _Sums(), math.inf, -math.inf
    mean = 0.0
    asked, floor = math.inf if stderr is None else stderr, 0.0
    # No more draws make an error smaller than the rounding of the weights.
    while sums.count < least or (not error <= max(asked, floor) and sums.count < max_draws):
        key, own = jax.random.split(key)
        values = np.asarray(_draw_block(draw, own), np.float64).reshape(BLOCK, 1)
        # Up to the first draw of some weight all were zero, relative to any number.
        anchor = values.max() if anchor == -math.inf else anchor
        sums.add(np.exp(values - (anchor if anchor > -math.inf else 0.0)))
        mean, error = sums.estimate()
        floor = _rounding(draw) * max(abs(anchor), 1.0) if mean else 0.0
        error = max(error / mean, floor) if mean else math.inf
    if not mean:
        return Answer(-math.inf, math.nan, "estimate", sums.count, "no draw satisfied the event")
    how = f"asked for ± {asked:.2g} of the value, budget spent" if error > asked else ""
    return Answer(anchor + math.log(mean), error, "estimate", sums.count, how)


def check_request(stderr: float | None, max_draws: int, unit: str) -> None:
    """Raises PofxError for an error or a budget that nothing can meet."""
    if not isinstance(max_draws, Integral) or max_draws < 2:
        raise PofxError(f"max_draws: expected a whole number, at least 2; got {max_draws!r}")
    if stderr is not None and not (isinstance(stderr, Real) and stderr > 0):
        raise PofxError(f"stderr: expected a number > 0, in {unit or 'its units'}; got {stderr!r}")


class _Sums:
    """The mean of vectors, and the sum of the outer products of their deviations."""

    def __init__(self) -> None:
        self.count, self.mean, self.scatter = 0, np.zeros(1), np.zeros((1, 1))

    def add(self, values: np.ndarray) -> None:
        """Chan, Golub and LeVeque (1983): means and deviations of two samples as one."""
        total, mean = self.count + len(values), values.mean(0)
        off, shift = values - mean, mean - self.mean
        both = self.count * len(values) / total
        self.scatter = self.scatter + off.T @ off + both * np.multiply.outer(shift, shift)
        self.mean = self.mean + shift * len(values) / total
        self.count = total

    def estimate(self) -> tuple[float, float]:
        """The mean of the first entry, the others regressed out, and its standard error."""
        s, controls = self.scatter, len(self.mean) - 1
        beta = np.linalg.lstsq(s[1:, 1:], s[1:, 0], rcond=1e-9)[0]
        left = max(s[0, 0] - beta @ s[1:, 0], 0.0)
        mean = self.mean[0] - beta @ self.mean[1:]
        return float(mean), math.sqrt(left / (self.count - 1 - controls) / self.count)


def _rounding(draw: eqx.Module) -> float:
    """The relative error of the float type of a model: draws that do not vary are no surer."""
    arrays = [a.dtype for a in jax.tree.leaves(draw) if eqx.is_inexact_array(a)]
    return float(jnp.finfo(jnp.result_type(*arrays) if arrays else float).eps)


@eqx.filter_jit
def _draw_block(draw, key):
    return jax.vmap(draw)(jax.random.split(key, BLOCK)).astype(jnp.result_type(float))
