"""What is refused, with which message, and where the caret points."""

import pickle

import pytest

from pofx.core.errors import PofxError
from pofx.notation.errors import NotationError, notation_error
from pofx.notation.parse import MAX_CHARS, parse


def refusal(text):
    with pytest.raises(NotationError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "p(sex = )",
            "ask: expected a value after '=', found ')'\n"
            "  p(sex = )\n"
            "          ^",
        ),
        (
            "P(a b)",
            "ask: expected ',', '|', ')', 'in', 'not in' or a comparison after 'a', found 'b'; "
            "write a name with other characters in backquotes\n"
            "  P(a b)\n"
            "      ^",
        ),
        (
            "p(a\t= 'x",
            "ask: the quote \"'\" is not closed\n"
            "  p(a\\t= 'x\n"
            "         ^",
        ),
        (
            "entropy(a)",
            "ask: no function 'entropy'; did you mean H? (functions: p, P, E, Var, SD, Cov, Corr, "
            "Q, median, mode, sample, H, I, TC, KL, JS, CE)\n"
            "  entropy(a)\n"
            "  ^",
        ),
        (
            "P(5 < a < 2)",
            "ask: no number is in the range 5 < a < 2\n"
            "  P(5 < a < 2)\n"
            "        ^",
        ),
    ],
)  # fmt: skip
def test_the_whole_picture(text, message):
    assert str(refusal(text)) == message


@pytest.mark.parametrize(
    ("text", "at", "part"),
    [
        ("", 0, "expected a question such as p(a | b = 1), found nothing"),
        (" \n", 0, "found nothing"),
        ("(a)", 0, "expected one of p, P, E"),
        ("h(a)", 0, "no function 'h'; did you mean H?"),
        ("zzz(a)", 0, "no function 'zzz' (functions: p, P"),
        ("p", 1, "expected '(' or '[' after 'p', found the end"),
        ("p(", 2, "found the end"),
        ("p(a", 3, "'|', ')', 'in'"),
        ("p(a]", 3, "found ']'"),
        ("p[a)", 3, "found ')'"),
        ("p(a))", 4, "expected the end after ')', found ')'"),
        ("p(a) b", 5, "expected the end"),
        ("p()", 2, "expected a name or a number after '('"),
        ("p(a,)", 4, "after ','"),
        ("p(a | )", 6, "expected a name or a number after '|', found ')'"),
        ("p(a == ", 6, "expected a value after '==', found the end"),
        ("p(a = | b)", 6, "expected a value"),
        ("p(a => 1)", 5, "expected a value after '=', found '>'"),
        ("p(a | b | c)", 8, "after the bar, separate terms by commas"),
        ("p(a = ?)", 6, "a cell can be missing only after the bar"),
        ("p(bill length)", 7, "in backquotes"),
        ("p(`a)", 2, "the quote '`' is not closed"),
        ("p(a = A-1)", 6, "'A-1' is neither a number nor a word of letters, digits and _"),
        ("p(a = x.y)", 6, "write other text in quotes"),
        ("p(a = 2007-1-1)", 6, "write other text in quotes"),
        ("P(a > 2007-13-01)", 6, "'2007-13-01' is no date or time"),
        (r"p(a = 'C:\x')", 9, "a backslash is allowed only before a quote"),
        ("p(a = 1e999)", 6, "'1e999' is too large a number"),
        ("p(a > 1" + "0" * 400 + ")", 6, "is too large a number"),
        ("P(a > b)", 6, "expected a number after '>', found 'b'; a range ends at numbers, or at"),
        ("P(a > 'b')", 6, "\"'b'\" is no date or time, as '2020-01-31' or '18:30'"),
        ("P(1 < 2)", 6, "expected a name after '<', found '2'"),
        ("P(1 < a > 2)", 8, "'<' and '>' point in two directions"),
        ("P(5 ≥ a ≤ 6)", 8, "'≥' and '≤' point in two directions"),
        ("P(a > 3, a < 1)", 9, "no number is in the range 3 < a < 1"),
        ("P(a in (2, 2])", 2, "no number is in the range"),
        ("P(a > inf)", 2, "no number is in the range"),
        ("P(a in {})", 8, "expected a value after '{', found '}'"),
        ("P(a in {x, x})", 11, "'x' appears twice in the set"),
        ("P(a in {1, 1.0})", 11, "appears twice in the set"),
        ("P(a in [0, 1})", 12, "expected ')' or ']' after '1'"),
        ("P(a in 3)", 7, "expected '(', '[' or '{' after 'in'"),
        ("p(a, b, a)", 8, "'a' appears twice before the bar"),
        ("p(b | a = 1, a > 1)", 13, "'a' appears twice after the bar"),
        ("P(a in {x}, a != y)", 12, "name all its values in one {...}"),
        ("p(a | a = 1)", 6, "'a' appears both before and after the bar"),
        ("P(a = 1 | a > 0)", 10, "both before and after"),
        ("E[a | b, a = 1]", 9, "both before and after"),
        ("mode(a | a > 0)", 9, "both before and after"),
        ("KL(p(a | a > 0) || p(a))", 9, "both before and after"),
        ("Q[1](a)", 2, "Q[level] is between 0 and 1, got '1'"),
        ("Q[-0.5](a)", 2, "between 0 and 1"),
        ("Q(a)", 2, "expected a number after '('"),
        ("Q[0.5](a, b)", 8, "expected '|' or ')'"),
        ("E[a, b]", 0, "E takes one name, got 2"),
        ("Cov[a]", 0, "Cov takes two names, got 1"),
        ("corr(a, b, c)", 0, "Corr takes two names, got 3"),
        ("TC(a)", 0, "TC takes two names or more"),
        ("I(a, b)", 6, "expected ',' or ';' after 'b'"),
        ("I(a, a; b)", 5, "'a' appears twice"),
        ("H(a | a = 1)", 6, "both before and after"),
        ("I(a; b; c)", 6, "found ';'"),
        ("KL(p)", 4, "expected '(', '[' or '||' after 'p', found ')'"),
        ("KL(p(a), q(a))", 7, "expected '||' after ')', found ','"),
        ("KL(p(a) || q(b))", 11, "KL needs the same names on both sides"),
        ("JS(p || q(b))", 8, "the same names on both sides"),
        ("sample[0](a)", 7, "sample[number] is 1, 2, ..., got '0'"),
        ("sample[2.5](a)", 7, "got '2.5'"),
        ("sample[5]", 9, "expected '(' or '[' after ']'"),
        ("p(((((a)))))", 2, "found '('"),
        ("\N{KELVIN SIGN}L(p || q)", 0, "no function"),
    ],
)
def test_a_mistake(text, at, part):
    error = refusal(text)
    assert part in str(error).split("\n")[0]
    assert error.at == at


