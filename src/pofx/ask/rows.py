"""A question whose evidence comes from the rows of a table: one answer for each row."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.ask.error_propagation import stack_answers
from pofx.ask.evidence import Evidence
from pofx.ask.question import Question
from pofx.core.answer import Answer
from pofx.core.errors import PofxError
from pofx.named.rows import encode_rows


def answer_rows(
    question: Question, evidence: Evidence, data: Any, answer: Callable[[Evidence], Any]
) -> Answer:
    """What `answer` returns for the values that each row gives to the names without a value.

    Args:
        question: the question.
        evidence: what is given, with names without a value.
        data: a frame with the columns of these names; a missing cell is no evidence.
        answer: the answer under some evidence, which is a number.

    Returns the numbers of all rows, NaN for a row of probability zero.

    Raises PofxError if no name is without a value, or the answer is no number.
    """
    names = [name.text for name in evidence.free]
    if not names:
        raise PofxError(
            "rows: expected a name without a value after the bar, such as P(a = x | b), whose "
            "values the rows give"
        )
    entries = encode_rows(evidence.p, data, "error", require=names)[:, evidence.p.entries.free]
    entries[:, ~evidence.mask(names)] = np.nan
    answers: dict[bytes, Answer] = {}
    for row in entries:
        if row.tobytes() not in answers:
            inner = replace(evidence, x=np.where(np.isnan(row), evidence.x, row), free=())
            answers[row.tobytes()] = _number(answer, inner)
    stacked = stack_answers([answers[row.tobytes()] for row in entries], (len(entries),))
    return replace(stacked, question=question.label)


def _number(answer: Callable[[Evidence], Any], evidence: Evidence) -> Answer:
    if not evidence.log_prob > -math.inf:
        return Answer(math.nan, math.nan, "estimate", method="the evidence has probability zero")
    result = answer(evidence)
    if not isinstance(result, Answer) or np.ndim(result.value):
        raise PofxError(
            "rows: expected a question whose answer is one number, such as P(a = x | b) or E[a | b]"
        )
    return result
