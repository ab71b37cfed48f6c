"""Restricted Boltzmann machines, compared with sums over all states and with quadrature."""

import itertools

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
from pofx.core.rows import make_rows
from pofx.learn.learner import LearnerConfig, fit
from pofx.learn.sgd import train
from pofx.learn.sgd_config import SGDConfig
from pofx.models import rbm
from pofx.models.energies import boltzmann
from pofx.models.energies.annealed_importance import anneal_chains, average_weights, warn_weights
from pofx.models.energies.visible_units import VisibleUnits
from pofx.models.rbm import RBM

from .conftest import real

KEY = jax.random.key(0)


def binary(d):
    return tuple(Column(f"b{i}", "binary", levels=2, family="bernoulli") for i in range(d))


def bits(d):
    return np.array(list(itertools.product([0.0, 1.0], repeat=d)))


def machine(binaries, reals, hidden, seed=0, size=1.0, temperatures=500):
    """A machine of random weights and biases, without log Z."""
    rng = np.random.default_rng(seed)
    d = binaries + reals
    is_real = np.arange(d) >= binaries
    shift = np.where(is_real, 3.0, rng.uniform(0.3, 0.7, d))
    visible = VisibleUnits.from_moments(
        shift, np.where(is_real, 2.0, 1), np.where(is_real, 0.01, 0), is_real
    )
    weights = jnp.asarray(size * rng.normal(size=(d, hidden)))
    p = rbm._init(KEY, weights, visible, 64, 1, temperatures)
    parameters = rng.normal(size=d), rng.normal(size=hidden), 0.3 * rng.normal(size=d) - 0.5
    return eqx.tree_at(
        lambda p: (p.visible.bias, p.hidden_bias, p.visible.log_variance),
        p,
        tuple(jnp.asarray(a) for a in parameters),
    )


def partition(p):
    return boltzmann.log_partition(p.without_chains, KEY, p.temperatures)


@eqx.filter_jit
def energies(p, x):
    return jax.vmap(p.energy)(x)


@eqx.filter_jit
def drawn(p, keys):
    return jax.vmap(p.draw)(keys)


@eqx.filter_jit
def _risks(p, key, x):
    return p.validation_loss(key, x, jnp.ones(p.size, bool))


def risks(p, key, x):
    return np.asarray(_risks(p, key, jnp.asarray(x, jnp.zeros(()).dtype)))


def table(p):
    """Every row of binary columns, and its probability."""
    x = bits(p.size)
    return x, softmax(-np.asarray(energies(p, jnp.asarray(x)), np.float64))


def brute(p, x):
    """-log Σ_h exp(-E(x, h)) as an explicit sum."""
    numbers = (p.weights, p.hidden_bias, *jax.tree.leaves(p.visible))
    w, c, b, log_variance, shift, scale, floor = (np.asarray(a, np.float64) for a in numbers)
    is_real = np.array(p.visible.real)
    z, variance = (x - shift) / scale, np.where(is_real, np.exp(log_variance) + floor, 1)
    own = np.where(is_real, (z - b) ** 2 / (2 * variance) + np.log(scale), -b * z).sum()
    each = [own - (c + (z / variance) @ w) @ (h - 0.5) for h in bits(len(c))]
    return -logsumexp(-np.array(each))


@pytest.mark.usefixtures("float64")
def test_the_energy_sums_over_hidden_units():
    p = machine(3, 2, 5)
    x = np.array([[1, 0, 1, 2.0, 4.0], [0, 0, 0, -1.0, 3.5]])
    end = jax.vmap(lambda x: p.without_chains.energy(x, jnp.ones(())))(jnp.asarray(x))
    np.testing.assert_allclose(end, energies(p, x), rtol=1e-12)
    np.testing.assert_allclose(energies(p, x), [brute(p, row) for row in x], rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_z_over_hidden_units_is_z_over_rows():
    p = machine(10, 0, 3)
    over_rows = logsumexp(-np.asarray(energies(p, bits(10))))
    assert float(partition(p).log_z) == pytest.approx(over_rows, rel=1e-12)
    normalised = eqx.tree_at(lambda p: p.log_z, p, partition(p).log_z)
    log_p = -np.asarray(energies(normalised, bits(10))) - float(normalised.log_z)
    assert np.exp(log_p).sum() == pytest.approx(1)
    # More hidden units than can be enumerated, but few columns.
    wide = machine(4, 0, 20)
    expected = logsumexp([-brute_wide(wide, x) for x in bits(4)])
    estimate = partition(wide)
    assert float(estimate.log_z) == pytest.approx(expected, rel=1e-12)
    assert float(estimate.stderr) == 0


def brute_wide(p, x):
    """The free energy in closed form: hidden units are independent given x."""
    z = x - np.asarray(p.visible.shift)
    inputs = np.asarray(p.hidden_bias) + z @ np.asarray(p.weights)
    return -(np.asarray(p.visible.bias) * z).sum() - np.log(2 * np.cosh(inputs / 2)).sum()


@pytest.mark.usefixtures("float64")
def test_z_of_real_columns_against_quadrature():
    p = machine(1, 2, 3)
    grid = np.linspace(-25, 30, 301)
    points = np.array([(b, u, v) for b in (0.0, 1.0) for u in grid for v in grid])
    total = logsumexp(-np.asarray(energies(p, points))) + 2 * np.log(grid[1] - grid[0])
    assert float(partition(p).log_z) == pytest.approx(total, rel=1e-9)


REALS = pytest.param(6, 3, marks=pytest.mark.slow)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("binaries", "reals"), [(12, 0), REALS])
def test_annealing_finds_z(binaries, reals):
    p = machine(binaries, reals, 8, size=0.7)
    estimate = boltzmann.anneal_log_z(p.without_chains, jax.random.key(3), 500)
    exact = float(boltzmann.exact_log_z(p.without_chains))
    assert 0 < estimate.stderr < 0.2
    assert abs(float(estimate.log_z) - exact) < 3 * float(estimate.stderr)


