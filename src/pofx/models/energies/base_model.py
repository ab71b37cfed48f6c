"""The tractable model that an energy tilts, learned from the rows before the energy is."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import AbstractEMModel, AbstractTractable
from pofx.core.column import Column
from pofx.core.registry import class_by_name
from pofx.core.rows import Rows

ROUNDS = 50
"""The most steps of EM by which it is learned."""
COMPONENTS, ROWS = 8, 20
"""The most Gaussians of it, and the rows and columns that each wants."""


def reference(
    key: PRNGKeyArray, rows: Rows, columns: Sequence[Column], name: str
) -> AbstractEMModel:
    """The model of that name, learned in closed form or by a few steps of EM.

    Without a name a mixture of Gaussians for real columns, else a Chow-Liu tree.
    """
    options: dict[str, Any] = {}
    if not name and smooth_real_columns(columns) == tuple(range(len(columns))):
        name = "mixture"
        most = int(np.clip(rows.count // (ROWS * len(columns)), 1, COMPONENTS))
        options = {"components": most, "part": "gaussian"}
    cls = class_by_name("pofx.models", AbstractEMModel, "reference", name or "chow_liu_tree")
    model, before = cls.from_data(key, rows, columns, **options), -np.inf
    for _ in range(ROUNDS):
        better, value = _improved(model, rows)
        if not value - before > 1e-3 * float(rows.total):
            break
        model, before = better, float(value)
    return model


def smooth_real_columns(columns: Sequence[Column]) -> tuple[int, ...]:
    """The real columns without point masses, which have slopes to follow."""
    return tuple(j for j, c in enumerate(columns) if c.kind == "real" and not c.spikes)


@eqx.filter_jit
def draw_rows(model: AbstractTractable, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
    """n rows of it."""
    return jax.vmap(model.sample)(jax.random.split(key, n))


@eqx.filter_jit
def _improved(model: Any, rows: Rows) -> tuple[Any, Float[Array, ""]]:
    statistics, value = rows.sum(model.expected_statistics)
    return model.m_step(statistics), value
