"""An error at a place in the text of a query, for code that does not know the text."""

from collections.abc import Iterator
from contextlib import contextmanager

from pofx.core.errors import PofxError
from pofx.notation.terms import Name, Value

Place = int | Name | Value
"""A character of the text, or a name or a value, which know the character they start at."""


class QueryError(PofxError):
    """A mistake in a query and its place; `ask` makes a NotationError of it, with the text.

    Args:
        message: one line that says what is wrong.
        at: the character of the text that the caret points at.
    """

    def __init__(self, message: object, at: int = 0) -> None:
        super().__init__(message)
        self.at = at


def error_at(place: Place, message: str) -> QueryError:
    """The error with a caret under a name or a value.

    >>> error_at(Name("sx", 2), "no column 'sx'").at
    2
    """
    return QueryError(message, place if isinstance(place, int) else place.at)


@contextmanager
def errors_at(place: Place) -> Iterator[None]:
    """Makes errors that are raised inside point at a place in the text."""
    try:
        yield
    except QueryError:
        raise
    except PofxError as error:
        raise error_at(place, str(error)) from None
