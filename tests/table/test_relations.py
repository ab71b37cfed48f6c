"""Exact linear relations are found and obeyed by draws, unless the model ignores them."""

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.core.errors import PofxError
from pofx.table.relations import Relation, Support, find, impose, select_relations
from pofx.table.schema import Schema


def table(n=400):
    rng = np.random.default_rng(0)
    f = pd.DataFrame({"a": rng.normal(0, 1, n), "b": rng.normal(5, 2, n)})
    f["total"], f["copy"], f["warm"] = f.a + f.b, f.a, 1.8 * f.a + 32
    f["kg"] = np.exp(rng.normal(3, 1, n))
    return f.assign(g=1000 * f.kg)


def obeyed(f):
    tight = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(f.total, f.a + f.b, **tight)
    np.testing.assert_array_equal(f["copy"], f.a)
    np.testing.assert_allclose(f.warm, 1.8 * f.a + 32, **tight)
    np.testing.assert_allclose(f.g, 1000 * f.kg, **tight)


@pytest.fixture(scope="module")
def p():
    return pofx.fit(table(), "correlated")


def test_draws_and_imputations_obey_what_all_rows_obey(p):
    obeyed(p.sample(200))
    holes = table().head(60)
    holes.loc[:29, ["total", "copy", "warm", "g"]] = np.nan
    holes.loc[30:, ["a", "total", "kg"]] = np.nan
    for filled in (p.impute(holes), p.impute(holes, draws=1)[0]):
        obeyed(filled.loc[:29])
        np.testing.assert_allclose(filled.a, table().a[:60], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(filled.total, filled.a + filled.b, rtol=1e-12, atol=1e-12)
        pd.testing.assert_series_equal(filled.b, holes.b)


def test_relations_outlive_evidence_margins_and_files(p, tmp_path):
    given = p.given({"copy": 0.25}).sample(20)
    np.testing.assert_allclose(given.a, 0.25, rtol=1e-12)
    np.testing.assert_allclose(given.total, 0.25 + given.b, rtol=1e-12)
    some = p.marginal("total", "copy", "b").sample(20)
    np.testing.assert_allclose(some.total, some["copy"] + some.b, rtol=1e-12)
    p.save(tmp_path / "p.pofx")
    loaded = pofx.load(tmp_path / "p.pofx")
    assert loaded.schema.relations == p.schema.relations
    obeyed(loaded.sample(20))


def test_a_model_that_does_not_tie_the_columns_is_not_made_to():
    p = pofx.fit(table(), "independent")
    assert not p.schema.relations
    assert abs(p.sample(300).corr().loc["a", "copy"]) < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_where_nothing_is_exact(seed):
    x = np.random.default_rng(seed).normal(size=(40, 5))
    x[:, 4] = x[:, 0] + x[:, 1] + 1e-6 * x[:, 3]
    x[:, 3] = np.round(x[:, 2], 1)
    assert find(list("abcd"), x[:, [0, 1, 3, 4]]) == ()
    # Five rows are too few evidence, and a constant is no relation.
    assert find(["a", "b"], np.stack([np.arange(5.0), 2 * np.arange(5.0)], 1)) == ()
    assert find(["a", "b"], np.stack([np.arange(50.0), np.ones(50)], 1)) == ()


def test_missing_cells_and_odd_coefficients():
    rng = np.random.default_rng(0)
    x = rng.normal(1e4, 3, (200, 3))
    x = np.column_stack([x, 0.25 * x[:, 0] - 3 * x[:, 2], x[:, 1] / 3])
    x[rng.random(x.shape) < 0.2] = np.nan
    first, second = find(list("abcde"), x)
    assert (first.target, first.sources, first.coefficients) == ("d", ("a", "c"), (0.25, -3.0))
    assert second.sources == ("b",)
    np.testing.assert_allclose(second.coefficients, 1 / 3, rtol=1e-9)


def test_observed_cells_never_change_and_supports_hold():
    total = Relation("t", ("a", "b"), (1.0, 1.0))
    values = {"t": np.array([3.0, 3.0, 1.0]), "a": np.array([1.0, 1.0, 2.0]), "b": np.full(3, 1.0)}
    drawn = {"t": [True, False, False], "a": [False, False, True], "b": [True, False, True]}
    drawn = {name: np.array(mask) for name, mask in drawn.items()}
    new = impose([total], values, drawn, {"a": Support("positive")})
    assert new["t"].tolist() == [2.0, 3.0, 1.0]
    assert new["a"].tolist() == [1.0, 1.0, 2.0]


def test_a_column_that_goes_is_replaced():
    tied = Relation("t", ("a", "b"), (1.0, 1.0)), Relation("c", ("a",), (2.0,), 1.0)
    [one] = select_relations(tied, ["t", "b", "c"], {})
    values = {"t": np.zeros(1), "b": np.array([4.0]), "c": np.array([7.0])}
    np.testing.assert_allclose(one.solved_for("t").implied_target(values), 7.0)
    assert select_relations(tied, ["b", "c"], {}) == ()


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        [1],
        [{"target": "a"}],
        [{"target": "a", "sources": ["a"], "coefficients": [1.0], "constant": 0.0}],
        [{"target": "a", "sources": ["b"], "coefficients": [0.0], "constant": 0.0}],
        [{"target": "a", "sources": ["b"], "coefficients": [float("inf")], "constant": 0.0}],
        [{"target": "a", "sources": ["nobody"], "coefficients": [1.0], "constant": 0.0}],
    ],
)
def test_a_damaged_header_is_one_line(p, bad):
    with pytest.raises(PofxError) as error:
        Schema.from_json({**p.schema.to_json(), "relations": bad})
    assert "\n" not in str(error.value)
