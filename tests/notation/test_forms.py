"""Each form of the notation, with the tree that it is read into."""

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from pofx.notation.errors import NotationError
from pofx.notation.parse import parse
from pofx.notation.queries import (
    Divergence,
    Entropy,
    Expectation,
    Information,
    Mode,
    Probability,
    Quantile,
    Sample,
    Side,
    TotalCorrelation,
)
from pofx.notation.syntax_errors import FUNCTIONS
from pofx.notation.terms import Free, Interval, Members, Moment, Name, Point, Unknown, Value

A, B, C, D = (Name(name) for name in "abcd")
HALF_DAY = (Moment("2020-01-31"), Moment("2020-02-01 12:30"))
C2 = (Point(C, Value(2)),)
DOCS = Path(__file__).parents[2] / "docs" / "notation.md"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("p(a=1, b | c=2)", Probability("p", (Point(A, Value(1)), Free(B)), C2)),
        ("P[a == yes]", Probability("P", (Point(A, Value("yes")),))),
        ("p(a | b, c=?)", Probability("p", (Free(A),), (Free(B), Unknown(C)))),
        ("E[a | c=2]", Expectation("E", (A,), C2)),
        ("Var(a)", Expectation("Var", (A,))),
        ("sd[a]", Expectation("SD", (A,))),
        ("COV[a, b]", Expectation("Cov", (A, B))),
        ("Corr[a, b | c = 2]", Expectation("Corr", (A, B), C2)),
        ("Q[0.9](a | c=2)", Quantile(0.9, A, C2)),
        ("Q(.25)[a]", Quantile(0.25, A)),
        ("median(a)", Quantile(0.5, A)),
        ("mode(a, b | c=2)", Mode((A, B), C2)),
        ("sample(a)", Sample(1, (A,))),
        ("sample[5](a, b | c = 2)", Sample(5, (A, B), C2)),
        ("sample[a | c = 2]", Sample(1, (A,), C2)),
        ("H(a, b | c)", Entropy((A, B), (Free(C),))),
        ("H(a | b, c=2, d > 1)", Entropy((A,), (Free(B), *C2, Interval(D, low=1)))),
        ("I(a; b | c)", Information(((A,), (B,)), (Free(C),))),
        ("I(a, b; d | c = 2)", Information(((A, B), (D,)), C2)),
        ("TC(a, b, c | d)", TotalCorrelation((A, B, C), (Free(D),))),
        ("KL(p || q)", Divergence("KL", Side(Name("p")), Side(Name("q")))),
        ("js(p ‖ q)", Divergence("JS", Side(Name("p")), Side(Name("q")))),
        (
            "CE[p(a, b) || q[b, a | c=2]]",
            Divergence("CE", Side(Name("p"), (A, B)), Side(Name("q"), (B, A), C2)),
        ),
    ],
)
def test_a_query(text, query):
    assert parse(text) == query
    spaced = text.translate({ord(mark): f" {mark}\n" for mark in "()[],;"})
    assert parse(f"\t{spaced} ") == query


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("a < 3", Interval(A, high=3)),
        ("a <= 3", Interval(A, high=3, high_closed=True)),
        ("a ≤ -3.5", Interval(A, high=-3.5, high_closed=True)),
        ("a > 3e2", Interval(A, low=300.0)),
        ("a >= +3", Interval(A, low=3, low_closed=True)),
        ("3 < a", Interval(A, low=3)),
        ("3 ≥ a", Interval(A, high=3, high_closed=True)),
        ("2 < a <= 5", Interval(A, 2, 5, False, True)),
        ("a < 2020-01-31", Interval(A, high=Moment("2020-01-31"))),
        ("a in [2020-01-31, 2020-02-01T12:30)", Interval(A, *HALF_DAY, True)),
        ("a = 2020-01-31", Point(A, Value("2020-01-31"))),
        ("5 > a >= 2", Interval(A, 2, 5, True, False)),
        ("2 <= a <= 2", Interval(A, 2, 2, True, True)),
        ("a in [0, 1]", Interval(A, 0, 1, True, True)),
        ("a ∈ (0, 1]", Interval(A, 0, 1, False, True)),
        ("a in [-inf, 1)", Interval(A, high=1)),
        ("a in (-inf, inf)", Interval(A)),
        ("a > 1, a < 4, a <= 3", Interval(A, 1, 3, False, True)),
        ("a >= 1, 1 < a", Interval(A, low=1)),
        ("a in {x}", Members(A, (Value("x"),))),
        ("a in {x, 'y z', 3}", Members(A, (Value("x"), Value("y z"), Value(3)))),
        ("a not in {x, y}", Members(A, (Value("x"), Value("y")), False)),
        ("a ∉ {x}", Members(A, (Value("x"),), False)),
        ("a != x", Members(A, (Value("x"),), False)),
        ("a ≠ -1", Members(A, (Value(-1),), False)),
    ],
)
def test_a_term(text, term):
    assert parse(f"P({text})").event == (term,)
    assert parse(f"H(b | {text})").given == (term,)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("2007", 2007),
        ("-3", -3),
        ("+.5", 0.5),
        ("3.", 3.0),
        ("1E-3", 0.001),
        ("-inf", -float("inf")),
        ("inf", float("inf")),
        ("'inf'", "inf"),
        ("infinite", "infinite"),
        ("true", "true"),
        ("'2007'", "2007"),
        ("in", "in"),
        ("überall_1", "überall_1"),
        ("''", ""),
        ("'A-1, \"x\" | `y`'", 'A-1, "x" | `y`'),
        (r"'it\'s'", "it's"),
        (r'"a \" and \\"', 'a " and \\'),
        ("'two\nlines'", "two\nlines"),
    ],
)
def test_a_value(text, content):
    value = parse(f"p(a = {text})").event[0].value
    assert value == Value(content)
    assert type(value.content) is type(content)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("body_mass_g", "body_mass_g"),
        ("x.y.z", "x.y.z"),
        ("größe", "größe"),
        ("`bill length (mm)`", "bill length (mm)"),
        ("`a``b`", "a`b"),
        ("```x```", "`x`"),
        ("``", ""),
        ("`1a`", "1a"),
        *((word, word) for word in ["p", "E", "H", "in", "not", "mode", "sample"]),
    ],
)
def test_a_name(text, name):
    assert parse(f"H({text})").names == (Name(name),)
    assert parse(f"P({text} in {{x}} | {text} not in {{y}})").given[0].name == Name(name)


