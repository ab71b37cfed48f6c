"""The product rule with one distribution for each level."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from pofx.core.errors import PofxError
from pofx.core.float_width import float64
from pofx.families.categorical import Categorical
from pofx.joint.joint import Joint
from pofx.models.independent import Independent
from pofx.named.combinations import mixture, product
from pofx.table.schema import Variable


def per_level(prior: Joint, parts: Mapping[Any, Joint]) -> Joint:
    """The product rule p(y) p(x | y), with one distribution of x for each level of y.

    Args:
        prior: p(y), a distribution of one column of levels.
        parts: p(x | y) for each level of y.

    Returns a `Joint` of y and x. Raises PofxError for a level without a part.

    >>> import pofx
    >>> coin = pofx.bernoulli(0.5, name="coin")
    >>> p = pofx.per_level(coin, {0: pofx.normal(0, 1), 1: pofx.normal(2, 1)})
    >>> print(p.ask("P(coin = 1 | x = 1)"))
    P(coin = 1 | x = 1) = 0.5   exact, closed form
    """
    y = variable_of(prior, "prior")
    absent = [level for level in y.levels if level not in parts]
    unknown = [level for level in parts if level not in y.levels]
    if absent or unknown:
        what = f"no part of {absent[0]!r}" if absent else f"{unknown[0]!r}"
        raise PofxError(f"parts: expected one for each level of {y.name}, got {what}")
    shares = np.exp(np.asarray(prior.log_prob({y.name: list(y.levels)}).value, np.float64))
    joints = [product(_certain(prior, i), parts[level]) for i, level in enumerate(y.levels)]
    return mixture(joints, shares.tolist())


def _certain(prior: Joint, code: int) -> Joint:
    """The distribution of the same column that is certain of one level."""
    with float64(True):
        family = Categorical(jnp.eye(len(prior.schema.variables[0].levels))[None, code])
        return Joint(Independent((family,), (family,), ((0,),)), prior.schema, prior.fixed)


def variable_of(p: Joint, argument: str) -> Variable:
    """The only column of a distribution of levels; PofxError otherwise."""
    variables = p.schema.variables if isinstance(p, Joint) else ()
    if len(variables) != 1 or not variables[0].discrete or variables[0].shape:
        raise PofxError(f"{argument}: expected a distribution of one column of levels")
    return variables[0]
