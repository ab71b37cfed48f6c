"""The information of columns about themselves, alone and among others."""

import re

import numpy as np
import pytest

import pofx
from pofx import PofxError


@pytest.fixture(scope="module")
def p():
    rng = np.random.default_rng(0)
    level = rng.integers(0, 3, 200)
    table = {
        "c": np.array(["x", "y", "z"])[level],
        "a": (level + rng.integers(0, 2, 200) > 1).astype(int),
        "n": rng.poisson(3 + 2 * level),
        "u": level + rng.normal(size=200),
    }
    return pofx.fit(table, "mixture", components=2, restarts=1, schema={"n": "count"})


@pytest.mark.parametrize(
    ("question", "same"),
    [
        ("I(c; c)", "H(c)"),
        ("I(a, c; c)", "H(c)"),
        ("I(c; a, c)", "H(c)"),
        ("I(a, c; c, a)", "H(a, c)"),
        ("I(c; c | a)", "H(c | a)"),
        ("I(c; a | c)", None),
        ("I(c, u; c)", "H(c)"),
        ("I(u; a | u)", None),
        ("H(c | c)", None),
        ("H(a, c | c)", "H(a | c)"),
        ("H(a, c | c, a)", None),
        ("H(n | n)", None),
        ("H(c, n | c, n)", None),
        ("TC(a, c | c)", None),
        ("I(c; c | a = 1)", "H(c | a = 1)"),
        ("I(c; c | u > 1)", "H(c | u > 1)"),
        ("H(a, c | c, u > 1)", "H(a | c, u > 1)"),
    ],
)
def test_what_levels_tell_about_themselves_is_exact(p, question, same):
    answer = p.ask(question)
    expected = 0.0 if same is None else float(p.ask(same))
    assert (answer.kind, answer.question) == ("exact", question)
    assert float(answer) == pytest.approx(expected, abs=1e-9)


def test_of_counts_it_is_their_entropy(p):
    answer, expected = p.ask("I(n; n, u)"), p.ask("H(n)")
    assert abs(float(answer - expected)) <= 5 * (answer - expected).stderr + 1e-9


@pytest.mark.parametrize("question", ["I(u; u)", "I(a, u; u)", "I(a, u; u, c | n = 2)"])
def test_what_a_number_tells_about_itself_is_infinite(p, question):
    line = "mutual_information: 'u' is on both sides; I(a; a) is infinite for a column of numbers"
    with pytest.raises(PofxError, match=re.escape(line)):
        p.ask(question)
    with pytest.raises(PofxError, match=re.escape(line)):
        p.mutual_information(["a", "u"], ["u"])


def test_of_a_number_that_is_known_no_entropy_is_left(p):
    for ask in (lambda: p.ask("H(a, u | u)"), lambda: p.entropy("a", "u", given="u")):
        with pytest.raises(PofxError, match="entropy: 'u' is both asked and given; a number that"):
            ask()
