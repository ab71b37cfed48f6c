"""Special functions and tails for large arguments in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special as sp
from scipy import stats

from pofx.core.column import Column
from pofx.families import Poisson, special_functions, tail_probabilities

U = np.array([1e-3, 0.1, 0.5, 0.7, 0.99, 0.9999])


log_poisson = jax.jit(special_functions.log_poisson)
poisson_tails = jax.jit(tail_probabilities.poisson_tails)
gamma_tails = jax.jit(tail_probabilities.gamma_tails)
log_negative_binomial = jax.jit(special_functions.log_negative_binomial)
negative_binomial_tails = jax.jit(tail_probabilities.negative_binomial_tails)
poisson_slope = jax.jit(jax.vmap(jax.grad(special_functions.log_poisson, 1)))
negative_binomial_slopes = jax.jit(
    jax.vmap(jax.grad(special_functions.log_negative_binomial, (0, 1, 2)))
)


def single(x):
    """A number as float32, and the rounded number as float64."""
    x = np.asarray(x, np.float32)
    return jnp.asarray(x), x.astype(np.float64)


@pytest.mark.parametrize("m", [1e-3, 1.0, 15.9, 1e4, 1e6])
def test_poisson(m):
    x, exact = single(stats.poisson.ppf(U, m))
    m, mean = single(np.full(6, m))
    expected = stats.poisson.logpmf(exact, mean)
    np.testing.assert_allclose(log_poisson(x, m), expected, rtol=1e-5, atol=2e-5)
    expected_tails = sp.gammaincc(exact + 1, mean), sp.gammainc(exact + 1, mean)
    np.testing.assert_allclose(poisson_tails(x, m), expected_tails, rtol=3e-5, atol=5e-7)
    np.testing.assert_allclose(poisson_slope(x, m), exact / mean - 1, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("a", [1e-3, 0.1, 1.0, 10.0, 1e4, 1e6])
def test_gamma_cdf(a):
    t, exact = single(np.maximum(stats.gamma.ppf(U, a), 1e-30))
    a, shape = single(np.full(6, a))
    expected_tails = sp.gammainc(shape, exact), sp.gammaincc(shape, exact)
    np.testing.assert_allclose(gamma_tails(a, t), expected_tails, rtol=3e-5, atol=5e-7)


@pytest.mark.parametrize(
    ("r", "m"),
    [(1e-3, 1.0), (0.1, 1e6), (1.0, 10.0), (1.0, 1e6), (100.0, 1e3), (1e4, 10.0), (1e4, 1e6)],
)
def test_negative_binomial(r, m):
    r, size = single(np.full(6, r))
    m, mean = single(np.full(6, m))
    x, exact = single(stats.nbinom.ppf(U, size, size / (size + mean)))
    expected = stats.nbinom.logpmf(exact, size, size / (size + mean))
    log = log_negative_binomial(x, m, r)
    np.testing.assert_allclose(log, expected, rtol=1e-5, atol=5e-5)
    expected_tails = (f(size, exact + 1, size / (size + mean)) for f in (sp.betainc, sp.betaincc))
    computed_tails = negative_binomial_tails(x, m, r)
    np.testing.assert_allclose(computed_tails, tuple(expected_tails), rtol=3e-5, atol=5e-7)
    slopes = negative_binomial_slopes(x, m, r)
    assert np.isfinite(slopes).all()
    by_size = sp.digamma(exact + size) - sp.digamma(size) + np.log(size / (size + mean))
    by_size += (mean - exact) / (size + mean)
    np.testing.assert_allclose(slopes[2], by_size, rtol=1e-3, atol=2e-5)


def test_excess_keeps_its_digits():
    t, exact = single([1e-6, -1e-3, 0.19, 0.21, -0.3, 50.0])
    series = exact**2 / 2 - exact**3 / 3 + exact**4 / 4
    expected = np.where(abs(exact) < 1e-2, series, exact - np.log1p(exact))
    np.testing.assert_allclose(special_functions.t_minus_log1p(t), expected, rtol=4e-6)


def test_log_minus_digamma_and_its_slope():
    a = np.geomspace(1e-3, 1e4, 15)
    with jax.enable_x64(True):
        value, slope = jax.vmap(jax.value_and_grad(special_functions.log_minus_digamma))(
            jnp.asarray(a)
        )
        np.testing.assert_allclose(value, np.log(a) - sp.digamma(a), rtol=1e-9)
        np.testing.assert_allclose(slope, 1 / a - sp.polygamma(1, a), rtol=1e-7)
    narrow = special_functions.log_minus_digamma(jnp.asarray(a, jnp.float32))
    np.testing.assert_allclose(narrow, np.log(a) - sp.digamma(a), rtol=1e-6)


def test_large_counts_keep_their_digits_through_the_family():
    x = np.array([[1000000.0], [1000003.0]])
    family = Poisson.from_data([Column("a", "count")], x, np.ones_like(x))
    family = family.m_step(family.statistics(jnp.asarray(x), jnp.ones((2, 1))))
    assert float(family.rate[0]) == 1000001.5
    expected = stats.poisson.logpmf(x[0], 1000001.5)
    np.testing.assert_allclose(family.log_prob(jnp.asarray(x[0])), expected, atol=1e-5)