@pytest.mark.slow
def test_temperatures_lie_where_weights_spread():
    """A quadratic energy that grows only near β = 1, where evenly spaced temperatures fail."""

    def energy(x, beta):
        return 0.5 * (x**2).sum() + 0.5 * 1e3 * beta**4 * (x**2).sum()

    def step(key, x, beta):
        return jax.random.normal(key, x.shape) / jnp.sqrt(1 + 1e3 * beta**4)

    pilots, start = jax.random.normal(KEY, (2, 256, 2))
    anneal = jax.jit(lambda k, p, s: anneal_chains(k, p, s, energy, step, 200))
    _, log_w = anneal(KEY, pilots, start)
    estimate = average_weights(log_w)
    assert abs(float(estimate.log_z) + np.log(1001)) < 4 * float(estimate.stderr) < 0.2
    assert estimate.ess_share > 0.5


def chi_square(counts, expected):
    return stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1)


@eqx.filter_jit
def stepped(p, keys, x, observed):
    return jax.vmap(p.step, (0, 0, None))(keys, x, observed)


@pytest.mark.parametrize("observed", [(0, 0, 0, 0), (1, 0, 0, 1)])
def test_a_step_leaves_the_distribution_as_it_is(observed):
    p, n = machine(4, 0, 3, size=2.0), 40_000
    x, probability = table(p)
    observed = np.array(observed, bool)
    fits = (x[:, observed] == 1).all(1)
    conditional = np.where(fits, probability, 0) / probability[fits].sum()
    before = np.random.default_rng(1).choice(len(x), n, p=conditional)
    after = stepped(p, jax.random.split(KEY, n), jnp.asarray(x[before]), jnp.asarray(observed))
    codes = np.asarray(after) @ [8, 4, 2, 1]
    counts = np.bincount(codes.astype(int), minlength=16)
    assert counts[~fits].sum() == 0
    assert chi_square(counts[fits], n * conditional[fits]) > 1e-3
    assert (codes != before).mean() > 0.2


def test_a_step_leaves_real_columns_as_they_are():
    p, n = machine(1, 1, 2), 20_000
    grid = np.linspace(-25, 30, 2001)
    points = np.array([(b, u) for b in (0.0, 1.0) for u in grid])
    mass = softmax(-np.asarray(energies(p, points), np.float64))
    before = points[np.random.default_rng(0).choice(len(points), n, p=mass)]
    before[:, 1] += (grid[1] - grid[0]) * np.random.default_rng(1).uniform(-0.5, 0.5, n)
    after = stepped(p, jax.random.split(KEY, n), jnp.asarray(before), jnp.zeros(2, bool))
    after = np.asarray(after)
    assert abs(after[:, 0].mean() - before[:, 0].mean()) < 4 * np.sqrt(0.5 / n)
    assert stats.ks_2samp(after[:, 1], before[:, 1]).pvalue > 1e-3


def test_draws_follow_the_distribution():
    p, n = machine(4, 0, 3), 20_000
    _, probability = table(p)
    keys = jax.random.split(KEY, n)
    codes = (np.asarray(drawn(p, keys)) @ [8, 4, 2, 1]).astype(int)
    assert chi_square(np.bincount(codes, minlength=16), n * probability) > 1e-3
    again = (np.asarray(drawn(p, keys)) @ [8, 4, 2, 1]).astype(int)
    assert np.array_equal(codes, again)


