"""What to say where a question does not go on as the grammar has it."""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from lark import Token

from pofx.notation.errors import NotationError, in_words, mistake, quoted

FUNCTIONS = (
    *("p", "P", "E", "Var", "SD", "Cov", "Corr", "Q", "median", "mode", "sample"),
    *("H", "I", "TC", "KL", "JS", "CE"),
)
"""What a question begins with; those of more than one letter in any case."""

OTHERS = {
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
"""What else one may call them, which is answered and not read."""

ANY_CASE = {name.lower(): name for name in FUNCTIONS if len(name) > 1}

KNOWN = OTHERS | {name.lower(): name for name in FUNCTIONS}

PIECE = re.compile(r"[-+]?\w[\w.]*|\|\||[<>=!]=|.", re.S)
"""As much as is said to have been found."""

BARS = ("|", "||", "∣", "‖", "∥")

MARKS = "()[]{},;=<>!≤≥≠∈∉?" + "".join(BARS)
"""What cannot be meant for a part of a name."""


def check_function(text: str) -> None:
    """NotationError, with the nearest function, where a question begins with none.

    >>> check_function("entrpy(a)")
    Traceback (most recent call last):
    ...
    pofx.notation.errors.NotationError: ask: no function 'entrpy'; did you mean H? \
(functions: p, P, E, Var, SD, Cov, Corr, Q, median, mode, sample, H, I, TC, KL, JS, CE)
      entrpy(a)
      ^
    """
    there = ", ".join(FUNCTIONS)
    at = len(text) - len(text.lstrip())
    if at == len(text):
        raise mistake(text, 0, "found nothing", expected="a question such as p(a | b = 1)")
    word = re.compile(r"\w[\w.]*").match(text, at)
    if word is None:
        raise mistake(text, at, f"found {quoted(text[at])}", expected=f"one of {there}")
    name = word[0]
    if name in FUNCTIONS or (name.isascii() and name.lower() in ANY_CASE):
        return
    near = get_close_matches(name.lower(), KNOWN, n=1)
    hint = f"; did you mean {KNOWN[near[0]]}?" if near else ""
    raise mistake(text, at, f"no function {quoted(name)}{hint} (functions: {there})")


def unexpected(
    text: str, at: int, read: Sequence[Token], accepted: Collection[str]
) -> NotationError:
    """The error for character `at`: after the tokens `read`, only `accepted` ones go on."""
    found = PIECE.match(text.rstrip(), at)
    piece = found[0] if found else ""
    terminal = {"'": "QUOTED", '"': "QUOTED", "`": "BACKQUOTED"}.get(piece)
    if terminal in accepted:
        return mistake(text, at, f"the quote {quoted(piece)} is not closed")
    after = f" after {quoted(read[-1])}" if read else ""
    shown = f"found {quoted(piece)}" if piece else "found the end"
    hint = _hint(piece, [token.type for token in read], accepted)
    # Where a number may stand a date may, which few look for: the hint tells of it.
    told = set(accepted) - {"QUOTED"} if "WORD" not in accepted else accepted
    return mistake(text, at, shown + hint, expected=in_words(told) + after)


def _hint(piece: str, read: Sequence[str], accepted: Collection[str]) -> str:
    last = read[-1] if read else ""
    if piece in BARS and "_BAR" in read and "COMMA" in accepted:
        return "; after one bar, more is given after a comma"
    if piece == "?" and last == "_EQUAL":
        return "; only what is given may be missing"
    if last == "ORDER" and "NUMBER" in accepted:
        return "; a range ends at numbers, or at dates"
    if last == "PLAIN" and piece and piece[0] not in MARKS:
        return "; a name of other characters stands in backquotes"
    return ""
