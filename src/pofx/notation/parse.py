"""A question's text to its tree."""

from functools import cache
from importlib.resources import files

from lark import Lark, Token
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError

from pofx.core.errors import PofxError
from pofx.notation.errors import NotationError, mistake
from pofx.notation.queries import Query
from pofx.notation.syntax_errors import check_function, unexpected
from pofx.notation.tree_builder import Builder

LONGEST = 2000
"""Characters that a question may have."""


def parse(text: str) -> Query:
    """The question that a text asks, in the notation of `docs/notation.md`.

    NotationError for what is no question: its first line says why, its picture shows where.

    >>> query = parse("P(5 > a >= 2, b ≠ x | c=?)")
    >>> print(query)
    P(2 <= a < 5, b != x | c = ?)
    >>> query.given
    (Unknown(name=Name(text='c', at=22)),)
    >>> parse("H[a, | b]")
    Traceback (most recent call last):
    ...
    pofx.notation.errors.NotationError: ask: expected a name after ',', found '|'
      H[a, | b]
           ^
    """
    if not isinstance(text, str):
        raise PofxError(f"ask: expected text, got {type(text).__name__}")
    if len(text) > LONGEST:
        raise mistake(text, LONGEST, f"{len(text)} characters; at most {LONGEST} are read")
    check_function(text)
    session = _parser().parse_interactive(text)
    tokens: list[Token] = []
    try:
        for token in session.iter_parse():
            tokens.append(token)
        tree = session.feed_eof(tokens[-1])
    except UnexpectedInput as error:
        raise _told(text, error, tokens) from None
    try:
        return Builder(text).transform(tree)
    except VisitError as error:
        raise error.orig_exc from None


@cache
def _parser() -> Lark:
    grammar = files("pofx.notation").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr")


def _told(text: str, error: UnexpectedInput, tokens: list[Token]) -> NotationError:
    at = error.pos_in_stream or 0
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        at = len(text.rstrip())
    read = [token for token in tokens if (token.start_pos or 0) < at]
    # Once more up to there: on the way to its error the parser may have closed what is open.
    session = _parser().parse_interactive("")
    for token in read:
        session.feed_token(token)
    return unexpected(text, at, read, session.accepts())
