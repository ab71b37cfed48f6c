"""How far to trust a model that answers by weighted draws."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from pofx.core.abstract_approximate import AbstractEnergyModel, AbstractImportanceSampled
from pofx.core.answer import Answer
from pofx.core.importance_weights import log_mean_weight, pareto_k_threshold, pareto_smoothed
from pofx.core.rows import Rows, per_row

LEAST = 1 / 3
"""The effective share of its draws from which on a mean is told well, whatever k: of weights that
vary so little its standard error is at most 0.18 nats with 64 draws, and of so few draws k has an
error of about a quarter, which would cast doubt on weights that hardly vary at all."""
ALONE = 2
"""Draws that a row is worth at most if one weight is nearly all of its mean."""


class WeightDiagnostics(NamedTuple):
    """Of each row: log p(x_O) in nats, its standard error, and what its weights are worth.

    `effective` is the number of equally weighted draws that would do as well (Kish 1965), as a
    share of the draws; `k` the shape of their tail, at most `pareto_k_threshold` if reliable.
    `known` says of which rows no draw was weighed. `common` is the part of the standard error that
    rows share: log Z's, and the noise of rows that are the same.
    """

    log_prob: Float[np.ndarray, "n"]
    stderr: Float[np.ndarray, "n"]
    effective: Float[np.ndarray, "n"]
    k: Float[np.ndarray, "n"]
    known: Bool[np.ndarray, "n"]
    draws: int
    is_lower_bound: bool
    shared_stderr: float

    @property
    def lost(self) -> Bool[np.ndarray, "n"]:
        """Which rows' answers cannot be trusted: of weights that vary much, and a heavy tail.

        The shape of the tail says whether their mean settles (Vehtari, Simpson, Gelman, Yao and
        Gabry, "Pareto smoothed importance sampling", 2024), whatever share of it the tail has.
        """
        return ~(self.k <= pareto_k_threshold(self.draws)) & ~(self.effective >= LEAST)

    @property
    def alone(self) -> Bool[np.ndarray, "n"]:
        """Which of the lost rows rest on a single draw."""
        return self.lost & ~(self.effective * self.draws >= ALONE)

    @property
    def answer(self) -> Answer:
        """log p(x_O): exact where nothing was estimated, else an estimate or a lower bound."""
        weighed = not self.known.all()
        if not self.is_lower_bound and not weighed and not self.stderr.any():
            return Answer(self.log_prob, method="closed form", unit="nats")
        kind = "lower bound" if self.is_lower_bound else "estimate"
        draws, how = (self.draws, "by weighted draws") if weighed else (0, "log Z estimated")
        return Answer(
            self.log_prob, self.stderr, kind, draws, how, "nats", shared_stderr=self.shared_stderr
        )


def reliability(model: AbstractImportanceSampled, rows: Rows) -> WeightDiagnostics:
    """What the weighted draws of each row are worth.

    The standard error is that of the mean of the weights and of log Z, which all rows share. Of a
    row with nothing observed log p is zero; it is known of a complete row of a density, and where
    the model draws from the conditional itself. Else weights all alike say nothing of what they
    did not come upon, as a rare level: then the error is that of one draw in so many.
    """
    log_prob, error, effective, k, known = per_row(_weigh, model, rows)
    own = model.model
    shared = float(own.log_z_stderr) if isinstance(own, AbstractEnergyModel) else 0.0
    some = rows.to_arrays()[1].any(1)
    stderr = np.where(some, np.hypot(error, shared), 0)
    effective, k = np.where(some, effective, 1), np.where(some, k, -np.inf)
    common = math.hypot(shared, _alike(rows, np.where(some, error, 0)))
    return WeightDiagnostics(
        log_prob, stderr, effective, k, known | ~some, model.draws, own.is_lower_bound, common
    )


def _alike(rows: Rows, error: Float[np.ndarray, "n"]) -> float:
    """The error c that rows have in common for the same rows have the same noise.

    Their mean's is V = Σ_g (Σ_i e_gi)² / n² over groups g of equal rows, and c² + Σ (e² - c²) / n².
    """
    x, observed, _ = rows.to_arrays()
    n, whole = len(x), np.hstack([np.where(observed, x, 0), observed])
    group = np.unique(whole, axis=0, return_inverse=True)[1].ravel()
    total, square = np.bincount(group, error), np.bincount(group, error**2)
    return math.sqrt(max((total**2 - square).sum(), 0) / (n * (n - 1))) if n > 1 else 0.0


def _weigh(model, x, observed):
    x = jnp.where(observed, x, 0)
    _, log_w = model.weighted_completion(model.row_key(x, observed), x, observed)
    s = len(log_w)
    known = model.is_known(observed)
    share = jax.nn.softmax(log_w)
    effective = jnp.where(known, 1, 1 / (share**2).sum() / s)
    # Of a mean of weights, relative to it: the error of its logarithm to first order.
    error = jnp.sqrt(jnp.maximum((share**2).sum() - 1 / s, 0) * s / (s - 1))
    alike = log_w.max() - log_w.min() < 1e-3
    error = jnp.where(alike, jnp.maximum(error, 1 / s), error)
    # Far from what was learned all that the float type keeps of log w may be alike.
    error = jnp.where(known, 0, error + jnp.finfo(log_w.dtype).eps * jnp.abs(log_w).max())
    k = jnp.where(known | alike, -jnp.inf, pareto_smoothed(log_w)[1])
    log_prob = jnp.where(observed.any(), log_mean_weight(log_w, smooth=not model.model.is_lower_bound), 0)
    return log_prob, error, effective, k, known
