"""Compiles what the first requests to a service need, before they come."""

import warnings
from collections.abc import Sequence
from typing import Any

from pofx.ask.ask import ask
from pofx.core.errors import PofxWarning
from pofx.named import completion, densities, prediction
from pofx.named.model import NamedModel

LEVEL, DRAWS = 0.9, 1000
"""Of the intervals: those of `Joint.interval`."""


def warm_up(p: NamedModel, questions: Sequence[str], data: Any) -> None:
    """Scores, draws, completes, predicts and asks once, and forgets the answers.

    Args:
        p: the distribution.
        questions: in the notation; their programs serve other values and other evidence too.
        data: rows like those to come; None for a draw, which has no missing cell.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # of answers that nobody sees
        draw = completion.sample(p, 1, 0)
        rows = draw if data is None else data
        _answer_all(p, rows, questions)


def _answer_all(p: NamedModel, rows: Any, questions: Sequence[str]) -> None:
    densities.log_prob(p, rows, "error")
    completion.impute(p, rows, None, "error", 0)
    for variable in p.schema.variables:
        if variable.shape or len(p.schema.variables) == 1:
            continue
        if variable.discrete:
            prediction.predict_proba(p, rows, variable.name, "error")
        else:
            prediction.interval(p, rows, variable.name, LEVEL, "error", DRAWS, 0)
    for question in questions:
        ask(p, question, {})
