"""The distribution of one column, given anything: its mean, variance, quantiles, probabilities.

Closed where the model has a rule for it, p(x_j | x_O) = Σ_k w_k f_k(x_j), and for level codes by
Bayes' rule; else from conditional draws.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Mask, Row
from pofx.core.column import Column
from pofx.core.column_mixture import ColumnMixture
from pofx.core.rows import Rows, per_row
from pofx.queries import imputation

DRAWS = 256


class Summary(NamedTuple):
    """Of p(x_j | x_O), row by row: its mean and variance, and quantiles at the levels asked for.

    `stderr` is that of the mean: 0 where the distribution is closed.
    """

    mean: Float[np.ndarray, "n"]
    variance: Float[np.ndarray, "n"]
    quantiles: Float[np.ndarray, "n u"]
    stderr: Float[np.ndarray, "n"]


def closed(model: AbstractQueryable, column: Column, j: int) -> bool:
    """Whether p(x_j | x_O) of a continuous column, the entry j, is known in closed form."""
    if column.discrete or closed_forms.conditional_column.find(model) is None:
        return False
    x = jnp.zeros(model.size)
    # Traced, not computed: a rule may say only then that one of its parts has none.
    found = eqx.filter_eval_shape(lambda m: atoms(m, x, x > 0, j), model)
    return found is not None


def atoms(model: AbstractQueryable, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    """p(x_j | x_O) by the model's rule; None where it has none."""
    rule = closed_forms.conditional_column.find(model)
    return rule(model, jnp.where(observed, x, 0), observed.at[j].set(False), j) if rule else None


def summary(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    rows: Rows,
    column: Column,
    j: int,
    levels: Sequence[float] = (),
    draws: int = DRAWS,
) -> Summary:
    """What p(x_j | x_O) is like in each row, whatever the row's own cell j holds."""
    if closed(model, column, j):
        found = per_row(_Closed(column, j, tuple(levels)), model, rows)
        mean, variance, quantiles = found
        return Summary(mean, variance, quantiles, np.zeros(rows.count))
    rows = eqx.tree_at(lambda r: r.observed, rows, rows.observed.at[..., j].set(False))
    values = np.stack(
        [imputation.draw_missing(k, model, rows)[:, j] for k in jax.random.split(key, draws)], 1
    ).astype(np.float64)
    variance = values.var(1, ddof=1)
    quantiles = np.quantile(values, levels, axis=1).T
    return Summary(values.mean(1), variance, quantiles, np.sqrt(variance / draws))


class _Closed(eqx.Module):
    column: Column = eqx.field(static=True)
    j: int = eqx.field(static=True)
    levels: tuple[float, ...] = eqx.field(static=True)

    def __call__(
        self, model: AbstractQueryable, x: Row, observed: Mask
    ) -> tuple[Array, Array, Array]:
        own = atoms(model, x, observed, self.j)
        assert own is not None
        levels = np.array(self.levels, np.float64)
        # In the model's float type a level near one has no digits left, and its complement has.
        u, above = jnp.asarray(levels, x.dtype), jnp.asarray(1 - levels, x.dtype)
        quantiles = jax.vmap(lambda u, above: own.quantile(u, self.column, above))(u, above)
        return own.mean(), own.variance(), quantiles
