"""Variational autoencoders: compared with a Gaussian in closed form, and their training."""

import warnings
from contextlib import contextmanager
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits

import pofx
from pofx.core.column import Column
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.rows import make_rows
from pofx.learn.learner import LearnerConfig, fit
from pofx.learn.sgd import train
from pofx.learn.sgd_config import SGDConfig
from pofx.models.importance_sampled import ImportanceSampled
from pofx.models.independent import Independent
from pofx.models.vae import VAE

from .conftest import learn, real, scores

KEY = jax.random.key(0)
DRAWS = 5000
SMALL = {"latent": 2, "width": 16, "depth": 1}


def started(x, columns=None, **options):
    columns = columns or real(np.shape(x)[1])
    return VAE.from_data(KEY, make_rows(np.asarray(x, float)), columns, **{**SMALL, **options})


@pytest.fixture(scope="module")
def linear():
    """A VAE with a linear decoder of constant spread, and the equal Gaussian."""
    rng = np.random.default_rng(0)
    model = started(rng.normal(size=(400, 3)) * [1, 2, 3] + [0, 5, -5], depth=0)
    # The centre of each column depends on z, the spread does not.
    weight = np.stack([rng.normal(size=(3, 2)), np.zeros((3, 2))], 1).reshape(6, 2)
    bias = np.stack([rng.normal(size=3), [-1.0, 0.0, 0.5]], 1).reshape(6)
    # A proposal as wide as the prior has weights of finite variance.
    narrow = np.array([[0.2], [0.2], [0.0], [0.0]])
    where = lambda p: (p.decoder.weights[0], p.decoder.biases[0], p.encoder.weights[0])  # noqa: E731
    model = eqx.tree_at(
        where, model, (jnp.asarray(weight), jnp.asarray(bias), model.encoder.weights[0] * narrow)
    )
    family = model.part.groups[0]
    loading = np.sqrt(family.dispersion)[:, None] * weight[::2]
    mean = family.centre + np.sqrt(family.dispersion) * bias[::2]
    noise = family.from_unconstrained(jnp.asarray(bias.reshape(3, 2))).dispersion
    truth = multivariate_normal(np.asarray(mean), loading @ loading.T + np.diag(noise))
    return model, truth


@eqx.filter_jit
def _log_weights(model, keys, x, observed):
    def one(x, observed):
        return jax.vmap(lambda k: model.weighted_completion(k, model.part, x, observed)[1])(keys)

    return jax.vmap(one)(x, observed)


def log_weights(model, x, draws=DRAWS, seed=1):
    keys = jax.random.split(jax.random.key(seed), draws)
    filled = jnp.asarray(np.nan_to_num(x), jnp.zeros(()).dtype)
    return np.asarray(_log_weights(model, keys, filled, jnp.asarray(~np.isnan(x))), np.float64)


def exactly(truth, row):
    seen = ~np.isnan(row)
    return multivariate_normal(truth.mean[seen], truth.cov[np.ix_(seen, seen)]).logpdf(row[seen])


def holed(truth, n=12):
    """Rows with every pattern of missing entries except all missing."""
    x = truth.rvs(n, random_state=np.random.default_rng(2))
    for i in range(n):
        pattern = i % 7 + 1
        x[i, [pattern >> j & 1 == 0 for j in range(3)]] = np.nan
    return x


def test_weights_average_to_the_gaussian(linear):
    model, truth = linear
    x = holed(truth)
    log_w = log_weights(model, x)
    for row_log_w, row in zip(log_w, x):
        ratio = np.exp(row_log_w - exactly(truth, row))
        assert ratio.mean() == pytest.approx(1, abs=4 * ratio.std() / np.sqrt(DRAWS))
        assert ratio.std() > 0.1, "weights that do not vary show nothing"


def test_a_bound_from_below_that_tightens(linear):
    model, truth = linear
    x = holed(truth)
    exact = np.array([exactly(truth, row) for row in x])
    log_w = log_weights(model, x)
    bounds = []
    for k in (1, 10, 100, 1000):
        groups = log_w.reshape(len(x), -1, k)
        bounds.append((logsumexp(groups, axis=2) - np.log(k)).mean(1))
    bounds = np.array(bounds)
    assert (np.diff(bounds.mean(1)) > 0).all()
    assert (bounds[0] < exact).all()
    assert bounds[0].mean() < exact.mean() - 0.3
    assert bounds[-1].mean() == pytest.approx(exact.mean(), abs=0.02)


