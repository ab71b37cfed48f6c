"""Columns that are independent by the structure of a model, and the notes in answers."""

import jax.numpy as jnp
import numpy as np
import pytest

import pofx
from pofx import PofxWarning
from pofx.models.conditional import Conditional
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


WORD = "independent of the evidence in this model"


def test_the_most_probable_values_and_divergences_say_so_too(p):
    for question in ("mode(a | u = 1)", "KL(p(a | u = 1) || p(a))", "JS(p(a) || p(a | u = 1))"):
        assert WORD in str(p.ask(question)), question
    for question in ("mode(u | a = x, v = 1)", "KL(p(u | v = 1) || p(u))", "KL(p(a) || p(a))"):
        assert "independent" not in str(p.ask(question)), question
    one, other = "p(a | u = 1)", "q(a | u = 1)"
    assert WORD in str(p.ask(f"KL({one} || {other})", q=p))


def test_of_two_sides_the_deaf_one_is_named(p, data):
    tree = pofx.fit(data, "chow_liu_tree", schema=p.schema)
    told = str(tree.ask("KL(p(a | u = 1) || q(a | u = 1))", q=p))
    assert told.endswith(f"the second {WORD}")


def test_draws_say_so(p):
    for question in ("sample(a | u = 1)", "sample[3](a | u > 1)", "sample[3](a | u = 1, v > 0)"):
        with pytest.warns(PofxWarning, match=f"sample: what is drawn is {WORD}"):
            p.ask(question)
    for question in ("sample(a)", "sample[3](u, a | v = 1)", "sample[3](u | v > 0)"):
        p.ask(question)
    with pytest.warns(PofxWarning, match=WORD):
        p.given(u=1.0, v=0.0).sample(2)


@pytest.fixture(scope="module")
def given(p):
    return p.given(u=1.0)


def test_what_is_given_by_a_method_counts_as_much(given, tmp_path):
    given.save(tmp_path / "given.pofx")
    for q in (given, given.marginal("a"), pofx.load(tmp_path / "given.pofx"), given.given(v=0.0)):
        for question in ("P(a = x)", "p(a)", "H(a)", "mode(a)"):
            assert WORD in str(q.ask(question)), (q, question)
        assert WORD in str(q.entropy("a"))
        assert WORD in str(q.log_prob({"a": ["x"]} if q.schema.names == ("a",) else CELLS))
    for question in ("E[v]", "E[v | a = x]", "H(a, v)", "p(v)"):
        assert "independent" not in str(given.ask(question)), question
    assert "independent" not in str(given.log_prob({"a": ["x"], "v": [0.0]}))


CELLS = {"a": ["x"], "v": [np.nan]}


def test_predictions_from_what_is_given_warn(given):
    with pytest.warns(PofxWarning, match="'a' independent of the evidence, so every row gets"):
        given.predict_proba({"a": [None], "v": [np.nan]}, "a")
    with pytest.warns(PofxWarning, match="of the evidence and the other columns, so"):
        given.predict({"v": [1.0]}, "a")
    given.predict({"a": ["x"]}, "v")


def test_entropies_say_so_whoever_asks(p):
    assert WORD in str(p.entropy("a", given="u"))
    assert WORD in str(p.mutual_information("u", "v", given="a"))
    assert WORD in str(p.total_correlation("u", "v", given="a"))
    for answer in (p.entropy("u", given="v"), p.entropy("a"), p.mutual_information("a", "u")):
        assert "independent" not in str(answer)


def test_what_fills_missing_cells_warns_once(p):
    holes = {"a": ["x", None], "u": [0.0, np.nan], "v": [np.nan, 1.0]}
    for fill in (p.impute, p.most_probable, lambda table: p.impute(table, draws=2)):
        with pytest.warns(PofxWarning, match="holds 'a' independent of the observed") as warned:
            fill(holes)
        assert len(warned) == 1
        fill({**holes, "a": ["x", "y"]})
        fill({"a": [None] * 2, "u": [np.nan] * 2, "v": [np.nan] * 2})
        with pytest.warns(PofxWarning, match="holds 'u', 'v' independent of the observed columns"):
            fill({"a": ["x", "y"], "u": [np.nan] * 2, "v": [np.nan] * 2})


def test_all_columns_that_are_filled_alone_are_named(data):
    q = pofx.fit(data, "independent")
    with pytest.warns(
        PofxWarning, match="impute: this model holds 'u', 'v' independent of the obs"
    ):
        q.impute({"a": ["x", "y"], "u": [0.0, np.nan], "v": [np.nan, 1.0]})
    with pytest.warns(PofxWarning, match="of the evidence and the observed columns, so nothing"):
        q.given(u=1.0).impute({"a": ["x", "y"], "v": [np.nan] * 2})
    with pytest.warns(PofxWarning, match="holds 'v' independent of the evidence, so nothing"):
        q.given(u=1.0, a="x").impute({"v": [np.nan]})


def test_conditionals_and_other_encodings_keep_the_structure(p):
    x, keep = np.array([0.0, 1.0, 0.0]), np.array([True, False, True])
    q = Conditional(p.model, jnp.asarray(x), jnp.asarray(~keep), (0, 2))
    assert not may_depend(q, np.array([True, False]), np.array([False, True]))
