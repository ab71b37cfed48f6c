"""Which exact relations and bijections of a table its model relates, so that draws obey them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core.abstract import AbstractQueryable
from pofx.core.errors import warn
from pofx.core.rows import make_rows
from pofx.queries import imputation
from pofx.queries.structure import may_depend
from pofx.table.bijections import Bijection
from pofx.table.bijections import find as find_bijections
from pofx.table.relations import Relation
from pofx.table.relations import find as find_relations
from pofx.table.schema import Schema, Variable

DRAWS, SHARE = 200, 0.9
"""Draws by which a model is judged, and the share of them that must nearly obey a relation."""
NOISE, ROUNDS, WIDE = 0.03, 3.0, 0.25
"""What counts as nearly: a share of the target's interquartile range, or some steps of rounding
within a larger share of that range."""


class Ties(NamedTuple):
    """What all rows of a table obey exactly."""

    relations: tuple[Relation, ...] = ()
    bijections: tuple[Bijection, ...] = ()


def ties(
    schema: Schema, x: Float[np.ndarray, "n d"], model: AbstractQueryable, key: PRNGKeyArray
) -> Ties:
    """The relations and bijections that all rows obey, among columns that the model relates.

    A model of independent columns relates none: its draws are not made to say what it does not.
    Warns of columns whose ties the model's own draws do not come near to.
    """
    numbers = {v.name: _values(schema, v, x) for v in schema.variables if v.numeric}
    codes = {v.name: _codes(schema, v, x) for v in schema.variables if v.discrete and not v.shape}
    relations = find_relations(list(numbers), _stacked(numbers, len(x)))
    bijections = find_bijections(list(codes), _stacked(codes, len(x)))
    relations = tuple(r for r in relations if _relates(model, schema, r.names))
    bijections = tuple(b for b in bijections if _relates(model, schema, b.names))
    if relations or bijections:
        draws = imputation.draw_missing(
            key, model, make_rows(np.full((DRAWS, schema.size), np.nan))
        )
        loose = [r.target for r in relations if not _tied(r, schema, x, draws)]
        loose += [b.names[-1] for b in bijections if not _agree(b, schema, draws)]
        if loose:
            warn(
                f"columns {', '.join(map(repr, dict.fromkeys(loose)))} follow from others in every "
                "row; draws and imputations keep this, but in this model's probabilities it holds "
                "only roughly; drop these columns, or try model='correlated' or 'chow_liu_tree'"
            )
    return Ties(relations, bijections)


def _relates(model: AbstractQueryable, schema: Schema, names: Sequence[str]) -> bool:
    """Whether each of the columns may depend on the others of them."""
    masks = [np.arange(schema.size) == schema.slices[n].start for n in names]
    others = [np.any([m for m in masks if m is not mask], axis=0) for mask in masks]
    return all(map(partial(may_depend, model), masks, others))


def _tied(
    relation: Relation,
    schema: Schema,
    x: Float[np.ndarray, "n d"],
    draws: Float[np.ndarray, "m d"],
) -> bool:
    """Whether draws obey the relation but for a density's noise."""
    target = _values(schema, schema.variable(relation.target), x)
    low, high = np.nanquantile(target, (0.25, 0.75))
    spread = high - low
    terms = zip(relation.names, (1.0, *relation.coefficients))
    steps = np.linalg.norm([c * schema.variable(n).resolution for n, c in terms])
    near = max(NOISE * spread, min(ROUNDS * float(steps), WIDE * spread))
    drawn = {n: _values(schema, schema.variable(n), draws) for n in relation.names}
    off = np.abs(drawn[relation.target] - relation.implied_target(drawn))
    return bool((off <= near).mean() >= SHARE)


def _agree(bijection: Bijection, schema: Schema, draws: Float[np.ndarray, "m d"]) -> bool:
    """Whether draws obey the bijection."""
    codes = np.stack([_codes(schema, schema.variable(n), draws) for n in bijection.names], 1)
    agree = (codes[:, None] == np.array(bijection.codes)).all(2).any(1)
    return bool(agree.mean() >= SHARE)


def _codes(schema: Schema, v: Variable, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
    return x[:, schema.slices[v.name].start]


def _values(schema: Schema, v: Variable, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
    entries = _codes(schema, v, x)
    if v.discrete:
        levels = np.array([*map(float, v.levels), np.nan])
        return levels[np.where(np.isnan(entries), -1, entries).astype(int)]
    return entries * v.scale + v.shift


def _stacked(columns: Mapping[str, Float[np.ndarray, "n"]], n: int) -> Float[np.ndarray, "n d"]:
    return np.stack([*columns.values()], 1) if columns else np.zeros((n, 0))
