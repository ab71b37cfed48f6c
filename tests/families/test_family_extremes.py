"""Counts beyond any integer type, and positive numbers over hundreds of decades."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special, stats

from pofx.core.column import Column
from pofx.families import Gamma, LogNormal, NegativeBinomial, Normal, Poisson, draws

DRAWS = 4000
sample_many = jax.jit(lambda family, key: jax.vmap(family.sample)(jax.random.split(key, DRAWS)))
quantile = jax.jit(lambda family, u: jax.vmap(family.quantile, 1, 1)(u))
tails = jax.jit(lambda family, x: (family.cdf(x), family.survival(x)))
learn_long = jax.jit(
    lambda family, x: jax.lax.fori_loop(
        0, 400, lambda _, f: f.m_step(f.statistics(x, jnp.ones_like(x))), family
    )
)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_poisson_draws_have_their_law_whatever_the_mean(wide, dtype):
    rates = [1e-3, 0.5, 3.0, 9.99, 10.0, 30.0, 1e3, 1e6, 1e7]
    rates += [1e10, 1e15] if dtype == jnp.float64 else []
    rate = jnp.asarray(rates, dtype)
    x = np.asarray(sample_many(Poisson(rate), jax.random.key(0)), np.float64)
    assert (x == np.floor(x)).all()
    for column, m in zip(x.T, np.asarray(rate, np.float64)):
        # If the distribution is right, this is uniform after a random shift within each count.
        shift = np.random.default_rng(0).random(DRAWS)
        law = stats.poisson(m)
        uniform = law.cdf(column - 1) + shift * law.pmf(column)
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3, m


def test_poisson_draws_of_no_finite_mean_end(wide):
    counts = draws.poisson(jax.random.key(0), jnp.array([0.0, jnp.inf, jnp.nan, 1e300]))
    np.testing.assert_array_equal(counts[:3], [0, np.inf, np.nan])
    np.testing.assert_allclose(counts[3], 1e300, rtol=1e-12)


@pytest.mark.parametrize(("mean", "size"), [(1e6, 1e10), (1e11, 0.2), (1e13, 1e-2), (1e15, 3.0)])
def test_huge_counts_agree_with_scipy(wide, mean, size):
    family = NegativeBinomial(jnp.array([mean]), jnp.array([size]))
    law = stats.nbinom(size, size / (size + mean))
    u = np.array([0.31, 0.5, 0.9, 0.999])
    x = law.ppf(u)
    np.testing.assert_allclose(quantile(family, jnp.asarray(u[None]))[0], x, rtol=1e-9)
    below, above = tails(NegativeBinomial(jnp.full(4, mean), jnp.full(4, size)), jnp.asarray(x))
    np.testing.assert_allclose(below, law.cdf(x), rtol=1e-7)
    np.testing.assert_allclose(above, law.sf(x), rtol=1e-7)
    sample = np.asarray(sample_many(family, jax.random.key(1)))[:, 0]
    # The shares below quantiles agree to four standard errors.
    shares = (sample[:, None] <= x).mean(0)
    np.testing.assert_array_less(np.abs(shares - law.cdf(x)), 4 * np.sqrt(u * (1 - u) / DRAWS))


def test_negative_binomial_learns_counts_beyond_32_bits(wide):
    x = np.random.default_rng(0).negative_binomial(2.0, 1e-11, (500, 1)).astype(float)
    start = NegativeBinomial.from_data([Column("a", "count")], x, np.ones_like(x))
    family = learn_long(start, jnp.asarray(x))
    best = optimize.minimize_scalar(
        lambda r: -stats.nbinom.logpmf(x, r, r / (r + x.mean())).sum(), bounds=(0.5, 8)
    )
    np.testing.assert_allclose(family.rate, x.mean(), rtol=1e-9)
    np.testing.assert_allclose(family.size, best.x, rtol=0.01)


@pytest.mark.parametrize("shape", [1e-5, 1e-3, 1e-2])
def test_gammas_of_small_shapes_agree_with_scipy(wide, shape):
    law = stats.gamma(shape)
    t = np.array([1e-250, 1e-30, 1e-4, 0.002, 0.01, 0.1, 1.0, 5.0, 30.0])
    for rate in (1.0, 1e-50):
        family = Gamma(*(jnp.full(len(t), v) for v in (shape, rate, 1e-9)))
        x = jnp.asarray(t / rate)
        np.testing.assert_allclose(family.log_prob(x), law.logpdf(t) + np.log(rate), rtol=1e-9)
        below, above = tails(family, x)
        np.testing.assert_allclose(below, law.cdf(t), rtol=1e-8)
        np.testing.assert_allclose(above, law.sf(t), rtol=1e-8)
    u = np.array([0.9, 0.999, 1 - 1e-6])
    smallest = np.finfo(float).tiny
    quantiles = quantile(Gamma(*(jnp.array([v]) for v in (shape, 1.0, 1e-9))), jnp.asarray(u[None]))
    np.testing.assert_allclose(quantiles[0], np.maximum(law.ppf(u), smallest), rtol=1e-6)


def test_a_gamma_s_draws_reach_below_what_their_scale_brings_back(wide):
    family = Gamma(*(jnp.array([v]) for v in (1e-3, 1e-100, 1e-9)))
    sample = np.asarray(sample_many(family, jax.random.key(0)))[:, 0]
    for decade in (-250, -100, 90):
        # P(X <= x) = (rate x)^shape / Gamma(1 + shape) far below the mean.
        share = 10 ** (1e-3 * (decade - 100)) / special.gamma(1.001)
        error = np.sqrt(share * (1 - share) / DRAWS)
        assert abs((sample <= 10.0**decade).mean() - share) < 4 * error


@pytest.mark.parametrize("decades", [(-85, 0), (-30, 30), (-149, 149), (-300, 149)])
def test_positive_numbers_over_many_decades_are_learned(wide, decades):
    logs = np.random.default_rng(0).uniform(*decades, (400, 1)) * np.log(10)
    logs -= logs.mean()
    x, columns = np.exp(logs), [Column("a", "positive")]
    normal = LogNormal.from_data(columns, x, np.ones_like(x))
    normal = learn_long(normal, jnp.asarray(x))
    np.testing.assert_allclose(normal.log.dispersion, logs.var(), rtol=1e-9)
    score = np.mean(jax.vmap(normal.log_prob)(jnp.asarray(x)))
    np.testing.assert_allclose(score, stats.norm(0, logs.std()).logpdf(logs).mean(), rtol=1e-9)
    gamma = learn_long(Gamma.from_data(columns, x, np.ones_like(x)), jnp.asarray(x))
    # At its maximum, log mean - mean log = log shape - psi(shape).
    shape = optimize.brentq(
        lambda a: np.log(x.mean()) - logs.mean() - np.log(a) + special.digamma(a),
        1e-6,
        1,
        xtol=1e-14,
    )
    np.testing.assert_allclose(gamma.shape, shape, rtol=1e-6)
    np.testing.assert_allclose(gamma.mean(), x.mean(), rtol=1e-9)
    assert np.isfinite(jax.vmap(gamma.log_prob)(jnp.asarray(x))).all()


def test_a_wide_log_normal_answers_with_numbers_of_its_support(wide):
    family = LogNormal(Normal(jnp.array([-700.0]), jnp.array([1600.0]), jnp.array([1e-6])))
    mode, u = family.mode(), jnp.array([[1e-9, 0.5]])
    assert mode > 0
    assert np.isfinite(family.log_prob(mode)).all()
    assert (quantile(family, u) > 0).all()
    assert (sample_many(family, jax.random.key(0)) > 0).all()
    # (e^d - 1) e^(2 m + d) = e^1800 is infinite, and the product of its factors would be NaN.
    assert family.variance() == np.inf
    narrow = LogNormal(Normal(jnp.array([-300.0]), jnp.array([1e-8]), jnp.array([1e-12])))
    np.testing.assert_allclose(narrow.variance(), 1e-8 * np.exp(-600.0), rtol=1e-7)


@pytest.mark.parametrize("mean", [0.01, 1.0, 5.0, 300.0])
def test_quantiles_of_counts_are_exact_at_every_level(wide, mean):
    u = np.append(np.linspace(0.001, 0.999, 200), [1e-12, 1 - 1e-9])
    for family, law in (
        (Poisson(jnp.array([mean])), stats.poisson(mean)),
        (
            NegativeBinomial(jnp.array([mean]), jnp.array([0.3])),
            stats.nbinom(0.3, 0.3 / (0.3 + mean)),
        ),
    ):
        np.testing.assert_array_equal(quantile(family, jnp.asarray(u[None]))[0], law.ppf(u))