def test_the_gradient_of_the_loss_is_that_of_the_likelihood():
    """If the chains are exact draws of the model."""
    p = machine(4, 0, 3)
    x, probability = table(p)
    chains = x[np.random.default_rng(2).choice(len(x), 200_000, p=probability)]
    p = eqx.tree_at(lambda p: p.chains, p, jnp.asarray(chains))
    data, every = jnp.asarray(x[[1, 5, 5, 12]]), jnp.asarray(x)
    flags = p.trainable_mask()
    learned, static = eqx.partition(p, flags)

    def loss(learned):
        return eqx.combine(learned, static).loss(KEY, data, jnp.ones(4, bool)).mean()

    def cost(learned):
        energies = jax.vmap(eqx.combine(learned, static).energy)
        return energies(data).mean() + jax.nn.logsumexp(-energies(every))

    one, other = jax.jit(jax.grad(loss))(learned), jax.jit(jax.grad(cost))(learned)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=0.01)
    assert flags.chains is flags.log_z is flags.visible.shift is False


def test_the_risk_is_the_likelihood_where_z_is_a_sum():
    p = machine(5, 0, 3)
    x, probability = table(p)
    np.testing.assert_allclose(risks(p, KEY, x), -np.log(probability), rtol=1e-4)


@pytest.fixture
def uncountable(monkeypatch):
    """Log Z is estimated, as for machines of many units."""
    monkeypatch.setattr(boltzmann, "MAX_ENUMERATED_UNITS", 0)
    jax.clear_caches()
    yield
    jax.clear_caches()


@pytest.mark.usefixtures("uncountable")
def test_the_risk_of_binary_rows_is_the_pseudo_likelihood():
    p = machine(5, 0, 3)
    x, probability = table(p)
    log_p = np.log(probability)
    expected = []
    for row in range(len(x)):
        flipped = [row ^ (1 << (4 - j)) for j in range(5)]
        expected.append(sum(np.logaddexp(0, log_p[f] - log_p[row]) for f in flipped))
    validation_loss = risks(p, KEY, x)
    np.testing.assert_allclose(validation_loss, expected, rtol=1e-4)


@pytest.mark.usefixtures("uncountable")
def test_the_risk_of_many_columns_is_judged_by_some():
    p = machine(40, 0, 3, size=0.3)
    x = np.random.default_rng(0).integers(0, 2, (400, 40)).astype(float)
    one, other = (risks(p, key, x).mean() for key in jax.random.split(KEY))
    assert one != other
    assert float(one) == pytest.approx(float(other), rel=0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("uncountable")
def test_the_risk_of_real_rows_is_least_for_their_own_distribution():
    p = machine(1, 2, 2)
    x = np.asarray(drawn(p, jax.random.split(KEY, 4000)))

    def at(p):
        return risks(p, KEY, x).mean()

    def moved(leaf, by):
        return eqx.tree_at(leaf, p, leaf(p) + jnp.asarray(by))

    least = float(at(p))
    for leaf in (lambda p: p.visible.log_variance, lambda p: p.visible.bias, lambda p: p.weights):
        assert least < float(at(moved(leaf, 0.5)))
        assert least < float(at(moved(leaf, -0.5)))


def test_training_moves_chains_and_little_else():
    x = (np.random.default_rng(0).random((200, 3)) < [0.2, 0.5, 0.9]).astype(float)
    start = RBM.from_data(KEY, make_rows(x), binary(3), hidden=4, chains=8)
    end = train(KEY, start, make_rows(x), settings=SGDConfig(epochs=2, batch=50)).model
    assert not np.array_equal(start.chains, end.chains)
    assert set(np.unique(end.chains)) <= {0.0, 1.0}
    assert not np.array_equal(start.weights, end.weights)
    np.testing.assert_array_equal(start.visible.shift, end.visible.shift)
    again = train(KEY, start, make_rows(x), settings=SGDConfig(epochs=2, batch=50)).model
    assert bool(eqx.tree_equal(end, again))


def test_it_starts_at_the_columns_own_distributions():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.random(500) < 0.2, np.zeros(500), 5e6 + 1e6 * rng.normal(size=500)])
    data = make_rows(x.astype(float), weight=np.arange(500) % 2)
    p = RBM.from_data(KEY, data, (*binary(2), *real(1)), chains=2000)
    frequency = x[1::2, 0].mean()
    assert np.asarray(p.chains)[:, 0].mean() == pytest.approx(frequency, abs=0.05)
    assert float(p.visible.shift[1]) == pytest.approx(0.5 / 251)
    assert np.asarray(p.chains)[:, 2].std() == pytest.approx(x[1::2, 2].std(), rel=0.06)
    assert np.isfinite(energies(p, jnp.asarray(x, jnp.float32))).all()


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ((Column("c", "count", family="poisson"),), {}, "column 'c' is count"),
        ((Column("c", "real", spikes=(0.0,)),), {}, "column 'c' is real with point masses"),
        (binary(1), {"hidden": 0}, "hidden: expected at least 1, got 0"),
        (binary(1), {"chains": 0}, "chains: expected at least 1, got 0"),
    ],
)
def test_what_it_refuses(columns, options, message):
    with pytest.raises(PofxError, match=message):
        RBM.from_data(KEY, make_rows(np.ones((4, 1))), columns, **options)


