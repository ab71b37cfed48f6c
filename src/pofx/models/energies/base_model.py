"""The reference of an energy: a tractable model that is fitted first and then tilted."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import AbstractEMModel, AbstractTractable
from pofx.core.column import Column
from pofx.core.compilation import compiled
from pofx.core.registry import class_by_name
from pofx.core.rows import Rows

MAX_EM_STEPS = 50
MAX_COMPONENTS = 8
"""Gaussians in the default reference of real columns."""
ROWS_PER_COLUMN = 20
"""Rows per column that each of these Gaussians needs."""


def fit_reference(
    key: PRNGKeyArray, rows: Rows, columns: Sequence[Column], name: str
) -> AbstractEMModel:
    """The reference model, learned in closed form or by a few steps of EM.

    Args:
        name: a model; empty for a mixture of Gaussians if all columns are real and without point
            masses, else for a Chow-Liu tree.
    """
    options: dict[str, Any] = {}
    if not name and smooth_real_columns(columns) == tuple(range(len(columns))):
        name = "mixture"
        count = rows.count // (ROWS_PER_COLUMN * len(columns))
        components = int(np.clip(count, 1, MAX_COMPONENTS))
        options = {"components": components, "part": "gaussian"}
    cls = class_by_name("pofx.models", AbstractEMModel, "reference", name or "chow_liu_tree")
    model = cls.from_data(key, rows, columns, **options)
    before = -np.inf
    for _ in range(MAX_EM_STEPS):
        updated, mean = _em_step(model, rows)
        if not float(mean) - before > 1e-3:
            break
        model, before = updated, float(mean)
    return model


def smooth_real_columns(columns: Sequence[Column]) -> tuple[int, ...]:
    """The real columns without point masses; the density has a gradient in these."""
    return tuple(j for j, c in enumerate(columns) if c.kind == "real" and not c.spikes)


@compiled
def draw_rows(model: AbstractTractable, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
    """n draws from a model."""
    return jax.vmap(model.sample)(jax.random.split(key, n))


@compiled
def _em_step(model: Any, rows: Rows) -> tuple[Any, Float[Array, ""]]:
    """The model after a step of EM, and its mean log-likelihood before, in nats per row."""
    statistics, total = rows.sum(model.expected_statistics)
    return model.m_step(statistics), total / rows.total
