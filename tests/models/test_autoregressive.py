"""Autoregressive models: sums, integrals, draws and learning, with both networks."""

from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import pofx
from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.core.rows import make_rows
from pofx.learn.learner import LearnerConfig, fit
from pofx.learn.sgd import train
from pofx.learn.sgd_config import SGDConfig
from pofx.models.autoregressive import Autoregressive
from pofx.nets.made import MADE

from .conftest import real

pytestmark = pytest.mark.slow  # each test compiles for seconds; the laws cover some of it quickly

KEY = jax.random.key(0)
NETS = ["made", "transformer"]
SLOWLY = ["made", pytest.param("transformer", marks=pytest.mark.slow)]
GRID = 40_001
SMALL = {"width": 16, "depth": 2, "heads": 2, "components": 2}
MIXED_COLUMNS = (
    Column("r", "real", family="normal"),
    Column("p", "positive", spikes=(0.0,), family="log_normal"),
    Column("n", "count", family="poisson"),
    Column("b", "binary", levels=2, family="bernoulli"),
    Column("c", "categorical", levels=3, family="categorical"),
    Column("o", "ordinal", levels=40, family="categorical"),
)


def binary(d):
    return tuple(Column(f"x{i}", "binary", levels=2, family="bernoulli") for i in range(d))


def states(d):
    return np.array(list(product((0.0, 1.0), repeat=d)))


def mixed(n=64, seed=0):
    rng = np.random.default_rng(seed)
    r = rng.normal(size=n)
    return np.column_stack(
        [
            r,
            np.where(rng.random(n) < 0.3, 0, np.exp(r)),
            rng.poisson(np.exp(1 + r)),
            rng.random(n) < 0.4,
            rng.integers(3, size=n),
            rng.integers(40, size=n),
        ]
    )


def noisy(model, scale=0.5):
    """The model with a network far from its start, so that its columns are dependent."""
    leaves, tree = jax.tree.flatten(model.net)
    rng = np.random.default_rng(7)
    # Biases have more effect than weights, so they are not changed.
    moved = [a + scale * rng.normal(size=a.shape) if a.ndim > 1 else a for a in leaves]
    return eqx.tree_at(lambda p: p.net, model, jax.tree.unflatten(tree, moved))


def started(columns, x, **options):
    return Autoregressive.from_data(KEY, make_rows(x), columns, **{**SMALL, **options})


@eqx.filter_jit
def densities(model, x):
    return jax.vmap(model.log_density)(x)


@eqx.filter_jit
@eqx.filter_grad
def slopes(model, x):
    return jax.vmap(model.log_density)(x).mean()


@eqx.filter_jit
def drawn(model, keys):
    return jax.vmap(model.draw)(keys)


@eqx.filter_jit
def each(model, x):
    """log p of each column of each row, given the columns before it."""
    return jax.vmap(lambda r: model.heads.log_probs(model.raw(r), r, jnp.ones(6, bool)))(x)


@eqx.filter_jit
def draws_of(heads, raw, keys, j):
    return jax.vmap(lambda k: heads.draw(k, raw, j))(keys)


@eqx.filter_jit
def densities_of(heads, raw, values, j):
    return jax.vmap(lambda v: jnp.exp(heads.log_prob(raw, j, v)))(values)


@eqx.filter_jit
def columns_alone(heads, raw, x, seen):
    """log p of each column from these raw numbers: in one call, and column by column."""
    alone = jax.vmap(lambda j: heads.log_prob(raw, j, x[j]))(jnp.arange(6))
    return heads.log_probs(raw, jnp.where(seen, x, jnp.nan), seen), alone


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("order", ["given", "random"])
def test_it_sums_to_one_over_all_rows(net, order):
    model = noisy(started(binary(6), states(6), net=net, order=order))
    log_p = densities(model, jnp.asarray(states(6)))
    assert float(jnp.exp(log_p).sum()) == pytest.approx(1, abs=1e-12)
    assert float(log_p.max() - log_p.min()) > 1, "all rows have the same probability"


