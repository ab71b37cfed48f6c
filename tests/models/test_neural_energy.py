"""Neural energies, compared with quadrature, known densities and known scores."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp, softmax

import pofx
from pofx.core.column import Column
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.importance_weights import pareto_k_threshold
from pofx.core.rows import make_rows
from pofx.learn.learner import LearnerConfig, fit
from pofx.models.energies import tilted_chains
from pofx.models.gaussian import Gaussian
from pofx.models.neural_energy import NeuralEnergy

from .conftest import real

pytest.importorskip("blackjax")

KEY = jax.random.key(0)
LEVELS = Column("c", "categorical", levels=3, family="categorical")
MIXED_COLUMNS = (
    LEVELS,
    Column("x", "real", family="normal"),
    Column("b", "binary", levels=2, family="bernoulli"),
    Column("p", "positive", spikes=(0.0,), family="log_normal"),
)

pytestmark = pytest.mark.slow  # each compiles for seconds; tests/laws runs some models quickly


def table(n=300, seed=0):
    """Rows of columns of several kinds that depend on one hidden bit."""
    rng = np.random.default_rng(seed)
    side = rng.random(n) < 0.4
    level = np.where(rng.random(n) < 0.7, 2.0 * side, 1)
    amount = np.where(rng.random(n) < 0.3, 0, np.exp(side + rng.normal(size=n)))
    return np.column_stack([level, 4 * side + rng.normal(size=n), side ^ (level > 1), amount])


def tilt(p, size=1.0, seed=1):
    """The model with a network whose last layer is not zero."""
    key = jax.random.key(seed)
    last = size * jax.random.normal(key, p.net.weights[-1].shape, p.net.weights[-1].dtype)
    return eqx.tree_at(lambda p: p.net.weights, p, (*p.net.weights[:-1], last))


def started(x, columns, **options):
    return NeuralEnergy.from_data(
        KEY, make_rows(x), columns, **{"width": 8, "chains": 64, **options}
    )


def flat(d=2, seed=0, n=400):
    return np.random.default_rng(seed).normal([3.0, -100.0][:d], [2.0, 10.0][:d], size=(n, d))


@eqx.filter_jit
def energies(p, x):
    return jax.vmap(p.energy)(jnp.asarray(x, jnp.zeros(()).dtype))


@eqx.filter_jit
def losses(p, x):
    return p.loss(KEY, x, jnp.ones(p.size, bool))


def grid(x, points=201, reach=9):
    axes = [
        np.linspace(a.mean() - reach * a.std(), a.mean() + reach * a.std(), points) for a in x.T
    ]
    cell = sum(np.log(a[1] - a[0]) for a in axes)
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes)), cell


def test_it_starts_at_its_reference():
    x = flat()
    p = started(x, real(2), reference="gaussian")
    moments = np.asarray(p.reference.mean), np.asarray(p.reference.covariance)
    np.testing.assert_allclose(moments[0], x.mean(0), rtol=1e-4)
    np.testing.assert_allclose(moments[1], np.cov(x.T, bias=True), rtol=1e-3)
    expected = stats.multivariate_normal(*moments).logpdf(x[:5])
    np.testing.assert_allclose(-energies(p, x[:5]), expected, rtol=1e-4)


@pytest.mark.slow
def test_its_reference_follows_the_columns():
    p, other = started(table(), MIXED_COLUMNS), started(flat(), real(2))
    assert [type(m.reference).__name__ for m in (p, other)] == ["ChowLiuTree", "Mixture"]
    assert (p.hmc_columns, other.hmc_columns) == ((1,), (0, 1))


@pytest.fixture(scope="module")
def plane():
    """A tilted model of two real columns, and its log Z by quadrature."""
    with jax.enable_x64(True):
        x = flat()
        p = tilt(started(x, real(2), reference="independent", temperatures=100), 1.0)
        points, cell = grid(x)
        return p, logsumexp(-np.asarray(energies(p, points))) + cell


@pytest.mark.usefixtures("float64")
def test_draws_of_the_reference_find_z(plane):
    p, log_z = plane
    estimate, _, steepest = tilted_chains.estimate_log_z(KEY, p.without_chains, 64)
    assert 0 < estimate.stderr < 0.1
    assert abs(float(estimate.log_z) - log_z) < 3 * float(estimate.stderr)
    assert estimate.pareto_k < pareto_k_threshold(tilted_chains.LOG_Z_DRAWS)
    assert steepest > 1


@pytest.mark.usefixtures("float64")
def test_annealing_finds_z(plane):
    p, log_z = plane
    estimate = tilted_chains.anneal_log_z(KEY, p.without_chains, p.step_size, 100)
    assert 0 < estimate.stderr < 0.1
    assert abs(float(estimate.log_z) - log_z) < 3 * float(estimate.stderr)


@pytest.mark.usefixtures("float64")
@pytest.mark.slow
def test_chains_stay_and_draws_follow_the_density(plane):
    """Moments of draws from all chains, compared with quadrature."""
    p, log_z = plane
    points, cell = grid(flat())
    mass = np.exp(-np.asarray(energies(p, points)) - log_z + cell)
    assert mass.sum() == pytest.approx(1)
    _, chains, _ = tilted_chains.estimate_log_z(KEY, p.without_chains, 64)
    run = tilted_chains.run_chains(KEY, p.without_chains, chains, p.step_size)
    assert 0.5 < run.acceptance < 0.85
    energy = mass @ np.asarray(energies(p, points))
    error = run.energies.std() / np.sqrt(run.energies.size / 10)
    assert abs(float(run.energies.mean()) - energy) < 5 * float(error)
    state = run.chains, run.step_size
    p = eqx.tree_at(lambda p: (p.chains, p.step_size), p, state)
    draws = np.asarray(jax.jit(jax.vmap(p.draw))(jax.random.split(KEY, 4000)))
    for j in range(2):
        mean = mass @ points[:, j]
        sd = np.sqrt(mass @ (points[:, j] - mean) ** 2)
        assert abs(draws[:, j].mean() - mean) < 5 * sd / np.sqrt(1000)
        assert draws[:, j].std() == pytest.approx(sd, rel=0.1)


TREE = pytest.param((0, 0, 0, 0), "chow_liu_tree", marks=pytest.mark.slow)


@pytest.mark.parametrize(("observed", "reference"), [TREE, ((1, 0, 0, 1), "independent")])
def test_a_step_leaves_mixed_columns_as_they_are(observed, reference):
    p, n = tilt(started(table(), MIXED_COLUMNS, reference=reference), 1.0), 10_000
    p = eqx.tree_at(lambda p: p.step_size, p, 0.6)
    observed = jnp.array(observed, bool)
    row = jnp.array([1.0, 0.0, 0.0, 0.0])

    @eqx.filter_jit
    def weighed(p, keys):
        x = jax.vmap(lambda k: p.reference.sample(k, row, observed))(keys)
        return x, -jax.vmap(p.tilt)(x)

    @eqx.filter_jit
    def after_one(p, keys, x):
        return jax.vmap(lambda k, x: p.step(k, x, observed))(keys, x)

    x, log_w = weighed(p, jax.random.split(KEY, 4 * n))
    weight = softmax(np.asarray(log_w, np.float64))
    before = np.asarray(x)[np.random.default_rng(0).choice(4 * n, n, p=weight)]
    after = np.asarray(after_one(p, jax.random.split(jax.random.key(1), n), jnp.asarray(before)))
    moved = (before != after).mean(0)
    assert (moved[np.asarray(observed)] == 0).all()
    assert (moved[~np.asarray(observed)] > 0.02).all()
    # Resampled draws repeat, so their spread is a little wider than that of n.
    for j in np.flatnonzero(~np.asarray(observed)):
        if MIXED_COLUMNS[j].kind in ("real", "positive"):
            assert stats.ks_2samp(before[:, j], after[:, j]).pvalue > 1e-3
        else:
            shares = [(a[:, j, None] == np.arange(3)).mean(0) for a in (before, after)]
            np.testing.assert_allclose(*shares, atol=4.5 * np.sqrt(0.5 / n))
    joint = [(a[:, 0] == 2) & (a[:, 1] > 2) & (a[:, 3] > 0) for a in (before, after)]
    assert joint[0].mean() == pytest.approx(joint[1].mean(), abs=0.015)


def test_it_starts_and_draws_the_same_to_the_bit():
    one, other = (tilt(started(table(), MIXED_COLUMNS, reference="independent")) for _ in range(2))
    assert bool(eqx.tree_equal(one, other))
    draw = eqx.filter_jit(lambda p: p.draw(KEY))
    assert np.isfinite(draw(one)).all()
    np.testing.assert_array_equal(draw(one), draw(other))


def test_contrast_is_least_where_the_ratio_is_right():
    """For data of a known density ratio to the reference, the true ratio has the least loss."""
    x = np.random.default_rng(0).normal(size=(4000, 1))
    p = started(x, real(1), reference="independent")
    p = eqx.tree_at(lambda p: p.reference.groups[0].dispersion, p, 4 * jnp.ones(1))
    data = jnp.asarray(x, jnp.float32)

    def cost(change):
        def ratio(x):
            log_ratio = stats_ratio(x[0])
            return change(x[0]) - log_ratio

        return float(jax.jit(_Known(p, ratio).contrast)(KEY, data).mean())

    def stats_ratio(x):
        normal = jax.scipy.stats.norm.logpdf
        centre = p.reference.groups[0].centre[0]
        return normal(x) - normal(x, centre, 2)

    right = cost(lambda x: 0 * x)
    for change in (lambda x: 0.3 + 0 * x, lambda x: -0.3 + 0 * x, lambda x: 0.1 * x**2):
        assert right < cost(change) - 1e-3
    assert np.isfinite(losses(p, data)).all()


class _Known:
    """A stand-in for a model, with a known function as its tilt."""

    def __init__(self, p, tilt):
        self.reference, self.ratio, self.tilt = p.reference, p.ratio, tilt

    def contrast(self, key, x):
        return NeuralEnergy._nce_loss(self, key, x)


def test_denoising_is_least_where_the_score_is_right():
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    x = np.random.default_rng(0).multivariate_normal([0, 0], covariance, 4000)
    data = jnp.asarray(x, jnp.float32)

    start = started(x, real(2), loss="score", noise=0.3, reference="independent")

    def cost(covariance):
        reference = Gaussian.from_moments(jnp.zeros(2), jnp.asarray(covariance, jnp.float32))
        p = eqx.tree_at(lambda p: p.reference, start, reference)
        return float(losses(p, data).mean())

    # The learned density includes the noise.
    right = cost(covariance + 0.09 * np.eye(2))
    assert right < cost(covariance + 0.3 * np.eye(2))
    assert right < cost(covariance)
    assert right < cost(np.eye(2))


@pytest.mark.slow
def test_an_energy_that_explodes_gives_a_warning():
    x = flat()
    p = tilt(started(x, real(2), temperatures=20, chains=8), 1e5)
    with pytest.warns(PofxWarning) as caught:
        p.finalise(KEY, make_rows(x), None)
    texts = [str(w.message) for w in caught]
    assert any("the energy explodes: its network tilts by" in text for text in texts)
    assert any("log Z" in text and "is unreliable" in text for text in texts)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (real(1), {"loss": "mle"}, "no loss 'mle'"),
        (real(1), {"ratio": 0}, "ratio: expected at least 1, got 0"),
        (real(1), {"noise": 0.0}, "noise: expected a number above 0, got 0.0"),
        (real(1), {"reference": "gausian"}, "did you mean 'gaussian'"),
        ((LEVELS,), {"loss": "score"}, "column 'c' is categorical, and loss='score'"),
        ((Column("c", "real", spikes=(1.0,)),), {"loss": "score"}, "real with point masses"),
    ],
)
def test_what_it_refuses(columns, options, message):
    with pytest.raises(PofxError, match=message):
        started(np.ones((4, 1)), columns, **options)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "blackjax", None)
    with pytest.raises(PofxError, match=r"pip install 'pofx\[energy\]'"):
        started(flat(), real(2))
    # Without real columns there are no Hamiltonian moves.
    assert started(table()[:, :1], (LEVELS,), reference="independent").hmc_columns == ()


@pytest.fixture(scope="module")
def fitted():
    x = table(400)
    data = {
        "c": np.array(["u", "v", "w"])[x[:, 0].astype(int)],
        "x": 1e6 * x[:, 1] + 1e7,
        "b": x[:, 2] > 0,
        "p": x[:, 3],
    }
    data["x"][:10] = np.nan
    options = {"width": 32, "epochs": 25, "chains": 64, "ratio": 4}
    return data, pofx.fit(data, "neural_energy", proposal="independent", **options)


@pytest.mark.slow
def test_a_table_is_answered(fitted, tmp_path):
    data, p = fitted
    few = {name: column[:40] for name, column in data.items()}
    answer = p.log_prob(few)
    assert np.isfinite(answer.value).all()
    draws = p.sample(300, seed=1)
    assert set(draws["c"]) == {"u", "v", "w"}
    assert (draws["p"] == 0).mean() == pytest.approx(0.3, abs=0.12)
    assert np.mean(draws["x"]) == pytest.approx(np.nanmean(data["x"]), rel=0.1)
    assert not np.isnan(p.impute(few)["x"]).any()
    posterior = p.predict_proba({k: v[10:] for k, v in data.items()}, "b")
    assert ((np.asarray(posterior["True"]) > 0.5) == data["b"][10:]).mean() > 0.8
    p.save(tmp_path / "p.pofx")
    other = pofx.load(tmp_path / "p.pofx")
    np.testing.assert_array_equal(other.log_prob(few).value, answer.value)


def learned(x, valid, columns, **options):
    def start(key, data):
        return NeuralEnergy.from_data(key, data, columns, **options)

    return fit(KEY, start, make_rows(x), LearnerConfig(), make_rows(valid)).model


@pytest.mark.slow
def test_contrast_learns_a_correlated_normal():
    """From independent columns as reference: within 0.05 nats of the truth."""
    truth = stats.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]])
    x, valid, test = (truth.rvs(n, random_state=n) for n in (5000, 1000, 4000))
    p = learned(x, valid, real(2), reference="independent")
    log_q = -np.asarray(energies(p, test), np.float64) - float(p.log_z)
    lost = (truth.logpdf(test) - log_q).mean()
    assert -0.02 < lost < 0.05
    assert abs(float(p.log_z)) < 0.1, "the last bias is the normaliser"


@pytest.mark.slow
def test_denoising_learns_a_score():
    """Two clusters, with independent columns as reference: gradients agree with the true ones."""
    rng = np.random.default_rng(0)

    def draw(n):
        side = np.where(rng.random(n) < 0.5, 1.5, -1.5)
        return np.column_stack([side, -side]) + 0.7 * rng.normal(size=(n, 2))

    x, valid, test = draw(5000), draw(1000), jnp.asarray(draw(1000), jnp.float32)
    p = learned(x, valid, real(2), loss="score", noise=0.1, reference="independent")

    def log_density(x):
        centres = jnp.array([[1.5, -1.5], [-1.5, 1.5]])
        return jax.nn.logsumexp(-((x - centres) ** 2).sum(1) / (2 * 0.49))

    truth = np.asarray(jax.vmap(jax.grad(log_density))(test)).ravel()
    slope = -np.asarray(jax.vmap(jax.grad(p.energy))(test)).ravel()
    assert np.corrcoef(truth, slope)[0, 1] > 0.97
    plain = -np.asarray(jax.vmap(jax.grad(lambda x: -p.reference.log_prob(x)))(test)).ravel()
    assert np.corrcoef(truth, plain)[0, 1] < 0.9


@pytest.mark.slow
def test_a_joint_energy_classifies():
    from sklearn.datasets import make_moons

    x, y = make_moons(3000, noise=0.15, random_state=0)
    data = {"x": x[:, 0], "y": x[:, 1], "moon": np.array(["up", "down"])[y]}
    train, test = (
        {k: v[part] for k, v in data.items()} for part in (slice(2000), slice(2000, None))
    )
    p = pofx.fit(train, "neural_energy", proposal="independent")
    up = np.asarray(p.predict_proba(test, "moon")["up"])
    assert ((up > 0.5) == (test["moon"] == "up")).mean() > 0.97
    cost = -np.log(np.where(test["moon"] == "up", up, 1 - up)).mean()
    assert cost < 0.1


def test_rounded_numbers_buy_no_peaks():
    """For numbers rounded to whole standard deviations, the density stays smooth."""
    x = np.round(np.random.default_rng(0).normal(size=(1000, 1)))

    def learned(resolution):
        columns = [Column("x", "real", resolution=resolution, family="normal")]
        options = {"reference": "gaussian"}
        start = partial(NeuralEnergy.from_data, columns=columns, **options)
        p = fit(KEY, start, make_rows(x)).model
        return float(jax.vmap(p.log_density)(jnp.asarray(x, jnp.float32)).mean())

    smooth = -0.5 * np.log(2 * np.pi * np.e * (1 + 1 / 12))
    assert learned(0.0) > smooth + 0.2
    assert learned(1.0) < smooth + 0.1
