"""Errors and warnings in one line: the argument, what was expected, what it got, what to try."""

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from typing import Any

from pofx.core.escaping import escaped

MAX_LISTED_NAMES = 20
"""The number of names that an error lists at most."""
INTERNAL_PACKAGES = frozenset(
    {"pofx", "equinox", "jax", "jaxlib", "jaxtyping", "sklearn", "joblib"}
)
"""Packages whose lines no warning points to; the line that called them is the user's."""
_RECORD: ContextVar[list[str] | None] = ContextVar("record", default=None)


class PofxError(ValueError):
    """A mistake in the arguments of a call, explained in one line.

    >>> raise PofxError("components: expected at least 1, got 0")
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: components: expected at least 1, got 0
    """

    def __init__(self, message: object = "") -> None:
        # Names and levels come from data, which may hold control characters of a terminal.
        super().__init__(escaped(str(message)))


class PofxWarning(UserWarning):
    """A problem of a result that is usable nevertheless."""


def os_reason(error: OSError) -> str:
    """The path that an error of the file system is about, and what is wrong with it.

    >>> os_reason(FileNotFoundError(2, "No such file or directory", "rows.csv"))
    'rows.csv: No such file or directory'
    """
    reason = str(error.strerror or error)
    return f"{error.filename}: {reason}" if error.filename else reason


def warn(text: str) -> None:
    """Warns with a PofxWarning that points to the user's line.

    That is the nearest line outside of `INTERNAL_PACKAGES`. `recording_warnings` also records a
    warning that a filter hides, because it is true nevertheless.
    """
    text = escaped(text)
    if (record := _RECORD.get()) is not None:
        record.append(text)
    frame = sys._getframe(1)
    while frame.f_back and _package(frame.f_globals) in INTERNAL_PACKAGES:
        frame = frame.f_back
    warnings.warn_explicit(
        PofxWarning(text),
        None,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _package(namespace: dict[str, Any]) -> str:
    return namespace.get("__name__", "").partition(".")[0]


@contextmanager
def recording_warnings() -> Iterator[list[str]]:
    """A list of the texts of the warnings given inside, except those of nested recordings.

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


def check_at_least(minimum: int, **sizes: float) -> None:
    """Raises PofxError for a size below the minimum, with its name.

    >>> check_at_least(1, width=8, depth=0)
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: depth: expected at least 1, got 0
    """
    for name, size in sizes.items():
        if not size >= minimum:
            raise PofxError(f"{name}: expected at least {minimum}, got {size}")


def unknown_name_error(what: str, name: object, known_names: Iterable[object]) -> PofxError:
    """The error for an unknown name, with the nearest known name.

    Args:
        what: what the name is of, such as "column".
        name: the unknown name.
        known_names: the known names.

    >>> unknown_name_error("column", "specis", ["species", "island"])
    PofxError("no column 'specis'; did you mean 'species'?")
    """
    names = [str(k) for k in known_names]
    near = get_close_matches(str(name), names, n=1)
    count_text = f", ... ({len(names)})" if len(names) > MAX_LISTED_NAMES else ""
    listed = (", ".join(names[:MAX_LISTED_NAMES]) or "none") + count_text
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {listed}"
    return PofxError(f"no {what} {str(name)!r}; {hint}")
