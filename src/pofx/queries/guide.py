"""How far to trust a model that answers by weighted draws."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pofx.core.answer import Answer
from pofx.core.importance import pareto_smoothed, trusted
from pofx.core.inexact import Estimated
from pofx.core.rows import Rows, per_row


class Reliability(NamedTuple):
    """Of each row: log p(x_O) in nats, its standard error, and what its weights are worth.

    `effective` is the number of equally weighted draws that would do as well (Kish 1965), as a
    share of the draws; `k` the shape of their tail, which `trusted` says how large it may be.
    """

    log_prob: Float[np.ndarray, "n"]
    stderr: Float[np.ndarray, "n"]
    effective: Float[np.ndarray, "n"]
    k: Float[np.ndarray, "n"]
    draws: int
    below: bool

    @property
    def lost(self) -> Float[np.ndarray, "n"]:
        """Which rows' answers cannot be trusted."""
        return ~(self.k <= trusted(self.draws))

    @property
    def answer(self) -> Answer:
        """log p(x_O): exact where no weight varies, else an estimate or a lower bound."""
        if not self.below and not self.stderr.any():
            return Answer(self.log_prob, how="closed form", unit="nats")
        kind = "lower bound" if self.below else "estimate"
        return Answer(self.log_prob, self.stderr, kind, self.draws, "by weighted draws", "nats")


def reliability(model: Estimated, rows: Rows) -> Reliability:
    """What the weighted draws of each row are worth."""
    log_prob, stderr, effective, k, draws = per_row(_weigh, model, rows)
    return Reliability(log_prob, stderr, effective, k, int(draws.max()), model.model.below)


def _weigh(model, x, observed):
    _, log_w = model.weighted(jax.random.wrap_key_data(model.seed), x, observed)
    s = len(log_w)
    share = jax.nn.softmax(log_w)
    effective = 1 / (share**2).sum() / s
    # Of a mean of weights, relative to it: the error of its logarithm to first order.
    error = jnp.sqrt(jnp.maximum((share**2).sum() - 1 / s, 0) * s / (s - 1))
    # Weights all alike know the answer to rounding.
    same = log_w.max() - log_w.min() < 1e-3
    k = jnp.where(same, -jnp.inf, pareto_smoothed(log_w)[1])
    return model.log_prob(x, observed), jnp.where(same, 0, error), effective, k, jnp.asarray(s)
