"""Whether the float type is too coarse for an exact answer, because the evidence is far out."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pofx.ask.evidence import MIN_REPORTED_ERROR, Evidence
from pofx.core.answer import Answer

ROUNDING_METHOD = "to the rounding of the evidence"


def with_evidence_rounding(
    answer: Answer, evidence: Evidence, recompute: Callable[[Evidence], Answer], floor: float
) -> Answer:
    """The answer, as an estimate if it moves with the last digits of the evidence.

    Args:
        answer: given the evidence.
        evidence: what is given.
        recompute: the answer given other evidence.
        floor: an answer smaller than this counts as that large, because its error is relative.
    """
    if answer.kind != "exact" or not evidence.observed.any() or not evidence.is_far:
        return answer
    error = np.abs(np.subtract(answer.value, recompute(evidence.nudged(evidence)).value))
    if not (error > MIN_REPORTED_ERROR * np.maximum(np.abs(answer.value), floor)).any():
        return answer
    error = error if np.ndim(error) else float(error)
    return replace(answer, stderr=error, kind="estimate", method=ROUNDING_METHOD)
