"""Diffusion with the optimal denoiser in closed form: bound, weights and draws are exact."""

import sys
import warnings
from contextlib import contextmanager

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jaxtyping import Array, Float
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, poisson

import pofx
from pofx.core.column import Column
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.rows import make_rows
from pofx.learn.sgd import train
from pofx.learn.sgd_config import SGDConfig
from pofx.models.diffusion import Diffusion
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent

from .conftest import learn, real

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)
MEAN, COVARIANCE = np.array([5.0, -2.0]), np.array([[4.0, 2.4], [2.4, 2.25]])
TRUTH = multivariate_normal(MEAN, COVARIANCE)
SMALL = {"timesteps": 8, "width": 16, "depth": 1}


class OfNormal(eqx.Module):
    """The optimal denoiser v̂ for codes that are jointly normal."""

    mean: Float[Array, "c"]
    covariance: Float[Array, "c c"]
    low: Float[Array, "c"]
    high: float = eqx.field(static=True)

    def __call__(self, z, t, told):
        gamma = self.low + (self.high - self.low) * t
        a, s = jnp.sqrt(jax.nn.sigmoid(-gamma)), jnp.sqrt(jax.nn.sigmoid(gamma))
        # E[n | z] instead of the mean of the codes, so nothing cancels when the noise is small.
        total = a[:, None] * self.covariance * a + jnp.diag(s**2)
        noise = s * jnp.linalg.solve(total, z - a * self.mean)
        return (noise - s * z) / a


class Constant(eqx.Module):
    """A network whose output is constant."""

    value: Float[Array, "c"]

    def __call__(self, z, t, told):
        return self.value


def sample(n, seed=0):
    return TRUTH.rvs(n, random_state=np.random.default_rng(seed))


@pytest.fixture(scope="module")
def best():
    """The optimal model of a Gaussian, with step errors from the rows, and a proposal."""
    x = sample(4000)
    start = Diffusion.from_data(KEY, make_rows(x), real(2), timesteps=100, width=1, depth=1)
    e = start.denoiser.codes.embedding
    mean = (MEAN - e.shift) / e.scale
    covariance = COVARIANCE / np.outer(e.scale, e.scale)
    own = start.denoiser
    net = OfNormal(jnp.asarray(mean), jnp.asarray(covariance), own.low, own.high)
    model = eqx.tree_at(lambda p: p.denoiser.net, start, net)
    return model.finalise(KEY, make_rows(x), lambda p: np.zeros(1)), learn(Gaussian, x).model


@eqx.filter_jit
def bounds(model, x, keys, times):
    return jax.vmap(lambda x: jax.vmap(lambda k: model.bound(k, x, times))(keys))(x)


@eqx.filter_jit
def each(model, keys, x, times):
    return jax.vmap(lambda k, x: model.bound(k, x, times))(keys, x)


@eqx.filter_jit
def weights(model, proposal, x, observed, keys):
    def one(x, observed):
        return jax.vmap(lambda k: model.weighted_completion(k, proposal, x, observed)[1])(keys)

    return jax.vmap(one)(x, observed)


@eqx.filter_jit
def drawn(model, keys):
    return jax.vmap(model.draw)(keys)


@eqx.filter_jit
def by_flow(model, keys, x):
    return jax.vmap(model.flow_log_prob)(keys, x)


def keys(n, seed=1):
    return jax.random.split(jax.random.key(seed), n)


def test_the_bound_of_the_best_model_is_the_truth(best):
    x = sample(20, 1)
    own = np.asarray(bounds(best[0], jnp.asarray(x), keys(8), 500), np.float64)
    error = own.std(1) / np.sqrt(8)
    assert (np.abs(own.mean(1) - TRUTH.logpdf(x)) < 5 * error + 0.01).all()
    assert (own.mean(1) - TRUTH.logpdf(x)).mean() == pytest.approx(0, abs=0.05)


