"""Noisy encoding: p(x | y) is a distribution for each kind of column, and draws follow it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from pofx.core.column import Column
from pofx.models.denoising.noisy_encoding import NoisyEncoding

pytestmark = pytest.mark.slow  # each test compiles for seconds

KEY = jax.random.key(0)
DRAWS = 20_000
POINTS = np.linspace(-30, 60, 90_001)


def encode_column(column, values, s=None):
    """The encoding of one column, with noise of standard deviation s if it is given."""
    x = np.asarray(values, np.float32)[:, None]
    codes = NoisyEncoding.from_data((column,), x, np.ones(x.shape))
    if s is None:
        return codes
    return eqx.tree_at(lambda c: c.min_noise, codes, jnp.full(codes.size, s))


def log_probs(codes, points, y):
    points = jnp.asarray(np.asarray(points, np.float32)[:, None])
    score = jax.jit(jax.vmap(lambda x: codes.log_prob(x, jnp.asarray(y))))
    return np.asarray(score(points), np.float64)


def draw_values(codes, y):
    keys = jax.random.split(KEY, DRAWS)
    sample = jax.jit(jax.vmap(lambda k: codes.sample(k, jnp.asarray(y))))
    return np.asarray(sample(keys))[:, 0]


LEVELS = {
    "binary": (Column("a", "binary", levels=2), [0, 1, 1], [0.3]),
    "ordinal": (Column("a", "ordinal", levels=5), [0, 1, 4, 2, 2, 3], [0.4]),
    "categorical": (Column("a", "categorical", levels=3), [0, 1, 2], [0.5, -0.2, 0.1]),
    "count": (Column("a", "count"), [0, 3, 4, 9, 1], [-0.5]),
}


@pytest.mark.parametrize("s", [0.05, 0.7, 3.0])
@pytest.mark.parametrize("kind", LEVELS)
def test_masses_sum_to_one_and_draws_follow_them(kind, s):
    column, values, y = LEVELS[kind]
    codes = encode_column(column, values, s)
    y = np.asarray(y, np.float32)
    points = np.arange(column.levels or 40_000)
    mass = np.exp(log_probs(codes, points, y))
    if column.levels or s < 1:  # with the widest noise the largest counts are beyond all points
        assert mass.sum() == pytest.approx(1, abs=1e-4)
    draws = draw_values(codes, y)
    assert set(np.unique(draws)) <= set(points) or s > 1
    share = np.array([(draws == k).mean() for k in points[:20]])
    assert (np.abs(share - mass[:20]) < 5 * np.sqrt(mass[:20] / DRAWS) + 1e-4).all()


def test_a_category_is_found_by_bayes():
    s = 0.8
    codes = encode_column(LEVELS["categorical"][0], [0, 1, 2], s)
    y = np.array([0.9, -0.6, -1.3], np.float32)
    centre = 2 * np.eye(3) - 1
    expected = np.exp(-((y - centre) ** 2).sum(1) / (2 * s**2))
    mass = np.exp(log_probs(codes, [0, 1, 2], y))
    np.testing.assert_allclose(mass, expected / expected.sum(), rtol=1e-4)


@pytest.mark.parametrize("kind", ["real", "positive"])
def test_densities_integrate_to_one(kind):
    rng = np.random.default_rng(0)
    values = 3 + rng.normal(size=50) if kind == "real" else np.exp(1 + 0.3 * rng.normal(size=50))
    codes = encode_column(Column("a", kind), values, 0.3)
    points = POINTS if kind == "real" else POINTS[POINTS > 0]
    density = np.exp(log_probs(codes, points, np.array([0.4], np.float32)))
    assert density.sum() * 1e-3 == pytest.approx(1, abs=1e-3)
    mean = (points * density).sum() * 1e-3
    draws = draw_values(codes, np.array([0.4], np.float32))
    assert draws.mean() == pytest.approx(mean, abs=5 * draws.std() / np.sqrt(DRAWS))


def test_a_spike_has_a_mass_beside_the_density():
    rng = np.random.default_rng(0)
    values = np.concatenate([np.exp(rng.normal(size=60)), np.zeros(30), np.full(10, 5.0)])
    codes = encode_column(Column("a", "positive", spikes=(0.0, 5.0)), values, 0.9)
    y = np.array([0.2, 0.1, -0.3], np.float32)
    mass = np.exp(log_probs(codes, [0.0, 5.0], y))
    # Grid points next to the spikes, not on them; no grid point is 5.
    points = POINTS[POINTS > 0] + 5e-4
    density = np.exp(log_probs(codes, points, y)).sum() * 1e-3
    assert mass.sum() + density == pytest.approx(1, abs=2e-3)
    assert 0.1 < mass.sum() < 0.9
    draws = draw_values(codes, y)
    share = np.array([(draws == 0).mean(), (draws == 5).mean()])
    assert (np.abs(share - mass) < 5 * np.sqrt(mass / DRAWS)).all()


def test_noise_is_as_wide_as_rounding():
    values = np.round(2 * np.random.default_rng(0).normal(size=100)) / 2
    codes = encode_column(Column("a", "real", resolution=0.5), values)
    top = log_probs(codes, [0.0], np.asarray(codes(jnp.zeros(1))))
    assert top[0] == pytest.approx(norm.logpdf(0, 0, np.sqrt(0.25 / 12)), rel=1e-3)
    tall = encode_column(Column("a", "real", resolution=1e-9), values)
    assert float(tall.min_noise[0]) == pytest.approx(0.004)


@pytest.mark.parametrize("kind", ["binary", "ordinal", "categorical", "count"])
def test_noise_tells_levels_apart(kind):
    """The code of a level, at the least noise, is decoded as that level alone."""
    column, values, _ = LEVELS[kind]
    codes = encode_column(column, values)
    for level in set(values):
        y = np.asarray(codes(jnp.asarray([float(level)])))
        assert log_probs(codes, [level], y)[0] > -0.05


def posterior_mean(codes, y, s, output):
    full = [jnp.full(codes.size, v, jnp.float32) for v in (y, s, output)]
    return np.asarray(codes.posterior_mean_code(*full), np.float64)


@pytest.mark.parametrize("s", [0.3, 2.0])
def test_two_levels_are_guessed_by_their_odds(s):
    codes = encode_column(LEVELS["binary"][0], [0, 1, 1])
    weight = np.exp(-((0.4 - np.array([-1, 1])) ** 2) / (2 * s**2) + 0.7 * np.array([-1, 1]))
    expected = (weight[1] - weight[0]) / weight.sum()
    assert posterior_mean(codes, 0.4, s, 0.7)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["count", "ordinal"])
def test_levels_are_guessed_among_their_neighbours(kind):
    column, values, _ = LEVELS[kind]
    codes = encode_column(column, values)
    k = np.arange(column.levels or 60)
    f = codes.embedding
    c = np.array([float(f.encode_numbers(jnp.asarray([float(i)]))[0]) for i in k])
    gap = float(f.level_gap(jnp.asarray([3.0]))[0])
    for y in np.linspace(-1, 1, 9):
        for s in (0.1 * gap, 0.5 * gap):
            m = (y - 0.5 * s * np.sqrt(1 + s**2)) / (1 + s**2)
            weight = np.exp(-((m - c) ** 2) / (2 * s**2))
            expected = (weight * c).sum() / weight.sum()
            assert posterior_mean(codes, y, s, 0.5)[0] == pytest.approx(expected, abs=1e-4)
        # With much noise the levels do not matter.
        s = 3 * gap
        smooth = (y - 0.5 * s * np.sqrt(1 + s**2)) / (1 + s**2)
        assert posterior_mean(codes, y, s, 0.5)[0] == pytest.approx(smooth, abs=1e-5)


def test_guesses_from_afar_have_gradients():
    def total(output, codes, y):
        return codes.posterior_mean_code(
            jnp.full(codes.size, y), jnp.full(codes.size, 0.3), output
        ).sum()

    slope = eqx.filter_jit(jax.grad(total))
    for kind, (column, values, _) in LEVELS.items():
        codes = encode_column(column, values)
        for y in (-1e4, 1e4):
            assert np.isfinite(slope(jnp.zeros(codes.size), codes, y)).all(), kind


@pytest.mark.parametrize("count", [0, 10**3, 10**6])
def test_large_counts_in_float32(count):
    """Neighbours that float32 hardly distinguishes keep their mass, to three digits."""
    rng = np.random.default_rng(0)
    s = 0.05
    codes = encode_column(Column("a", "count"), rng.poisson(max(count, 1), 100), s)
    y = np.asarray(codes(jnp.asarray([float(count)])))
    f = codes.embedding
    knee, shift, scale = (float(a[0]) for a in (f.log_knee, f.shift, f.scale))

    def straight(k):
        return (np.log1p(np.float64(k) / knee) - shift) / scale

    high, low = straight(count + 0.5), straight(count - 0.5) if count else -np.inf
    expected = np.log(norm.cdf((high - float(y[0])) / s) - norm.cdf((low - float(y[0])) / s))
    assert log_probs(codes, [count], y)[0] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_gradients_are_finite():
    columns = (
        Column("a", "real"),
        *(column for column, _, _ in LEVELS.values()),
        Column("b", "positive", spikes=(0.0,)),
    )
    x = np.array([[1.0, 0, 0, 0, 0, 0], [2.0, 1, 4, 2, 7, 3.0]], np.float32)
    codes = NoisyEncoding.from_data(columns, x, np.ones(x.shape))
    slopes = jax.jit(jax.grad(codes.log_prob, (0, 1)))
    for row in x:
        y = codes(jnp.asarray(row))
        gradients = slopes(jnp.asarray(row), y)
        assert all(np.isfinite(g).all() for g in gradients)
        back = codes.sample(KEY, y)
        np.testing.assert_allclose(back, row, atol=0.05)


def test_a_mark_that_is_none_of_the_levels_is_impossible():
    column, values, y = LEVELS["categorical"]
    beyond = log_probs(
        encode_column(column, values, 0.7), [column.levels], np.asarray(y, np.float32)
    )
    assert beyond[0] == -np.inf
