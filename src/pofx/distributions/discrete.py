"""Written distributions of one level or one count, and tables of joint probabilities.

Source: Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.core.float_width import float64
from pofx.core.written_numbers import as_probabilities, log_in_float64, number
from pofx.distributions.written import as_joint, level_variable, number_variable, one_column
from pofx.families.bernoulli import Bernoulli
from pofx.families.categorical import Categorical
from pofx.families.negative_binomial import NegativeBinomial
from pofx.families.poisson import Poisson
from pofx.joint.joint import Joint
from pofx.models.discrete_network import DiscreteNetwork


def bernoulli(p: float, *, levels: Sequence[Any] = (0, 1), name: str = "x") -> Joint:
    """The distribution of one of two levels: P(x = the second) = p.

    Args:
        p: a probability.
        levels: the two levels.
        name: of the column.

    Returns a `Joint`. Raises PofxError for a number that is no probability.

    >>> import pofx
    >>> print(pofx.bernoulli(0.25, name="coin").ask("P(coin = 1)"))
    P(coin = 1) = 0.25   exact, closed form
    """
    if p not in (0, 1):
        number("p", p, low=0, high=1)
    variable = level_variable("levels", name, levels)
    if len(variable.levels) != 2:
        raise PofxError(f"levels: expected two, got {len(variable.levels)}")
    with np.errstate(divide="ignore"):
        return one_column(variable, Bernoulli, np.log(np.float64(p)) - np.log1p(-np.float64(p)))


def categorical(
    p: Mapping[Any, float] | Sequence[float],
    *,
    levels: Sequence[Any] | None = None,
    name: str = "x",
) -> Joint:
    """The distribution of one of several levels: a probability for each.

    Args:
        p: the probability of each level, by level or in their order.
        levels: the levels; 0, 1, 2, ... if `p` has no names.
        name: of the column.

    Returns a `Joint`. Raises PofxError for probabilities that do not sum to one.

    >>> import pofx
    >>> print(pofx.categorical({"sun": 0.7, "rain": 0.3}, name="sky").ask("P(sky = rain)"))
    P(sky = rain) = 0.3   exact, closed form
    """
    if isinstance(p, Mapping):
        levels, p = list(p), list(p.values())
    shares = as_probabilities("p", p)
    levels = range(len(shares)) if levels is None else levels
    variable = level_variable("levels", name, levels)
    if len(variable.levels) != len(shares):
        raise PofxError(f"levels: expected {len(shares)}, got {len(variable.levels)}")
    return one_column(variable, Categorical, shares)


def poisson(rate: float, *, name: str = "x") -> Joint:
    """The Poisson distribution of a count.

    p(x) = rate^x exp(-rate) / x!

    Args:
        rate: the mean.
        name: of the column.

    Returns a `Joint`. Raises PofxError for a rate that is not positive.

    >>> import pofx
    >>> print(pofx.poisson(3).ask("Var[x]"))
    Var[x] = 3 squared units of x   exact, closed form
    """
    return one_column(number_variable(name, "count"), Poisson, number("rate", rate, low=0))


def negative_binomial(size: float, mean: float, *, name: str = "x") -> Joint:
    """The negative binomial distribution of a count, of variance mean + mean² / size.

    p(x) = Γ(x + size) / (Γ(size) x!) q^size (1 - q)^x,  q = size / (size + mean)

    Args:
        size: the number of successes, which need not be whole.
        mean: the mean.
        name: of the column.

    Returns a `Joint`. Raises PofxError for a parameter that is not positive.

    >>> import pofx
    >>> print(pofx.negative_binomial(2, 3).ask("Var[x]"))
    Var[x] = 7.5 squared units of x   exact, closed form
    """
    parameters = number("mean", mean, low=0), number("size", size, low=0)
    return one_column(number_variable(name, "count"), NegativeBinomial, *parameters)


def pmf(table: Any, levels: Mapping[str, Sequence[Any]]) -> Joint:
    """The joint distribution of columns of levels, from a table of their probabilities.

    Args:
        table: p(x_1, ..., x_d), an axis for each column in the order of `levels`.
        levels: the levels of each column, by name.

    Returns a `Joint`. Raises PofxError for another shape, and for a sum that is not one.

    >>> import pofx
    >>> p = pofx.pmf([[0.1, 0.2], [0.3, 0.4]], {"a": [0, 1], "b": ["no", "yes"]})
    >>> print(p.ask("P(a = 1 | b = yes)"))
    P(a = 1 | b = yes) = 0.666667   exact, closed form
    """
    variables = [level_variable(f"levels: {name}", name, of) for name, of in levels.items()]
    shape = tuple(len(variable.levels) for variable in variables)
    if np.shape(table) != shape:
        raise PofxError(f"table: expected the shape {shape} of the levels, got {np.shape(table)}")
    joint = as_probabilities("table", table, len(shape))
    return as_joint(_by_chain_rule(joint), variables)


def _by_chain_rule(joint: np.ndarray) -> DiscreteNetwork:
    """p(x) = Π_j p(x_j | x_1..x_j-1) as a network of tables."""
    d = joint.ndim
    tables = []
    for j in range(d):
        marginal = joint.sum(tuple(range(j + 1, d)))
        total = marginal.sum(-1, keepdims=True)
        # What follows impossible levels does not matter.
        even = np.full_like(marginal, 1 / marginal.shape[-1])
        tables.append(np.divide(marginal, total, out=even, where=total > 0))
    with float64(True):
        return DiscreteNetwork(
            tuple(map(log_in_float64, tables)), tuple(tuple(range(j)) for j in range(d))
        )