@pytest.mark.usefixtures("float64")
def test_it_integrates_to_one_over_mixed_columns():
    columns = (MIXED_COLUMNS[0], MIXED_COLUMNS[4], MIXED_COLUMNS[2])
    model = noisy(started(columns, mixed()[:, [0, 4, 2]], components=3), 0.2)
    grid = np.linspace(-20, 20, 401)
    x = np.array(list(product(grid, range(3), range(300))))
    p = jnp.exp(densities(model, jnp.asarray(x, float)))
    assert float(p.sum()) * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("net", SLOWLY)
def test_each_column_is_given_those_before_it_and_no_others(net):
    model = noisy(started(MIXED_COLUMNS, mixed(), net=net, order="random"))
    order, x = list(model.net.order), mixed(8, 1)
    assert sorted(order) == list(range(6))

    own = np.asarray(each(model, jnp.asarray(x)))
    later = mixed(8, 2)
    for t in range(1, 6):
        other = x.copy()
        other[:, order[t:]] = later[:, order[t:]]
        moved = np.asarray(each(model, jnp.asarray(other)))
        np.testing.assert_allclose(moved[:, order[:t]], own[:, order[:t]], rtol=1e-6)
        assert (np.abs(moved[:, order[t:]] - own[:, order[t:]]) > 1e-4).any()


@pytest.fixture(scope="module")
def heads():
    """Heads of mixed columns, and raw numbers for them."""
    heads = started(MIXED_COLUMNS, mixed(256)).heads
    raw = jax.random.normal(jax.random.key(3), heads.offset.shape)
    return heads, 0.3 * raw


def test_one_column_alone_has_the_density_it_has_among_all(heads):
    heads, raw = heads
    whole, some = np.ones(6, bool), np.array([True, False, True, False, False, True])
    for x in mixed(3, 4):
        every, alone = columns_alone(heads, raw, jnp.asarray(x), jnp.asarray(whole))
        np.testing.assert_allclose(alone, every, rtol=2e-5, atol=1e-5)
        left, _ = columns_alone(heads, raw, jnp.asarray(x), jnp.asarray(some))
        np.testing.assert_allclose(left, np.where(some, every, 0), rtol=1e-5)


@pytest.mark.parametrize("j", range(6))
def test_draws_of_one_column_follow_its_density(heads, j):
    heads, raw = heads
    keys = jax.random.split(jax.random.key(j), 4000)
    x = np.asarray(draws_of(heads, raw, keys, jnp.asarray(j)), np.float64)

    def density(values):
        values = jnp.asarray(np.resize(values, GRID), jnp.float32)
        return np.asarray(densities_of(heads, raw, values, jnp.asarray(j)), np.float64)

    if MIXED_COLUMNS[j].kind in ("real", "positive"):
        spiked = np.isin(x, MIXED_COLUMNS[j].spikes)
        mass = sum(density(s)[0] for s in MIXED_COLUMNS[j].spikes)
        assert spiked.mean() == pytest.approx(mass, abs=0.04)
        grid = (
            np.geomspace(1e-9, 1e6, GRID) if MIXED_COLUMNS[j].spikes else np.linspace(-40, 40, GRID)
        )
        p = density(grid)
        cdf = np.concatenate([[0], np.cumsum((p[1:] + p[:-1]) / 2 * np.diff(grid))])
        assert cdf[-1] == pytest.approx(1 - mass, abs=1e-3)
        u = np.interp(x[~spiked], grid, cdf / cdf[-1])
        assert stats.kstest(u, "uniform").pvalue > 1e-3
        return
    levels = MIXED_COLUMNS[j].levels or int(x.max()) + 1
    p = density(np.arange(levels))[:levels]
    assert p.sum() == pytest.approx(1, abs=1e-2 if MIXED_COLUMNS[j].kind == "count" else 1e-5)
    often = p > 20 / len(x)
    seen, expected = np.bincount(x.astype(int), minlength=levels)[often], len(x) * p[often]
    seen, expected = (
        np.append(seen, len(x) - seen.sum()),
        np.append(expected, len(x) - expected.sum()),
    )
    keep = expected > 5
    score = ((seen - expected)[keep] ** 2 / expected[keep]).sum()
    assert stats.chi2.sf(score, max(keep.sum() - 1, 1)) > 1e-3


