"""Which work is done in float64, and that the user's setting of JAX does not change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pofx
from pofx.core import float_width
from pofx.core.rows import Rows, make_rows


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    return {"x": x, "y": 1e9 + 10 * x + rng.normal(size=200)}


@pytest.fixture(scope="module")
def p(data):
    return pofx.fit(data, "gaussian")


def test_an_exact_model_is_learned_and_answers_in_float64(p, data):
    assert {a.dtype.name for a in jax.tree.leaves(p.model)} == {"float64"}
    assert np.asarray(p.log_prob(data).value).dtype == np.float64
    assert jnp.zeros(()).dtype == np.float32
    assert not jax.config.read("jax_enable_x64")


def test_digits_beside_a_large_offset_are_kept(p, data):
    slope, centre = np.polyfit(data["x"], data["y"] - 1e9, 1)
    inputs = {"x": [-1.0, 0.0, 1.0]}
    expected = centre + slope * np.array(inputs["x"])
    # Without a pseudo-observation, maximum likelihood is least squares.
    np.testing.assert_allclose(p.predict(inputs, "y") - 1e9, expected, atol=1e-5)
    np.testing.assert_allclose(
        p.decide(inputs, "y", cost="absolute").action - 1e9, expected, atol=1e-4
    )
    ends = p.interval(inputs, "y")
    assert (np.asarray(ends["low"]) - 1e9 < expected).all()
    assert (np.asarray(ends["high"]) - 1e9 > expected).all()


@pytest.mark.parametrize("unit", [1e-150, 1e40, 1e140])
def test_units_of_any_size(data, unit):
    p = pofx.fit({"x": data["x"], "z": unit * (data["y"] - 1e9)}, "gaussian")
    decided = p.decide({"x": [0.5]}, "z")
    slope, centre = np.polyfit(data["x"], data["y"] - 1e9, 1)
    np.testing.assert_allclose(decided.action / unit, centre + slope / 2, rtol=1e-5)
    residual = np.var(data["y"] - 1e9 - centre - slope * data["x"])
    np.testing.assert_allclose(decided.expected_cost / unit / unit, residual, rtol=1e-4)


def test_narrowed_models_answer_in_float32(p, data):
    from dataclasses import replace

    narrow = replace(p, model=float_width.narrowed(p.model))
    assert {a.dtype.name for a in jax.tree.leaves(narrow.model)} == {"float32"}
    np.testing.assert_allclose(narrow.log_prob(data), p.log_prob(data), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::pofx.PofxWarning")  # a network after one epoch
def test_networks_stay_in_float32(data):
    small = {"width": 4, "depth": 1, "epochs": 1, "proposal": "independent"}
    q = pofx.fit(data, "vae", **small)
    floats = {a.dtype.name for a in jax.tree.leaves(q.model) if a.dtype.kind == "f"}
    assert floats == {"float32"}
    assert np.isfinite(q.log_prob(data).value).all()


def test_a_large_table_is_learned_in_float32_and_answers_in_float64(data, monkeypatch):
    exact = pofx.fit(data, "mixture", components=2, part="gaussian", seed=1)
    monkeypatch.setattr(float_width, "MIN_FLOAT32_CELLS", 10)
    q = pofx.fit(data, "mixture", components=2, part="gaussian", seed=1)
    assert {a.dtype.name for a in jax.tree.leaves(q.model)} == {"float64"}
    assert q.fit_info["log_likelihood"] == pytest.approx(exact.fit_info["log_likelihood"], abs=1e-3)


def test_on_an_accelerator_all_is_float32_that_float32_resolves(data, monkeypatch, tmp_path):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    q = pofx.fit(data, "independent")
    assert {a.dtype.name for a in jax.tree.leaves(q.model)} == {"float32"}
    tied = {"x": data["x"], "copy": data["x"] + 1e-4 * np.cos(data["y"])}
    for p in (pofx.fit(tied, "gaussian"), pofx.fit(tied, "ppca", latent=1)):
        assert {a.dtype.name for a in jax.tree.leaves(p.model)} == {"float64"}
        p.save(tmp_path / "p.pofx")
        assert float_width.is_float64(pofx.load(tmp_path / "p.pofx").model)


def test_the_users_float64_is_kept_inside():
    with jax.enable_x64(True):
        assert float_width.users_float64()
        with float_width.float64(False):
            assert jnp.zeros(()).dtype == np.float64
    with float_width.float64(True):
        assert not float_width.users_float64()
        with float_width.float64(False):
            assert jnp.zeros(()).dtype == np.float32


def test_a_sum_over_many_chunks_keeps_its_digits():
    """The running sum of 200000 float32 numbers is wrong by a thousandth."""
    m = 200_000
    x = jnp.full((m, 1, 1), 0.1, jnp.float32)
    table = Rows(x, jnp.ones((m, 1), bool), jnp.ones((m, 1), jnp.float32), np.arange(m)[:, None])
    expected = m * float(np.float32(0.1))
    assert float(_total(table)) == pytest.approx(expected, rel=1e-7)
    assert float(jnp.cumsum(x)[-1]) == pytest.approx(expected, rel=1e-2)


@jax.jit
def _total(table):
    return table.sum(lambda x, observed, weight: weight @ x[:, 0])


def test_an_infinite_term_stays_infinite():
    table = make_rows(np.array([[1.0], [np.inf], [3.0]] * 40))
    assert float(table.sum(lambda x, observed, weight: x.sum())) == np.inf
