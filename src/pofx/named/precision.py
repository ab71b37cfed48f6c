"""The unit and the precision of an information measure."""

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from jaxtyping import PRNGKeyArray

from pofx.core.answer import Answer
from pofx.core.errors import PofxError
from pofx.named.random_keys import key_of
from pofx.queries.monte_carlo import MAX_DRAWS

NATS_PER_UNIT = {"nats": 1.0, "bits": math.log(2)}


@dataclass(frozen=True)
class Precision:
    """The unit of an information measure, and when its estimate ends.

    Args:
        unit: "nats" or "bits".
        stderr: the standard error to reach, in that unit; None for one block of draws.
        max_draws: draws after which an estimate ends in any case.
        seed: of these draws.
    """

    unit: str = "nats"
    stderr: float | None = None
    max_draws: int = MAX_DRAWS
    seed: int = 0

    @property
    def key(self) -> PRNGKeyArray:
        """The random key of the draws."""
        return key_of(self.seed)

    @property
    def limits(self) -> dict[str, Any]:
        """`stderr`, in nats, and `max_draws`, as queries take them."""
        return {"stderr": to_nats(self.stderr, self.unit), "max_draws": self.max_draws}

    def labelled(self, answer: Answer, question: str) -> Answer:
        """An answer in nats, converted to `unit` and labelled with its question.

        >>> print(Precision("bits").labelled(Answer(math.log(2)), "H(a)"))
        H(a) = 1 bits   exact
        """
        in_unit = answer / to_nats(1.0, self.unit)
        return replace(in_unit, unit=self.unit, question=question)


def to_nats(number: float | None, unit: str) -> Any:
    """A standard error of that unit in nats, None for None; PofxError for an unknown unit.

    >>> round(to_nats(2.0, "bits"), 3)
    1.386
    """
    if unit not in NATS_PER_UNIT:
        raise PofxError(f"unit: expected 'nats' or 'bits', got {unit!r}")
    if number is None:
        return None
    if not isinstance(number, Real) or not number > 0:
        raise PofxError(f"stderr: expected a number > 0, in {unit}; got {number!r}")
    return number * NATS_PER_UNIT[unit]
