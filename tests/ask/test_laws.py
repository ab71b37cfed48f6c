"""Answers agree with each other: the product rule, the sum rule, Bayes' rule."""

import numpy as np
import pytest

import pofx

pytestmark = pytest.mark.slow  # each question compiles for seconds


@pytest.fixture(scope="module")
def p():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    x = rng.normal(size=400) + 4 * y
    z = rng.normal(size=400) - x
    table = {"y": np.array(["a", "b"])[y], "x": x, "z": z}
    return pofx.fit(table, "class_conditional", on="y", part="gaussian")


EVIDENCE = ["x > 3", "x > 3, z < -2", "1 < x <= 3, z = -1.5", "y != a, z > -6"]


@pytest.mark.parametrize("given", EVIDENCE)
def test_a_value_given_a_range_is_the_ratio_of_probabilities(p, given):
    # A value may be far more probable under the evidence than without it.
    for value in ("y = b", "x = 3.5", "y in {b}, x < 3.7"):
        if value[0] in given:
            continue
        answer, both, evidence = (
            p.ask(text) for text in (f"p({value} | {given})", f"p({value}, {given})", f"p({given})")
        )
        error = 4 * np.hypot(answer.stderr, answer.value * evidence.stderr / evidence.value)
        ratio = float(both) / float(evidence)
        assert float(answer) == pytest.approx(ratio, rel=1e-4, abs=error + 4 * both.stderr)


def test_the_levels_of_a_table_are_the_answers_one_by_one(p):
    for given in ("x > 3", "x > 3, z < -2"):
        table = p.ask(f"p(y | {given})")
        for level in "ab":
            one = p.ask(f"P(y = {level} | {given})")
            error = 4 * np.hypot(one.stderr, table[level].stderr)
            assert float(one) == pytest.approx(float(table[level]), rel=1e-4, abs=error)
        total = sum(float(p.ask(f"P(y = {level} | {given})")) for level in "ab")
        assert total == pytest.approx(1, abs=1e-2)


def test_a_name_within_a_range_of_its_own(p):
    draws = p.sample(200_000, seed=2)["x"]
    tail = draws[draws > 3]
    for text, expected in (
        ("E[x | x > 3]", tail.mean()),
        ("SD[x | x > 3]", tail.std()),
        ("Q[0.9](x | x > 3)", np.quantile(tail, 0.9)),
    ):
        answer = p.ask(text)
        assert answer.kind == "estimate"
        assert abs(float(answer) - expected) < 5 * answer.stderr + 0.01
    assert (np.asarray(p.ask("sample[50](x | x > 3)")["x"]) > 3).all()
    assert float(p.ask("P(x > 4 | x > 3)")) == pytest.approx((tail > 4).mean(), abs=0.01)


def test_draws_agree(p):
    draws = p.sample(200_000, seed=1)
    in_tail = draws["x"] > 3
    expected = (draws["y"][in_tail] == "b").mean()
    assert float(p.ask("P(y = b | x > 3)")) == pytest.approx(expected, abs=0.005)
