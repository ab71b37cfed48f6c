"""Printed answers have enough digits at large offsets, and texts of the data are escaped."""

import numpy as np
import pytest

import pofx
from pofx.ask.results import Summary, Table

RNG = np.random.default_rng(0)
NASTY = ("a[/b]", "[unknown]", "line\nbreak", "\x1b[31mred", ":smile:", "plain")


@pytest.fixture(scope="module")
def far():
    x = 1e9 + RNG.normal(0, 1, 200)
    return pofx.fit({"x": x, "y": x + RNG.normal(0, 1, 200), "k": x > 1e9}, "mixture", components=1)


@pytest.fixture(scope="module")
def nasty():
    data = {"k\x1b[2J": np.repeat(NASTY, 4), "n\n[b]": np.arange(24) % 7 + 0.5}
    return pofx.fit(data, "independent")


def test_a_summary_tells_its_quantiles_apart(far):
    printed = far.ask("p(x)")
    assert isinstance(printed, Summary)
    lines = [line.split() for line in str(printed).splitlines()[1:]]
    shown = {head: float(value) for head, value, *_ in lines}
    assert shown["mean"] == pytest.approx(float(printed.mean), abs=1e-3)
    for u in (0.05, 0.5, 0.95):
        assert shown[f"Q[{u:g}]"] == pytest.approx(float(printed.quantiles[u]), abs=1e-3)
    assert shown["Q[0.05]"] + 2 < shown["Q[0.95]"]


@pytest.mark.parametrize(
    "question", ["E[x]", "Q[0.05](x)", "Q[0.95](x)", "mode(x)", "E[x | y = 1000000002]"]
)
def test_an_exact_answer_shows_the_digits_of_its_column(far, question):
    answer = far.ask(question)
    shown = float(str(answer).split(" = ")[-1 if "mode" not in question else 1].split()[0])
    value = answer.values["x"] if question == "mode(x)" else answer.value
    assert shown == pytest.approx(value, abs=1e-3)


def test_tables_and_moments_too(far):
    by_level = far.ask("E[x | k]")
    shown = [float(line.split()[-1]) for line in str(by_level).splitlines()[-2:]]
    assert isinstance(by_level, Table)
    np.testing.assert_allclose(shown, by_level.answer.value, rtol=0, atol=1e-3)
    mean = str(far.ask("p(x, y)")).splitlines()[2].split()[1]
    assert float(mean) == pytest.approx(1e9, abs=1)
    assert len(mean) > 10
    assert "1e+09" not in str(far.schema)


def test_counts_and_positive_numbers_at_an_offset():
    data = {"c": 10**9 + RNG.integers(0, 50, 200), "p": 1e9 + RNG.exponential(3, 200)}
    p = pofx.fit(data, "independent", schema={"c": "count", "p": "positive"})
    for name in data:
        low, high = (str(p.ask(f"Q[{u}]({name})")) for u in (0.05, 0.95))
        assert low.split(" = ")[1].split()[0] != high.split(" = ")[1].split()[0]


def test_a_probability_below_one_is_not_printed_as_one():
    p = pofx.fit({"x": RNG.normal(size=50)}, "gaussian")
    answer = p.ask("P(x < 5.5)")
    assert 0 < 1 - float(answer) < 1e-6
    assert not str(answer).split(" = ")[1].startswith("1 ")


@pytest.mark.filterwarnings("ignore:this model holds")
@pytest.mark.parametrize(
    "what",
    [
        lambda p: p,
        lambda p: p.schema,
        lambda p: repr(p.schema),
        lambda p: p.ask("p(`k\x1b[2J`)"),
        lambda p: p.ask("p(`n\n[b]`)"),
        lambda p: p.ask("p(`k\x1b[2J`, `n\n[b]`)"),
        lambda p: p.ask("mode(`k\x1b[2J`)"),
        lambda p: p.ask("H(`n\n[b]`)"),
        lambda p: p.given({"k\x1b[2J": "line\nbreak"}),
        lambda p: p.report(),
        lambda p: p.decide({"n\n[b]": [0.5]}, "k\x1b[2J"),
    ],
    ids=[
        "p",
        "schema",
        "names",
        "levels",
        "number",
        "both",
        "mode",
        "unit",
        "given",
        "report",
        "act",
    ],
)
def test_names_and_levels_are_printed_on_one_line_each(nasty, what):
    text = str(what(nasty))
    assert all(line.isprintable() for line in text.split("\n"))
    assert "line\nbreak" not in text


def test_errors_are_one_line(nasty):
    with pytest.raises(pofx.PofxError) as caught:
        nasty.marginal("zzz")
    assert str(caught.value).isprintable()
