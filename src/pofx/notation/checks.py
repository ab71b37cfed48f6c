"""What no grammar can say: a name stands once, a range holds a number."""

from collections.abc import Iterable

from pofx.core.escaping import escaped
from pofx.notation.errors import mistake, quoted
from pofx.notation.terms import Free, Given, Interval, Members, Name, Term, Value

RANGES = Interval | Members


def once(text: str, items: Iterable[Name | Value], where: str) -> None:
    """NotationError at the first of the names or values that stood before."""
    seen = set()
    for item in items:
        content = item.text if isinstance(item, Name) else item.content
        if content in seen:
            raise mistake(text, item.at, f"{quoted(str(content))} stands twice {where}")
        seen.add(content)


def merged(text: str, terms: Iterable[Term], where: str) -> tuple[Term, ...]:
    """The terms, those ranges that are of one name as one; NotationError where none is left.

    >>> a = Name("a")
    >>> print(*merged("a > 2, a < 5", [Interval(a, low=2), Interval(a, high=5)], "here"))
    2 < a < 5
    """
    found: dict[str, Term] = {}
    for term in terms:
        name, before = term.name, found.get(term.name.text)
        if isinstance(before, Interval) and isinstance(term, Interval):
            term = before & term
        elif before is not None:
            hint = ""
            if isinstance(before, Members) and isinstance(term, Members):
                hint = "; name all its values in one {...}"
            raise mistake(text, name.at, f"{quoted(name.text)} stands twice {where}{hint}")
        if isinstance(term, Interval) and term.empty:
            raise mistake(text, name.at, f"no number is in the range {escaped(str(term))}")
        found[name.text] = term
    return tuple(found.values())


def apart(
    text: str, asked: Iterable[Name | Term], given: Given, *, ranges: bool, free: bool = False
) -> None:
    """NotationError where a name is both asked and given, but for one given a range: E[a | a > 1].

    Without `ranges`, for that too; not for one given `free`, without a value: H(a | a).
    """
    names = {(item if isinstance(item, Name) else item.name).text: item for item in asked}
    for term in given:
        item = names.get(term.name.text)
        within = ranges and isinstance(term, RANGES) and isinstance(item, Name | Free | RANGES)
        if item is not None and not within and not (free and isinstance(term, Free)):
            shown = quoted(term.name.text)
            raise mistake(text, term.name.at, f"{shown} stands both before and after the bar")
