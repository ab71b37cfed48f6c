"""Sums over counts: entropies and divergences, for means and sizes up to a million."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pofx.core import closed_forms
from pofx.core.family import between
from pofx.families import Gamma, NegativeBinomial, Poisson


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Little optimisation, because these are small programs that run once or twice."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@jax.jit
def answers(p, q):
    return p.entropy(), closed_forms.kl.find(p, q)(p, q)


entropy = jax.jit(lambda family: family.entropy())
inside = jax.jit(between)
MEANS = (1e-3, 0.1, 1.0, 10.0, 30.0, 64.0, 100.0, 150.0, 1e3, 1e4, 1e5, 1e6)
RATES = (1e-3, 1.0, 30.0, 100.0, 1e3, 1e4)
SIZES = (1e-2, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 80.0, 150.0, 1e3, 1e6)
# A small size gives a distribution of counts a long tail, which limits brute force.
PARAMETERS = [(m, r) for m in RATES for r in SIZES if m / r < 3e4]
WIDE_PARAMETERS = [(1e6, 5.0), (1e6, 1.0), (1e3, 1e-3), (1e6, 1e-3), (1e6, 0.1), (1e6, 1e6)]


def brute(peer, g):
    low, high = peer.mean() - 12 * peer.std(), peer.mean() + 12 * peer.std()
    x = np.arange(max(np.floor(low), 0), max(high, 1.8 * peer.isf(1e-10)) + 100)
    log_p = peer.logpmf(x)
    return (np.exp(log_p) * g(x, log_p)).sum()


def negative_binomial(mean, size):
    mean, size = float(mean), float(size)
    return stats.nbinom(size, size / (size + mean))


def as_float32(dtype, *numbers):
    """Parameters rounded to float32, in this float type."""
    return tuple(np.asarray(n, np.float32).astype(dtype) for n in numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entropy_of_poisson(wide, dtype):
    (m,) = as_float32(dtype, MEANS)
    expected = [brute(stats.poisson(float(a)), lambda x, log_p: -log_p) for a in m]
    computed = entropy(Poisson(jnp.asarray(m)))
    np.testing.assert_allclose(
        computed, expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-8
    )


def test_entropy_and_divergence_of_negative_binomial(wide):
    parameters = [*PARAMETERS, *WIDE_PARAMETERS]
    per_dtype = []
    for dtype in (np.float32, np.float64):
        m, r, n, s = as_float32(dtype, *zip(*((m, r, 1.1 * m, 0.8 * r) for m, r in parameters)))
        p, q = (NegativeBinomial(*map(jnp.asarray, a)) for a in ((m, r), (n, s)))
        per_dtype.append(answers(p, q))
        np.testing.assert_allclose(answers(p, p)[1], 0, atol=1e-6)
    peers = [(negative_binomial(*a), negative_binomial(*b)) for a, b in zip(zip(m, r), zip(n, s))]
    peers = peers[: len(PARAMETERS)]
    expected = (
        [brute(a, lambda x, log_p: -log_p) for a, _ in peers],
        [brute(a, lambda x, log_p: log_p - b.logpmf(x)) for a, b in peers],  # noqa: B023
    )
    for narrow, broad, exact in zip(*per_dtype, expected):
        np.testing.assert_allclose(broad[: len(PARAMETERS)], exact, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(narrow, broad, rtol=2e-6, atol=1e-5)
    # A gamma distribution much wider than a count has nearly the entropy of its counts.
    m, r = (jnp.array(a) for a in zip(*WIDE_PARAMETERS[:2]))
    gamma = Gamma(r, r / m, 0 * r).entropy()
    np.testing.assert_allclose(
        per_dtype[1][0][len(PARAMETERS) : len(PARAMETERS) + 2], gamma, atol=1e-5
    )


@pytest.mark.slow
def test_sums_over_counts_batch_over_components_and_have_gradients(wide):
    rate, size = jnp.array([[0.5, 90.0], [4.0, 2e5]]), jnp.array([[0.3, 7.0], [1e3, 1.5]])
    one = NegativeBinomial(rate.ravel(), size.ravel())
    value, slope = jax.jit(
        lambda f: (f.entropy(), jax.grad(lambda f: f.entropy().sum())(f))
    )(one)  # fmt: skip
    stacked = jax.jit(jax.vmap(lambda f: f.entropy()))
    np.testing.assert_allclose(stacked(NegativeBinomial(rate, size)).ravel(), value, rtol=1e-12)
    h = 1e-4
    for name, expected in (("rate", slope.rate), ("size", slope.size)):
        moves = jnp.array([[1 + h], [1 - h]])
        fields = {"rate": one.rate + 0 * moves, "size": one.size + 0 * moves}
        up, down = stacked(NegativeBinomial(**fields | {name: fields[name] * moves}))
        difference = (up - down) / (2 * h * getattr(one, name))
        np.testing.assert_allclose(expected, difference, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("m", [1e-3, 3.0, 1e3, 1e6])
def test_single_counts_have_the_probability_of_their_log_prob(m):
    u = np.array([1e-12, 1e-3, 0.3, 0.6, 0.999, 1 - 1e-12])
    for family, peer in (
        (Poisson(jnp.full(6, m)), stats.poisson(float(np.float32(m)))),
        (NegativeBinomial(jnp.full(6, m), jnp.full(6, 2.5)), negative_binomial(np.float32(m), 2.5)),
    ):
        x = jnp.asarray(np.minimum(peer.ppf(u), 1.6e7), jnp.float32)
        exact = np.asarray(x, np.float64)
        np.testing.assert_allclose(inside(family, x - 1, x), peer.pmf(exact), rtol=3e-5)
        expected = [peer.pmf(np.arange(a, a + 40)).sum() for a in exact]
        np.testing.assert_allclose(inside(family, x - 0.5, x + 39.5), expected, rtol=3e-5)
