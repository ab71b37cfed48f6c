"""Checks that no grammar can make: no name twice, no empty range."""

from collections.abc import Iterable

from pofx.core.escaping import escaped
from pofx.notation.errors import notation_error, quoted
from pofx.notation.terms import Free, Interval, Members, Name, Term, Terms, Value

RANGES = Interval | Members


def check_unique(text: str, items: Iterable[Name | Value], where: str) -> None:
    """Raises NotationError at the first name or value that is in the list already."""
    seen = set()
    for item in items:
        content = item.text if isinstance(item, Name) else item.content
        if content in seen:
            raise notation_error(text, item.at, f"{quoted(str(content))} appears twice {where}")
        seen.add(content)


def merge_ranges(text: str, terms: Iterable[Term], where: str) -> Terms:
    """The terms, with several ranges of one name merged into one.

    Raises NotationError for a name that appears twice otherwise, and for an empty range.

    >>> a = Name("a")
    >>> print(*merge_ranges("a > 2, a < 5", [Interval(a, low=2), Interval(a, high=5)], "here"))
    2 < a < 5
    """
    merged: dict[str, Term] = {}
    for term in terms:
        name = term.name
        earlier = merged.get(name.text)
        if isinstance(earlier, Interval) and isinstance(term, Interval):
            term = earlier & term
        elif earlier is not None:
            hint = ""
            if isinstance(earlier, Members) and isinstance(term, Members):
                hint = "; name all its values in one {...}"
            message = f"{quoted(name.text)} appears twice {where}{hint}"
            raise notation_error(text, name.at, message)
        if isinstance(term, Interval) and term.empty:
            message = f"no number is in the range {escaped(str(term))}"
            raise notation_error(text, name.at, message)
        merged[name.text] = term
    return tuple(merged.values())


def check_not_given(
    text: str, items: Iterable[Name | Term], given: Terms, *, ranges: bool, free: bool = False
) -> None:
    """Raises NotationError if a name is on both sides of the bar.

    Args:
        text: the query.
        items: names or terms before the bar.
        given: terms after the bar.
        ranges: whether a name may be given a range of its own: E[a | a > 1].
        free: whether a name may be given without a value: H(a | a).
    """
    items_by_name = {(i if isinstance(i, Name) else i.name).text: i for i in items}
    for term in given:
        item = items_by_name.get(term.name.text)
        in_range = ranges and isinstance(term, RANGES) and isinstance(item, Name | Free | RANGES)
        if item is not None and not in_range and not (free and isinstance(term, Free)):
            message = f"{quoted(term.name.text)} appears both before and after the bar"
            raise notation_error(text, term.name.at, message)
