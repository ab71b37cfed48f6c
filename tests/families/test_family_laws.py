"""Laws that hold for every family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pofx.core import closed_forms
from pofx.core.family import AbstractFixedFamily, between

COUNTING = ("poisson", "negative_binomial", "inflated_poisson")


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Little optimisation, because these are many small programs that run once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


log_prob = jax.jit(lambda family, x: jax.vmap(family.log_prob)(x))
cdf = jax.jit(lambda family, x: jax.vmap(family.cdf)(x))
quantile = jax.jit(lambda family, u: jax.vmap(family.quantile)(u))
statistics = jax.jit(lambda family, x, weight: family.statistics(x, weight))
expected = jax.jit(lambda family, other: family.expected_statistics(other))
m_step = jax.jit(lambda family, statistics: family.m_step(statistics))
from_unconstrained = jax.jit(lambda family, raw: family.from_unconstrained(raw))


def before(x):
    # For zero not the nearest float, which XLA flushes to zero.
    return np.where(x == 0, np.float32(-1e-30), np.nextafter(x, np.float32(-np.inf)))


def size(cls, columns):
    return cls.num_raw(columns[0])


def close(a, b, rtol=1e-4, atol=1e-3):
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(left, right, rtol=rtol, atol=atol)


@pytest.mark.slow
def test_draws_follow_the_cdf(case):
    _, family, _, x = case
    high, low = np.asarray(cdf(family, x)), np.asarray(cdf(family, before(x)))
    # The probability transform is uniform after a random shift within each jump.
    u = low + np.random.default_rng(0).random(low.shape) * (high - low)
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3


def test_log_prob_is_the_derivative_or_the_jump_of_the_cdf(case):
    name, family, columns, x = case
    jump = np.asarray(cdf(family, x) - cdf(family, before(x)))
    prob = np.exp(np.asarray(log_prob(family, x)))
    spike = np.isin(x, columns[0].spikes)
    if columns[0].discrete or name in COUNTING:
        spike |= True
    np.testing.assert_allclose(prob[spike], jump[spike], atol=3e-6)
    if spike.all():
        return
    low, high = np.asarray(quantile(family, np.linspace(0.05, 0.95, len(x))[:, None].repeat(2, 1)))[
        [0, -1]
    ]
    grid = np.linspace(low, high, len(x), dtype=np.float32)
    density = np.exp(np.asarray(log_prob(family, grid), np.float64))
    on_spike = np.isin(grid, columns[0].spikes)
    density[on_spike] = density[np.roll(on_spike, 1, axis=0)]
    reached = np.trapezoid(density, grid.astype(np.float64), axis=0)
    for at in columns[0].spikes:
        mass = np.exp(log_prob(family, np.full_like(grid, at))[0])
        reached += np.where((at > low) & (at <= high), mass, 0)
    expected = cdf(family, grid)[-1] - cdf(family, grid)[0]
    np.testing.assert_allclose(reached, expected, atol=3e-3)


def test_quantile_inverts_the_cdf(case):
    _, family, _, _ = case
    u = np.linspace(0.01, 0.99, 2000)[:, None].repeat(2, 1)
    x = quantile(family, u)
    assert jnp.isfinite(x).all()
    assert (cdf(family, x) >= u - 1e-4).all()
    assert (cdf(family, x - 1e-4 * (1 + jnp.abs(x))) <= u + 1e-4).all()


def test_mean_and_entropy_are_those_of_draws(case):
    _, family, _, x = case
    error = np.std(x, 0) / len(x) ** 0.5
    assert (np.abs(np.mean(x, 0) - family.mean()) < 4 * error).all()
    nats = -np.asarray(log_prob(family, x))
    error = nats.std(0) / len(x) ** 0.5
    assert (np.abs(nats.mean(0) - family.entropy()) < 4 * error + 1e-5).all()


def test_statistics_weigh_as_repetition_and_add(case):
    _, family, _, x = case
    times = np.repeat([0, 1, 2, 3, 4], 20)
    x, weight = x[:100], jnp.asarray(times, x.dtype)[:, None].repeat(2, 1)
    repeated = np.repeat(x, times, axis=0)
    weighted_sums = statistics(family, x, weight)
    ones = jnp.ones_like(x)
    halves = [statistics(family, repeated[s], ones) for s in (slice(0, 100), slice(100, 200))]
    close(weighted_sums, jax.tree.map(jnp.add, *halves))


def test_cells_of_weight_zero_count_for_nothing(case):
    _, family, columns, x = case
    x = x[:100]
    weight = jnp.ones_like(x).at[::3, 0].set(0)
    filled = x.at[::3, 0].set(family.support_point)
    close(statistics(family, x, weight), statistics(family, filled, weight))
    all_cells = statistics(family, x, jnp.ones_like(x))
    sums = (all_cells, statistics(family, x, weight))
    assert not np.allclose(*(jax.tree.leaves(s)[0] for s in sums))
    with_missing = np.where(weight > 0, x, np.nan)
    start = type(family).from_data(columns, with_missing, weight)
    close(start, type(family).from_data(columns, filled, weight), rtol=1e-6, atol=0)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(start))


def test_statistics_batch_over_components(case):
    _, family, _, x = case
    x = x[:100]
    weight = jax.random.uniform(jax.random.key(0), (3, *x.shape))
    families = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), family)
    batched = jax.jit(jax.vmap(lambda f, w: f.statistics(x, w)))(families, weight)
    close(jax.tree.map(lambda leaf: leaf[1], batched), statistics(family, x, weight[1]))


@jax.jit
def row_statistics(family, x):
    return jax.vmap(lambda row: family.statistics(row[None], jnp.ones_like(row[None])))(x)


def test_expected_is_the_mean_of_statistics_of_draws(case, draws):
    _, family, columns, _ = case
    raw = 0.5 * jax.random.normal(jax.random.key(5), (2, size(type(family), columns)))
    other = from_unconstrained(family, raw)
    x = [draws(other, key) for key in jax.random.split(jax.random.key(6), 5)]
    sampled = row_statistics(family, jnp.concatenate(x))
    mean_statistics = expected(family, other)
    assert jax.tree.structure(sampled) == jax.tree.structure(mean_statistics)
    for rows, mean in zip(jax.tree.leaves(sampled), jax.tree.leaves(mean_statistics), strict=True):
        rows = np.asarray(rows, np.float64)
        assert rows.shape[1:] == mean.shape
        error = rows.std(0) / len(rows) ** 0.5
        assert (np.abs(rows.mean(0) - mean) <= 4.5 * error + 1e-6).all()


def test_learning_climbs_to_the_maximum(case, wide, widen):
    _, family, columns, x = case
    if isinstance(family, AbstractFixedFamily):
        pytest.skip("it is not learned")
    x, family = widen(x[:300]), widen(family)
    weight = jax.random.uniform(jax.random.key(1), x.shape, jnp.float64)
    raw = 0.5 * jax.random.normal(jax.random.key(2), (2, size(type(family), columns)), jnp.float64)

    @jax.jit
    def learn(family):
        def step(family, _):
            better = family.m_step(family.statistics(x, weight))
            return better, total(family)

        def total(family):
            return (weight * jax.vmap(family.log_prob)(x)).sum(0)

        best, trace = jax.lax.scan(step, family.from_unconstrained(raw), None, 300)
        moves = 0.05 * jnp.concatenate([jnp.eye(raw.shape[1]), -jnp.eye(raw.shape[1])])
        around = jax.lax.map(lambda move: total(best.from_unconstrained(move + 0 * raw)), moves)
        return trace, total(best), around

    trace, reached, around = learn(family)
    assert (np.diff(trace, axis=0) >= -1e-7).all()
    assert (trace[-1] > trace[0]).all()
    # No point near the maximum is better, and some are worse.
    assert (around <= reached + 1e-4).all()
    assert (around < reached - 1e-2).any(0).all()


def test_an_empty_component_stays_as_it_was(case):
    _, family, _, x = case
    empty = statistics(family, x[:100], jnp.zeros_like(x[:100]))
    close(m_step(family, empty), family, rtol=0, atol=0)


def test_prior_rows_pull_towards_the_prior(case):
    _, family, _, x = case
    once = statistics(family, x[:100], jnp.ones_like(x[:100]))
    prior = jax.tree.map(lambda leaf: 1e6 * leaf, expected(family, family))
    pulled = m_step(family, jax.tree.map(jnp.add, once, prior))
    close(pulled, family, rtol=5e-3, atol=2e-3)


def test_raw_zero_is_the_family_itself(case):
    _, family, columns, _ = case
    same = from_unconstrained(family, jnp.zeros((2, size(type(family), columns))))
    close(same, family, rtol=1e-5, atol=1e-6)


@jax.jit
def scored(family, raw, x):
    def loss(raw):
        # Absent levels, which are impossible for every family of the kind, do not occur in x.
        return family.from_unconstrained(raw).log_prob(x).sum()

    return jax.value_and_grad(loss)(raw)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
@pytest.mark.parametrize("index", [0, 1])
def test_any_raw_numbers_give_a_distribution(case, index, data):
    _, family, columns, x = case
    numbers = st.floats(-30, 30, width=32)
    raw = [data.draw(numbers) for _ in range(2 * size(type(family), columns))]
    value, slope = scored(family, jnp.array(raw).reshape(2, -1), x[index])
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@jax.jit
def slopes(family, x):
    def finite(family, row):
        value = family.log_prob(row)
        return jnp.where(jnp.isfinite(value), value, 0).sum()

    return jax.vmap(jax.grad(finite, argnums=(0, 1)), (None, 0))(family, x)


def test_gradients_are_finite_inside_and_outside(case):
    name, family, columns, x = case
    outside = {"real": [], "positive": [-1.0], "count": [-1.0, 0.5]}
    outside = outside.get(columns[0].kind, [-1.0, 0.5, 99.0])
    x = x.at[: len(outside)].set(jnp.array(outside).reshape(-1, 1))
    by_family, by_x = slopes(family, x)
    for leaf in (*jax.tree.leaves(by_family), by_x):
        assert jnp.isfinite(leaf).all()
    value = log_prob(family, x)
    assert (value[: len(outside)] == -jnp.inf).all()
    assert jnp.isfinite(value[len(outside) :]).all()
    if not columns[0].discrete and not columns[0].spikes and name not in COUNTING:
        rise = np.asarray(log_prob(family, x * 1.01) - log_prob(family, x * 0.99))
        inside = np.isfinite(log_prob(family, x * 1.1) + log_prob(family, x * 0.9))
        assert inside.mean() > 0.5
        expected = (rise / (0.02 * np.asarray(x)))[inside]
        np.testing.assert_allclose(np.asarray(by_x)[inside], expected, rtol=0.05, atol=0.01)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_floats_keep_their_width(case, wide, dtype):
    _, family, columns, x = case
    family = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), family)
    rows = jnp.asarray(x[:3], dtype)

    def everything(f, x):
        key, raw = jax.random.key(0), jnp.zeros((2, size(type(f), columns)), x.dtype)
        sums = f.statistics(x, jnp.ones_like(x))
        of_cells = f.log_prob(x[0]), f.cdf(x[0]), f.survival(x[0]), f.quantile(0.5 + 0 * x[0])
        parts = between(f, x[0], x[0] + 1), closed_forms.kl.find(f, f)(f, f)
        properties = f.sample(key), f.mean(), f.variance(), f.mode(), f.entropy()
        return (
            *of_cells,
            *parts,
            *properties,
            sums,
            f.expected_statistics(f),
            f.m_step(sums),
            f.from_unconstrained(raw),
        )

    out = jax.tree.leaves(jax.eval_shape(everything, family, rows))
    assert {leaf.dtype for leaf in out} == {jnp.dtype(dtype)}


def test_constant_and_missing_columns_have_an_answer(case):
    _, family, columns, x = case
    cls = type(family)
    for rows in (1, 100):
        one = np.asarray(x[:1]).repeat(rows, 0)
        weight = np.ones_like(one)
        weight[:, 1] = 0
        one[:, 1] = np.nan
        start = cls.from_data(columns, one, weight)
        filled = np.where(weight > 0, one, np.float32(cls.support_point))
        fitted = m_step(start, statistics(start, filled, weight))
        for f in (start, fitted):
            tall = np.broadcast_to(filled[:1], x.shape)
            assert jnp.isfinite(log_prob(f, tall)).all()
    assert jnp.isfinite(quantile(fitted, np.full(x.shape, 0.9, np.float32))).all()
