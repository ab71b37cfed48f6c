"""The properties of families against sums and quadratures of their log_prob in float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core import closed_forms
from pofx.core.family import AbstractFixedFamily, between
from pofx.families import (
    Bernoulli,
    Beta,
    Categorical,
    Inflated,
    Normal,
    Poisson,
    StudentT,
    Uniform,
)

WIDTHS = pytest.mark.parametrize(
    "dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.slow)]
)


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Little optimisation, because these are many small programs that run once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@jax.jit
def answers(p, q):
    return p.mean(), p.variance(), p.entropy(), p.mode(), closed_forms.kl.find(p, q)(p, q)


@jax.jit
def pieces(family, low, high):
    def one(low, high):
        interval = between(family, low, high), family.log_prob((low + high) / 2)
        return family.cdf(low), family.survival(low), *interval

    return jax.vmap(one)(low, high)


log_prob = jax.jit(lambda family, x: jax.vmap(family.log_prob)(x))


def counting(family):
    base = family.base if isinstance(family, Inflated) else family
    return "count" in base.kinds or isinstance(base, Bernoulli | Categorical)


def support(family):
    """x and w with E[g] = Σ w p(x) g(x): all counts, or the trapezoid rule and the spikes."""
    base = family.base if isinstance(family, Inflated) else family
    if counting(family):
        x = np.arange(1000.0)[:, None].repeat(2, 1)
        return x, np.ones_like(x)
    if isinstance(base, Normal):
        x = np.linspace(-40.03, 40, 4001)[:, None].repeat(2, 1)
        weight = np.full_like(x, x[1, 0] - x[0, 0])
    elif isinstance(base, StudentT):
        u = np.linspace(-30, 30, 4001)[:, None].repeat(2, 1)
        x, weight = np.sinh(u), np.cosh(u) * (u[1, 0] - u[0, 0])
    elif isinstance(base, Beta):
        u = np.linspace(-80, 34, 4001)[:, None].repeat(2, 1)
        x = 1 / (1 + np.exp(-u))
        weight = x * (1 - x) * (u[1, 0] - u[0, 0])
    else:
        u = np.linspace(-60, 12, 4001)[:, None].repeat(2, 1)
        x, weight = np.exp(u), np.exp(u) * (u[1, 0] - u[0, 0])
    if isinstance(family, Inflated):
        x = np.concatenate([x, np.asarray(family.points, np.float64).T])
        weight = np.concatenate([weight, np.ones((len(x) - len(weight), 2))])
    return x, weight


def cast(family, dtype):
    """The family in this float type, its probabilities summing to one there."""
    family = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), family)
    if hasattr(family, "probabilities"):
        total = family.probabilities.sum(1, keepdims=True)
        family = eqx.tree_at(lambda f: f.probabilities, family, family.probabilities / total)
    return jax.tree.map(lambda leaf: leaf.astype(dtype), family)


def other(family, columns):
    raw = 0.4 * jax.random.normal(jax.random.key(5), (2, type(family).num_raw(columns[0])))
    return family.from_unconstrained(raw)


@WIDTHS
def test_moments_entropy_and_divergence_are_their_sums(case, wide, widen, dtype):
    _, family, columns, _ = case
    if isinstance(family, AbstractFixedFamily):
        pytest.skip("another one of its class has another support")
    p, q = (cast(f, dtype) for f in (family, other(family, columns)))
    mean, variance, entropy, mode, kl = answers(p, q)
    x, weight = support(family)
    row = np.asarray(mode, np.float64)[None]
    *log_p, highest = np.asarray(log_prob(widen(p), np.concatenate([x, row])))
    *log_q, _ = np.asarray(log_prob(widen(q), np.concatenate([x, row])))
    log_p, log_q = np.array(log_p), np.array(log_q)
    mass = weight * np.exp(log_p)
    possible = mass > 0
    nats = np.where(possible, -log_p, 0)
    close = {"rtol": 1e-7, "atol": 1e-8} if dtype == jnp.float64 else {"rtol": 1e-5, "atol": 5e-6}
    np.testing.assert_allclose(mass.sum(0), 1, rtol=1e-6)
    np.testing.assert_allclose(mean, (mass * x).sum(0), **close)
    expected = (mass * (x - (mass * x).sum(0)) ** 2).sum(0)
    np.testing.assert_allclose(variance, expected, **close)
    np.testing.assert_allclose(entropy, (mass * nats).sum(0), **close)
    expected = (mass * (-nats - np.where(possible, log_q, 0))).sum(0)
    np.testing.assert_allclose(kl, expected, **close)
    assert (kl > 0).all()
    np.testing.assert_allclose(answers(p, p)[-1], 0, atol=1e-7)
    if counting(family):
        assert mode.tolist() == log_p.argmax(0).tolist()
    elif columns[0].spikes:
        masses = np.asarray(p.probabilities)[:, :-1]
        heaviest = np.where(masses == masses.max(1, keepdims=True), p.points, np.inf)
        assert mode.tolist() == heaviest.min(1).tolist()
    else:
        assert (log_p <= highest + 1e-12).all()


@WIDTHS
def test_the_tails_and_the_pieces_of_the_line_sum_to_one(case, wide, dtype):
    _, family, columns, x = case
    family = cast(family, dtype)
    # Intervals between draws, wide and narrow, with ends at spikes and elsewhere.
    x = np.sort(np.asarray(x[:200], dtype), 0)
    edge = np.full_like(x[:1], np.inf)
    low, high = np.concatenate([-edge, x]), np.concatenate([x, edge])
    below, above, piece, _ = map(np.asarray, pieces(family, low, high))
    close = {"atol": 1e-9 if dtype == jnp.float64 else 2e-6, "rtol": 0}
    np.testing.assert_allclose(below + above, 1, **close)
    np.testing.assert_allclose(piece[:-1], np.diff(below, axis=0), **close)
    np.testing.assert_allclose(piece.sum(0), 1, **close)
    assert (piece >= 0).all()
    below, above, piece, _ = pieces(family, high, low)
    assert [*below[-1], *above[-1]] == [1, 1, 0, 0]
    assert (piece == 0).all()
    # The probability of a narrow interval is as precise as the density.
    if counting(family):
        low = np.concatenate([x[:1], x]) - 0.5
        high = low + 1
    else:
        low = np.concatenate([x[:1], x])
        high = low + np.abs(low) * np.asarray(1e-4, dtype)
    _, _, piece, log_prob = pieces(family, low, high)
    expected = np.exp(log_prob) * (high - low)
    smooth = ~np.isin(low, columns[0].spikes)
    np.testing.assert_allclose(piece[smooth], expected[smooth], rtol=1e-4)


@jax.jit
def slopes(family, q, x):
    def total(family):
        values = family.variance(), family.entropy(), closed_forms.kl.find(family, q)(family, q)
        return sum(v.sum() for v in (*values, family.survival(x)))

    return jax.grad(total)(family)


@jax.jit
def slopes_of_intervals(family, x):
    low = jnp.stack([x, x, x + 1, jnp.full_like(x, -jnp.inf)])
    high = jnp.stack([x * 1.001, x + 3, x, jnp.full_like(x, jnp.inf)])
    return jax.grad(lambda f: jax.vmap(lambda a, b: between(f, a, b))(low, high).sum())(family)


@pytest.mark.slow
def test_gradients_are_finite(case):
    _, family, columns, x = case
    for row in (x[0], x[1], jnp.zeros(2)):
        gradients = slopes(family, other(family, columns), row), slopes_of_intervals(family, row)
        assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_of_certain_and_impossible_codes():
    sure, fair = Bernoulli(jnp.array([jnp.inf, -jnp.inf])), Bernoulli(jnp.array([0.0, 0.0]))
    np.testing.assert_allclose(answers(sure, fair)[-1], np.log(2), rtol=1e-6)
    assert answers(fair, sure)[-1].tolist() == [np.inf] * 2
    assert answers(sure, sure)[-1].tolist() == [0, 0]
    p, q = (Categorical(jnp.array([a])) for a in ([0.5, 0.5, 0, 0], [0.25, 0.5, 0.25, 0]))
    np.testing.assert_allclose(answers(p, q)[-1], 0.5 * np.log(2), rtol=1e-6)
    assert answers(q, p)[-1].tolist() == [np.inf]
    slope = jax.jit(jax.grad(lambda f: f.entropy().sum()))(p).probabilities
    assert jnp.isfinite(slope).all()


def test_point_masses_beside_a_density_decide_mode_and_divergence():
    base = Normal(jnp.full(2, 3.0), jnp.full(2, 0.01), jnp.full(2, 1e-6))
    zero = jnp.zeros((2, 1))
    p = Inflated(zero, jnp.array([[0.1, 0.9], [0.0, 1.0]]), base)
    q = Inflated(zero + 1, jnp.full((2, 2), 0.5), base)
    dry = Inflated(zero, jnp.array([[1.0, 0.0], [0.5, 0.5]]), base)
    *_, mode, kl = answers(p, q)
    assert mode.tolist() == [0, 3]
    # A spike of p only is impossible for q; a spike of q only costs p its share.
    np.testing.assert_allclose(kl, [np.inf, np.log(2)], rtol=1e-6)
    assert answers(p, p)[-1].tolist() == [0, 0]
    np.testing.assert_allclose(answers(dry, p)[-1], [np.log(10), np.inf], rtol=1e-6)
    np.testing.assert_allclose(answers(p, dry)[-1], [np.inf, np.log(2)], rtol=1e-6)
    # The tail of the base keeps its digits beside the mass at zero.
    low, high = jnp.array([[0.0, 2.5]]), jnp.array([[2.5, 2.6]])
    expected = [[0.9 * 2.866516e-7, 3.138459e-5]]
    np.testing.assert_allclose(pieces(p, low, high)[2], expected, rtol=1e-4)


@pytest.mark.parametrize("q_points", [[0.0, 4.0], [4.0, 0.0], [0.0, 7.0]])
def test_inflated_counts_are_sums_over_counts(wide, q_points):
    base = Poisson(jnp.array([3.5])), Poisson(jnp.array([2.5]))
    p = Inflated(jnp.array([[4.0, 0.0]]), jnp.array([[0.2, 0.3, 0.5]]), base[0])
    q = Inflated(jnp.array([q_points]), jnp.array([[0.1, 0.3, 0.6]]), base[1])
    mean, variance, entropy, mode, kl = answers(p, q)
    x = jnp.arange(100.0)[:, None]
    log_p, log_q = log_prob(p, x), log_prob(q, x)
    np.testing.assert_allclose(entropy, -(jnp.exp(log_p) * log_p).sum(0), rtol=1e-8)
    np.testing.assert_allclose(kl, (jnp.exp(log_p) * (log_p - log_q)).sum(0), rtol=1e-8)
    np.testing.assert_allclose(variance, (jnp.exp(log_p) * (x - mean) ** 2).sum(0), rtol=1e-8)
    np.testing.assert_allclose(answers(p, p)[-1], 0, atol=1e-12)
    assert mode == x[jnp.argmax(log_p)]


def test_uniform_divergences_are_ratios_of_widths():
    p = Uniform(jnp.array([0.0, 0.0, 1.0]), jnp.array([1.0, 1.0, 2.0]))
    q = Uniform(jnp.array([-1.0, 0.5, 1.0]), jnp.array([3.0, 2.0, 2.0]))
    mean, variance, entropy, mode, kl = answers(p, q)
    np.testing.assert_allclose(kl, [np.log(4), np.inf, 0], rtol=1e-6)
    np.testing.assert_allclose(variance, 1 / 12, rtol=1e-6)
    assert (mean.tolist(), mode.tolist(), entropy.tolist()) == ([0.5, 0.5, 1.5], [0, 0, 1], [0] * 3)
