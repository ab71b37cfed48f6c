"""Missing entries: draws from p(x_M | x_O), and the best single guess."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable
from pofx.core.column import Column
from pofx.core.rows import Rows, make_rows, per_row
from pofx.queries.bayes import posterior


def draw_missing(
    key: PRNGKeyArray, model: AbstractQueryable, rows: Rows
) -> Float[np.ndarray, "n d"]:
    """Each row with its missing entries drawn from p(x_M | x_O)."""
    # A row's draw follows from its number, wherever the grouping by patterns put it.
    keys = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (None, 0))(key, rows.index)
    return per_row(_sample, model, rows, keys)


def conditional_means(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    rows: Rows,
    columns: Sequence[Column],
    draws: int = 100,
) -> Float[np.ndarray, "n d"]:
    """Each row with its missing entries at their conditional mean, or most probable level.

    A mean is exact where the model has a rule for it, else taken over `draws` conditional draws; a
    level's probability is exact.
    """
    x, observed, _ = rows.to_arrays()
    discrete = np.array([c.discrete for c in columns])
    out = x.astype(np.float64)
    if (~observed[:, ~discrete]).any():
        means = _means(model, rows)
        if means is None:
            keys = jax.random.split(key, draws)
            means = sum(draw_missing(k, model, rows) for k in keys) / draws
        out = np.where(observed, x, means)
    for j, column in enumerate(columns):
        own = np.flatnonzero(~observed[:, j])
        if column.discrete and len(own):
            some = make_rows(x[own], observed[own])
            out[own, j] = np.nan_to_num(posterior(model, some, j, column.levels)).argmax(1)
    return out


def most_probable(
    model: AbstractQueryable, rows: Rows
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n"]] | None:
    """Each row at its most probable completion, and log p of that, with the hidden categories.

    None where the model knows none.
    """
    rule, row = closed_forms.most_probable.find(model), jnp.zeros(model.size)
    if rule is None or eqx.filter_eval_shape(rule, model, row, row > 0) is None:
        return None
    return per_row(_completion, model, rows)


def _completion(model, x, observed):
    rule = closed_forms.most_probable.find(model)
    return None if rule is None else rule(model, jnp.where(observed, x, 0), observed)


def _means(model: AbstractQueryable, rows: Rows) -> Float[np.ndarray, "n d"] | None:
    """E[x_M | x_O] of each row where it is closed."""
    rule, row = closed_forms.expectation.find(model), jnp.zeros(model.size)
    # Traced, not computed: a rule may say only then that one of its parts has none.
    if rule is None or eqx.filter_eval_shape(rule, model, row, row > 0) is None:
        return None
    return per_row(_expectation, model, rows)


def _expectation(model, x, observed):
    rule = closed_forms.expectation.find(model)
    return None if rule is None else rule(model, jnp.where(observed, x, 0), observed)


def _sample(model, x, observed, key):
    return model.sample(key, x, observed)