def test_the_loss_is_the_bound(best):
    x = sample(4000, 2)
    loss = eqx.filter_jit(best[0].loss)(KEY, jnp.asarray(x), jnp.ones(2, bool))
    assert -float(loss.mean()) == pytest.approx(TRUTH.logpdf(x).mean(), abs=0.1)


def test_steps_as_wide_as_the_rows_say(best):
    """The error of each step is the posterior variance of the codes."""
    model = best[0]
    for i in (10, 50, 90):
        a, s = (float(own[0]) for own in model.denoiser.alpha_sigma((i + 1) / 100))
        c = np.asarray(model.denoiser.net.covariance)
        left = c - a**2 * c @ np.linalg.solve(a**2 * c + s**2 * np.eye(2), c)
        np.testing.assert_allclose(model.mean_squared_error[i], np.diag(left) / s**2, rtol=0.1)


def test_weights_average_to_the_truth(best):
    """For complete rows and rows with a missing entry; 100 steps lose almost nothing."""
    model, proposal = best
    x = sample(6, 3)
    observed = np.ones((6, 2), bool)
    observed[3:5, 0], observed[5, 1] = False, False
    log_w = weights(model, proposal, jnp.asarray(x), jnp.asarray(observed), keys(512))
    log_w = np.asarray(log_w, np.float64)
    exact = [
        multivariate_normal(MEAN[o], COVARIANCE[np.ix_(o, o)]).logpdf(row[o])
        for row, o in zip(x, observed)
    ]
    found = logsumexp(log_w, axis=1) - np.log(512)
    assert found == pytest.approx(exact, abs=0.1)
    assert log_w.mean() < np.mean(exact)
    # Steps as wide as those of q, as in the paper, lose much more.
    narrow = eqx.tree_at(lambda p: p.mean_squared_error, model, 0 * model.mean_squared_error)
    worse = weights(narrow, proposal, jnp.asarray(x), jnp.asarray(observed), keys(64))
    assert np.asarray(worse).mean() < log_w.mean() - 0.2


def test_draws_follow_the_truth(best):
    model, _ = best
    for sampler in ("ancestral", "ode"):
        own = np.asarray(drawn(model.with_sampler(sampler, guidance=0), keys(3000)), np.float64)
        error = np.sqrt(np.diag(COVARIANCE) / 3000)
        assert (np.abs(own.mean(0) - MEAN) < 5 * error).all()
        np.testing.assert_allclose(np.cov(own.T), COVARIANCE, rtol=0.12)


def test_the_density_of_the_flow_is_the_truth(best):
    pytest.importorskip("diffrax")
    x = sample(10, 4)
    own = by_flow(best[0], keys(10), jnp.asarray(x))
    assert np.asarray(own) == pytest.approx(TRUTH.logpdf(x), abs=0.03)


def test_levels_have_their_probability():
    """Exact levels, as pixels in the paper, whose probability comes from the remaining noise."""
    columns = (
        Column("a", "binary", levels=2),
        Column("b", "binary", levels=2),
    )
    x = np.array([[0.0, 0.0], [0, 1], [1, 0], [1, 1]])
    start = Diffusion.from_data(KEY, make_rows(x), columns, timesteps=200, width=1, depth=1)
    odds = np.log([0.2 / 0.8, 0.7 / 0.3])
    net = Constant(jnp.asarray(odds / 2))
    exact = x @ np.log([0.2, 0.7]) + (1 - x) @ np.log([0.8, 0.3])
    model = eqx.tree_at(lambda p: p.denoiser.net, start, net)
    many = make_rows(np.repeat(x, 250, 0), weight=np.repeat(np.exp(exact), 250))
    model = model.finalise(KEY, many, lambda p: np.zeros(1))
    own = np.asarray(bounds(model, jnp.asarray(x), keys(16), 1000), np.float64)
    assert (np.abs(own.mean(1) - exact) < 5 * own.std(1) / 4).all()
    assert own.std(1).max() < 0.25
    new = np.asarray(drawn(model, keys(2000)))
    assert set(np.unique(new)) == {0, 1}
    np.testing.assert_allclose(new.mean(0), [0.2, 0.7], atol=0.05)


