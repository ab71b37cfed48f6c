"""EM that goes on from a distribution, whose structure it keeps."""

from collections.abc import Mapping
from typing import Any

from pofx.core.abstract import AbstractEMSteps
from pofx.core.errors import PofxError
from pofx.core.registry import snake_case
from pofx.core.rows import Rows
from pofx.fitting.selection import SelectedModel
from pofx.joint.joint import Joint
from pofx.learn.em import fit_em
from pofx.learn.learner import LearnerConfig


def check_start(start: Joint | None, options: Mapping[str, Any], **others: Any) -> None:
    """Raises PofxError if learning cannot go on from `start`, or if others say the same.

    Args:
        start: the distribution.
        options: of a model.
        others: the arguments of `fit` that `start` decides, by name.
    """
    if start is None:
        return
    if not isinstance(start, Joint):
        raise PofxError(f"start: expected a Joint, got {type(start).__name__}")
    given = [name for name, value in {**others, **options}.items() if value is not None]
    if given:
        raise PofxError(f"{given[0]}: expected none beside start, which decides it")
    if start.evidence or not start.entries.free.all():
        raise PofxError("start: expected a distribution without evidence")
    if not isinstance(start.model, AbstractEMSteps):
        kind = type(start.model).__name__
        raise PofxError(f"start: expected a model that EM learns; {kind} is none")


def learn_from(start: Joint, rows: Rows, config: LearnerConfig) -> SelectedModel:
    """The model that EM reaches from a distribution."""
    assert isinstance(start.model, AbstractEMSteps)
    limits = {"tolerance": config.tolerance, "steps": config.steps, "report": config.report}
    return SelectedModel(
        snake_case(type(start.model).__name__), {}, fit_em(start.model, rows, **limits)
    )
