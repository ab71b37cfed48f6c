"""What a model's structure says before any number: which columns it cannot relate."""

import numpy as np
from jaxtyping import Bool

from pofx.core import rules
from pofx.core.distribution import Queryable


def may_depend(model: Queryable, a: Bool[np.ndarray, "d"], b: Bool[np.ndarray, "d"]) -> bool:
    """Whether the columns `a` may depend on the columns `b`, by the structure of the model alone.

    >>> import jax
    >>> from pofx.models.independent import Independent
    >>> p = Independent.example(jax.random.key(0)).model
    >>> may_depend(p, np.arange(4) == 0, np.arange(4) > 0)
    False
    """
    rule = rules.groups.find(model)
    groups = rule(model) if rule else None
    if groups is None:
        return True
    return bool(set(np.array(groups)[a]) & set(np.array(groups)[b]))
