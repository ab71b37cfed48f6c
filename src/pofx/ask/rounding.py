"""Whether the float type tells an exact answer whose evidence is far from the data."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pofx.ask.evidence import SHOWS, Given
from pofx.core.answer import Answer

HOW = "to the rounding of the evidence"


def settled(found: Answer, own: Given, ask: Callable[[Given], Answer], least: float) -> Answer:
    """What was found, as an estimate if it moves with the evidence's last digits.

    `least` is the size below which an answer is taken as that large: its error is relative.
    """
    if found.kind != "exact" or not own.observed.any() or not own.far:
        return found
    error = np.abs(np.subtract(found.value, ask(own.nudged(own)).value))
    if not (error > SHOWS * np.maximum(np.abs(found.value), least)).any():
        return found
    error = error if np.ndim(error) else float(error)
    return replace(found, stderr=error, kind="estimate", method=HOW)