def unscored(p):
    raise AssertionError


def test_chains_that_do_not_mix_give_a_warning():
    x = np.repeat([[0.0], [1.0]], 20, 0) * np.ones(8)
    p = RBM.from_data(KEY, make_rows(x), binary(8), hidden=2, chains=16)
    # Two modes with hardly a path between them, and chains in both.
    p = eqx.tree_at(lambda p: p.weights, p, jnp.full((8, 2), 12.0))
    p = eqx.tree_at(lambda p: p.hidden_bias, p, jnp.full(2, 40.0))
    p = eqx.tree_at(lambda p: p.chains, p, jnp.asarray(x[12:28]))
    with pytest.warns(PofxWarning, match="the chains do not mix"):
        p.finalise(KEY, make_rows(x), unscored)


def test_draws_far_from_the_data_give_a_warning():
    x = np.random.default_rng(0).random((100, 8)) < 0.5
    p = RBM.from_data(KEY, make_rows(x.astype(float)), binary(8), hidden=2)
    p.finalise(KEY, make_rows(x.astype(float)), unscored)
    p = eqx.tree_at(lambda p: p.visible.bias, p, p.visible.bias.at[3].add(2.0))
    message = "the mean of 1 of 8 columns is off by up to 0.[67]. standard deviations"
    with pytest.warns(PofxWarning, match=message):
        p.finalise(KEY, make_rows(x.astype(float)), unscored)


def test_weights_that_are_worth_little_give_a_warning():
    spread = jax.random.normal(KEY, (256,))
    of = jax.jit(average_weights)
    warn_weights(of(0.3 * spread), 256)
    with pytest.warns(PofxWarning, match="is unreliable: its 256 weights are worth"):
        warn_weights(of(5 * spread), 256)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    cause = rng.random(400) < 0.5
    data = {
        "a": np.where(rng.random(400) < 0.9, cause, ~cause).astype(float),
        "b": np.where(rng.random(400) < 0.9, "yes", "no"),
        "c": np.where(rng.random(400) < 0.8, cause, ~cause),
        "x": 1e6 * (np.where(cause, 3.0, -3.0) + rng.normal(size=400)),
    }
    data["a"][:20] = np.nan
    return data, pofx.fit(data, "rbm", proposal="independent", hidden=4)


@pytest.mark.slow
def test_a_table_is_answered(fitted, tmp_path):
    data, p = fitted
    few = {name: column[:40] for name, column in data.items()}
    answer = p.log_prob(few)
    assert np.isfinite(answer.value).all()
    assert answer.kind == "estimate"
    draws = p.sample(200, seed=1)
    assert set(draws["b"]) == {"yes", "no"}
    assert 1e6 < np.std(draws["x"]) < 1e7
    complete = p.impute(few)
    assert not np.isnan(complete["a"]).any()
    posterior = p.predict_proba({k: v[20:] for k, v in data.items()}, "c")
    said = np.asarray(posterior["True"]) > 0.5
    assert (said == data["c"][20:]).mean() > 0.7
    p.save(tmp_path / "p.pofx")
    other = pofx.load(tmp_path / "p.pofx")
    np.testing.assert_array_equal(other.log_prob(few).value, answer.value)


@pytest.mark.slow
def test_it_learns_an_ising_model():
    """Twelve binary variables on a ring: KL to the truth below 0.15 nats, by enumeration."""
    rng = np.random.default_rng(4)
    x = bits(12)
    spins, coupling = 2 * x - 1, rng.normal(size=12)
    log_p = (coupling * spins * np.roll(spins, 1, 1)).sum(1) + spins @ (0.3 * rng.normal(size=12))
    log_p -= logsumexp(log_p)
    data = make_rows(x[rng.choice(len(x), 8000, p=np.exp(log_p))])
    valid = make_rows(x[rng.choice(len(x), 1000, p=np.exp(log_p))])

    def start(key, data):
        return RBM.from_data(key, data, binary(12))

    p = fit(KEY, start, data, LearnerConfig(), valid).model
    assert float(p.log_z_stderr) == 0
    log_q = -np.asarray(energies(p, jnp.asarray(x)), np.float64) - float(p.log_z)
    assert np.exp(log_q).sum() == pytest.approx(1, abs=1e-3)
    lost = (np.exp(log_p) * (log_p - log_q)).sum()
    assert 0 <= lost < 0.15
