"""Columns that a model cannot relate, and the answers that say so."""

import numpy as np
import pytest

import pofx
from pofx import PofxWarning
from pofx.queries.structure import may_depend


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    level = rng.integers(0, 2, 60)
    return {
        "a": np.array(["x", "y"])[level],
        "u": level + rng.normal(size=60),
        "v": level + rng.normal(size=60),
    }


def depends(model, *pair):
    masks = [np.arange(3) == j for j in pair]
    return may_depend(model, *masks)


@pytest.mark.parametrize(
    ("name", "options", "related"),
    [
        ("independent", {}, set()),
        ("correlated", {}, {(1, 2)}),
        ("mixture", {"components": 1}, set()),
        ("mixture", {"components": 2}, {(0, 1), (0, 2), (1, 2)}),
        ("chow_liu_tree", {}, {(0, 1), (0, 2), (1, 2)}),
    ],
)
def test_structure_and_information_agree(data, name, options, related):
    p = pofx.fit(data, name, restarts=1, steps=5, tolerance=1.0, **options)
    for pair in [(0, 1), (0, 2), (1, 2)]:
        assert depends(p.model, *pair) == depends(p.model, *pair[::-1]) == (pair in related)
        if pair not in related:
            one, other = (list(data)[j] for j in pair)
            assert float(p.mutual_information(one, other)) == 0


@pytest.fixture(scope="module")
def p(data):
    return pofx.fit(data, "correlated")


def test_an_answer_says_that_the_evidence_has_no_part_in_it(p):
    for question in (
        "P(a = x | u = 1)",
        "P(a = x | u > 1)",
        "P(a | u = 1)",
        "E[u | a = x]",
        "u | a = x",
    ):
        question = f"p({question})" if question.startswith("u |") else question
        assert "independent of the evidence in this model" in str(p.ask(question)), question
    assert "independent of the evidence in this model" in str(p.ask("H(a | u)"))
    for question in ("P(a = x)", "E[u | v = 1]", "E[u | v = 1, a = x]", "P(u > 0 | v > 0)"):
        assert "independent" not in str(p.ask(question)), question


def test_predictions_warn(p):
    for predict in (p.predict, p.predict_proba, p.decide):
        with pytest.warns(PofxWarning, match="holds 'a' independent of the other columns"):
            predict({"u": [0.0], "v": [1.0]}, "a")
    p.predict({"u": [0.0], "v": [1.0], "a": ["x"]}, "v")
    p.predict({"u": [np.nan], "v": [np.nan]}, "a")