def test_without_the_extra(best, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffrax", None)
    with pytest.raises(PofxError, match=r"^diffusion: .* pip install 'pofx\[diffusion\]'$"):
        best[0].flow_log_prob(KEY, jnp.asarray(MEAN))


def test_the_net_alone_is_learned():
    x = sample(200)
    start = Diffusion.from_data(KEY, make_rows(x), real(2), **SMALL)
    end = train(KEY, start, make_rows(x), settings=SGDConfig(epochs=20, batch=50, rate=1e-2))
    assert end.skipped == 0
    validation_loss = eqx.filter_jit(
        lambda p: p.validation_loss(KEY, jnp.asarray(x), jnp.ones(2, bool)).mean()
    )
    assert float(validation_loss(end.model)) < float(validation_loss(start)) - 0.1
    assert bool(eqx.tree_equal(start.denoiser.codes, end.model.denoiser.codes))
    assert bool((end.model.mean_squared_error == 1).all())
    done = end.model.finalise(KEY, make_rows(x), lambda p: np.zeros(1))
    assert bool((done.mean_squared_error != 1).all())
    assert bool(eqx.tree_equal(done.denoiser, end.model.denoiser))


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_scale_is_a_jacobian(scale):
    x, ends = sample(200), []
    for s in (1.0, scale):
        start = Diffusion.from_data(KEY, make_rows(s * x), real(2, 1e-3 * s), **SMALL)
        end = train(KEY, start, make_rows(s * x), settings=SGDConfig(epochs=5, batch=50))
        assert end.skipped == 0
        ends.append(end.history[-1].train)
        assert np.isfinite(np.asarray(drawn(end.model, keys(20)))).all()
    assert ends[1] - ends[0] == pytest.approx(2 * np.log(scale), abs=0.05)


@pytest.mark.parametrize(("option", "value"), [("timesteps", 0), ("width", 0), ("depth", 0)])
def test_options_out_of_range(option, value):
    with pytest.raises(PofxError, match=f"^{option}: expected at least 1, got {value}$"):
        Diffusion.from_data(KEY, make_rows(np.eye(2)), real(2), **{**SMALL, option: value})


# -- from a table


def mixed(n=200):
    """Columns of five kinds that depend on a hidden side; one cell in twenty is missing."""
    rng = np.random.default_rng(0)
    side = rng.random(n) < 0.5
    frame = pd.DataFrame(
        {
            "real": 3 * side + rng.normal(size=n),
            "binary": np.where(rng.random(n) < 0.9, side, ~side),
            "category": np.where(side, rng.choice(["a", "b"], n), rng.choice(["b", "c"], n)),
            "order": np.clip(rng.poisson(2 + 3 * side), 0, 9),
            "rain": np.where(rng.random(n) < 0.4 + 0.4 * side, 0, np.exp(2 * rng.normal(size=n))),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.05)


@contextmanager
def untrusted():
    """Ignores the warning about heavy-tailed weights, which are common after a short training."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*log p is unreliable", PofxWarning)
        yield


def test_a_table_of_many_kinds(tmp_path):
    """After a short training every question has an answer of the right form."""
    frame = mixed()
    p = pofx.fit(frame, "diffusion", **SMALL, epochs=4, proposal="independent")
    kinds = {v.kind for v in p.schema.variables}
    assert kinds == {"real", "binary", "categorical", "ordinal", "positive"}
    assert p.schema.variable("rain").spikes == (0.0,)
    few = frame[:20]
    with untrusted():
        answer = p.log_prob(few)
        full = p.impute(few)
        told = p.predict_proba(few, "binary").to_numpy()
        new = p.sample(20)
    assert answer.kind == "lower bound"
    assert np.isfinite(answer.value).all()
    known = few.notna().to_numpy()
    assert not full.isna().to_numpy().any()
    assert (full.to_numpy(object)[known] == few.to_numpy(object)[known]).all()
    np.testing.assert_allclose(told.sum(1), 1, rtol=1e-5)
    assert list(new) == list(frame)
    assert not new.isna().to_numpy().any()
    assert (new["rain"] >= 0).all()
    assert new["category"].isin(["a", "b", "c"]).all()
    p.save(tmp_path / "p.pofx")
    again = pofx.load(tmp_path / "p.pofx")
    with untrusted():
        np.testing.assert_array_equal(again.log_prob(few).value, answer.value)
        pd.testing.assert_frame_equal(again.sample(20), new)


def test_training_comes_near_the_truth():
    pytest.importorskip("diffrax")
    x, fresh = sample(2000), sample(500, 1)
    p = pofx.fit({"a": x[:, 0], "b": x[:, 1]}, "diffusion", width=64, depth=2)
    model, held = p.model.model, make_rows(p_entries(p, fresh))
    entries = jnp.asarray(held.to_arrays()[0])
    shift = TRUTH.logpdf(fresh) + np.log([v.scale for v in p.schema.variables]).sum()
    off = np.asarray(each(model, keys(500), entries, 256), np.float64) - shift
    assert -0.1 < off.mean() < 4 * off.std() / np.sqrt(500)
    flow = np.asarray(by_flow(model, keys(500), entries))
    assert (flow - shift).mean() == pytest.approx(0, abs=0.05)
    with untrusted():
        answer = p.log_prob({"a": fresh[:50, 0], "b": fresh[:50, 1]})
        half = p.log_prob({"a": fresh[:50, 0], "b": np.full(50, np.nan)})
    assert -0.15 < (answer.value - TRUTH.logpdf(fresh[:50])).mean() < 0.05
    alone = multivariate_normal(MEAN[:1], COVARIANCE[:1, :1]).logpdf(fresh[:50, 0])
    assert (half.value - alone).mean() == pytest.approx(0, abs=0.1)


def p_entries(p, x):
    """The rows in the units of the model."""
    shift = [v.shift for v in p.schema.variables]
    scale = [v.scale for v in p.schema.variables]
    return (x - shift) / scale


def test_training_learns_levels():
    """A category and a count that depends on it, compared with their true probabilities."""
    rng, rates = np.random.default_rng(0), np.array([2.0, 5.0, 9.0])
    a = rng.integers(0, 3, 3000)
    x = np.stack([a, rng.poisson(rates[a])], 1).astype(float)
    columns = (Column("a", "categorical", levels=3), Column("b", "count"))
    start = Diffusion.from_data(KEY, make_rows(x), columns, width=64, depth=2)
    settings = SGDConfig(epochs=150, batch=256, rate=2e-3, average=0.999)
    end = train(KEY, start, make_rows(x), settings=settings).model
    end = end.finalise(KEY, make_rows(x), lambda p: np.zeros(1))
    cells = np.array([[i, j] for i in range(3) for j in range(20)], float)
    exact = poisson.logpmf(cells[:, 1], rates[cells[:, 0].astype(int)]) - np.log(3)
    p = np.exp(exact)
    bound = np.asarray(each(end, keys(60), jnp.asarray(cells), 2000), np.float64)
    assert -0.1 < p @ (bound - exact) < 0.03
    proposal = Independent.from_data(KEY, make_rows(x), columns)
    seen = jnp.ones(cells.shape, bool)
    log_w = np.asarray(weights(end, proposal, jnp.asarray(cells), seen, keys(64)), np.float64)
    found = logsumexp(log_w, axis=1) - np.log(64)
    assert -0.2 < p @ (found - exact) < 0.05
    new = np.asarray(drawn(end, keys(4000)), np.float64)
    assert (new == np.round(new)).all()
    for i in range(3):
        own = new[new[:, 0] == i, 1]
        assert len(own) / 4000 == pytest.approx(1 / 3, abs=0.05)
        assert own.mean() == pytest.approx(rates[i], rel=0.15)
        assert own.var() == pytest.approx(rates[i], rel=0.3)
