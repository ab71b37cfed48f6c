"""Warnings about a fitted model."""

from collections.abc import Sequence
from typing import Any

from pofx.core.errors import warn
from pofx.models.correlated import is_number
from pofx.models.gaussian import columns_at_floor
from pofx.table.relations import Relation
from pofx.table.schema import Schema


def warn_about_variance_floors(model: Any, schema: Schema, relations: Sequence[Relation]) -> None:
    """Warns of columns that determine each other more closely than a covariance can hold."""
    tight = columns_at_floor(model)
    if tight is None:
        return
    numbers = [c for c in schema.columns if is_number(c)]
    exact = {name for relation in relations for name in relation.names}
    names = [c.variable for c, t in zip(numbers, tight) if t and c.variable not in exact]
    if names and len(tight) == len(numbers):
        warn(
            f"columns {', '.join(map(repr, names))}: others determine them more closely than this "
            "model holds, so their spread given the others is too large; model a difference instead"
        )