def test_the_loss_is_the_bound(linear):
    """For one draw with the KL in closed form; for several by the definition of the weights."""
    model, truth = linear
    x = holed(truth)
    seen = jnp.asarray(~np.isnan(x))
    values = jnp.asarray(x)  # missing entries are NaN
    validation_loss = eqx.filter_jit(
        lambda p, k: jax.vmap(lambda k: p.validation_loss(k, values, seen))(k)
    )
    log_w = _by_definition(model, values, seen)
    for k in (1, 5):
        tight = _with_samples(model, k)
        one = -np.asarray(
            validation_loss(tight, jax.random.split(jax.random.key(3), 2000)), np.float64
        )
        groups = log_w.reshape(len(x), -1, k)
        expected = logsumexp(groups, axis=2) - np.log(k)
        error = np.hypot(one.std(0) / np.sqrt(2000), expected.std(1) / np.sqrt(expected.shape[1]))
        assert (np.abs(one.mean(0) - expected.mean(1)) < 4 * error).all()


@eqx.filter_jit
def _by_definition(model, x, seen):
    """log p(x_O | z) + log N(z; 0, I) - log q(z | x_O) per row, for draws of z from q."""

    def one(x, seen):
        mean, spread = model.posterior(x, seen)
        n = jax.random.normal(jax.random.key(7), (DRAWS, len(mean)))
        log_p = jax.vmap(lambda z: model.decode(z).log_prob(x, seen))(mean + spread * n)
        ratio = (n**2 - (mean + spread * n) ** 2) / 2 + jnp.log(spread)
        return log_p + ratio.sum(1)

    return jax.vmap(one)(x, seen)


def _with_samples(p, samples):
    return VAE(p.embedding, p.encoder, p.decoder, p.part, p.step_count, p.shapes, samples, p.warmup)


def test_completions_follow_the_gaussian(linear):
    """Sampling-importance-resampling of x_M, with the posterior far from the prior."""
    model, truth = linear
    guided = ImportanceSampled(model, model.part, jax.random.key_data(KEY), 400)
    row = np.asarray(truth.mean) + np.sqrt(np.diag(truth.cov)) * [1.0, -0.5, 0.0]
    observed = np.array([True, True, False])
    keys = jax.random.split(jax.random.key(5), 2000)
    values = jnp.asarray(row, jnp.zeros(()).dtype)
    draws = eqx.filter_jit(lambda k: jax.lax.map(lambda k: guided.sample(k, values, observed), k))(
        keys
    )
    draws = np.asarray(draws, np.float64)
    np.testing.assert_array_equal(draws[:, :2], np.broadcast_to(values[:2], (2000, 2)))
    gain = truth.cov[2, :2] @ np.linalg.inv(truth.cov[:2, :2])
    mean = truth.mean[2] + gain @ (row - truth.mean)[:2]
    spread = np.sqrt(truth.cov[2, 2] - gain @ truth.cov[:2, 2])
    assert draws[:, 2].mean() == pytest.approx(mean, abs=0.12 * spread)
    assert draws[:, 2].std() == pytest.approx(spread, rel=0.1)


def test_new_rows_follow_the_gaussian(linear):
    model, truth = linear
    draws = np.asarray(jax.vmap(model.draw)(jax.random.split(KEY, 4000)), np.float64)
    scale = np.sqrt(np.diag(truth.cov))
    assert (np.abs(draws.mean(0) - truth.mean) < 5 * scale / np.sqrt(4000)).all()
    np.testing.assert_allclose(
        np.cov(draws.T) / np.outer(scale, scale), _correlation(truth), atol=0.1
    )


def _correlation(truth):
    scale = np.sqrt(np.diag(truth.cov))
    return truth.cov / np.outer(scale, scale)


def test_where_the_decoder_says_zero_stand_the_columns(linear):
    model, truth = linear
    silent = eqx.tree_at(lambda p: p.decoder, model, jax.tree.map(jnp.zeros_like, model.decoder))
    x = truth.rvs(4, random_state=np.random.default_rng(4))
    for z in (jnp.zeros(2), jnp.array([3.0, -1.0])):
        np.testing.assert_allclose(scores(silent.decode(z), x), scores(model.part, x), rtol=1e-5)
        assert np.abs(scores(model.decode(z), x) - scores(model.part, x)).max() > 0.1


# -- training


@cache
def digits():
    """Pictures of 8 x 8 binary pixels: training rows, test rows, and the columns."""
    x = (load_digits().data > 7).astype(float)
    x = x[np.random.default_rng(0).permutation(len(x))]
    columns = tuple(Column(f"p{i}", "binary", levels=2, family="bernoulli") for i in range(64))
    return x[:1500], x[1500:], columns


@pytest.fixture(scope="module")
def pictures():
    """A VAE of digits, before and after training."""
    x, _, columns = digits()
    start = started(x, columns, latent=8, width=64, warmup=100)
    end = train(KEY, start, make_rows(x), settings=SGDConfig(epochs=30, batch=64, rate=3e-3))
    return start, end


