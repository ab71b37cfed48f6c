"""Reads the text of a query into a tree."""

from functools import cache
from importlib.resources import files

from lark import Lark, Token
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError

from pofx.core.errors import PofxError
from pofx.notation.errors import NotationError, notation_error
from pofx.notation.queries import Query
from pofx.notation.syntax_errors import check_function, syntax_error
from pofx.notation.tree_builder import TreeBuilder

MAX_CHARS = 2000
"""Characters that a query may have."""


def parse(text: str) -> Query:
    """The query that a text holds, in the notation of `docs/notation.md`.

    Raises NotationError if the text is no query: its first line says why, its picture shows where.

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
    if len(text) > MAX_CHARS:
        message = f"{len(text)} characters; at most {MAX_CHARS} are read"
        raise notation_error(text, MAX_CHARS, message)
    check_function(text)
    session = _parser().parse_interactive(text)
    tokens: list[Token] = []
    try:
        for token in session.iter_parse():
            tokens.append(token)
        tree = session.feed_eof(tokens[-1])
    except UnexpectedInput as error:
        raise _syntax_error(text, error, tokens) from None
    try:
        return TreeBuilder(text).transform(tree)
    except VisitError as error:
        raise error.orig_exc from None


@cache
def _parser() -> Lark:
    grammar = files("pofx.notation").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr")


def _syntax_error(text: str, error: UnexpectedInput, tokens: list[Token]) -> NotationError:
    at = error.pos_in_stream or 0
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        at = len(text.rstrip())
    tokens_before = [token for token in tokens if (token.start_pos or 0) < at]
    # The text is parsed once more up to there, because on the way to its error the parser may have
    # closed what is open.
    session = _parser().parse_interactive("")
    for token in tokens_before:
        session.feed_token(token)
    return syntax_error(text, at, tokens_before, session.accepts())
