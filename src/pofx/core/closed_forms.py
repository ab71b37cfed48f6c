"""Rules for exact answers in closed form; models register them at the end of their own files."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Rule(Generic[R]):
    """A question whose closed form depends on the classes of its arguments.

    >>> double = Rule("double")
    >>> @double.register(int)
    ... def _(x):
    ...     return 2 * x
    >>> double.find(3)(3), double.find("a") is None
    (6, True)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._rules: dict[tuple[type, ...], Callable[..., R]] = {}

    def register(self, *classes: type) -> Callable[[Callable[..., R]], Callable[..., R]]:
        """Decorates the rule for arguments of exactly these classes."""

        def add(rule: Callable[..., R]) -> Callable[..., R]:
            self._rules[classes] = rule
            return rule

        return add

    def find(self, *arguments: Any) -> Callable[..., R] | None:
        """The rule for these arguments, or None."""
        return self._rules.get(tuple(type(a) for a in arguments))


entropy: Rule = Rule("entropy")
"""entropy(p, target_mask): H in nats of the masked columns; None or NaN if not closed."""

kl: Rule = Rule("kl")
"""kl(p, q, target_mask): KL(p || q) in nats over the masked columns; None or NaN if not closed.

For two families it is kl(p, q), column by column.
"""

condition: Rule = Rule("condition")
"""condition(p, x, observed, keep): p(x_K | x_O) over the columns K, in order."""

as_gaussian: Rule = Rule("as_gaussian")
"""as_gaussian(p): mean and covariance of a model that is equal to a Gaussian, else None."""

moments: Rule = Rule("moments")
"""moments(p): E[x] and Cov[x] of all entries; None if not closed."""

conditional_column: Rule = Rule("conditional_column")
"""conditional_column(p, x, observed, j): p(x_j | x_O) as a `ColumnMixture`.

All arguments may be traced by JAX except the number j.
"""

groups: Rule = Rule("groups")
"""groups(p): a number for each column; columns with different numbers are independent.

The numbers follow from the structure of the model, for any parameters. Columns with the same
number may be dependent.
"""

log_prob_box: Rule = Rule("log_prob_box")
"""log_prob_box(p, x, observed, place, low, high, given=None): a probability given evidence.

It is log P(x_O, low < x_B <= high | x_G). B are the columns `place`, maybe none, of which those in
O are ignored, and `given` is the mask of G, a part of O. A rule cancels the terms that
P(x_O, x_B) and p(x_G) share before it adds any, so that evidence far from the data costs no digits.
NaN if x_G is impossible.
"""

terms: Rule = Rule("terms")
"""terms(p, x, observed, fine): d + 1 numbers whose sum is log p(x_O); None if they have no use.

There is one number for each column, zero if it is missing, and one for the rest. Terms that two
models share cancel in the difference of their terms, however large they are. The numbers are a
`Double`, whose `low` is the rounding error. `fine` asks for `low` even if it costs much.
"""

log_prob_double: Rule = Rule("log_prob_double")
"""log_prob_double(family, x): log p(x) of each column as a `Double`.

Families whose log p(x) has little rounding error have no such rule.
"""

expectation: Rule = Rule("expectation")
"""expectation(p, x, observed): E[x_j | x_O] of each missing entry j; others may hold anything."""

batched_log_prob: Rule = Rule("batched_log_prob")
"""batched_log_prob(p, x, observed): log p_k(x_O) of each of the models stacked in p's arrays.

The rule only saves time against one model after another. None if it would save none.
"""

structure_as_data: Rule = Rule("structure_as_data")
"""structure_as_data(p): the model with its structure in arrays, and a function that reverses this.

The rule only saves time: one compiled program serves all models of one size.
"""


def with_structure_as_data(model: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The model by its rule `structure_as_data`, or as it is, and a function that reverses this.

    >>> with_structure_as_data(3)[0]
    3
    """
    rule = structure_as_data.find(model)
    return rule(model) if rule else (model, lambda model: model)


for_masks: Rule = Rule("for_masks")
"""for_masks(p, masks): the same distribution, for rows with these masks (n, d) only.

The rule only saves compilation; estimates are the same, up to rounding.
"""


def with_masks(model: Any, masks: Any) -> Any:
    """The model by its rule `for_masks`, or as it is.

    >>> with_masks(3, None)
    3
    """
    rule = for_masks.find(model)
    return rule(model, masks) if rule else model


most_probable: Rule = Rule("most_probable")
"""most_probable(p, x, observed): x with its most probable missing entries, and a log-probability.

The entries are most probable jointly with each other and with the hidden categories. The
log-probability is that of this joint value.
"""

latent: Rule = Rule("latent")
"""latent(p, x, observed): the distribution of the hidden variables given x_O, by their names.

It is the probabilities of a category, or the mean of a latent point. Several such variables of
one name have one row each.
"""
