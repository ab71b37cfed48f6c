"""Exact answers by closed form: rules that models register at the foot of their own file."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Rule(Generic[R]):
    """A question whose closed form depends on the classes it is put to.

    >>> twice = Rule("twice")
    >>> @twice.register(int)
    ... def _(x):
    ...     return 2 * x
    >>> twice.find(3)(3), twice.find("a") is None
    (6, True)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._rules: dict[tuple[type, ...], Callable[..., R]] = {}

    def register(self, *classes: type) -> Callable[[Callable[..., R]], Callable[..., R]]:
        """Decorates the rule for arguments of exactly these classes."""

        def keep(rule: Callable[..., R]) -> Callable[..., R]:
            self._rules[classes] = rule
            return rule

        return keep

    def find(self, *arguments: Any) -> Callable[..., R] | None:
        """The rule for these arguments, or None."""
        return self._rules.get(tuple(type(a) for a in arguments))


entropy: Rule = Rule("entropy")
"""entropy(p, asked): H in nats of the asked columns, a mask; None or NaN where not closed."""

kl: Rule = Rule("kl")
"""kl(p, q, asked): KL(p || q) in nats over the asked columns; None or NaN where not closed.

Of two families it is kl(p, q), column by column.
"""

condition: Rule = Rule("condition")
"""condition(p, x, observed, keep): p(x_K | x_O) over the columns K, in order."""

as_gaussian: Rule = Rule("as_gaussian")
"""normal(p): mean and covariance of a model that is a Gaussian by another name, else None."""

moments: Rule = Rule("moments")
"""moments(p): E[x] and Cov[x] of all entries; None where not closed."""

conditional_column: Rule = Rule("conditional_column")
"""column(p, x, observed, j): p(x_j | x_O) as `ColumnMixture`; traceable, but for the number j."""

groups: Rule = Rule("groups")
"""groups(p): a number for each column; columns of unlike numbers are independent of each other.

What a model's structure says, whatever its parameters; columns of one number may be dependent.
"""

log_prob_box: Rule = Rule("log_prob_box")
"""box(p, x, observed, place, low, high, given=None): log P(x_O, low < x_B <= high | x_G).

B are the columns `place`, maybe none of them; `given` is the mask of G, a part of O. A rule cancels
the terms that P(x_O, x_B) and p(x_G) share before it adds any up, so that evidence far from the
data costs no digits; NaN where x_G is impossible.
"""

terms: Rule = Rule("terms")
"""terms(p, x, observed, fine): d + 1 numbers whose sum is log p(x_O); None where they have no use.

One for each column, zero if it is missing, and one for what belongs to none: what does not
distinguish two models cancels in the difference of their terms, however large it is. They are a
`Double`, whose `low` is what rounding took; `fine` asks for it also if it costs much.
"""

fine: Rule = Rule("fine")
"""fine(family, x): log p(x) of each column as a `Double`; none if rounding takes little of it."""

expectation: Rule = Rule("expectation")
"""expectation(p, x, observed): E[x_j | x_O] of each missing entry j; others hold anything."""

batched_log_prob: Rule = Rule("batched_log_prob")
"""together(p, x, observed): log p_k(x_O) of each of the models stacked in p's arrays.

Not to know it, but to know it sooner than one after another; None where that is no sooner.
"""

structure_as_data: Rule = Rule("structure_as_data")
"""loose(p): the same model, its structure as data and not as a constant, and the way back.

Not to know anything, but to compile once for all models of one size.
"""


def with_structure_as_data(model: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The model by its rule `structure_as_data`, or as it is, and the way back.

    >>> with_structure_as_data(3)[0]
    3
    """
    rule = structure_as_data.find(model)
    return rule(model) if rule else (model, lambda model: model)


most_probable: Rule = Rule("most_probable")
"""completion(p, x, observed): x with its missing entries at their most probable, and log p of that.

Most probable together, and together with the hidden categories, which the log-probability is of.
"""

latent: Rule = Rule("latent")
"""latent(p, x, observed): what p says of its hidden variables given x_O, by their name.

Probabilities of a category, the mean of a latent point; a row of each for several such.
"""
