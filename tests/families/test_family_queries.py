"""What queries ask of a family, against sums and quadratures of its own log_prob in float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core import rules
from pofx.core.family import between
from pofx.families import Bernoulli, Categorical, Inflated, Normal, Poisson

WIDTHS = pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Compile little: these laws are many small programs, each run once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@jax.jit
def answers(p, q):
    kl = rules.kl.find(p, q)
    return p.mean(), p.variance(), p.entropy(), kl(p, q), kl(p, p), p.mode()


log_prob = jax.jit(lambda family, x: jax.vmap(family.log_prob)(x))
tails = jax.jit(lambda family, x: (jax.vmap(family.cdf)(x), jax.vmap(family.survival)(x)))
inside = jax.jit(lambda family, low, high: jax.vmap(lambda a, b: between(family, a, b))(low, high))


def counting(family):
    base = family.base if isinstance(family, Inflated) else family
    return "count" in base.kinds or isinstance(base, Bernoulli | Categorical)


def support(family):
    """x and weights with E[g] = Σ w p(x) g(x): all counts, or the trapezoid rule, and spikes."""
    if counting(family):
        x = np.arange(1000.0)[:, None].repeat(2, 1)
        return x, np.ones_like(x)
    base = family.base if isinstance(family, Inflated) else family
    if isinstance(base, Normal):
        u = np.linspace(-40.03, 40, 4001)[:, None].repeat(2, 1)
        x, weight = u, np.full_like(u, u[1, 0] - u[0, 0])
    else:
        u = np.linspace(-60, 12, 4001)[:, None].repeat(2, 1)
        x, weight = np.exp(u), np.exp(u) * (u[1, 0] - u[0, 0])
    if isinstance(family, Inflated):
        x = np.concatenate([x, np.asarray(family.points, np.float64).T])
        weight = np.concatenate([weight, np.ones((len(x) - len(weight), 2))])
    return x, weight


def other(family, columns):
    raw = 0.4 * jax.random.normal(jax.random.key(5), (2, type(family).raw_size(columns[0])))
    return family.unconstrained(raw)


def cast(family, dtype):
    """The family in this float type, its probabilities summing to one there."""
    family = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), family)
    if hasattr(family, "probabilities"):
        whole = family.probabilities.sum(1, keepdims=True)
        family = eqx.tree_at(lambda f: f.probabilities, family, family.probabilities / whole)
    return jax.tree.map(lambda leaf: leaf.astype(dtype), family)


@WIDTHS
def test_moments_entropy_and_divergence_are_their_sums(case, wide, widen, dtype):
    _, family, columns, _ = case
    p, q = (cast(f, dtype) for f in (family, other(family, columns)))
    mean, variance, entropy, kl, zero, _ = answers(p, q)
    x, weight = support(family)
    log_p, log_q = (np.asarray(log_prob(widen(f), x)) for f in (p, q))
    mass = weight * np.exp(log_p)
    some = mass > 0
    ratio = np.where(some, log_p, 0) - np.where(some, log_q, 0)
    close = {"rtol": 1e-7, "atol": 1e-8} if dtype == jnp.float64 else {"rtol": 1e-5, "atol": 5e-6}
    np.testing.assert_allclose(mass.sum(0), 1, rtol=1e-6)
    np.testing.assert_allclose(mean, (mass * x).sum(0), **close)
    wanted = (mass * (x - (mass * x).sum(0)) ** 2).sum(0)
    np.testing.assert_allclose(variance, wanted, **close)
    np.testing.assert_allclose(entropy, -(mass * np.where(some, log_p, 0)).sum(0), **close)
    np.testing.assert_allclose(kl, (mass * ratio).sum(0), **close)
    assert (kl > 0).all()
    np.testing.assert_allclose(zero, 0, atol=1e-7)


def test_the_mode_is_nowhere_exceeded(case):
    _, family, columns, x = case
    mode = answers(family, family)[-1]
    if columns[0].spikes and not counting(family):
        masses = np.asarray(family.probabilities)[:, :-1]
        heaviest = masses == masses.max(1, keepdims=True)
        assert mode.tolist() == np.where(heaviest, family.points, np.inf).min(1).tolist()
        return
    x = np.concatenate([x, support(family)[0][: len(x)]]).astype(np.float32)
    here, elsewhere = log_prob(family, mode[None]), log_prob(family, x)
    assert (elsewhere <= here + 1e-5).all()
    if counting(family):  # of ties it is the smallest
        assert (np.where(x < mode, elsewhere, -np.inf) < here).all()


@WIDTHS
def test_the_tails_and_the_pieces_of_the_line_sum_to_one(case, wide, dtype):
    _, family, _, x = case
    family = cast(family, dtype)
    # Draws, from draw to draw: wide pieces and narrow ones, on spikes and off them.
    x = np.sort(np.asarray(x[:200], dtype), 0)
    edge = np.full_like(x[:1], np.inf)
    x = np.concatenate([-edge, x, edge])
    below, above = (np.asarray(t) for t in tails(family, x))
    close = {"atol": 1e-9 if dtype == jnp.float64 else 2e-6, "rtol": 0}
    np.testing.assert_allclose(below + above, 1, **close)
    assert [below[0, 0], below[-1, 0], above[0, 0], above[-1, 0]] == [0, 1, 1, 0]
    piece = np.asarray(inside(family, x[:-1], x[1:]))
    np.testing.assert_allclose(piece, np.diff(below, axis=0), **close)
    np.testing.assert_allclose(piece.sum(0), 1, **close)
    assert (piece >= 0).all()
    assert (np.asarray(inside(family, x[1:], x[:-1])) == 0).all()


def test_narrow_pieces_keep_their_digits(case):
    _, family, columns, x = case
    x = np.unique(np.asarray(x), axis=0)[:300]
    spike = np.isin(x, columns[0].spikes)
    if counting(family):
        got, wanted = inside(family, x - 1, x), np.exp(log_prob(family, x))
    else:
        high = x + np.abs(x) * np.float32(1e-4)
        got = inside(family, x, high)
        wanted = np.exp(log_prob(family, (x + high) / 2)) * (high - x)
    np.testing.assert_allclose(np.where(spike & ~counting(family), wanted, got), wanted, rtol=1e-4)


@jax.jit
def slopes(family, q, x):
    def whole(family):
        values = family.variance(), family.entropy(), rules.kl.find(family, q)(family, q)
        return sum(v.sum() for v in (*values, family.survival(x)))

    return jax.grad(whole)(family)


@jax.jit
def slopes_of_intervals(family, x):
    low = jnp.stack([x, x, x + 1, jnp.full_like(x, -jnp.inf)])
    high = jnp.stack([x * 1.001, x + 3, x, jnp.full_like(x, jnp.inf)])
    return jax.grad(lambda f: jax.vmap(lambda a, b: between(f, a, b))(low, high).sum())(family)


def test_gradients_are_finite(case):
    _, family, columns, x = case
    for row in (x[0], jnp.zeros(2)):
        for leaf in jax.tree.leaves(slopes(family, other(family, columns), row)):
            assert jnp.isfinite(leaf).all()


@pytest.mark.slow
def test_gradients_of_intervals_are_finite(case):
    _, family, _, x = case
    for row in (x[0], x[1], jnp.zeros(2)):
        for leaf in jax.tree.leaves(slopes_of_intervals(family, row)):
            assert jnp.isfinite(leaf).all()


def test_of_certain_and_impossible_codes():
    kl = rules.kl.find
    sure, fair = Bernoulli(jnp.array([jnp.inf, -jnp.inf])), Bernoulli(jnp.zeros(2))
    np.testing.assert_allclose(kl(sure, fair)(sure, fair), np.log(2), rtol=1e-6)
    assert kl(fair, sure)(fair, sure).tolist() == [np.inf] * 2
    assert kl(sure, sure)(sure, sure).tolist() == [0, 0]
    p, q = (Categorical(jnp.array([a])) for a in ([0.5, 0.5, 0, 0], [0.25, 0.5, 0.25, 0]))
    np.testing.assert_allclose(kl(p, q)(p, q), 0.5 * np.log(2), rtol=1e-6)
    assert kl(q, p)(q, p).tolist() == [np.inf]
    slope = jax.grad(lambda f: f.entropy().sum())(p).probabilities
    assert jnp.isfinite(slope).all()


def test_point_masses_beside_a_density_decide_mode_and_divergence():
    base = Normal(jnp.full(2, 3.0), jnp.full(2, 0.01), jnp.full(2, 1e-6))
    p = Inflated(jnp.array([[0.0], [0.0]]), jnp.array([[0.1, 0.9], [0.0, 1.0]]), base)
    assert p.mode().tolist() == [0, 3]
    q = Inflated(jnp.array([[1.0], [1.0]]), jnp.full((2, 2), 0.5), base)
    kl = rules.kl.find(p, q)
    # A mass where q has none is impossible for q; one that only q has costs p its share.
    np.testing.assert_allclose(kl(p, q), [np.inf, np.log(2)], rtol=1e-6)
    dry = Inflated(p.points, jnp.array([[1.0, 0.0], [0.5, 0.5]]), base)
    np.testing.assert_allclose(kl(dry, p), [np.log(10), np.inf], rtol=1e-6)
    assert kl(p, dry).tolist() == [np.inf, pytest.approx(np.log(2))]
    # Nothing is lost beside the mass at zero.
    low, high = jnp.array([0.0, 2.5]), jnp.array([2.5, 2.6])
    np.testing.assert_allclose(between(p, low, high), [0.9 * 2.866516e-7, 3.138453e-5], rtol=1e-4)


@pytest.mark.parametrize("q_points", [[0.0, 4.0], [4.0, 0.0], [0.0, 7.0]])
def test_inflated_counts_are_sums_over_counts(wide, q_points):
    p = Inflated(jnp.array([[4.0, 0.0]]), jnp.array([[0.2, 0.3, 0.5]]), Poisson(jnp.array([3.5])))
    q = Inflated(jnp.array([q_points]), jnp.array([[0.1, 0.3, 0.6]]), Poisson(jnp.array([2.5])))
    x = jnp.arange(100.0)[:, None]
    log_p, log_q = log_prob(p, x), log_prob(q, x)
    mean, variance, entropy, kl, zero, mode = answers(p, q)
    np.testing.assert_allclose(entropy, -(jnp.exp(log_p) * log_p).sum(0), rtol=1e-8)
    np.testing.assert_allclose(kl, (jnp.exp(log_p) * (log_p - log_q)).sum(0), rtol=1e-8)
    np.testing.assert_allclose(variance, (jnp.exp(log_p) * (x - mean) ** 2).sum(0), rtol=1e-8)
    np.testing.assert_allclose(zero, 0, atol=1e-12)
    assert mode == x[jnp.argmax(log_p)]
