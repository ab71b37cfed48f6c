"""Sums over counts: entropies and divergences for means and sizes from small to a million."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pofx.core import rules
from pofx.core.family import between
from pofx.families import Gamma, NegativeBinomial, Poisson

entropy = jax.jit(lambda family: family.entropy())
divergence = jax.jit(lambda p, q: rules.kl.find(p, q)(p, q))
inside = jax.jit(between)
MEANS = (1e-3, 0.1, 1.0, 10.0, 30.0, 64.0, 100.0, 150.0, 1e3, 1e4, 1e5, 1e6)
RATES = (1e-3, 1.0, 30.0, 100.0, 1e3, 1e4)
SIZES = (1e-2, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 80.0, 150.0, 1e3, 1e6)
# A size that is small stretches the law far: brute force ends, pofx's sum does not.
LAWS = [(m, r) for m in RATES for r in SIZES if m / r < 1e5]


def brute(peer, g):
    low, high = peer.mean() - 12 * peer.std(), peer.mean() + 12 * peer.std()
    x = np.arange(max(np.floor(low), 0), max(high, 1.8 * peer.isf(1e-10)) + 100)
    log_p = peer.logpmf(x)
    return (np.exp(log_p) * g(x, log_p)).sum()


def poisson(mean):
    return stats.poisson(float(mean))


def negative_binomial(mean, size):
    mean, size = float(mean), float(size)
    return stats.nbinom(size, size / (size + mean))


def stated(dtype, *numbers):
    """Parameters as this float type holds them."""
    return tuple(np.asarray(n, np.float32).astype(dtype) for n in numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entropy_of_poisson(wide, dtype):
    (m,) = stated(dtype, MEANS)
    wanted = [brute(poisson(a), lambda x, log_p: -log_p) for a in m]
    got = entropy(Poisson(jnp.asarray(m)))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entropy_and_divergence_of_negative_binomial(wide, dtype):
    m, r, n, s = stated(dtype, *zip(*((m, r, 1.1 * m, 0.8 * r) for m, r in LAWS)))
    peers = [(negative_binomial(*a), negative_binomial(*b)) for a, b in zip(zip(m, r), zip(n, s))]
    p, q = NegativeBinomial(*map(jnp.asarray, (m, r))), NegativeBinomial(*map(jnp.asarray, (n, s)))
    atol = 1e-5 if dtype == np.float32 else 1e-8
    wanted = [brute(a, lambda x, log_p: -log_p) for a, _ in peers]
    np.testing.assert_allclose(entropy(p), wanted, rtol=0, atol=atol)
    wanted = [brute(a, lambda x, log_p: log_p - b.logpmf(x)) for a, b in peers]  # noqa: B023
    np.testing.assert_allclose(divergence(p, q), wanted, rtol=1e-5, atol=atol)
    np.testing.assert_allclose(divergence(p, p), 0, atol=1e-6)


def test_entropy_of_laws_that_reach_too_far_for_brute_force(wide):
    # A gamma law of small size, much wider than a count, has nearly the entropy of its counts.
    wide_ = NegativeBinomial(jnp.array([1e6, 1e6]), jnp.array([5.0, 1.0]))
    gamma = Gamma(wide_.size, wide_.size / wide_.rate, jnp.full(2, 1e-6))
    np.testing.assert_allclose(entropy(wide_), gamma.entropy(), atol=1e-5)
    # Float32 answers as float64 does, also where the size is smallest.
    m, r = (a.ravel() for a in np.meshgrid([1.0, 1e3, 1e6], [1e-3, 1e-2, 0.1, 1.0, 10.0, 1e6]))
    both = [
        entropy(NegativeBinomial(*(jnp.asarray(a, dtype) for a in stated(dtype, m, r))))
        for dtype in (np.float32, np.float64)
    ]
    np.testing.assert_allclose(both[0], both[1], rtol=0, atol=1e-5)


def test_sums_over_counts_batch_over_components_and_have_gradients(wide):
    rate, size = jnp.array([[0.5, 90.0], [4.0, 2e5]]), jnp.array([[0.3, 7.0], [1e3, 1.5]])
    stacked = jax.vmap(lambda m, r: NegativeBinomial(m, r).entropy())(rate, size)
    alone = entropy(NegativeBinomial(rate.ravel(), size.ravel())).reshape(2, 2)
    np.testing.assert_allclose(stacked, alone, rtol=1e-12)
    family = NegativeBinomial(rate.ravel(), size.ravel())
    slope = jax.jit(jax.grad(lambda f: f.entropy().sum()))(family)
    for name in ("rate", "size"):
        value = getattr(family, name)
        ends = ({"rate": family.rate, "size": family.size, name: value * (1 + h)}
                for h in (1e-4, -1e-4))  # fmt: skip
        up, down = (entropy(NegativeBinomial(**e)) for e in ends)
        wanted = (up - down) / (2e-4 * value)
        np.testing.assert_allclose(getattr(slope, name), wanted, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("m", [1e-3, 3.0, 1e3, 1e6])
def test_single_counts_have_the_probability_of_their_log_prob(m):
    u = np.array([1e-12, 1e-3, 0.3, 0.6, 0.999, 1 - 1e-12])
    for family, peer in (
        (Poisson(jnp.full(6, m)), poisson(np.float32(m))),
        (NegativeBinomial(jnp.full(6, m), jnp.full(6, 2.5)), negative_binomial(np.float32(m), 2.5)),
    ):
        x = jnp.asarray(np.minimum(peer.ppf(u), 1.6e7), jnp.float32)
        exact = np.asarray(x, np.float64)
        np.testing.assert_allclose(inside(family, x - 1, x), peer.pmf(exact), rtol=3e-5)
        wanted = [peer.pmf(np.arange(a, a + 40)).sum() for a in exact]
        np.testing.assert_allclose(inside(family, x - 0.5, x + 39.5), wanted, rtol=3e-5)
