"""Warnings and notes for questions whose evidence the model holds independent of what is asked."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pofx.core.errors import warn
from pofx.core.printing import names_text
from pofx.core.result import AbstractResult
from pofx.named.model import NamedModel
from pofx.queries.structure import apart, cut_off

UNRELATED = "independent of the evidence in this model"
HINT = "fit one that relates them, such as model='mixture'"


def unrelated_to(p: NamedModel, observed: np.ndarray) -> tuple[str, ...] | None:
    """The columns independent of these entries and of all that was given before.

    None if there are no such entries and nothing was given.
    """
    if not observed.any():
        return p.unrelated
    independent = apart(p.model, observed)
    names = p.schema.names if p.unrelated is None else p.unrelated
    return tuple(name for name in names if independent[p.entries.mask([name])].all())


def ignores(p: NamedModel, names: Sequence[str], observed: np.ndarray | None = None) -> bool:
    """Whether something was given, or is by these entries, and none of it bears on the names."""
    unrelated = p.unrelated if observed is None else unrelated_to(p, observed)
    return unrelated is not None and bool(names) and set(names) <= set(unrelated)


def with_note(result: Any, note: str = UNRELATED) -> Any:
    """The result with a note that the evidence has no part in it; frames stay as they are.

    >>> from pofx.core.answer import Answer
    >>> print(with_note(with_note(Answer(0.5, method="closed form"))))
    0.5   exact, closed form, independent of the evidence in this model
    """
    return result.with_note(note) if isinstance(result, AbstractResult) else result


def with_note_if_ignored(
    p: NamedModel, result: Any, names: Sequence[str], given: Sequence[str] = ()
) -> Any:
    """The result, with a note if the model cannot relate the names to the evidence."""
    return with_note(result) if ignores(p, names, p.entries.mask(given)) else result


def warn_if_cut_off(p: NamedModel, verb: str, x: np.ndarray) -> None:
    """Warns of columns whose missing cells nothing in the table bears on."""
    missing = np.isnan(x)
    holes, observed = np.asarray(missing.any(0)), np.asarray((~missing).any(0))
    independent = cut_off(p.model, holes, observed)
    if p.unrelated is None:
        # For a table of one column the marginal is all there is to ask.
        independent &= observed.sum() > observed
    names = []
    for name in p.schema.names if p.unrelated is None else p.unrelated:
        column_holes = p.entries.mask([name]) & holes
        if column_holes.any() and independent[column_holes].all():
            names.append(name)
    if names:
        warn(
            f"{verb}: this model holds {names_text(names)} independent of "
            f"{describe_others(p, observed, 'observed')}, so nothing else bears on what fills it; "
            f"{HINT}",
        )


def describe_others(p: NamedModel, observed: np.ndarray, which: str = "other") -> str:
    """In words, what an answer does not depend on."""
    if p.unrelated is None:
        return f"the {which} columns"
    return f"the evidence and the {which} columns" if observed.any() else "the evidence"
