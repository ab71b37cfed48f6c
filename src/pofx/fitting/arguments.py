"""Checks of the arguments of `fit` that are no options of a model."""

from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from pofx.core.abstract import AbstractLearnable, AbstractSGDModel
from pofx.core.abstract_approximate import AbstractApproximate
from pofx.core.errors import PofxError
from pofx.core.registry import snake_case

MAX_COUNT = 2**31 - 1
"""The largest number of restarts, steps and epochs: what loops count to."""
MIN_BUDGET, MAX_BUDGET = 20.0, 60.0
CELLS_PER_SECOND = 500
"""The default budget is a second for so many cells, within these limits in seconds."""
MAX_FLOAT = float(np.finfo(np.float64).max)


def check_count(name: str, value: Any, minimum: int) -> None:
    """Raises PofxError unless the value is a whole number from `minimum` to MAX_COUNT."""
    if not isinstance(value, Integral) or value < minimum:
        raise PofxError(f"{name}: expected a whole number, at least {minimum}; got {value!r}")
    if int(value) > MAX_COUNT:
        raise PofxError(f"{name}: expected at most {MAX_COUNT}, got a number beyond it")


def check_non_negative(name: str, value: float) -> None:
    """Raises PofxError unless the value is a number from 0, which may be infinite."""
    # A whole number may be longer than any float.
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not (value == np.inf or 0 <= value <= MAX_FLOAT):
        raise PofxError(f"{name}: expected a number, at least 0; got {value!r}")


def checked_budget(budget: float | None, cells: int) -> float:
    """The seconds for the comparison of models, by default as many as a table of that size needs.

    >>> checked_budget(None, 2408), checked_budget(None, 20_000), checked_budget(8.0, 2408)
    (20.0, 40.0, 8.0)
    """
    if budget is None:
        return float(min(max(cells / CELLS_PER_SECOND, MIN_BUDGET), MAX_BUDGET))
    check_non_negative("budget", budget)
    return budget


def check_checkpoint(checkpoint: Any, cls: type[AbstractLearnable] | None) -> None:
    """Raises PofxError for a checkpoint of a model that has none, and for no name of a file."""
    if checkpoint is None:
        return
    if not isinstance(checkpoint, str | Path):
        raise PofxError(f"checkpoint: expected the name of a file, got {checkpoint!r}")
    if cls is None or not issubclass(cls, AbstractSGDModel):
        raise PofxError(
            "checkpoint: expected a model that is trained by gradients, such as continuous_mixture"
        )


def check_proposal(proposal: Any, cls: type[AbstractLearnable] | None) -> None:
    """Raises PofxError for a proposal for a model that needs none."""
    if proposal is not None and not (cls and issubclass(cls, AbstractApproximate)):
        model = snake_case(cls.__name__) if cls else "each model that fit compares"
        raise PofxError(
            f"proposal: expected a model that needs one, such as 'flow'; {model} has closed "
            "marginals, leave it out"
        )
