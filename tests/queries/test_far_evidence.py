"""Evidence far from the data and events of tiny probability, against precise references."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from pofx.core.column import Column
from pofx.core.column_mixture import ColumnMixture
from pofx.core.family import log_between
from pofx.families.gamma import Gamma
from pofx.families.log_normal import LogNormal
from pofx.families.negative_binomial import NegativeBinomial
from pofx.families.normal import Normal
from pofx.families.poisson import Poisson

REAL = Column("x", "real")
ONE = jnp.ones(1)

FAR = [
    (Normal(ONE, 4 * ONE, ONE), stats.norm(1, 2), [(30.0, np.inf), (-np.inf, -99.0), (61.0, 62.0)]),
    (LogNormal(Normal(0 * ONE, 0.01 * ONE, ONE)), stats.lognorm(0.1), [(20.0, np.inf), (9.0, 9.5)]),
    (Gamma(3 * ONE, 2 * ONE, ONE), stats.gamma(3, scale=0.5), [(200.0, np.inf), (1e-30, 1e-29)]),
    (Poisson(2 * ONE), stats.poisson(2), [(199.5, np.inf), (150.5, 160.5), (299.5, 300.5)]),
    (
        NegativeBinomial(3 * ONE, 2 * ONE),
        stats.nbinom(2, 0.4),
        [(999.5, np.inf), (899.5, 900.5), (899.5, 950.5)],
    ),
]


def log_probability(law, low, high):
    """From the smaller tail, whose logarithm scipy has; for counts from their sum."""
    if hasattr(law.dist, "pmf"):
        last = low + 2000 if high == np.inf else high
        return logsumexp(law.logpmf(np.arange(np.ceil(low), np.floor(last) + 1)))
    if law.cdf(low) < 0.5 < law.cdf(high):
        return np.log(law.cdf(high) - law.cdf(low))
    tails = law.logsf if low > law.median() else law.logcdf
    one, other = sorted((tails(low), tails(high)))
    return other + np.log1p(-np.exp(one - other))


@pytest.mark.parametrize(("family", "law", "ends"), FAR, ids=lambda c: type(c).__name__)
def test_the_logarithm_of_an_interval_does_not_underflow(family, law, ends):
    low, high = (jnp.asarray(e) for e in zip(*ends))
    each = jax.vmap(lambda a, b: log_between(family, a[None], b[None])[0])(low, high)
    expected = [log_probability(law, *pair) for pair in ends]
    tolerance = 1e-9 if each.dtype == jnp.float64 else 2e-5
    np.testing.assert_allclose(np.asarray(each, np.float64), expected, rtol=tolerance)


def test_a_narrow_interval_thousands_of_deviations_out():
    p = Normal(0 * ONE, ONE, ONE)
    found = float(log_between(p, 5000 * ONE, jnp.inf * ONE)[0])
    assert found == pytest.approx(stats.norm.logsf(5000), rel=1e-6)
    # P(5000 < X <= 5001) is the tail itself to all digits.
    assert float(log_between(p, 5000 * ONE, 5001 * ONE)[0]) == pytest.approx(found, rel=1e-6)


def test_draws_from_beyond_forty_deviations():
    p = ColumnMixture(jnp.zeros(1), Normal(0 * ONE, ONE, ONE))
    keys = jax.random.split(jax.random.key(0), 4000)
    cut = jax.vmap(p.sample_truncated, (0, None, None))
    x, log_mass = cut(keys, jnp.array([40.0]), jnp.array([jnp.inf]))
    x = np.asarray(x, np.float64)
    assert float(log_mass[0]) == pytest.approx(stats.norm.logsf(40), rel=1e-6)
    mean = np.exp(stats.norm.logpdf(40) - stats.norm.logsf(40))
    assert abs(x.mean() - mean) < 4 * x.std() / np.sqrt(len(x)) + 4e-6
    assert (x >= 40).all()


@pytest.mark.parametrize("above", [1e-7, 1e-8, 1e-12, 1e-30])
def test_quantiles_near_one_by_the_level_from_above(above):
    p = ColumnMixture(jnp.zeros(1), Normal(0 * ONE, ONE, ONE))
    found = float(p.quantile(jnp.asarray(1 - above), REAL, jnp.asarray(above)))
    assert found == pytest.approx(stats.norm.isf(above), rel=1e-5)
    counts = Poisson(3 * ONE).quantile(jnp.asarray([1 - above]), jnp.asarray([above]))
    assert float(counts[0]) == next(k for k in range(99) if stats.poisson(3).sf(k) <= above)
    gamma = Gamma(2 * ONE, ONE, ONE).quantile(jnp.asarray([1 - above]), jnp.asarray([above]))
    assert float(gamma[0]) == pytest.approx(stats.gamma(2).isf(above), rel=1e-4)


def test_a_quantile_of_a_mixture_near_one():
    family = Normal(jnp.array([0.0, 1.0]), jnp.array([1.0, 4.0]), jnp.ones(2))
    p = ColumnMixture(jnp.log(jnp.array([0.9, 0.1])), family)
    x = float(p.quantile(jnp.asarray(1 - 1e-9), REAL, jnp.asarray(1e-9)))
    assert 0.9 * stats.norm.sf(x) + 0.1 * stats.norm(1, 2).sf(x) == pytest.approx(1e-9, rel=1e-3)
