"""The conditional distribution of one column for each row: mean, variance and quantiles.

It is a mixture in closed form, p(x_j | x_O) = Σ_k w_k f_k(x_j), if the model has a rule for it;
else it is known from conditional draws.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms, host_keys
from pofx.core.abstract import AbstractQueryable, Mask, Row
from pofx.core.column import Column
from pofx.core.column_mixture import ColumnMixture
from pofx.core.compilation import compiled_quickly
from pofx.core.rows import Rows, per_row
from pofx.queries import imputation

DEFAULT_DRAWS = 256


class ConditionalSummary(NamedTuple):
    """Mean, variance and quantiles of p(x_j | x_O) for each row.

    `stderr` is the standard error of the mean, 0 if the distribution is closed.
    """

    mean: Float[np.ndarray, "n"]
    variance: Float[np.ndarray, "n"]
    quantiles: Float[np.ndarray, "n u"]
    stderr: Float[np.ndarray, "n"]


def has_closed_conditional(model: AbstractQueryable, column: Column, j: int) -> bool:
    """Whether p(x_j | x_O) of the entry j is closed; False for a discrete column."""
    if column.discrete or closed_forms.conditional_column.find(model) is None:
        return False
    return _has_mixture(model, np.zeros(model.size), np.zeros(model.size, bool), j)


@compiled_quickly
def _has_mixture(model: AbstractQueryable, x: Row, observed: Mask, j: int) -> bool:
    # Some rules return None only when they are called.
    return conditional_mixture(model, x, observed, j) is not None


def conditional_mixture(
    model: AbstractQueryable, x: Row, observed: Mask, j: int
) -> ColumnMixture | None:
    """p(x_j | x_O) by the rule of the model; None if there is no rule.

    Args:
        model: the model.
        x: a row.
        observed: the mask of O, in which the entry j is ignored.
        j: number of the entry.
    """
    rule = closed_forms.conditional_column.find(model)
    return rule(model, jnp.where(observed, x, 0), observed.at[j].set(False), j) if rule else None


def summarise_conditionals(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    rows: Rows,
    column: Column,
    j: int,
    levels: Sequence[float] = (),
    draws: int = DEFAULT_DRAWS,
) -> ConditionalSummary:
    """Mean, variance and quantiles of p(x_j | x_O) for each row.

    Args:
        key: seed of the draws.
        model: the model.
        rows: rows with the evidence x_O; the entry j is ignored.
        column: the column of the entry.
        j: number of the entry.
        levels: levels of the quantiles, between 0 and 1.
        draws: conditional draws per row, if the distribution is not closed.
    """
    if has_closed_conditional(model, column, j):
        query = _ClosedSummary(column, j, tuple(levels))
        mean, variance, quantiles = per_row(query, model, rows)
        return ConditionalSummary(mean, variance, quantiles, np.zeros(rows.count))
    rows = eqx.tree_at(lambda r: r.observed, rows, rows.observed.at[..., j].set(False))
    values = np.stack(
        [imputation.draw_missing(k, model, rows)[:, j] for k in host_keys.split(key, draws)], 1
    ).astype(np.float64)
    variance = values.var(1, ddof=1)
    quantiles = np.quantile(values, levels, axis=1).T
    return ConditionalSummary(values.mean(1), variance, quantiles, np.sqrt(variance / draws))


class _ClosedSummary(eqx.Module):
    column: Column = eqx.field(static=True)
    j: int = eqx.field(static=True)
    levels: tuple[float, ...] = eqx.field(static=True)

    def __call__(
        self, model: AbstractQueryable, x: Row, observed: Mask
    ) -> tuple[Array, Array, Array]:
        mixture = conditional_mixture(model, x, observed, self.j)
        assert mixture is not None
        levels = np.array(self.levels, np.float64)
        # In the float type of the model, a level near one has no digits left, unlike its
        # complement.
        u = jnp.asarray(levels, x.dtype)
        above = jnp.asarray(1 - levels, x.dtype)
        quantiles = jax.vmap(lambda u, above: mixture.quantile(u, self.column, above))(u, above)
        return mixture.mean(), mixture.variance(), quantiles
