"""Missing entries: draws from p(x_M | x_O), and the best single guess."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core.distribution import Tractable
from pofx.core.rows import Rows, per_row
from pofx.core.rows import rows as make_rows
from pofx.core.variables import Column
from pofx.queries.bayes import posterior


def complete(key: PRNGKeyArray, model: Tractable, rows: Rows) -> Float[np.ndarray, "n d"]:
    """Each row with its missing entries drawn from p(x_M | x_O)."""
    # A row's draw follows from its number, wherever the grouping by patterns put it.
    keys = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (None, 0))(key, rows.index)
    return per_row(_sample, model, rows, keys)


def expect(
    key: PRNGKeyArray, model: Tractable, rows: Rows, columns: Sequence[Column], draws: int = 100
) -> Float[np.ndarray, "n d"]:
    """Each row with its missing entries at their conditional mean, or most probable level.

    A mean is taken over `draws` conditional draws; a level's probability is exact.
    """
    x, observed, _ = rows.flat()
    discrete = np.array([c.discrete for c in columns])
    out = x.astype(np.float64)
    if (~observed[:, ~discrete]).any():
        total = sum(complete(k, model, rows) for k in jax.random.split(key, draws))
        out = np.where(observed, x, total / draws)
    for j, column in enumerate(columns):
        own = np.flatnonzero(~observed[:, j])
        if column.discrete and len(own):
            some = make_rows(x[own], observed[own])
            out[own, j] = np.nan_to_num(posterior(model, some, j, column.levels)).argmax(1)
    return out


def _sample(model, x, observed, key):
    return model.sample(key, x, observed)
