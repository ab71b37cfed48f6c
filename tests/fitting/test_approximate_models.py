"""Problems of models that answer by weighted draws are reported, never silent."""

import warnings
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import pofx
from pofx import PofxError, PofxWarning
from pofx.core.abstract import AbstractLearnable
from pofx.core.registry import class_by_name
from pofx.learn import sgd

SMALL = {
    "flow": {"layers": 2, "width": 8, "depth": 1, "knots": 4},
    "autoregressive": {"width": 16, "depth": 1, "components": 2},
    "any_order": {"width": 16, "depth": 1, "components": 2},
    "vae": {"latent": 2, "width": 16, "depth": 1, "warmup": 5},
    "diffusion": {"steps": 8, "width": 16, "depth": 1},
    "rbm": {"hidden": 4, "chains": 32},
    "neural_energy": {"width": 8, "depth": 1, "chains": 32, "temperatures": 20},
}
UNITS = [1e6, 1e-6]
slow = pytest.mark.slow  # each model compiles for half a minute, once


def numbers(n=128):
    """Two correlated real columns."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": 2 + 3 * x, "y": x + rng.normal(size=n)})


def quick(data, name, epochs=8, **options):
    """A fit of a small model, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)
        return pofx.fit(data, name, epochs=epochs, **{**SMALL[name], **options})


