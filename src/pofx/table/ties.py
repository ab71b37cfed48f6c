"""Which exact relations of a table its model ties, so that draws may obey them to the digit."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core.distribution import Queryable
from pofx.core.rows import rows
from pofx.queries import missing
from pofx.table.relations import Relation, find
from pofx.table.schema import Schema, Variable

DRAWS, SHARE = 200, 0.9
"""Draws by which a model is judged, and the share of them that must nearly obey a relation."""
NOISE, ROUNDS, WIDE = 0.03, 3.0, 0.25
"""What counts as nearly: a share of the target's interquartile range, or some steps of rounding
within a larger share of that range."""


def ties(
    schema: Schema, x: Float[np.ndarray, "n d"], model: Queryable, key: PRNGKeyArray
) -> tuple[Relation, ...]:
    """The relations that all rows obey exactly, and draws of the model but for a density's noise.

    A model of independent columns ties none: it is not made to say what it does not.
    """
    some = [v for v in schema.variables if not (v.discrete or v.shape)]
    if len(some) < 2:
        return ()
    relations = find([v.name for v in some], np.stack([_values(schema, v, x) for v in some], 1))
    if not relations:
        return ()
    draws = missing.complete(key, model, rows(np.full((DRAWS, schema.size), np.nan)))
    drawn = {v.name: _values(schema, v, draws) for v in some}
    return tuple(r for r in relations if _tied(r, schema, x, drawn))


def _tied(
    relation: Relation,
    schema: Schema,
    x: Float[np.ndarray, "n d"],
    drawn: Mapping[str, Float[np.ndarray, "m"]],
) -> bool:
    target = _values(schema, schema.variable(relation.target), x)
    low, high = np.nanquantile(target, (0.25, 0.75))
    spread = high - low
    terms = zip(relation.names, (1.0, *relation.coefficients))
    steps = np.linalg.norm([c * schema.variable(n).resolution for n, c in terms])
    near = max(NOISE * spread, min(ROUNDS * float(steps), WIDE * spread))
    off = np.abs(drawn[relation.target] - relation.implied(drawn))
    return bool((off <= near).mean() >= SHARE)


def _values(schema: Schema, v: Variable, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
    return x[:, schema.slices[v.name].start] * v.scale + v.shift