@pytest.mark.slow
def test_digits_gain_over_independent_columns(pictures):
    x, fresh, columns = digits()
    alone = learn(Independent, x, columns).model
    _, end = pictures
    bound = logsumexp(log_weights(end.model, fresh, 64), axis=1) - np.log(64)
    assert bound.mean() > scores(alone, fresh).mean() + 6
    assert end.model.active_units(make_rows(x)).sum() >= 6
    draws = np.asarray(jax.vmap(end.model.draw)(jax.random.split(KEY, 500)))
    assert set(np.unique(draws)) == {0, 1}
    np.testing.assert_allclose(draws.mean(0), x.mean(0), atol=0.15)


def test_the_encoder_knows_patterns_that_the_rows_do_not_have(pictures):
    """Half of each picture is missing, although no pixel was missing in training."""
    _, fresh, _ = digits()
    half = np.where(np.arange(64) < 32, fresh[:100], np.nan)
    log_w = log_weights(pictures[1].model, half, 64)
    tight = logsumexp(log_w, axis=1) - np.log(64)
    # The gap between one draw and many measures the error of the proposal.
    assert (tight - log_w.mean(1)).mean() < 2.5


def test_the_kl_warms_up(pictures):
    start, end = pictures
    assert int(start.step_count) == 0
    assert int(end.model.step_count) == 30 * 24
    x, observed = jnp.asarray(digits()[0][:50]), jnp.ones(64, bool)
    costs = eqx.filter_jit(
        lambda p: (p.loss(KEY, x, observed), p.validation_loss(KEY, x, observed))
    )
    losses, risks = [], []
    for step_count in (0, 50, 100, 1000):
        step_count = jnp.asarray(step_count, jnp.int32)
        loss, validation_loss = costs(eqx.tree_at(lambda p: p.step_count, end.model, step_count))
        losses.append(float(loss.mean()))
        risks.append(float(validation_loss.mean()))
    assert losses[0] < losses[1] < losses[2]
    assert losses[1] - losses[0] == pytest.approx(losses[2] - losses[1], rel=1e-3)
    assert losses[2] == losses[3]
    assert len(set(risks)) == 1, "the validation loss has the full KL weight"
    assert int(start.advance(KEY).advance(KEY).step_count) == 2


def test_only_the_networks_are_learned(pictures):
    start, end = pictures
    same = ("embedding", "part")
    for name in same:
        assert bool(eqx.tree_equal(getattr(start, name), getattr(end.model, name)))
    for name in ("encoder", "decoder"):
        assert not np.array_equal(
            getattr(start, name).weights[0], getattr(end.model, name).weights[0]
        )


@pytest.mark.slow
def test_latent_numbers_that_tell_nothing_are_reported():
    """For four independent columns, sixteen latent units are useless."""
    x = np.random.default_rng(0).normal(size=(300, 4))

    def start(key, data):
        return started(x, latent=16, warmup=50)

    with pytest.warns(PofxWarning, match=r"^vae: (none|only .) of 16 latent units") as caught:
        done = fit(KEY, start, make_rows(x), LearnerConfig(epochs=150), make_rows(x[:50]))
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert done.model.active_units(make_rows(x)).sum() < 8


def test_dead_latent_numbers_are_counted(linear):
    """By the weighted variance over rows of the encoder's mean."""
    model, _ = linear
    x = np.random.default_rng(0).normal(size=(100, 3)) * [1, 2, 3] + [0, 5, -5]
    means = np.array([model.posterior(jnp.asarray(row), jnp.ones(3, bool))[0] for row in x])
    expected = means.var(0)
    for factor, alive in ((0.9, [True, True]), (1.1, [False, True])):
        # The first unit is brought to either side of the limit.
        size = np.sqrt(np.array([0.01 / factor, 1, 1, 1]) / [*expected, 1, 1])[:, None]
        near = eqx.tree_at(lambda p: p.encoder.weights[0], model, model.encoder.weights[0] * size)
        assert near.active_units(make_rows(x)).tolist() == alive
        one_row = make_rows(x, weight=np.arange(100) == 0)
        assert near.active_units(one_row).tolist() == [False, False]
    silent = eqx.tree_at(lambda p: p.encoder, model, jax.tree.map(jnp.zeros_like, model.encoder))
    with pytest.warns(PofxWarning, match="^vae: none of 2 latent units depends on the row"):
        assert silent.finalise(KEY, make_rows(x), None) is silent


