"""Warnings for answers that rest on few of their weighted draws."""

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
"""One row in so many may have worse weights than its draws can be trusted with."""
MAX_CHECKED_ROWS = 256
"""Rows whose weighted draws are checked before they are used."""
CHECKED_DRAWS = 64
"""Draws of the model that are checked if an answer averages over them."""


def warn_if_unreliable(p: NamedModel, x: np.ndarray, single_draws: bool = True) -> None:
    """Warns if the weighted draws behind the answers for such rows are worth little."""
    model, full_rows = unwrap_conditionals(p, x)
    if not isinstance(model, AbstractImportanceSampled):
        return
    missing = np.isnan(full_rows)
    # Given nothing a model draws by itself, and given all there is nothing to draw.
    weighted = full_rows[missing.any(1) & ~missing.all(1)][:MAX_CHECKED_ROWS]
    if len(weighted):
        diagnostics = weight_diagnostics.reliability(model, make_rows(weighted))
        warn_of_weights(p, diagnostics, single_draws)


def warn_if_draws_unreliable(p: NamedModel, *masks: np.ndarray) -> None:
    """Warns likewise if log p of the entries of a mask is averaged over draws of the model."""
    if not isinstance(
        unwrap_conditionals(p, np.zeros((0, p.model.size)))[0], AbstractImportanceSampled
    ):
        return
    nothing = make_rows(np.full((CHECKED_DRAWS, p.model.size), np.nan))
    draws = imputation.draw_missing(key_of(0), p.model, nothing)
    # For an average it does not matter if one of the draws rests on a single weight.
    x = np.vstack([np.where(mask, draws, np.nan) for mask in masks])
    warn_if_unreliable(p, x, single_draws=False)


def warn_of_weights(
    p: NamedModel, diagnostics: weight_diagnostics.WeightDiagnostics, single_draws: bool = True
) -> None:
    """Warns if too many rows, or with `single_draws` any row that rests on one draw, are lost."""
    lost = diagnostics.lost
    # The shape of a tail has noise of its own: few rows beyond it say nothing.
    many_lost = lost.sum() > len(lost) / ROWS_PER_UNRELIABLE
    if not many_lost and not (single_draws and diagnostics.alone.any()):
        return
    model, _ = unwrap_conditionals(p, np.zeros((0, p.model.size)))
    proposes_itself = (
        isinstance(model, AbstractImportanceSampled) and not model.model.needs_proposal
    )
    bound = "a bound on log p" if diagnostics.is_lower_bound else "log p"
    hint = "an exact model" if proposes_itself else "another proposal=, or an exact model"
    effective = diagnostics.effective[lost] * diagnostics.draws
    limit = pareto_k_threshold(diagnostics.draws)
    warn(
        f"{bound} is unreliable for {lost.sum()} of {len(lost)} rows: {diagnostics.draws} weighted "
        f"draws are worth as few as {np.nan_to_num(effective).min():.1f}, and Pareto k reaches "
        f"{diagnostics.k[lost].max():.2f} (limit {limit:.2f}); try {hint}",
    )


def unwrap_conditionals(p: NamedModel, x: np.ndarray) -> tuple[AbstractQueryable, np.ndarray]:
    """The model within `Conditional`s, and its rows, which hold the evidence of these too."""
    model = p.model
    while isinstance(model, Conditional):
        evidence = np.where(model.observed, model.given, np.nan)
        full_rows = np.tile(evidence.astype(np.float64), (len(x), 1))
        full_rows[:, list(model.keep)] = x
        model, x = model.model, full_rows
    return model, x
