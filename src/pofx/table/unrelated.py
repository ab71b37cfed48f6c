"""Answers that say if the model holds what is asked independent of all the evidence."""

from dataclasses import replace
from typing import Any

from pofx.core.answer import Answer
from pofx.table.asking.results import Mode, Moments, Summary, Table

UNRELATED = "independent of the evidence in this model"
HINT = "fit one that relates them, such as model='mixture'"


def marked(answer: Any, word: str = UNRELATED) -> Any:
    """The answer with a word that the evidence has no part in it.

    >>> print(marked(marked(Answer(0.5, how="closed form"))))
    0.5   exact, closed form, independent of the evidence in this model
    """
    match answer:
        case Answer() | Mode():
            if answer.how.endswith(word):
                return answer
            return replace(answer, how=f"{answer.how}{', ' if answer.how else ''}{word}")
        case Table():
            return replace(answer, columns={k: marked(v) for k, v in answer.columns.items()})
        case Summary() | Moments():
            return replace(answer, mean=marked(answer.mean))
    return answer
