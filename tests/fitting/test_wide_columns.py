"""Counts beyond 32 bits and positive numbers over many decades, from the table to answers."""

import numpy as np
import pytest
from scipy import stats

import pofx
from pofx.core import float_width
from pofx.table.column_statistics import needs_float64
from pofx.table.encoding import decode, encode
from pofx.table.schema_inference import infer

RNG = np.random.default_rng(0)
BYTES = np.floor(np.exp(RNG.normal(21, 3, 400)))
BYTES[0] = 0
DECADES = {"p-values": 10 ** RNG.uniform(-85, 0, 400), "both": 10 ** RNG.uniform(-30, 30, 400)}


def fit(x, kind="positive", family=""):
    return pofx.fit({"x": x}, "independent", schema={"x": {"kind": kind, "family": family}})


def test_counts_of_bytes_are_drawn_and_answered_beyond_32_bits():
    p = pofx.fit({"x": BYTES}, "independent")
    assert p.schema.variable("x").kind == "count"
    law = p.model.groups[0]
    size, mean = float(law.size[0]), float(law.rate[0])
    peer = stats.nbinom(size, size / (size + mean))
    beyond = p.ask("P(x > 2147483647)")
    assert beyond.kind == "exact"
    np.testing.assert_allclose(float(beyond), peer.sf(2147483647), rtol=1e-8)
    np.testing.assert_allclose(float(p.ask("median(x)")), peer.ppf(0.5), rtol=1e-9)
    draws = p.sample(2000, seed=0)["x"]
    assert abs((draws > 2147483647).mean() - float(beyond)) < 4 * np.sqrt(0.25 / 2000)
    np.testing.assert_allclose(mean, BYTES.mean(), rtol=0.01)
    # The size is at its maximum but for one pseudo-row.
    best = max(stats.nbinom(r, r / (r + mean)).logpmf(BYTES).mean() for r in np.geomspace(0.05, 1))
    assert float(p.log_prob({"x": BYTES}).mean()) > best - 3e-3


def test_counts_of_a_large_mean_keep_the_variance_of_a_poisson_law():
    x = np.random.default_rng(1).poisson(1e6, 400)
    p = fit(x, "count")
    draws = p.sample(2000, seed=0)["x"]
    np.testing.assert_allclose(draws.var(), x.var(), rtol=0.25)
    np.testing.assert_allclose(float(p.ask("Var(x)")), x.var(), rtol=0.25)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", DECADES)
def test_positive_numbers_over_decades_lose_nothing(name, large, monkeypatch):
    if large:
        monkeypatch.setattr(float_width, "MIN_FLOAT32_CELLS", 0)
    x = DECADES[name]
    p, logs = fit(x, family="log_normal"), np.log(x)
    expected = (stats.norm(logs.mean(), logs.std()).logpdf(logs) - logs).mean()
    # One pseudo-row moves the fit a little.
    np.testing.assert_allclose(float(p.log_prob({"x": x}).mean()), expected, atol=1e-3)
    draws = p.sample(2000, seed=0)["x"]
    assert (draws > 0).all()
    np.testing.assert_allclose(np.log(draws).std(), logs.std(), rtol=0.1)
    for u in (0.01, 0.5, 0.99):
        peer = stats.norm(logs.mean(), logs.std()).ppf(u)
        result = float(p.ask(f"Q[{u}](x)"))
        np.testing.assert_allclose(np.log(result), peer, atol=0.02 * logs.std())


def test_gammas_of_positive_numbers_over_decades_are_finite():
    x = DECADES["p-values"]
    p = fit(x, family="gamma")
    law = p.model.groups[0]
    shape, scale = float(law.shape[0]), p.schema.variable("x").scale / float(law.rate[0])
    assert shape < 0.02
    result = np.asarray(p.log_prob({"x": x}))
    np.testing.assert_allclose(result, stats.gamma(shape, scale=scale).logpdf(x), rtol=1e-9)
    assert (p.sample(500, seed=0)["x"] > 0).all()


