"""Missing entries: draws from p(x_M | x_O), and the best single guess."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core.distribution import Tractable
from pofx.core.rows import Rows, per_row
from pofx.core.variables import Column


def complete(key: PRNGKeyArray, model: Tractable, rows: Rows) -> Float[np.ndarray, "n d"]:
    """Each row with its missing entries drawn from p(x_M | x_O)."""
    # A row's draw follows from its number, wherever the grouping by patterns put it.
    keys = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (None, 0))(key, rows.index)
    return per_row(_sample, model, rows, keys)


def expect(
    key: PRNGKeyArray, model: Tractable, rows: Rows, columns: Sequence[Column], draws: int = 100
) -> Float[np.ndarray, "n d"]:
    """Each row with its missing entries at their conditional mean, or most probable level.

    Both are taken over `draws` conditional draws.
    """
    discrete = np.array([c.discrete for c in columns])
    levels = max([c.levels for c in columns if c.discrete], default=0)
    total = np.zeros((rows.count, len(columns)))
    votes = np.zeros((rows.count, int(discrete.sum()), levels), np.int32)
    for k in jax.random.split(key, draws):
        x = complete(k, model, rows)
        total += x
        votes += x[:, discrete, None] == np.arange(levels)
    out = total / draws
    out[:, discrete] = votes.argmax(-1) if levels else 0
    x, observed, _ = rows.flat()
    return np.where(observed, x, out)


def _sample(model, x, observed, key):
    return model.sample(key, x, observed)
