"""Mistakes in a question: one line that says all, then the text with a caret under the place."""

from collections.abc import Collection

from pofx.core.errors import PofxError
from pofx.core.escaping import escaped

WIDTH = 80
"""Characters of the text that the picture shows."""

SHOWN = 24
"""Characters of one word that the first line shows."""

WORDS = {
    "PLAIN": "a name",
    "BACKQUOTED": "a name",
    "NUMBER": "a number",
    "WORD": "a value",
    "QUOTED": "a value",
    "QMARK": "'?'",
    "LPAR": "'('",
    "LSQB": "'['",
    "LBRACE": "'{'",
    "COMMA": "','",
    "SEMICOLON": "';'",
    "_BAR": "'|'",
    "_BARS": "'||'",
    "RPAR": "')'",
    "RSQB": "']'",
    "RBRACE": "'}'",
    "_IN": "'in'",
    "_NOT_IN": "'not in'",
    "_EQUAL": "'='",
    "_UNEQUAL": "'!='",
    "ORDER": "a comparison",
    "$END": "the end",
}
"""What the grammar's terminals are called, in the order in which they are told."""

COMPARISONS = {"_EQUAL", "_UNEQUAL", "ORDER"}


class NotationError(PofxError):
    """A question that cannot be read or asked: the first line says why, the picture shows where.

    `text` is the question, `at` the character.

    >>> print(NotationError("ask: no column 'sx'", "p(sx)", 2).at)
    2
    """

    def __init__(self, message: str, text: str = "", at: int = 0) -> None:
        super(PofxError, self).__init__(message)  # of more than one line
        self.text = text
        self.at = at


def mistake(text: str, at: int, message: str, *, expected: str = "") -> NotationError:
    """The error for character `at` of a question, which the picture points at.

    >>> print(mistake("p(sx)", 2, "no column 'sx'"))
    ask: no column 'sx'
      p(sx)
        ^
    >>> print(mistake("p(sex = )", 8, "found ')'", expected="a value after '='"))
    ask: expected a value after '=', found ')'
      p(sex = )
              ^
    """
    said = f"expected {expected}, {message}" if expected else message
    return NotationError(f"ask: {said}\n{_picture(text, at)}", text, at)


def in_words(terminals: Collection[str]) -> str:
    """What could have stood there, by the grammar's names for it.

    >>> in_words({"RPAR", "COMMA", "WORD", "QUOTED"})
    "a value, ',' or ')'"
    """
    there = set(terminals)
    if there >= COMPARISONS:
        there -= COMPARISONS - {"ORDER"}
    words = list(dict.fromkeys(word for name, word in WORDS.items() if name in there))
    return " or ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])


def quoted(word: str) -> str:
    """A piece of the text as the first line shows it.

    >>> print(quoted("a\\n"), quoted("'"))
    'a\\n' "'"
    """
    short = word if len(word) <= SHOWN else word[: SHOWN - 3] + "..."
    return f'"{escaped(short)}"' if "'" in short else f"'{escaped(short)}'"


def _picture(text: str, at: int) -> str:
    start = max(0, min(at - WIDTH // 2, len(text) - WIDTH))
    stop = start + WIDTH
    before = ("..." if start else "") + escaped(text[start:at])
    after = escaped(text[at:stop]) + ("..." if stop < len(text) else "")
    return f"  {before}{after}\n  {' ' * len(before)}^"
