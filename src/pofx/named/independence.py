"""Warnings and notes if evidence cannot change an answer, because the model relates no columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pofx.core.errors import warn
from pofx.core.printing import names_text
from pofx.core.result import AbstractResult
from pofx.named.model import NamedModel
from pofx.queries.structure import columns_without_evidence, independent_columns

UNRELATED = "independent of the evidence in this model"
HINT = "fit one that relates them, such as model='mixture'"


def unrelated_to(p: NamedModel, observed: np.ndarray) -> tuple[str, ...] | None:
    """The columns independent of the observed entries and of all earlier evidence.

    Returns None if there is no observed entry and no earlier evidence.
    """
    if not observed.any():
        return p.unrelated
    independent = independent_columns(p.model, observed)
    names = p.schema.names if p.unrelated is None else p.unrelated
    return tuple(name for name in names if independent[p.entries.mask_free([name])].all())


def ignores(p: NamedModel, names: Sequence[str], observed: np.ndarray | None = None) -> bool:
    """Whether there is evidence, also in observed entries, and none of it bears on the names."""
    unrelated = p.unrelated if observed is None else unrelated_to(p, observed)
    return unrelated is not None and bool(names) and set(names) <= set(unrelated)


def with_note(result: Any, note: str = UNRELATED) -> Any:
    """The result with a note that the evidence does not affect it; frames stay as they are.

    >>> from pofx.core.answer import Answer
    >>> print(with_note(with_note(Answer(0.5, method="closed form"))))
    0.5   exact, closed form, independent of the evidence in this model
    """
    return result.with_note(note) if isinstance(result, AbstractResult) else result


def with_note_if_ignored(
    p: NamedModel, result: Any, names: Sequence[str], given: Sequence[str] = ()
) -> Any:
    """The result, with a note if the model cannot relate the names to the evidence."""
    return with_note(result) if ignores(p, names, p.entries.mask_free(given)) else result


def warn_if_cut_off(p: NamedModel, verb: str, x: np.ndarray) -> None:
    """Warns about columns whose missing cells are independent of everything in the table."""
    missing = np.isnan(x)
    incomplete = np.asarray(missing.any(0))
    observed = np.asarray((~missing).any(0))
    independent = columns_without_evidence(p.model, incomplete, observed)
    if p.unrelated is None:
        # A table of one column needs no warning: there is nothing else to relate it to.
        independent &= observed.sum() > observed
    names = []
    for name in p.schema.names if p.unrelated is None else p.unrelated:
        mask = p.entries.mask_free([name]) & incomplete
        if mask.any() and independent[mask].all():
            names.append(name)
    if names:
        warn(
            f"{verb}: this model holds {names_text(names)} independent of "
            f"{describe_others(p, observed, 'observed')}, so nothing else affects what fills it; "
            f"{HINT}",
        )


def describe_others(p: NamedModel, observed: np.ndarray, which: str = "other") -> str:
    """The evidence and the columns that an answer does not depend on, in words."""
    if p.unrelated is None:
        return f"the {which} columns"
    return f"the evidence and the {which} columns" if observed.any() else "the evidence"