@pytest.mark.parametrize("net", NETS)
def test_draws_follow_the_density(net):
    model = noisy(started(binary(4), states(4), net=net, order="random"))
    p = np.exp(np.asarray(densities(model, jnp.asarray(states(4))), np.float64))
    x = np.asarray(drawn(model, jax.random.split(KEY, 4000))).astype(int)
    seen = np.bincount(x @ [8, 4, 2, 1], minlength=16)
    rare = p < 2e-3
    seen, p = (np.append(a[~rare], a[rare].sum()) for a in (seen, p / p.sum()))
    keep = p > 1e-3
    score = ((seen - 4000 * p)[keep] ** 2 / (4000 * p[keep])).sum()
    assert stats.chi2.sf(score, keep.sum() - 1) > 1e-3


def test_a_start_is_near_independent_columns_and_repeats():
    x = mixed(200)
    one, other = (started(MIXED_COLUMNS, x, components=1) for _ in range(2))
    assert bool(eqx.tree_equal(one, other))
    raw = jnp.zeros_like(one.heads.offset)
    for row, own in zip(x[:4], each(one, jnp.asarray(x[:4]))):
        alone, _ = columns_alone(one.heads, raw, jnp.asarray(row), jnp.ones(6, bool))
        assert abs(float((alone - own).sum())) < 1
    # Only the network is trained.
    assert not any(jax.tree.leaves((one.trainable_mask().heads, one.trainable_mask().tokens)))
    assert all(jax.tree.leaves(one.trainable_mask().net))


@pytest.mark.parametrize("unit", [1e-6, 1e6])
@pytest.mark.parametrize("net", SLOWLY)
def test_large_and_small_units_do_no_harm(net, unit):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(128, 1)) @ rng.normal(size=(1, 2)) + 0.1 * rng.normal(size=(128, 2))
    x = np.column_stack([unit * (5 + z), rng.poisson(max(unit, 1.0), 128)])
    columns = (*real(2), MIXED_COLUMNS[2])
    start = started(columns, x, net=net)
    settings = SGDConfig(epochs=3, batch=32, rate=1e-2)
    end = train(KEY, start, make_rows(x), settings=settings)
    assert end.skipped == 0
    assert np.isfinite([e.train for e in end.history]).all()
    assert end.history[-1].train < end.history[0].train
    own = jnp.asarray(x, jnp.float32)
    assert np.isfinite(densities(end.model, own)).all()
    assert np.isfinite(drawn(end.model, jax.random.split(KEY, 8))).all()


def test_a_column_of_thousands_of_levels():
    columns = (Column("c", "categorical", levels=5000, family="categorical"), *real(1))
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(5000, size=64), rng.normal(size=64)])
    model = started(columns, x, order="given")
    assert model.net.tables[0].shape == (5000, 16)
    assert np.isfinite(densities(model, jnp.asarray(x))).all()
    slope = slopes(model, jnp.asarray(x)).net.tables[0]
    assert np.flatnonzero(np.asarray(slope).any(1)).tolist() == np.unique(x[:, 0]).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"net": "mlp"}, "net: expected one of made, transformer; got 'mlp'"),
        (
            {"order": "any"},
            "order: expected one of given, random; got 'any'; for all orders fit 'any_",
        ),
        ({"depth": 0}, "depth: expected at least 1, got 0"),
        ({"components": 0}, "components: expected at least 1, got 0"),
        (
            {"net": "transformer", "width": 10, "heads": 4},
            "heads: expected a divisor of the width 10",
        ),
    ],
)
def test_bad_options_are_told(options, message):
    with pytest.raises(PofxError, match=message):
        started(binary(2), states(2), **options)