def test_quantiles_of_a_mixture_over_decades_invert_its_distribution_function():
    rng = np.random.default_rng(2)
    x = np.exp(rng.choice([-58.0, 0.0, 58.0], 600) + rng.normal(size=600))
    p = pofx.fit({"x": x}, "mixture", components=3, schema={"x": "positive"})
    for u in (0.1, 0.3, 0.5, 0.7, 0.9):
        result = float(p.ask(f"Q[{u}](x)"))
        np.testing.assert_allclose(float(p.ask(f"P(x < {result!r})")), u, rtol=1e-9)
    inside = p.ask("median(x | 1e-3 < x < 1e3)")
    assert 0.5 < float(inside) < 2


def test_moments_beyond_floats_are_not_called_exact():
    p = fit(10 ** RNG.uniform(-149, 149, 200))
    for question in ("E(x)", "Var(x)", "sd(x)"):
        answer = p.ask(question)
        assert answer.kind == "estimate"
        assert float(answer) == np.inf
    assert p.ask("median(x)").kind == "exact"


def test_the_rounding_of_positive_numbers_is_that_where_they_lie():
    # Halves of their last digit would be lost beside the largest number.
    x = np.array([1e-80, 3e-80, 1e-40, 1.0, 7.0] * 2)
    assert infer({"x": x}, {"x": "positive"}).variable("x").resolution == 2e-80
    assert infer({"x": np.array([39.1, 3.5, 0.1 + 0.2, 0.3])}, {"x": "positive"}).variable(
        "x"
    ).resolution == pytest.approx(3.2)


def test_numbers_near_a_spike_are_not_the_spike():
    rng = np.random.default_rng(3)
    x = np.where(rng.random(400) < 0.3, 0, 10 ** rng.uniform(-60, 0, 400))
    p = pofx.fit({"x": x}, "independent")
    assert p.schema.variable("x").spikes == (0.0,)
    np.testing.assert_allclose(float(p.ask("P(x = 0)")), (x == 0).mean(), atol=0.01)
    draws = p.sample(2000, seed=0)["x"]
    assert abs((draws == 0).mean() - (x == 0).mean()) < 0.05
    assert ((draws > 0) & (draws < 1e-45)).any()
    assert float(p.ask("p(x = 1e-55)")) > 1e40
    assert float(p.ask("P(0 < x < 1e-45)")) > 0.05
    y = np.r_[np.full(200, 2147483647.0), BYTES, 2147483646.0]
    p = fit(y, "count")
    np.testing.assert_allclose(float(p.ask("P(x = 2147483647)")), 200 / len(y), atol=0.01)
    assert float(p.ask("P(x = 2147483646)")) < 1e-6


def test_spikes_of_a_model_learned_in_float32_meet_their_rows(monkeypatch, tmp_path):
    monkeypatch.setattr(float_width, "MIN_FLOAT32_CELLS", 0)
    x = np.random.default_rng(4).normal(4000, 300, 400)
    x[:120] = 3750.3
    p = pofx.fit({"x": x}, "independent")
    p.save(tmp_path / "p.pofx")
    for q in (p, pofx.load(tmp_path / "p.pofx")):
        np.testing.assert_allclose(float(q.ask("P(x = 3750.3)")), 0.3, atol=0.001)


def test_entries_of_a_positive_column_stay_positive_both_ways():
    x = np.array([5e-324, 1e-300, 0.5, 1e149] * 3)
    schema = infer({"x": x}, {"x": "positive"})
    rows = encode(schema, {"x": x})
    assert (rows >= np.finfo(float).tiny).all()
    assert np.isfinite(rows).all()
    assert (decode(schema, np.array([[1e-300], [0.0]]))["x"] > 0).all()


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (RNG.normal(size=500), False),
        (np.exp(2 * RNG.normal(size=500)), False),
        (RNG.integers(0, 2**24, 500).astype(float), False),
        (np.full(5, np.nan), False),
        (np.array([0.1 + 0.2, 0.3, 1.0, 2.0, -1.0]), False),
        (1e-31 * RNG.normal(size=500), True),
        (10 ** RNG.uniform(-40, 40, 100), True),
        (np.array([0.0, 2.0**31]), True),
        (np.r_[RNG.normal(size=300), 1 + 1e-6 * RNG.normal(size=100)], True),
        (-0.1 + 1e-9 * RNG.normal(size=50), True),
    ],
)
def test_what_float32_would_lose(x, expected):
    assert needs_float64(np.c_[RNG.normal(size=len(x)), x]) is expected
