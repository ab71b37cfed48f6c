"""Errors for a text that does not follow the grammar."""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from lark import Token

from pofx.notation.errors import NotationError, notation_error, quoted, terminals_text

FUNCTIONS = (
    *("p", "P", "E", "Var", "SD", "Cov", "Corr", "Q", "median", "mode", "sample"),
    *("H", "I", "TC", "KL", "JS", "CE"),
)
"""The functions that a query begins with; those of more than one letter in any case."""

SYNONYMS = {
    "pr": "P",
    "prob": "P",
    "mean": "E",
    "expectation": "E",
    "variance": "Var",
    "std": "SD",
    "covariance": "Cov",
    "correlation": "Corr",
    "quantile": "Q",
    "draw": "sample",
    "entropy": "H",
    "mi": "I",
    "information": "I",
    "mutual_information": "I",
    "total_correlation": "TC",
    "cross_entropy": "CE",
}
"""Other names of functions: an error suggests the function for them."""

ANY_CASE = {name.lower(): name for name in FUNCTIONS if len(name) > 1}

SUGGESTIONS = SYNONYMS | {name.lower(): name for name in FUNCTIONS}

PIECE_PATTERN = re.compile(r"[-+]?\w[\w.]*|\|\||[<>=!]=|.", re.S)
"""The part of the text that an error shows as found."""

BARS = ("|", "||", "∣", "‖", "∥")

MARKS = "()[]{},;=<>!≤≥≠∈∉?" + "".join(BARS)
"""Characters that cannot be meant as part of a name."""


def check_function(text: str) -> None:
    """Raises NotationError, with the nearest function, if a query begins with none.

    >>> check_function("entrpy(a)")
    Traceback (most recent call last):
    ...
    pofx.notation.errors.NotationError: ask: no function 'entrpy'; did you mean H? \
(functions: p, P, E, Var, SD, Cov, Corr, Q, median, mode, sample, H, I, TC, KL, JS, CE)
      entrpy(a)
      ^
    """
    functions = ", ".join(FUNCTIONS)
    at = len(text) - len(text.lstrip())
    if at == len(text):
        raise notation_error(text, 0, "found nothing", expected="a question such as p(a | b = 1)")
    word = re.compile(r"\w[\w.]*").match(text, at)
    if word is None:
        raise notation_error(text, at, f"found {quoted(text[at])}", expected=f"one of {functions}")
    name = word[0]
    if name in FUNCTIONS or (name.isascii() and name.lower() in ANY_CASE):
        return
    near = get_close_matches(name.lower(), SUGGESTIONS, n=1)
    hint = f"; did you mean {SUGGESTIONS[near[0]]}?" if near else ""
    message = f"no function {quoted(name)}{hint} (functions: {functions})"
    raise notation_error(text, at, message)


def syntax_error(
    text: str, at: int, tokens: Sequence[Token], accepted: Collection[str]
) -> NotationError:
    """The error for a character that does not go on as the grammar says.

    Args:
        text: the query.
        at: the character.
        tokens: those before it.
        accepted: the terminals that may follow them.
    """
    match = PIECE_PATTERN.match(text.rstrip(), at)
    piece = match[0] if match else ""
    terminal = {"'": "QUOTED", '"': "QUOTED", "`": "BACKQUOTED"}.get(piece)
    if terminal in accepted:
        return notation_error(text, at, f"the quote {quoted(piece)} is not closed")
    after = f" after {quoted(tokens[-1])}" if tokens else ""
    message = f"found {quoted(piece)}" if piece else "found the end"
    message += _hint(piece, [token.type for token in tokens], accepted)
    # A date in quotes may take the place of a number. Few expect that, so only the hint says it.
    expected = accepted if "WORD" in accepted else set(accepted) - {"QUOTED"}
    return notation_error(text, at, message, expected=terminals_text(expected) + after)


def _hint(piece: str, terminals: Sequence[str], accepted: Collection[str]) -> str:
    last = terminals[-1] if terminals else ""
    if piece in BARS and "_BAR" in terminals and "COMMA" in accepted:
        return "; after the bar, separate terms by commas"
    if piece == "?" and last == "_EQUAL":
        return "; a cell can be missing only after the bar"
    if last == "ORDER" and "NUMBER" in accepted:
        return "; a range ends at numbers, or at dates"
    if last == "PLAIN" and piece and piece[0] not in MARKS:
        return "; write a name with other characters in backquotes"
    return ""
