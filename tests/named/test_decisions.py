"""Actions of least expected cost, rejections, intervals and tail probabilities."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pofx
from pofx import PofxError
from pofx.named.decisions import costs


@pytest.fixture(scope="module")
def sick():
    """A rare illness and a blood count."""
    rng = np.random.default_rng(0)
    ill = rng.random(600) < 0.2
    return pd.DataFrame(
        {"state": np.where(ill, "ill", "well"), "count": rng.normal(np.where(ill, 3.0, 0.0), 1.0)}
    )


@pytest.fixture(scope="module")
def p(sick):
    return pofx.fit(sick, "class_conditional", on="state", part="gaussian")


def test_the_act_of_least_expected_cost(p, sick):
    posterior = p.predict_proba(sick, "state")
    treat = {"treat": {"ill": 0, "well": 1}, "wait": {"ill": 10, "well": 0}}
    result = p.decide(sick, "state", cost=treat)
    expected = np.where(posterior["well"] < 10 * posterior["ill"], "treat", "wait")
    assert (result.action == expected).all()
    cost = np.minimum(posterior["well"], 10 * posterior["ill"])
    np.testing.assert_allclose(result.expected_cost, cost, atol=1e-6)
    # Costs as a matrix: its rows are the levels, in order.
    same = p.decide(sick, "state", cost=[[0, 1], [10, 0]])
    assert ((same.action == "ill") == (result.action == "treat")).all()
    plain = p.predict(sick, "state")
    assert (plain == np.where(posterior["ill"] > posterior["well"], "ill", "well")).all()


def test_refusal_for_two_separate_reasons(p):
    rows = pd.DataFrame({"count": [0.0, 2.0, 40.0, np.nan]})
    result = p.decide(rows, "state", reject_cost=0.1, outlier_level=0.01)
    assert result.reason.tolist() == ["", "uncertain", "outlier", "uncertain"]
    assert result.action.tolist() == ["well", None, None, None]
    assert result.tail_probability[2] < 0.001
    # A row without inputs is no outlier, because nothing of it was observed.
    assert result.tail_probability[3] == 1
    assert result.rejected.tolist() == [False, True, True, True]
    assert "3 rejected (1 outlier, 2 uncertain)" in repr(result)
    # Far away the posterior is certain nevertheless.
    assert p.predict_proba(rows, "state")["ill"][2] > 0.999
    assert p.predict(rows, "state", reject_cost=0.1).tolist() == result.action.tolist()
    assert p.decide(rows, "state", reject_cost=0.1, outlier_level=0).reason[2] == ""
    assert set(result.columns()) == {"state", "expected_cost", "tail_probability", "rejected"}


@pytest.mark.slow
def test_surprise_is_uniform_for_rows_of_the_model(p):
    result = p.tail_probability(p.sample(400, seed=5), draws=2000)
    assert result.kind == "estimate"
    assert stats.kstest(result.value, "uniform").pvalue > 1e-3
    assert (result.value > 0).all()
    holes = p.sample(200, seed=6)
    holes.loc[::2, "count"] = np.nan
    assert (
        stats.kstest(p.tail_probability(holes[["state", "count"]]).value[1::2], "uniform").pvalue
        > 1e-3
    )


def test_surprise_among_rows_held_out_is_uniform_though_the_model_is_wrong(sick):
    rng = np.random.default_rng(1)
    heavy = pd.DataFrame({"a": rng.standard_t(2, 900), "b": rng.standard_t(2, 900)})
    p = pofx.fit(heavy[:300], "gaussian")
    result = p.tail_probability(heavy[300:600], reference=heavy[600:])
    assert stats.kstest(result.value, "uniform").pvalue > 1e-3
    assert stats.kstest(p.tail_probability(heavy[300:600]).value, "uniform").pvalue < 1e-3


@pytest.mark.slow
def test_a_number_is_decided_by_mean_or_median_and_refused_where_it_is_vague():
    rng = np.random.default_rng(2)
    x = rng.normal(size=500)
    table = pd.DataFrame({"x": x, "y": 100 + 50 * (x + rng.normal(0, 0.5, 500))})
    p = pofx.fit(table, "gaussian")
    slope, start = np.polyfit(table.x, table.y, 1)
    left = table.y - start - slope * table.x
    result = p.decide(table[["x"]], "y")
    np.testing.assert_allclose(result.action, start + slope * table.x, rtol=1e-3)
    np.testing.assert_allclose(result.expected_cost, left.var(ddof=0), rtol=1e-3)
    median = p.decide(table[["x"]], "y", cost="absolute")
    np.testing.assert_allclose(median.action, result.action, rtol=1e-3)
    np.testing.assert_allclose(
        median.expected_cost, left.std(ddof=0) * np.sqrt(2 / np.pi), rtol=0.03
    )
    vague = p.decide({"x": [0.0, None]}, "y", reject_cost=2 * left.var())
    assert vague.reason.tolist() == ["", "uncertain"]
    assert np.isnan(vague.action[1])
    fresh = p.sample(2000, seed=3)
    ends = p.interval(fresh, "y", 0.8)
    inside = (fresh.y > ends.low) & (fresh.y <= ends.high)
    assert 0.77 < inside.mean() < 0.83
    assert list(ends.columns) == ["low", "high"]


def test_mistakes_in_costs_and_targets(p, sick):
    for cost, message in (
        ([[0, 1]], r"cost: expected a matrix of shape \(2, 2\).* got shape \(1, 2\)"),
        ("squared", "cost: expected a matrix"),
        ([[0, np.inf], [1, 0]], "cost: expected finite numbers"),
        ({"act": {"ill": 1, "wel": 2}}, "did you mean 'well'"),
        ({"act": {"ill": 1}}, "action 'act' has no cost for the level 'well'"),
        ({}, "cost: expected a matrix"),
    ):
        with pytest.raises(PofxError, match=message):
            p.decide(sick, "state", cost=cost)
    with pytest.raises(PofxError, match="cost: expected 'squared' or 'absolute'"):
        p.decide(sick, "count", cost=[[0, 1], [1, 0]])
    with pytest.raises(PofxError, match="did you mean 'squared'"):
        p.decide(sick, "count", cost="square")
    with pytest.raises(PofxError, match="reject_cost: expected the cost of not deciding"):
        p.decide(sick, "state", reject_cost="no")
    with pytest.raises(PofxError, match="outlier_level: expected a probability"):
        p.decide(sick, "state", reject_cost=0.1, outlier_level=2)
    with pytest.raises(PofxError, match="level: expected a probability between 0 and 1"):
        p.interval(sick, "count", 1.0)
    with pytest.raises(PofxError, match="target: expected a column of numbers"):
        p.interval(sick, "state")
    one = pofx.fit({"y": ["a"] * 9, "x": np.arange(9.0)}, "independent")
    with pytest.raises(PofxError, match="has one level, 'a'; there is nothing to decide"):
        one.predict({"x": [1.0]}, "y")


def test_costs_by_level():
    coin = pofx.Variable("coin", "binary", levels=("head", "tail"))
    acts, table = costs({"bet": {"tail": 1, "head": -1}, "pass": [0, 0]}, coin)
    assert acts.tolist() == ["bet", "pass"]
    assert table.tolist() == [[-1, 1], [0, 0]]


@pytest.mark.slow
def test_the_absolute_cost_of_a_long_tail_is_whole():
    rng = np.random.default_rng(0)
    p = pofx.fit({"z": np.exp(2 * rng.normal(size=800)), "w": np.arange(800.0)}, "independent")
    result = p.decide({"z": [np.nan], "w": [np.nan]}, "z", cost="absolute")
    draws = p.sample(400_000, seed=1)["z"]
    expected = np.abs(draws - np.median(draws))
    error = expected.std() / np.sqrt(len(draws))
    assert result.action[0] == pytest.approx(np.median(draws), rel=0.02)
    assert abs(result.expected_cost[0] - expected.mean()) < 4 * error + 1e-3 * expected.mean()
