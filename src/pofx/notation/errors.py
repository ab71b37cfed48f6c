"""Errors in a query: one line that says what is wrong, then the text with a caret."""

from collections.abc import Collection

from pofx.core.errors import PofxError
from pofx.core.escaping import escaped

MAX_PICTURE_CHARS = 80
"""Characters of the text that the picture shows."""

MAX_WORD_CHARS = 24
"""Characters of one word that the first line shows."""

TERMINAL_WORDS = {
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
"""The grammar's terminals in words, in the order in which an error lists them."""

COMPARISONS = {"_EQUAL", "_UNEQUAL", "ORDER"}


class NotationError(PofxError):
    """A query that cannot be read or answered.

    The first line of the message says why; the picture below it shows where.

    Args:
        message: the message, of several lines.
        text: the query.
        at: the character that the picture points at.

    >>> print(NotationError("ask: no column 'sx'", "p(sx)", 2).at)
    2
    """

    def __init__(self, message: str, text: str = "", at: int = 0) -> None:
        # PofxError would escape the line breaks.
        super(PofxError, self).__init__(message)
        self.text = text
        self.at = at


def notation_error(text: str, at: int, message: str, *, expected: str = "") -> NotationError:
    """The error for a character of a query, with a picture that points at it.

    Args:
        text: the query.
        at: the character.
        message: what is wrong, or what was found.
        expected: what could have been there.

    >>> print(notation_error("p(sx)", 2, "no column 'sx'"))
    ask: no column 'sx'
      p(sx)
        ^
    >>> print(notation_error("p(sex = )", 8, "found ')'", expected="a value after '='"))
    ask: expected a value after '=', found ')'
      p(sex = )
              ^
    """
    line = f"expected {expected}, {message}" if expected else message
    return NotationError(f"ask: {line}\n{_picture(text, at)}", text, at)


def terminals_text(terminals: Collection[str]) -> str:
    """Terminals of the grammar, in words.

    >>> terminals_text({"RPAR", "COMMA", "WORD", "QUOTED"})
    "a value, ',' or ')'"
    """
    names = set(terminals)
    if names >= COMPARISONS:
        names -= COMPARISONS - {"ORDER"}
    words = list(dict.fromkeys(word for name, word in TERMINAL_WORDS.items() if name in names))
    return " or ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])


def quoted(word: str) -> str:
    """A piece of the text as the first line shows it.

    >>> print(quoted("a\\n"), quoted("'"))
    'a\\n' "'"
    """
    short = word if len(word) <= MAX_WORD_CHARS else word[: MAX_WORD_CHARS - 3] + "..."
    return f'"{escaped(short)}"' if "'" in short else f"'{escaped(short)}'"


def _picture(text: str, at: int) -> str:
    start = max(0, min(at - MAX_PICTURE_CHARS // 2, len(text) - MAX_PICTURE_CHARS))
    stop = start + MAX_PICTURE_CHARS
    before = ("..." if start else "") + escaped(text[start:at])
    after = escaped(text[at:stop]) + ("..." if stop < len(text) else "")
    return f"  {before}{after}\n  {' ' * len(before)}^"