@pytest.mark.parametrize(
    "text",
    [
        "P(a > 3 | a > 1)",
        "P(a in {x} | a != y)",
        "P(a > 1 | a in {2})",
        "E[a | a > 3]",
        "sample[2](a | a > 3)",
    ],
)
def test_a_range_may_be_asked_in_a_range(text):
    assert str(parse(text)) == text


def test_what_does_not_print_is_shown_by_its_code():
    first, second, caret = str(refusal("p(\x1b[31m\u202e)")).split("\n")
    assert "\\x1b" in first
    assert second == "  p(\\x1b[31m\\u202e)"
    assert caret == "    ^"


def test_a_long_text_is_shown_about_the_caret():
    error = refusal("p(" + "a, " * 300 + "!" + ", a" * 300 + ")")
    _, question, caret = str(error).split("\n")
    assert len(question) < 100
    assert question[caret.index("^")] == "!"


def test_the_longest_text():
    assert len(parse("p(" + "a" * (MAX_CHARS - 3) + ")").event[0].name.text) == MAX_CHARS - 3
    error = refusal("p(" + "a" * MAX_CHARS + ")")
    assert str(error).startswith(f"ask: {MAX_CHARS + 3} characters; at most {MAX_CHARS} are read\n")


def test_what_is_no_text():
    with pytest.raises(PofxError, match="ask: expected text, got int"):
        parse(3)


def test_the_error_is_one_of_ours_and_travels():
    error = notation_error("p(sx)", 2, "no column 'sx'; did you mean 'sex'?")
    assert isinstance(error, PofxError)
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.text, copied.at) == (str(error), "p(sx)", 2)
