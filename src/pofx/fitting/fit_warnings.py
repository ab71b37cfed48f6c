"""Warnings about a fitted model."""

from collections.abc import Sequence
from typing import Any

from pofx.core.errors import warn
from pofx.models.correlated import is_number
from pofx.models.gaussian import columns_at_floor
from pofx.table.relations import Relation
from pofx.table.schema import Schema


def warn_about_variance_floors(model: Any, schema: Schema, relations: Sequence[Relation]) -> None:
    """Warns about columns that determine each other more closely than a covariance can express.

    Args:
        model: the fitted model.
        schema: of its columns.
        relations: exact relations between columns, which need no warning.
    """
    at_floor = columns_at_floor(model)
    if at_floor is None:
        return
    numbers = [c for c in schema.columns if is_number(c)]
    related = {name for relation in relations for name in relation.names}
    tight = [c.variable for c, is_tight in zip(numbers, at_floor) if is_tight]
    names = [name for name in tight if name not in related]
    if names and len(at_floor) == len(numbers):
        warn(
            f"columns {', '.join(map(repr, names))}: others determine them more closely than this "
            "model can express, so their spread given the others is too large; "
            "model a difference instead"
        )
