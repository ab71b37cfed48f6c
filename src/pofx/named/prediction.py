"""Predictive distributions of one column given the other cells of each row."""

from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.errors import PofxError, warn
from pofx.core.float_width import in_model_width
from pofx.core.rows import make_rows
from pofx.named.latent import number_table
from pofx.named.model import NamedModel, check_positive_int
from pofx.named.random_keys import key_of
from pofx.named.rows import discrete_variable, encode_inputs, entry_index, number_variable
from pofx.named.weight_warnings import warn_if_unreliable
from pofx.queries import bayes, imputation, row_conditionals
from pofx.table.encoding import Unseen, exact_dtype, in_data_units
from pofx.table.schema import Variable


@in_model_width
def predict_proba(p: NamedModel, data: Any, target: str, unseen: Unseen) -> Any:
    """p(target | the other cells) of each row, one column per level."""
    variable = discrete_variable(p, target)
    probabilities = posterior(p, data, target, unseen)
    if p.schema.container in ("numpy", "vector"):
        return probabilities
    return number_table(p, [str(level) for level in variable.levels], probabilities, data)


@in_model_width
def interval(
    p: NamedModel, data: Any, target: str, level: float, unseen: Unseen, draws: int, seed: int
) -> Any:
    """The central interval of a number given the other cells: columns low and high."""
    variable = number_variable(p, target)
    if not 0 < level < 1:
        raise PofxError(f"level: expected a probability between 0 and 1, got {level!r}")
    ends = ((1 - level) / 2, (1 + level) / 2)
    quantiles = conditional_summary(p, data, target, unseen, ends, draws, seed).quantiles
    dtype = variable.dtype if variable.time_kind else exact_dtype(variable) or "float64"
    unit = replace(Variable("", "real", dtype=dtype), shift=variable.shift, scale=variable.scale)
    return number_table(p, ["low", "high"], quantiles, data, unit)


def posterior(p: NamedModel, data: Any, target: str, unseen: Unseen) -> np.ndarray:
    """p(target | the other cells) of each row as an array (n, levels)."""
    num_levels = len(discrete_variable(p, target).levels)
    x, index = encode_inputs(p, data, target, unseen), entry_index(p, target)
    # The target needs no draws, because the probability of each of its levels is computed.
    warn_if_unreliable(p, np.where(np.arange(x.shape[1]) == index, 0, x))
    probabilities = bayes.posterior(p.model, make_rows(x), index, num_levels)
    impossible = np.flatnonzero(np.isnan(probabilities).any(1))
    if len(impossible):
        warn(
            f"{len(impossible)} rows (the first is row {impossible[0]}, counted from 0) have "
            f"probability zero whatever {target!r} is; their posterior is NaN, their prediction "
            "arbitrary",
        )
    return probabilities


def conditional_summary(
    p: NamedModel,
    data: Any,
    target: str,
    unseen: Unseen,
    levels: tuple[float, ...],
    draws: int,
    seed: int,
) -> row_conditionals.ConditionalSummary:
    """Mean, variance and quantiles of p(target | the other cells) of each row, in entry units."""
    x, index = encode_inputs(p, data, target, unseen), entry_index(p, target)
    warn_if_unreliable(p, x)
    column = p.entries.columns[index]
    key = key_of(seed)
    return row_conditionals.summarise_conditionals(
        key, p.model, make_rows(x), column, index, levels, draws
    )


def predict_array(
    p: NamedModel, data: Any, target: str, unseen: Unseen, draws: int, seed: int
) -> np.ndarray:
    """The conditional mean of an array, or the most probable level of each of its entries."""
    check_positive_int("draws", draws)
    variable = p.schema.variable(target)
    x = encode_inputs(p, data, target, unseen)
    warn_if_unreliable(p, x)
    means = imputation.conditional_means(
        key_of(seed), p.model, make_rows(x), p.entries.columns, draws
    )
    entries = p.entries.with_fixed(means)[:, p.schema.slices[target]]
    return in_data_units(variable, entries).reshape(-1, *variable.shape)