def plain(ask, *arguments, **more):
    """An answer, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)
        return ask(*arguments, **more)


@pytest.fixture(scope="module")
def fitted():
    """Each model of plain columns, fitted once."""
    known = {}

    def of(name):
        if name not in known:
            known[name] = quick(numbers(), name)
        return known[name]

    return of


# -- columns that a model does not carry


def mixed(n=30):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=n), "kind": rng.choice(["a", "b", "c"], n)})


@pytest.mark.parametrize(
    ("name", "supported"),
    [("flow", "'flow' supports real columns"), ("rbm", "'rbm' supports binary, real columns")],
)
def test_a_column_that_a_model_does_not_carry_names_models_that_do(name, supported):
    with pytest.raises(PofxError) as error:
        pofx.fit(mixed(), name)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"model: {supported}, and 'kind' is categorical; these support it: ")
    able = message.split("these support it: ")[1].split("; ")[0].split(", ")
    assert {"vae", "diffusion", "any_order", "autoregressive", "latent_tree"} <= set(able)
    assert not {"flow", "rbm", "gaussian"} & set(able)
    for other in able:
        assert "categorical" in class_by_name(
            "pofx.models", AbstractLearnable, "model", other
        ).supported_kinds("kind")


# -- units


@slow
@pytest.mark.parametrize("name", SMALL)
def test_units_change_the_density_by_their_logarithm(fitted, name):
    data, p = numbers(), fitted(name)
    q = quick(data * UNITS, name)
    before, after = (
        plain(model.log_prob, x[:20]).value for model, x in ((p, data), (q, data * UNITS))
    )
    np.testing.assert_allclose(after + np.log(UNITS).sum(), before, atol=1e-3)
    sample, scaled_sample = (plain(model.sample, 200, seed=1) for model in (p, q))
    np.testing.assert_allclose(scaled_sample / UNITS, sample, rtol=1e-3, atol=1e-3)


@slow
@pytest.mark.parametrize("name", SMALL)
def test_a_model_takes_units_out_by_itself(fitted, name):
    """The same for entries that are not scaled to mean zero and scale one, in float32."""
    data, p = numbers(), fitted(name)
    schema = pofx.fit(data * UNITS, "independent").schema
    bare = tuple(replace(v, shift=0.0, scale=1.0) for v in schema.variables)
    q = quick(data * UNITS, name, schema=replace(schema, variables=bare))
    before, after = (plain(model.log_prob, x[:20]) for model, x in ((p, data), (q, data * UNITS)))
    # Other entries draw otherwise.
    gap = after.value + np.log(UNITS).sum() - before.value
    assert (np.abs(gap) < 1e-3 + 4 * np.hypot(before.stderr, after.stderr)).all()
    spread = plain(q.sample, 200, seed=1).std() / UNITS
    assert (spread > 0.3 * data.std()).all()
    assert (spread < 3 * data.std()).all()


# -- training that goes wrong


@slow
@pytest.mark.parametrize("name", SMALL)
def test_training_that_diverges_is_told(monkeypatch, name):
    cls = class_by_name("pofx.models", AbstractLearnable, "model", name)
    monkeypatch.setattr(cls, "sgd_defaults", {**cls.sgd_defaults, "rate": 1e6})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        p = pofx.fit(numbers(), name, epochs=24, **SMALL[name])
    assert not p.fit_info["converged"]
    assert any("diverged" in text or "no step of epoch" in text for text in p.fit_info["warnings"])
    assert p.fit_info["warnings"] == list(dict.fromkeys(str(w.message) for w in caught))
    assert all("\n" not in text for text in p.fit_info["warnings"])
    assert f"warning: {p.fit_info['warnings'][0]}" in str(p.report())


@slow
def test_steps_that_are_not_finite_are_counted(monkeypatch):
    """Every other step of an epoch has an infinite loss."""
    cls = class_by_name("pofx.models", AbstractLearnable, "model", "vae")
    loss = cls.loss

    def trapped(self, key, x, observed):
        return jnp.where(self.step_count % 2, np.inf, loss(self, key, x, observed))

    monkeypatch.setattr(cls, "loss", trapped)
    with pytest.warns(PofxWarning, match="steps were skipped, whose loss or gradient was not fin"):
        p = pofx.fit(numbers(300), "vae", epochs=4, **SMALL["vae"])
    assert p.fit_info["skipped"] == 6  # of 4 epochs of 3 steps
    assert np.isfinite(plain(p.log_prob, numbers()).value).all()


def test_an_extreme_value_that_hides_the_others_is_told(tmp_path):
    data = numbers()
    data.loc[5, "x"] = 1e18
    with pytest.warns(PofxWarning, match=r"'x': float64 cannot resolve .* one value is 1e\+18"):
        p = pofx.fit(data, "gaussian")
    assert "'x': float64 cannot resolve" in p.fit_info["warnings"][0]
    assert np.isfinite(p.log_prob(data).value).all()
    p.save(tmp_path / "p.pofx")
    assert pofx.load(tmp_path / "p.pofx").fit_info["warnings"] == p.fit_info["warnings"]
    data.loc[5, "x"] = 1e12
    assert pofx.fit(data, "gaussian").fit_info["warnings"] == []


@slow
@pytest.mark.parametrize("name", SMALL)
def test_an_extreme_value_crashes_no_model(name):
    data = numbers()
    data.loc[5, "x"] = 1e12
    p = quick(data, name)
    assert "because one value is 1e+12" in p.fit_info["warnings"][0]
    assert np.isfinite(plain(p.log_prob, data).value).all()
    assert np.isfinite(plain(p.sample, 20, seed=0).to_numpy()).all()


# -- what is learned but of no use


@slow
def test_latent_numbers_that_tell_nothing_are_told():
    with pytest.warns(PofxWarning, match="of 6 latent units depend"):
        p = pofx.fit(numbers(), "vae", epochs=300, **{**SMALL["vae"], "latent": 6, "warmup": 1})
    assert any("of 6 latent units depend" in text for text in p.fit_info["warnings"])


@slow
def test_an_energy_that_explodes_is_told(monkeypatch):
    cls = class_by_name("pofx.models", AbstractLearnable, "model", "neural_energy")
    monkeypatch.setattr(cls, "sgd_defaults", {**cls.sgd_defaults, "rate": 1e4})
    p = quick(numbers(), "neural_energy", epochs=24)
    assert any("the energy explodes" in text for text in p.fit_info["warnings"])


def two_modes(n=400, d=12):
    """Rows of nearly all zeros, and as many rows of nearly all ones."""
    rng = np.random.default_rng(0)
    side = rng.random(n) < 0.5
    x = (rng.random((n, d)) < 0.02) ^ side[:, None]
    return pd.DataFrame(x.astype(int), columns=[f"b{j}" for j in range(d)])


@slow
def test_chains_that_stay_where_they_are_are_told():
    """Two modes of equal energy that no chain leaves: R-hat of the energy alone is 1."""
    p = quick(two_modes(), "rbm", epochs=500)
    assert any("the chains do not mix" in text for text in p.fit_info["warnings"])
    assert any("the means of 32 chains spread by" in text for text in p.fit_info["warnings"])


# -- training that is interrupted


class Stopped(Exception):
    pass


@slow
@pytest.mark.parametrize("name", SMALL)
def test_an_interrupted_fit_goes_on_to_the_same_bits(tmp_path, monkeypatch, fitted, name):
    data, straight = numbers(), fitted(name)
    original, calls = sgd._run_epoch, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > 3:
            raise Stopped
        return original(*arguments)

    path = tmp_path / "training"
    monkeypatch.setattr(sgd, "_run_epoch", interrupted)
    monkeypatch.setattr(sgd.train, "__kwdefaults__", {**sgd.train.__kwdefaults__, "every": 0.0})
    with pytest.raises(Stopped):
        quick(data, name, checkpoint=path)
    calls.clear()
    monkeypatch.setattr(sgd, "_run_epoch", lambda *a: calls.append(1) or original(*a))
    resumed = quick(data, name, checkpoint=path)
    assert len(calls) == 8 - 3
    assert resumed.fit_info["history"] == straight.fit_info["history"]
    assert resumed.fit_info["warnings"] == straight.fit_info["warnings"]
    one, other = (plain(p.log_prob, data).value for p in (straight, resumed))
    np.testing.assert_array_equal(one, other)
    draws = (plain(p.sample, 5, seed=3) for p in (straight, resumed))
    np.testing.assert_array_equal(*draws)
    with pytest.raises(PofxError, match="checkpoint: expected a file of this run"):
        quick(data[:100], name, checkpoint=path)


# -- columns and rows that say little


def poor():
    """Tables of two columns, as those of the other tests, so that programs are shared."""
    data = numbers()
    return {
        "ten rows, a constant column and one missing in half": data.assign(x=3.0)[:10].assign(
            y=data["y"][:10].where(data.index[:10] % 2 == 0)
        ),
        "rows all equal": pd.DataFrame({"x": np.full(128, 2.5), "y": np.full(128, -1.0)}),
    }


@slow
@pytest.mark.parametrize("what", poor())
@pytest.mark.parametrize("name", SMALL)
def test_poor_data_is_learned_from_or_refused_in_a_line(name, what):
    data = poor()[what]
    refusal = ""
    try:
        p = quick(data, name)
    except PofxError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        assert any(repr(column) in refusal for column in data.columns)
        return
    assert np.isfinite(plain(p.log_prob, data).value).all()
    drawn = plain(p.sample, 100, seed=0)
    assert np.isfinite(drawn.to_numpy(float)).all()
    for column in data.columns:
        if data[column].nunique() > 1:
            assert abs(drawn[column].mean() - data[column].mean()) < 2.5 * data[column].std()


@slow
def test_a_flow_of_one_column_has_nothing_to_couple():
    data = numbers()[["x"]][:10]
    p = quick(data, "flow")
    assert np.isfinite(plain(p.log_prob, data).value).all()
    assert np.isfinite(plain(p.sample, 100, seed=0).to_numpy()).all()