@pytest.mark.slow
def test_more_draws_in_training():
    """The importance-weighted bound is tighter with more draws."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 1)) * [1.0, 1.0, -1.0] + 0.3 * rng.normal(size=(500, 3))
    x = np.where(rng.random(x.shape) < 0.2, np.nan, x)
    ends = {}
    for k in (1, 8):
        start = started(x, samples=k, warmup=20)
        end = train(KEY, start, make_rows(x), settings=SGDConfig(epochs=40, batch=50, rate=5e-3))
        assert end.skipped == 0
        ends[k] = end
    assert ends[8].history[-1].train < ends[1].history[-1].train
    # One hidden cause of three columns gains much over independent columns.
    bound = logsumexp(log_weights(ends[8].model, x[:200], 64), axis=1) - np.log(64)
    alone = learn(Independent, x).model
    assert bound.mean() > scores(alone, x[:200]).mean() + 0.5


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_scale_does_no_harm(scale):
    """In float32 a change of unit adds its Jacobian, and no column has unbounded likelihood."""
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, 200) * 2.0 - 1
    x = np.stack([3 * side + rng.normal(size=200), side, np.round(rng.normal(size=200))], 1)
    ends = []
    for s in (1.0, scale):
        columns = real(3, 1e-3 * s)
        start = started(s * x, columns, warmup=10)
        end = train(
            KEY, start, make_rows(s * x), settings=SGDConfig(epochs=10, batch=50, rate=1e-2)
        )
        assert end.skipped == 0
        assert np.isfinite([e.train for e in end.history]).all()
        ends.append(end.history[-1].train)
    assert ends[1] - ends[0] == pytest.approx(3 * np.log(scale), abs=0.05)
    # A density is bounded by its variance floor, a thousandth of the spread.
    assert ends[0] > 3 * (np.log(1e-3) + 0.9)


@pytest.mark.parametrize(
    ("option", "value"),
    [("latent", 0), ("width", 0), ("depth", -1), ("samples", 0), ("warmup", -1)],
)
def test_options_out_of_range(option, value):
    with pytest.raises(PofxError, match=f"^{option}: expected at least .*, got {value}$"):
        started(np.eye(3), **{option: value})


# -- from a table


def mixed(n=300):
    """Columns of every kind that depend on a hidden bit, with one cell in ten missing."""
    rng = np.random.default_rng(0)
    side = rng.random(n) < 0.5
    frame = pd.DataFrame(
        {
            "real": 3 * side + rng.normal(size=n),
            "positive": np.exp(2 * side + rng.normal(size=n)),
            "count": rng.poisson(np.where(side, 2, 30)),
            "binary": np.where(rng.random(n) < 0.9, side, ~side),
            "category": np.where(side, rng.choice(["a", "b"], n), rng.choice(["b", "c"], n)),
            "order": np.clip(rng.poisson(2 + 3 * side), 0, 9),
            "rain": np.where(rng.random(n) < 0.4 + 0.4 * side, 0, np.exp(2 * rng.normal(size=n))),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.1)


def fitted(frame, **options):
    return pofx.fit(frame, "vae", **{**SMALL, **options}, warmup=50, proposal="independent")


@contextmanager
def by_chance():
    """Ignores warnings: with 64 draws, the weights of a few rows look heavy-tailed by chance."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*log p is unreliable", PofxWarning)
        yield


def check(p, frame, folder):
    """Every question has an answer, and a saved model gives exactly the same answers."""
    few = frame[:40]
    with by_chance():
        answer = p.log_prob(few)
        full = p.impute(few)
    assert answer.kind == "lower bound"
    assert np.isfinite(answer.value).all()
    alone = pofx.fit(frame, "independent", schema=p.schema)
    # The model gains from the dependence between columns.
    assert np.mean(answer.value) > np.mean(alone.log_prob(few).value) + 0.3
    new = p.sample(50)
    assert list(new) == list(frame)
    assert not new.isna().to_numpy().any()
    known = few.notna().to_numpy()
    assert not full.isna().to_numpy().any()
    assert (full.to_numpy(object)[known] == few.to_numpy(object)[known]).all()
    with by_chance():
        proba = p.predict_proba(frame[:200], "binary").to_numpy()
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-5)
    seen = frame["binary"][:200].notna().to_numpy()
    right = (proba[:, 1] > 0.5)[seen] == frame["binary"][:200][seen].astype(bool)
    assert right.mean() > 0.75
    p.save(folder / "p.pofx")
    again = pofx.load(folder / "p.pofx")
    with by_chance():
        np.testing.assert_array_equal(again.log_prob(few).value, answer.value)
    pd.testing.assert_frame_equal(again.sample(50), new)
    return new


@pytest.mark.slow
def test_a_table_of_all_kinds(tmp_path):
    frame = mixed()
    p = fitted(frame)
    kinds = {v.kind for v in p.schema.variables}
    assert kinds == {"real", "positive", "count", "binary", "categorical", "ordinal"}
    assert p.schema.variable("rain").spikes == (0.0,)
    new = check(p, frame, tmp_path)
    assert (new["positive"] > 0).all()
    assert (new["rain"] == 0).any()
