"""Missing entries: draws of them, their conditional means, and the most probable completion."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core import closed_forms, host_keys
from pofx.core.abstract import AbstractQueryable
from pofx.core.column import Column
from pofx.core.compilation import compiled_quickly
from pofx.core.rows import Rows, make_rows, per_row
from pofx.queries.bayes import posterior


def draw_missing(
    key: PRNGKeyArray, model: AbstractQueryable, rows: Rows
) -> Float[np.ndarray, "n d"]:
    """Each row with its missing entries drawn from p(x_M | x_O)."""
    model = closed_forms.with_masks(model, rows.masks)
    # The key of a row follows from its number, so it does not depend on the layout in chunks.
    return per_row(_sample, (key, model), rows, rows.index)


def conditional_means(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    rows: Rows,
    columns: Sequence[Column],
    draws: int = 100,
) -> Float[np.ndarray, "n d"]:
    """Each row with its missing entries at their conditional mean, or most probable level.

    Args:
        key: seed of the draws.
        model: the model.
        rows: rows with missing entries.
        columns: the columns of the model.
        draws: draws behind a mean, if the model has no rule for it. Levels need no draws.
    """
    x, observed, _ = rows.to_arrays()
    discrete = np.array([c.discrete for c in columns])
    out = x.astype(np.float64)
    if (~observed[:, ~discrete]).any():
        means = _closed_means(model, rows)
        if means is None:
            keys = host_keys.split(key, draws)
            means = sum(draw_missing(k, model, rows) for k in keys) / draws
        out = np.where(observed, x, means)
    for j, column in enumerate(columns):
        place = np.flatnonzero(~observed[:, j])
        if column.discrete and len(place):
            incomplete = make_rows(x[place], observed[place])
            probs = np.nan_to_num(posterior(model, incomplete, j, column.levels))
            out[place, j] = probs.argmax(1)
    return out


def most_probable(
    model: AbstractQueryable, rows: Rows
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n"]] | None:
    """The most probable completion of each row, and its log p, jointly with hidden categories.

    Returns None if the model has no rule for it.
    """
    row = np.zeros(model.size)
    if not _is_closed(_most_probable, model, row, row > 0):
        return None
    return per_row(_most_probable, model, rows)


def _most_probable(model, x, observed):
    rule = closed_forms.most_probable.find(model)
    return None if rule is None else rule(model, jnp.where(observed, x, 0), observed)


def _closed_means(model: AbstractQueryable, rows: Rows) -> Float[np.ndarray, "n d"] | None:
    """E[x_M | x_O] of each row; None if it is not closed."""
    row = np.zeros(model.size)
    if not _is_closed(_expectation, model, row, row > 0):
        return None
    return per_row(_expectation, model, rows)


def _expectation(model, x, observed):
    rule = closed_forms.expectation.find(model)
    return None if rule is None else rule(model, jnp.where(observed, x, 0), observed)


@compiled_quickly
def _is_closed(f, model, x, observed) -> bool:
    # Some rules return None only when they are called.
    return f(model, x, observed) is not None


def _sample(key_and_model, x, observed, index):
    key, model = key_and_model
    return model.sample(jax.random.fold_in(key, index), x, observed)
