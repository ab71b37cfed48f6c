"""What a model's structure says before any number: which columns it cannot relate."""

import numpy as np
from jaxtyping import Bool, Int

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable


def may_depend(
    model: AbstractQueryable, a: Bool[np.ndarray, "d"], b: Bool[np.ndarray, "d"]
) -> bool:
    """Whether the columns `a` may depend on the columns `b`, by the structure of the model alone.

    >>> import jax
    >>> from pofx.models.independent import Independent
    >>> p = Independent.example(jax.random.key(0)).model
    >>> may_depend(p, np.arange(4) == 0, np.arange(4) > 0)
    False
    """
    return not apart(model, b)[a].all()


def apart(model: AbstractQueryable, b: Bool[np.ndarray, "d"]) -> Bool[np.ndarray, "d"]:
    """The columns that do not depend on the columns `b`, by the structure of the model alone."""
    numbers = _groups(model)
    return ~np.isin(numbers, numbers[b])


def cut_off(
    model: AbstractQueryable, missing: Bool[np.ndarray, "d"], observed: Bool[np.ndarray, "d"]
) -> Bool[np.ndarray, "d"]:
    """The columns with missing cells that depend on no other column with observed ones."""
    numbers = np.unique(_groups(model), return_inverse=True)[1]
    seen = np.bincount(numbers[observed], minlength=len(numbers))
    return missing & (seen[numbers] == observed)


def _groups(model: AbstractQueryable) -> Int[np.ndarray, "d"]:
    """A number for each column, the same for columns that may depend on each other."""
    rule = closed_forms.groups.find(model)
    groups = rule(model) if rule else None
    return np.zeros(model.size, int) if groups is None else np.asarray(groups)
