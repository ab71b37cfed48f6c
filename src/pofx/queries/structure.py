"""Independence of columns by the structure of a model alone, before any number is computed."""

import numpy as np
from jaxtyping import Bool, Int

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable


def may_depend(
    model: AbstractQueryable, a: Bool[np.ndarray, "d"], b: Bool[np.ndarray, "d"]
) -> bool:
    """Whether the columns of the mask a may depend on those of b, by the structure of the model.

    >>> import jax
    >>> from pofx.models.independent import Independent
    >>> p = Independent.example(jax.random.key(0)).model
    >>> may_depend(p, np.arange(4) == 0, np.arange(4) > 0)
    False
    """
    return not independent_columns(model, b)[a].all()


def independent_columns(
    model: AbstractQueryable, b: Bool[np.ndarray, "d"]
) -> Bool[np.ndarray, "d"]:
    """A mask of the columns that are independent of those of the mask b."""
    groups = _column_groups(model)
    return ~np.isin(groups, groups[b])


def columns_without_evidence(
    model: AbstractQueryable, missing: Bool[np.ndarray, "d"], observed: Bool[np.ndarray, "d"]
) -> Bool[np.ndarray, "d"]:
    """A mask of the columns with missing entries that depend on no other observed column.

    Args:
        model: the model.
        missing: columns with missing entries.
        observed: columns with observed entries.
    """
    groups = np.unique(_column_groups(model), return_inverse=True)[1]
    observed_count = np.bincount(groups[observed], minlength=len(groups))
    return missing & (observed_count[groups] == observed)


def _column_groups(model: AbstractQueryable) -> Int[np.ndarray, "d"]:
    """A number for each column, the same for columns that may depend on each other."""
    rule = closed_forms.groups.find(model)
    groups = rule(model) if rule else None
    return np.zeros(model.size, int) if groups is None else np.asarray(groups)
