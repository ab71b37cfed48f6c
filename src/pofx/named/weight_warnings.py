"""Warnings about answers that rest on few of their weighted draws."""

import numpy as np

from pofx.core.abstract import AbstractQueryable
from pofx.core.abstract_approximate import AbstractImportanceSampled
from pofx.core.errors import warn
from pofx.core.importance_weights import pareto_k_threshold
from pofx.core.rows import make_rows
from pofx.models.conditional import Conditional
from pofx.named.model import NamedModel
from pofx.named.random_keys import key_of
from pofx.queries import imputation, weight_diagnostics

ROWS_PER_UNRELIABLE = 20
"""One row in so many may have unreliable weights without a warning."""
MAX_CHECKED_ROWS = 256
"""Rows whose weighted draws are checked before they are used."""
CHECKED_DRAWS = 64
"""Draws of the model that are checked if an answer averages over them."""


def warn_if_unreliable(p: NamedModel, x: np.ndarray, single_draws: bool = True) -> None:
    """Warns if the weighted draws behind the answers for these rows are unreliable.

    Args:
        p: the distribution.
        x: the free entries of rows, NaN for a missing one.
        single_draws: whether one row that rests on a single draw is enough for a warning.
    """
    model, full_rows = unwrap_conditionals(p, x)
    if not isinstance(model, AbstractImportanceSampled):
        return
    missing = np.isnan(full_rows)
    # A row without observed entries needs no weights, a complete row no draws.
    weighted = full_rows[missing.any(1) & ~missing.all(1)][:MAX_CHECKED_ROWS]
    weighted = weighted[[not model.is_known(~np.isnan(row)) for row in weighted]]
    if len(weighted):
        diagnostics = weight_diagnostics.diagnose_weights(model, make_rows(weighted))
        warn_about_weights(p, diagnostics, single_draws)


def warn_if_draws_unreliable(p: NamedModel, *masks: np.ndarray) -> None:
    """Warns likewise about an average of log p of the entries of masks over draws of the model."""
    model, _ = unwrap_conditionals(p, np.zeros((0, p.model.size)))
    if not isinstance(model, AbstractImportanceSampled):
        return
    nothing = make_rows(np.full((CHECKED_DRAWS, p.model.size), np.nan))
    draws = imputation.draw_missing(key_of(0), p.model, nothing)
    # An average is not harmed by one draw that rests on a single weight.
    x = np.vstack([np.where(mask, draws, np.nan) for mask in masks])
    warn_if_unreliable(p, x, single_draws=False)


def warn_about_weights(
    p: NamedModel, diagnostics: weight_diagnostics.WeightDiagnostics, single_draws: bool = True
) -> None:
    """Warns if too many rows are unreliable, or with `single_draws` any that rests on one draw."""
    lost = diagnostics.unreliable
    # Pareto k is itself an estimate, so a few rows beyond its limit mean nothing.
    many_lost = lost.sum() > len(lost) / ROWS_PER_UNRELIABLE
    if not many_lost and not (single_draws and diagnostics.single_draw.any()):
        return
    model, _ = unwrap_conditionals(p, np.zeros((0, p.model.size)))
    proposes_itself = (
        isinstance(model, AbstractImportanceSampled) and not model.model.needs_proposal
    )
    bound = "a bound on log p" if diagnostics.is_lower_bound else "log p"
    hint = "an exact model" if proposes_itself else "another proposal=, or an exact model"
    effective = diagnostics.ess_share[lost] * diagnostics.draws
    limit = pareto_k_threshold(diagnostics.draws)
    warn(
        f"{bound} is unreliable for {lost.sum()} of {len(lost)} rows: {diagnostics.draws} weighted "
        f"draws are worth as few as {np.nan_to_num(effective).min():.1f}, and Pareto k reaches "
        f"{diagnostics.pareto_k[lost].max():.2f} (limit {limit:.2f}); try {hint}",
    )


def unwrap_conditionals(p: NamedModel, x: np.ndarray) -> tuple[AbstractQueryable, np.ndarray]:
    """The model inside of `Conditional`s, and the rows extended by the evidence of these."""
    model = p.model
    while isinstance(model, Conditional):
        evidence = np.where(model.observed, model.given, np.nan)
        full_rows = np.tile(evidence.astype(np.float64), (len(x), 1))
        keep = list(model.keep)
        full_rows[:, keep] = np.where(np.isnan(evidence[keep]), x, evidence[keep])
        model, x = model.model, full_rows
    return model, x
