"""Discrete columns, level by level."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from pofx.core.abstract import AbstractQueryable
from pofx.core.column import Column

Columns: TypeAlias = Bool[np.ndarray, "d"]

ENUMERABLE = 2**16
"""The most joint levels of discrete columns that are summed one by one."""


def enumerate_levels(
    columns: Sequence[Column], asked: Columns, most: int = ENUMERABLE
) -> Float[np.ndarray, "n d"] | None:
    """One row for each joint level of the asked columns, or None where they are too many."""
    own = [c for c, seen in zip(columns, asked) if seen]
    if not all(c.discrete for c in own) or math.prod(c.levels for c in own) > most:
        return None
    rows = np.zeros((math.prod(c.levels for c in own), len(columns)))
    if own:
        grids = np.meshgrid(*(np.arange(c.levels) for c in own), indexing="ij")
        rows[:, asked] = np.stack([g.ravel() for g in grids], axis=1)
    return rows


def log_probs(model: AbstractQueryable, x: Float[np.ndarray, "n d"], asked: Columns) -> np.ndarray:
    """log p of all joint levels of the asked columns, in nats."""
    return np.asarray(_log_probs(model, jnp.asarray(x), jnp.asarray(asked)), np.float64)


@eqx.filter_jit
def _log_probs(model, x, asked):
    # All levels there are: what their sum differs from one is rounding.
    return jax.nn.log_softmax(jax.vmap(model.log_prob, (0, None))(x, asked))
