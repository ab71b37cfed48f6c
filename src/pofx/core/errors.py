"""Errors that help: one line that names the argument, what was expected, what came, what to try."""

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches

from pofx.core.escaping import escaped

SHOWN = 20
"""The most names that an error lists."""
INNER = frozenset({"pofx", "equinox", "jax", "jaxlib", "jaxtyping", "sklearn", "joblib"})
"""Packages whose lines no warning points to: the line that called them is the user's."""
_RECORD: ContextVar[list[str] | None] = ContextVar("record", default=None)


class PofxError(ValueError):
    """A mistake in what was asked, told in one line.

    >>> raise PofxError("components: expected at least 1, got 0")
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: components: expected at least 1, got 0
    """

    def __init__(self, message: object = "") -> None:
        # Names and levels come from data, which may hold what a terminal would obey.
        super().__init__(escaped(str(message)))


class PofxWarning(UserWarning):
    """Something to know about a result that is usable nevertheless."""


def warn(text: str) -> None:
    """Warns with a PofxWarning that points to the user's line, the nearest one outside of `INNER`.

    `recording_warnings` records it even if a filter hides it, which does not make it untrue.
    """
    text = escaped(text)
    if (record := _RECORD.get()) is not None:
        record.append(text)
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in INNER:
        frame = frame.f_back
    warnings.warn_explicit(
        PofxWarning(text),
        None,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


@contextmanager
def recording_warnings() -> Iterator[list[str]]:
    """A list of the texts of the warnings made inside; those of nested recordings are not in it.

    >>> import warnings
    >>> with recording_warnings() as record, warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     warn("too few rows")
    >>> record
    ['too few rows']
    """
    record: list[str] = []
    outer = _RECORD.set(record)
    try:
        yield record
    finally:
        _RECORD.reset(outer)


def check_at_least(least: int, **sizes: float) -> None:
    """Raises PofxError for a size below the least, by its name.

    >>> check_at_least(1, width=8, depth=0)
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: depth: expected at least 1, got 0
    """
    for name, size in sizes.items():
        if not size >= least:
            raise PofxError(f"{name}: expected at least {least}, got {size}")


def unknown_name_error(what: str, name: object, known: Iterable[object]) -> PofxError:
    """The error for a name that is not there, with the nearest one that is.

    >>> unknown_name_error("column", "specis", ["species", "island"])
    PofxError("no column 'specis'; did you mean 'species'?")
    """
    names = [str(k) for k in known]
    near = get_close_matches(str(name), names, n=1)
    more = f", ... ({len(names)})" if len(names) > SHOWN else ""
    there = (", ".join(names[:SHOWN]) or "none") + more
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {there}"
    return PofxError(f"no {what} {str(name)!r}; {hint}")