def truth(d=6, seed=0):
    """A joint distribution of dependent binary columns, and rows drawn from it."""
    p = stats.dirichlet.rvs(np.full(2**d, 0.3), random_state=seed)[0]
    at = np.random.default_rng(seed).choice(2**d, 20_000, p=p)
    return p, states(d)[at]


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS)
def test_it_learns_a_distribution_to_its_entropy(net):
    p, x = truth()
    x = x if net == "made" else x[:6000]  # attention takes longer
    options = {"net": net, "width": 128 if net == "made" else 32}
    first = len(x) * 9 // 10

    def start(key, data):
        return Autoregressive.from_data(key, data, binary(6), **options)

    model = fit(
        KEY, start, make_rows(x[:first]), LearnerConfig(epochs=20), make_rows(x[first:])
    ).model
    log_q = np.asarray(densities(model, jnp.asarray(states(6))), np.float64)
    entropy = -(p * np.log(p)).sum()
    assert -(p * log_q).sum() == pytest.approx(entropy, abs=0.05)


@pytest.mark.slow
def test_mixtures_learn_two_modes():
    rng = np.random.default_rng(0)
    side = rng.choice([-1, 1], 4000)
    x = np.column_stack([3 * side, side * 2]) + rng.normal(size=(4000, 2)) * [0.5, 1]

    def start(key, data):
        return Autoregressive.from_data(key, data, real(2), width=64)

    model = fit(
        KEY, start, make_rows(x[:3600]), LearnerConfig(epochs=40), make_rows(x[3600:])
    ).model
    entropy = np.log(2) + np.log(2 * np.pi * np.e) + np.log(0.5)
    own = -np.asarray(densities(model, jnp.asarray(x[3600:]))).mean()
    assert own == pytest.approx(entropy, abs=0.1)


def frame(n=300, seed=0):
    rng = np.random.default_rng(seed)
    x = mixed(n, seed)
    return {
        "height": 170 + 10 * x[:, 0],
        "spent": x[:, 1],
        "visits": x[:, 2].astype(int),
        "member": x[:, 3] > 0,
        "town": np.array(["a", "b", "c"])[(x[:, 0] > 0) + rng.integers(2, size=n)],
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:log p is unreliable")  # few rows and little training
@pytest.mark.parametrize(
    ("model", "net"),
    [("autoregressive", "made"), ("any_order", "transformer")],
)
def test_a_mixed_table_is_asked_through_fit(model, net, tmp_path):
    data = frame()
    schema = {"visits": {"kind": "count", "family": "poisson"}}
    own = {"net": net, "width": 16, "depth": 1, "proposal": "independent", "schema": schema}
    p = pofx.fit(data, model, epochs=5, seed=1, **own)
    few = {name: values[:6] for name, values in data.items()}
    scores = np.asarray(p.log_prob(few))
    assert np.isfinite(scores).all()
    new = p.sample(4)
    assert len(new["town"]) == 4
    holes = {**few, "town": np.array([None, "a", None, "b", "c", "a"], object)}
    whole = p.impute(holes)
    assert set(np.asarray(whole["town"])) <= {"a", "b", "c"}
    shares = p.predict_proba(few, "town")
    np.testing.assert_allclose(sum(np.asarray(s) for s in shares.values()), 1, atol=1e-5)
    p.save(tmp_path / "p.pofx")
    q = pofx.load(tmp_path / "p.pofx")
    np.testing.assert_array_equal(np.asarray(q.log_prob(few)), scores)
    for name, values in q.sample(4).items():
        np.testing.assert_array_equal(values, p.sample(4)[name])


def test_the_default_is_a_masked_perceptron():
    model = Autoregressive.from_data(KEY, make_rows(states(2)), binary(2))
    assert isinstance(model.net, MADE)
    assert model.net.biases[0].shape == (256,)
