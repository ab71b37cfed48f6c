"""Each family against scipy, and properties of single families."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from pofx.core import closed_forms
from pofx.core.column import Column
from pofx.families import (
    Bernoulli,
    Beta,
    Categorical,
    Gamma,
    Inflated,
    LogNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
)

PEERS = {
    "normal": lambda f: stats.norm(f.centre, f.dispersion**0.5),
    "log_normal": lambda f: stats.lognorm(f.log.dispersion**0.5, scale=np.exp(f.log.centre)),
    "gamma": lambda f: stats.gamma(f.shape, scale=1 / f.rate),
    "poisson": lambda f: stats.poisson(f.rate),
    "negative_binomial": lambda f: stats.nbinom(f.size, f.size / (f.size + f.rate)),
    "beta": lambda f: stats.beta(f.a, f.b),
    "student_t": lambda f: stats.t(f.degrees, f.centre, f.dispersion**0.5),
    "uniform": lambda f: stats.uniform(f.low, f.high - f.low),
    "bernoulli": lambda f: stats.bernoulli(1 / (1 + np.exp(-f.log_odds))),
}
learn = jax.jit(lambda family, x: family.m_step(family.statistics(x, jnp.ones_like(x))))
log_prob = jax.jit(lambda family, x: family.log_prob(x))
quantile = jax.jit(lambda family, u: family.quantile(u))
tails = jax.jit(lambda family, x: (jax.vmap(family.cdf)(x), jax.vmap(family.survival)(x)))
learn_long = jax.jit(
    lambda family, x: jax.lax.fori_loop(
        0, 500, lambda _, f: f.m_step(f.statistics(x, jnp.ones_like(x))), family
    )
)
U = np.array([[0.001, 0.01], [0.3, 0.5], [0.7, 0.9], [0.99, 0.999]])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_agrees_with_scipy(case, wide, dtype):
    name, family, _, _ = case
    if name not in PEERS:
        pytest.skip("no peer in scipy")
    family = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), family)
    peer = PEERS[name](jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), family))
    x = peer.ppf(U)
    log = peer.logpdf if hasattr(peer.dist, "pdf") else peer.logpmf

    @jax.jit
    def ours(family, x, u):
        cells = jax.vmap(lambda x, u: (family.log_prob(x), family.cdf(x), family.quantile(u)))(x, u)
        return cells, family.mean(), family.entropy()

    cells, mean, entropy = ours(family, jnp.asarray(x, dtype), jnp.asarray(U, dtype))
    exact = dtype == jnp.float64
    x = np.asarray(jnp.asarray(x, dtype), np.float64)
    np.testing.assert_allclose(cells[0], log(x), rtol=1e-9 if exact else 2e-5, atol=1e-6)
    np.testing.assert_allclose(cells[1], peer.cdf(x), atol=1e-7 if exact else 5e-6)
    np.testing.assert_allclose(cells[2], x, rtol=1e-5 if exact else 1e-3, atol=1e-5)
    np.testing.assert_allclose(mean, peer.mean(), rtol=1e-9 if exact else 1e-5)
    np.testing.assert_allclose(entropy, peer.entropy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.slow)])
def test_tails_keep_their_relative_error_far_out(case, wide, dtype):
    name, family, _, _ = case
    if name not in PEERS or name == "bernoulli":
        pytest.skip("no tails, or no peer in scipy")
    family = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), family)
    peer = PEERS[name](jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), family))
    u = np.array([[0.4], [1e-3], [1e-9], [1e-15]])
    x = np.asarray(np.concatenate([peer.ppf(u), peer.isf(u)]), dtype)
    below, above = tails(family, jnp.asarray(x))
    x = x.astype(np.float64)
    tolerance = {"rtol": 1e-9 if dtype == jnp.float64 else 3e-5}
    np.testing.assert_allclose(below[:4], peer.cdf(x[:4]), **tolerance)
    np.testing.assert_allclose(above[4:], peer.sf(x[4:]), **tolerance)


def test_normal_far_from_zero_is_what_float64_gives(wide):
    x = np.array([[9999.0], [9998.9]], np.float32)
    columns = [Column("a", "real")]

    def fitted(dtype):
        family = Normal.from_data(columns, x, np.ones_like(x))
        family = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), family)
        rows = jnp.asarray(x, dtype)
        return family.m_step(family.statistics(rows, jnp.ones_like(rows)))

    narrow, broad = fitted(jnp.float32), fitted(jnp.float64)
    assert narrow.dispersion.dtype == jnp.float32
    np.testing.assert_allclose(narrow.dispersion, broad.dispersion, rtol=1e-5)
    np.testing.assert_allclose(broad.dispersion, np.var(x.astype(np.float64)), rtol=1e-9)


def test_no_density_is_narrower_than_rounding():
    x = np.array([[10.0, 20.0]] * 3 + [[10.0, 20.5]])
    for cls, kind in ((Normal, "real"), (LogNormal, "positive"), (Gamma, "positive")):
        columns = [Column(n, kind, resolution=r) for n, r in (("a", 0.6), ("b", 0.5))]
        start = cls.from_data(columns, x, np.ones_like(x))
        # All rows are equal, so a density without a floor would be a spike.
        family = learn(start, jnp.asarray(x[:3]))
        deviation = np.asarray(
            quantile(family, jnp.full(2, 0.84)) - quantile(family, jnp.full(2, 0.16))
        )
        np.testing.assert_allclose(deviation / 2, np.array([0.6, 0.5]) / 12**0.5, rtol=0.03)


def test_gamma_maximises_in_one_step_as_scipy_does(wide):
    rng = np.random.default_rng(0)
    x = np.stack([rng.gamma(0.4, 3.0, 500), rng.gamma(300.0, 2.0, 500)], 1)
    start = Gamma(jnp.ones(2), jnp.array([0.5, 0.002]), jnp.full(2, 1e-9))
    family = learn(start, jnp.asarray(x))
    for i, column in enumerate(x.T):
        shape, _, scale = stats.gamma.fit(column, floc=0)
        np.testing.assert_allclose(family.shape[i], shape, rtol=1e-5)
        np.testing.assert_allclose(family.rate[i], 1 / scale, rtol=1e-5)


def test_negative_binomial_converges_to_the_maximum(wide):
    x = np.random.default_rng(0).negative_binomial(2.0, 0.2, (400, 1)).astype(float)
    family = NegativeBinomial(jnp.ones(1), jnp.full(1, 0.3))
    family = learn_long(family, jnp.asarray(x))
    mean = x.mean()
    best = optimize.minimize_scalar(
        lambda r: -stats.nbinom.logpmf(x, r, r / (r + mean)).sum(), bounds=(0.1, 20)
    )
    np.testing.assert_allclose(family.rate, mean, rtol=1e-9)
    np.testing.assert_allclose(family.size, best.x, rtol=1e-4)


@pytest.mark.parametrize("mean", [3.5, 1e6])
def test_counts_that_are_not_spread_have_the_variance_of_a_poisson_law(mean):
    x = mean + np.array([[-0.5], [0.5], [-0.5], [0.5]])
    start = NegativeBinomial.from_data([Column("a", "count")], x, np.ones_like(x))
    family = learn(start, jnp.asarray(x))
    np.testing.assert_allclose(family.size, 1e4 * mean, rtol=0.01)
    np.testing.assert_allclose(family.variance(), mean, rtol=2e-4)
    poisson = log_prob(Poisson(jnp.full(1, mean)), jnp.full(1, x[0, 0]))
    np.testing.assert_allclose(log_prob(family, jnp.full(1, x[0, 0])), poisson, atol=1e-3)


def test_certain_codes_have_log_probability_zero_and_gradients():
    family = Bernoulli(jnp.array([jnp.inf, -jnp.inf]))
    family = family.m_step((jnp.array([0.0, 5.0]), jnp.array([5.0, 0.0])))
    assert family.log_odds.tolist() == [jnp.inf, -jnp.inf]
    assert family.log_prob(jnp.array([1.0, 0.0])).tolist() == [0, 0]
    assert family.log_prob(jnp.array([0.0, 1.0])).tolist() == [-jnp.inf, -jnp.inf]
    assert family.entropy().tolist() == [0, 0]
    for x in (jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])):
        slope = jax.grad(lambda f, x=x: f.log_prob(x)[0])(family)
        assert jnp.isfinite(slope.log_odds).all()


def test_absent_levels_stay_impossible():
    columns = [Column("a", "categorical", levels=3), Column("b", "ordinal", levels=4)]
    x = np.array([[0.0, 3.0], [2.0, 3.0], [np.nan, 1.0]])
    weight = np.where(np.isnan(x), 0.0, 1.0)
    start = Categorical.from_data(columns, x, weight)
    third, quarter = 1 / 3, 1 / 4
    expected = [[(1 + third) / 3, third / 3, (1 + third) / 3, 0],
              [quarter / 4, (1 + quarter) / 4, quarter / 4, (2 + quarter) / 4]]  # fmt: skip
    np.testing.assert_allclose(start.probabilities, expected, rtol=1e-6)
    filled = jnp.where(weight > 0, x, 0)
    fitted = start.m_step(start.statistics(filled, jnp.asarray(weight)))
    np.testing.assert_allclose(fitted.probabilities, [[0.5, 0, 0.5, 0], [0, 1 / 3, 0, 2 / 3]])
    shaken = start.from_unconstrained(jax.random.normal(jax.random.key(0), (2, 4)))
    for family in (start, fitted, shaken):
        assert family.log_prob(jnp.array([3.0, 3.0])).tolist()[0] == -jnp.inf
        np.testing.assert_allclose(family.probabilities.sum(1), 1, rtol=1e-6)


def test_bernoulli_is_a_categorical_of_two_levels():
    column = Column("a", "binary", levels=2)
    x, weight = np.array([[1.0], [1.0], [0.0]]), np.ones((3, 1))
    two = [cls.from_data([column], x, weight) for cls in (Bernoulli, Categorical)]
    for code in (0.0, 1.0):
        a, b = (f.log_prob(jnp.full(1, code)) for f in two)
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_zero_inflation_shares_zeros_between_spike_and_base(wide):
    # The maximum for a zero-inflated Poisson: the base has the mean of the positive counts.
    rng = np.random.default_rng(0)
    x = (rng.poisson(1.5, (1000, 1)) * (rng.random((1000, 1)) < 0.6)).astype(float)
    column = Column("a", "count", spikes=(0.0,), family="poisson")
    family = Inflated.from_data([column], x, np.ones_like(x))
    family = learn_long(family, jnp.asarray(x))
    positive = x[x > 0].mean()
    rate = optimize.brentq(lambda m: m / -np.expm1(-m) - positive, 0.1, 10)
    np.testing.assert_allclose(family.base.rate, rate, rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(family.log_prob(jnp.zeros(1))), (x == 0).mean(), rtol=1e-6)


def test_a_spike_outside_the_support_of_the_base_is_no_trouble():
    x = np.array([[0.0], [0.0], [1.0], [2.0]])
    column = Column("rain", "positive", spikes=(0.0,), family="gamma")
    family = Inflated.from_data([column], x, np.ones_like(x))
    family = learn(family, jnp.asarray(x))
    np.testing.assert_allclose(family.probabilities, [[0.5, 0.5]])
    np.testing.assert_allclose(family.mean(), [0.75], rtol=1e-5)
    np.testing.assert_allclose(quantile(family, jnp.array([0.4])), [0.0])
    slope = jax.jit(jax.grad(lambda f: f.log_prob(jnp.zeros(1)).sum()))(family)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_beta_maximises_as_scipy_does(wide):
    rng = np.random.default_rng(0)
    x = np.stack([rng.beta(0.3, 0.7, 500), rng.beta(40.0, 900.0, 500)], 1)
    start = Beta.from_data([Column(n, "real") for n in "ab"], x, np.ones_like(x))
    family = learn(start, jnp.asarray(x))
    for i, column in enumerate(x.T):
        a, b, _, _ = stats.beta.fit(column, floc=0, fscale=1)
        np.testing.assert_allclose([family.a[i], family.b[i]], [a, b], rtol=1e-4)


def test_student_t_maximises_its_three_parameters(wide):
    x = stats.t(4, 3.0, 2.0).rvs((2000, 1), random_state=0)
    family = StudentT.from_data([Column("a", "real")], x, np.ones_like(x))
    family = learn_long(family, jnp.asarray(x))
    best = optimize.minimize(
        lambda v: -stats.t(np.exp(v[0]), v[1], np.exp(v[2])).logpdf(x).sum(),
        [1.0, 3.0, 0.5],
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10},
    ).x
    found = [np.log(family.degrees[0]), family.centre[0], 0.5 * np.log(family.dispersion[0])]
    np.testing.assert_allclose(found, best, atol=1e-4)


@pytest.mark.parametrize("degrees", [0.1, 1.0, 30.0, 1e5])
def test_student_t_far_out_and_beside_others(wide, degrees):
    ones = jnp.ones(5)
    family = StudentT(degrees * ones, 0 * ones, ones, 1e-9 * ones)
    x = np.array([-1e8, -30.0, 1e-9, 2.0, 1e12])
    law = stats.t(degrees)
    np.testing.assert_allclose(log_prob(family, jnp.asarray(x)), law.logpdf(x), rtol=1e-9)
    below, above = tails(family, jnp.asarray(x[None]))
    np.testing.assert_allclose(below[0], law.cdf(x), rtol=1e-9)
    np.testing.assert_allclose(above[0], law.sf(x), rtol=1e-9)
    np.testing.assert_allclose(family.entropy(), law.entropy(), rtol=1e-9)
    other = StudentT(2 * ones, 0.5 * ones, 3 * ones, 1e-9 * ones)
    kl = closed_forms.kl.find(family, other)(family, other)[0]
    # scipy's integral does not reach the end of heavier tails.
    if degrees >= 1:
        expected = law.expect(lambda v: law.logpdf(v) - stats.t(2, 0.5, 3**0.5).logpdf(v))
        np.testing.assert_allclose(kl, expected, rtol=1e-6)
