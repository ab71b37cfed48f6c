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
"""entropy(p, asked): H in nats of the asked columns, a mask; None where not closed after all."""

kl: Rule = Rule("kl")
"""kl(p, q, asked): KL(p || q) in nats over the asked columns."""

condition: Rule = Rule("condition")
"""condition(p, x, observed): p(x_M | x_O) over the columns that are not observed, in order."""
