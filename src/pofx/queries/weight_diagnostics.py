"""Diagnostics of importance weights: whether the weighted draws of each row can be trusted."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from pofx.core.abstract_approximate import AbstractEnergyModel, AbstractImportanceSampled
from pofx.core.answer import Answer
from pofx.core.closed_forms import with_masks
from pofx.core.importance_weights import log_mean_weight, pareto_k_threshold, pareto_smoothed
from pofx.core.rows import Rows, per_row

MIN_ESS_SHARE = 1 / 3
"""Effective share of draws from which a mean is reliable, whatever k.

Weights that vary so little have a standard error of at most 0.18 nats with 64 draws. With so few
draws k has an error of about a quarter, which would cast doubt on weights that hardly vary.
"""
MAX_SINGLE_DRAW_ESS = 2
"""Effective number of draws below which a single weight is nearly all of the mean."""


class WeightDiagnostics(NamedTuple):
    """log p(x_O) of each row in nats, its standard error, and the quality of its weights.

    ess_share: effective number of draws (Kish 1965), as a share of the draws.
    pareto_k: shape of the tail of the weights, at most `pareto_k_threshold` if reliable.
    is_exact: rows that needed no weights.
    draws: number of draws per row.
    is_lower_bound: whether log p is a lower bound.
    shared_stderr: the part of the standard error that rows share: that of log Z, and the noise of
        equal rows.
    """

    log_prob: Float[np.ndarray, "n"]
    stderr: Float[np.ndarray, "n"]
    ess_share: Float[np.ndarray, "n"]
    pareto_k: Float[np.ndarray, "n"]
    is_exact: Bool[np.ndarray, "n"]
    draws: int
    is_lower_bound: bool
    shared_stderr: float

    @property
    def unreliable(self) -> Bool[np.ndarray, "n"]:
        """Rows whose weights vary much and have a heavy tail, so that their mean is unreliable.

        The shape of the tail says whether the mean settles, whatever share of it the tail has
        (Vehtari, Simpson, Gelman, Yao and Gabry, "Pareto smoothed importance sampling", 2024).
        """
        has_heavy_tail = ~(self.pareto_k <= pareto_k_threshold(self.draws))
        return has_heavy_tail & ~(self.ess_share >= MIN_ESS_SHARE)

    @property
    def single_draw(self) -> Bool[np.ndarray, "n"]:
        """Unreliable rows that rest on a single draw."""
        return self.unreliable & ~(self.ess_share * self.draws >= MAX_SINGLE_DRAW_ESS)

    @property
    def answer(self) -> Answer:
        """log p(x_O): exact if nothing was estimated, else an estimate or a lower bound."""
        has_weights = not self.is_exact.all()
        if not self.is_lower_bound and not has_weights and not self.stderr.any():
            return Answer(self.log_prob, method="closed form", unit="nats")
        kind = "lower bound" if self.is_lower_bound else "estimate"
        draws = self.draws if has_weights else 0
        method = "by weighted draws" if has_weights else "log Z estimated"
        return Answer(
            self.log_prob,
            self.stderr,
            kind,
            draws,
            method,
            "nats",
            shared_stderr=self.shared_stderr,
        )


def diagnose_weights(model: AbstractImportanceSampled, rows: Rows) -> WeightDiagnostics:
    """log p(x_O) of each row, with diagnostics of its importance weights.

    The standard error is that of the mean of the weights, and of log Z, which all rows share.
    Weights that are all equal say nothing of what no draw met, such as a rare level; their error is
    then that of one draw among all. No weights are needed for a row without observed entries, for a
    complete row under a density, and if the model draws from the conditional itself.
    """
    specialised = with_masks(model, rows.masks)
    log_prob, error, ess_share, pareto_k, is_exact = per_row(_row_diagnostics, specialised, rows)
    base = model.model
    log_z_stderr = float(base.log_z_stderr) if isinstance(base, AbstractEnergyModel) else 0.0
    has_evidence = rows.to_arrays()[1].any(1)
    stderr = np.where(has_evidence, np.hypot(error, log_z_stderr), 0)
    ess_share = np.where(has_evidence, ess_share, 1)
    pareto_k = np.where(has_evidence, pareto_k, -np.inf)
    shared = math.hypot(log_z_stderr, _shared_stderr(rows, np.where(has_evidence, error, 0)))
    return WeightDiagnostics(
        log_prob,
        stderr,
        ess_share,
        pareto_k,
        is_exact | ~has_evidence,
        model.draws,
        base.is_lower_bound,
        shared,
    )


def _shared_stderr(rows: Rows, error: Float[np.ndarray, "n"]) -> float:
    """The error c that rows share because equal rows have the same noise.

    The variance of the mean is V = Σ_g (Σ_i e_gi)² / n² over groups g of equal rows, and c solves
    V = c² + Σ (e² - c²) / n².
    """
    x, observed, _ = rows.to_arrays()
    n = len(x)
    entries = np.hstack([np.where(observed, x, 0), observed])
    group = np.unique(entries, axis=0, return_inverse=True)[1].ravel()
    total = np.bincount(group, error)
    square = np.bincount(group, error**2)
    return math.sqrt(max((total**2 - square).sum(), 0) / (n * (n - 1))) if n > 1 else 0.0


def _row_diagnostics(model, x, observed):
    x = jnp.where(observed, x, 0)
    _, log_w = model.weighted_completion(model.row_key(x, observed), x, observed)
    s = len(log_w)
    is_exact = model.is_known(observed)
    share = jax.nn.softmax(log_w)
    ess_share = jnp.where(is_exact, 1, 1 / (share**2).sum() / s)
    # The relative error of a mean of weights is, to first order, the error of its logarithm.
    error = jnp.sqrt(jnp.maximum((share**2).sum() - 1 / s, 0) * s / (s - 1))
    are_equal = log_w.max() - log_w.min() < 1e-3
    error = jnp.where(are_equal, jnp.maximum(error, 1 / s), error)
    # For rows far from the training data, rounding may make all log w equal.
    error = jnp.where(is_exact, 0, error + jnp.finfo(log_w.dtype).eps * jnp.abs(log_w).max())
    pareto_k = jnp.where(is_exact | are_equal, -jnp.inf, pareto_smoothed(log_w)[1])
    log_mean = log_mean_weight(log_w, smooth=not model.model.is_lower_bound)
    log_prob = jnp.where(observed.any(), log_mean, 0)
    return log_prob, error, ess_share, pareto_k, is_exact
