"""Enumeration of the joint levels of discrete columns."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from pofx.core.abstract import AbstractQueryable
from pofx.core.column import Column
from pofx.core.compilation import compiled_quickly

ColumnMask: TypeAlias = Bool[np.ndarray, "d"]

MAX_ENUMERATED_LEVELS = 2**16
"""Largest number of joint levels that are summed one by one."""


def enumerate_levels(
    columns: Sequence[Column], mask: ColumnMask, max_levels: int = MAX_ENUMERATED_LEVELS
) -> Float[np.ndarray, "n d"] | None:
    """One row for each joint level of the columns of the mask, other entries 0.

    Returns None if one of these columns is not discrete, or if there are more than `max_levels`.
    """
    masked = [c for c, is_masked in zip(columns, mask) if is_masked]
    if not all(c.discrete for c in masked) or math.prod(c.levels for c in masked) > max_levels:
        return None
    rows = np.zeros((math.prod(c.levels for c in masked), len(columns)))
    if masked:
        grids = np.meshgrid(*(np.arange(c.levels) for c in masked), indexing="ij")
        rows[:, mask] = np.stack([g.ravel() for g in grids], axis=1)
    return rows


def log_probs(
    model: AbstractQueryable, x: Float[np.ndarray, "n d"], mask: ColumnMask
) -> np.ndarray:
    """log p of all joint levels of the columns of the mask, in nats.

    Args:
        model: the model.
        x: all joint levels, as from `enumerate_levels`.
        mask: the columns.
    """
    # Padded to 16, 64, 256, ... rows, because each number of rows is compiled.
    count = 4 ** max(2, -(-(len(x) - 1).bit_length() // 2))
    padded = np.pad(x, ((0, count - len(x)), (0, 0)))
    is_row = np.arange(count) < len(x)
    return np.asarray(_log_probs(model, padded, is_row, np.asarray(mask)), np.float64)[: len(x)]


@compiled_quickly
def _log_probs(model, x, is_row, mask):
    log_probs = jnp.where(is_row, jax.vmap(model.log_prob, (0, None))(x, mask), -jnp.inf)
    # These are all levels, so a sum other than one is due to rounding, which is normalised away.
    return jax.nn.log_softmax(log_probs)
