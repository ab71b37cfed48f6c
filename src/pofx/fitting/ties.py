"""Exact relations and bijections between columns that draws of a fitted model must obey."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core.abstract import AbstractQueryable
from pofx.core.errors import warn
from pofx.core.rows import make_rows
from pofx.models.conditional import condition
from pofx.queries import imputation
from pofx.queries.structure import may_depend
from pofx.table.bijections import Bijection
from pofx.table.bijections import find as find_bijections
from pofx.table.relations import Relation
from pofx.table.relations import find as find_relations
from pofx.table.schema import Schema, Variable

CHECKED_DRAWS = 200
"""Draws on which it is checked whether a model nearly obeys a relation."""
MIN_OBEYING_SHARE = 0.9
"""The share of these draws that must nearly obey it."""
MAX_ERROR_RANGE_SHARE = 0.03
"""A draw nearly obeys a relation up to this share of the target's interquartile range,"""
MAX_ERROR_ROUNDING_STEPS = 3.0
"""or up to so many steps of rounding,"""
MAX_ROUNDING_RANGE_SHARE = 0.25
"""if these are within this share of the interquartile range."""


class Ties(NamedTuple):
    """What all rows of a table obey exactly."""

    relations: tuple[Relation, ...] = ()
    bijections: tuple[Bijection, ...] = ()


def ties(
    schema: Schema, x: Float[np.ndarray, "n d"], model: AbstractQueryable, key: PRNGKeyArray
) -> Ties:
    """The relations and bijections that all rows obey, between columns that the model relates.

    For a model of independent columns there are none. Warns about columns if draws of the model are
    not even near to their ties.

    Args:
        schema: of the columns.
        x: entries of the rows.
        model: the fitted model.
        key: of its draws.
    """
    numbers = {v.name: _values(schema, v, x) for v in schema.variables if v.numeric}
    codes = {v.name: _codes(schema, v, x) for v in schema.variables if v.discrete and not v.shape}
    relations = find_relations(list(numbers), _as_matrix(numbers, len(x)))
    bijections = find_bijections(list(codes), _as_matrix(codes, len(x)))
    relations = tuple(r for r in relations if _relates(model, schema, r.names))
    bijections = tuple(b for b in bijections if _relates(model, schema, b.names))
    if relations or bijections:
        draws = _draws(
            key, model, schema, {n for tie in (*relations, *bijections) for n in tie.names}
        )
        loose = [r.target for r in relations if not _obey_relation(r, schema, x, draws)]
        loose += [b.names[-1] for b in bijections if not _obey_bijection(b, schema, draws)]
        if loose:
            warn(
                f"columns {', '.join(map(repr, dict.fromkeys(loose)))} follow from others in every "
                "row; draws and imputations keep this, but in this model's probabilities it holds "
                "only roughly; drop these columns, or try model='correlated' or 'chow_liu_tree'"
            )
    return Ties(relations, bijections)


def _draws(
    key: PRNGKeyArray, model: AbstractQueryable, schema: Schema, names: Collection[str]
) -> Float[np.ndarray, "m d"]:
    """Draws of these columns, NaN in the others: a marginal has less to compile than the joint."""
    keep = np.zeros(schema.size, bool)
    for name in names:
        keep[schema.slices[name]] = True
    marginal = condition(model, np.zeros(schema.size), np.zeros(schema.size, bool), keep)
    draws = np.full((CHECKED_DRAWS, schema.size), np.nan)
    empty_rows = make_rows(np.full((CHECKED_DRAWS, keep.sum()), np.nan))
    draws[:, keep] = imputation.draw_missing(key, marginal, empty_rows)
    return draws


def _relates(model: AbstractQueryable, schema: Schema, names: Sequence[str]) -> bool:
    """Whether each of these columns may depend on the others of these."""
    masks = [np.arange(schema.size) == schema.slices[n].start for n in names]
    others = [np.any([m for m in masks if m is not mask], axis=0) for mask in masks]
    return all(map(partial(may_depend, model), masks, others))


def _obey_relation(
    relation: Relation,
    schema: Schema,
    x: Float[np.ndarray, "n d"],
    draws: Float[np.ndarray, "m d"],
) -> bool:
    """Whether draws obey the relation, up to the noise that a density has."""
    target = _values(schema, schema.variable(relation.target), x)
    low, high = np.nanquantile(target, (0.25, 0.75))
    spread = high - low
    terms = zip(relation.names, (1.0, *relation.coefficients))
    steps = np.linalg.norm([c * schema.variable(n).resolution for n, c in terms])
    rounding = min(MAX_ERROR_ROUNDING_STEPS * float(steps), MAX_ROUNDING_RANGE_SHARE * spread)
    tolerance = max(MAX_ERROR_RANGE_SHARE * spread, rounding)
    values = {n: _values(schema, schema.variable(n), draws) for n in relation.names}
    error = np.abs(values[relation.target] - relation.implied_target(values))
    return bool((error <= tolerance).mean() >= MIN_OBEYING_SHARE)


def _obey_bijection(bijection: Bijection, schema: Schema, draws: Float[np.ndarray, "m d"]) -> bool:
    """Whether draws obey the bijection."""
    codes = np.stack([_codes(schema, schema.variable(n), draws) for n in bijection.names], 1)
    obeys = (codes[:, None] == np.array(bijection.codes)).all(2).any(1)
    return bool(obeys.mean() >= MIN_OBEYING_SHARE)


def _codes(schema: Schema, v: Variable, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
    return x[:, schema.slices[v.name].start]


def _values(schema: Schema, v: Variable, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
    entries = _codes(schema, v, x)
    if v.discrete:
        levels = np.array([*map(float, v.levels), np.nan])
        return levels[np.where(np.isnan(entries), -1, entries).astype(int)]
    return entries * v.scale + v.shift


def _as_matrix(columns: Mapping[str, Float[np.ndarray, "n"]], n: int) -> Float[np.ndarray, "n d"]:
    return np.stack([*columns.values()], 1) if columns else np.zeros((n, 0))