def test_names_and_values_know_where_they_stood():
    text = "KL(p(a | b in {x, 'y'}) || q(a | `c d` = 1))"
    query = parse(text)
    left, right = query.left, query.right
    members, point = left.given[0], right.given[0]
    names = [left.distribution, *left.names, members.name]
    names += [right.distribution, *right.names, point.name]
    assert [text[name.at] for name in names] == ["p", "a", "b", "q", "a", "`"]
    assert [text[value.at] for value in (*members.values, point.value)] == ["x", "'", "1"]


def test_every_function_is_read():
    bodies = ["(a)", "[0.5](a)", "(a, b)", "(a; b)", "(p || q)"]
    for function in FUNCTIONS:
        spellings = [function] if len(function) == 1 else [function, function.upper()]
        for spelling in spellings:
            assert any(_reads(spelling + body) for body in bodies), spelling


def _reads(text):
    try:
        return bool(parse(text))
    except NotationError:
        return False


def test_the_reference_is_written_in_the_notation():
    blocks = re.findall(r"```ask\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    questions = [line for block in blocks for line in block.splitlines()]
    assert len(questions) > 30
    for question in questions:
        parse(question)


def test_the_grammar_travels_with_the_code():
    assert files("pofx.notation").joinpath("grammar.lark").is_file()


def test_neither_jax_nor_pandas_is_needed():
    code = "import sys, pofx.notation.parse as p; p.parse('p(a)'); print({*sys.modules} & {%s})"
    code %= "'jax', 'pandas', 'numpy'"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")
