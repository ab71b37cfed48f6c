"""Frozen distributions of scipy have the same densities."""

import numpy as np
import pytest
from scipy import stats

import pofx

CONTINUOUS = [
    stats.norm(1, 2),
    stats.norm(),
    stats.uniform(loc=-1, scale=3),
    stats.expon(scale=2),
    stats.gamma(2.5, scale=3),
    stats.erlang(2),
    stats.chi2(3),
    stats.beta(2, b=0.7),
    stats.t(5, 1, 2),
    stats.cauchy(1, 2),
    stats.lognorm(s=0.5, scale=2),
]
DISCRETE = [
    stats.poisson(3),
    stats.nbinom(2, 0.3),
    stats.bernoulli(0.3),
    stats.binom(5, 0.3),
    stats.binom(5, 0.3, loc=2),
    stats.randint(2, 6),
    stats.hypergeom(20, 7, 12),
]


@pytest.mark.parametrize("frozen", CONTINUOUS, ids=lambda f: f.dist.name)
def test_densities(frozen):
    x = frozen.ppf([0.01, 0.3, 0.5, 0.99])
    p = pofx.from_scipy(frozen, name="length")
    np.testing.assert_allclose(p.log_prob({"length": x}).value, frozen.logpdf(x), rtol=1e-9)


@pytest.mark.parametrize("frozen", DISCRETE, ids=lambda f: f.dist.name)
def test_masses(frozen):
    x = np.unique(frozen.ppf([0.05, 0.3, 0.5, 0.95])).astype(int)
    p = pofx.from_scipy(frozen)
    np.testing.assert_allclose(p.log_prob({"x": x}).value, frozen.logpmf(x), rtol=1e-9)


def test_a_multivariate_normal():
    frozen = stats.multivariate_normal([1, 2], [[2, 0.5], [0.5, 1]])
    p = pofx.from_scipy(frozen)
    x = np.array([[0.0, 1.0], [2.0, 2.5]])
    rows = {"x1": x[:, 0], "x2": x[:, 1]}
    np.testing.assert_allclose(p.log_prob(rows).value, frozen.logpdf(x), rtol=1e-12)


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        (stats.expon(1), "no family for scipy's expon moved by loc=1"),
        (stats.gumbel_r(0, 1), "no family for scipy's gumbel_r; there are: beta, "),
        (stats.norm([0, 1], 1), "expected one distribution, got arrays"),
        (stats.zipf(2), "no family for scipy's zipf"),
        (3, "expected a frozen distribution of scipy.stats, got int"),
    ],
)
def test_a_mistake_is_one_clear_line(frozen, message):
    with pytest.raises(pofx.PofxError, match=f"^frozen: {message}"):
        pofx.from_scipy(frozen)
