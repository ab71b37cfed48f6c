"""Priors of bounded influence: EM never lowers the objective, and the data outweigh the prior."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.column import Column
from pofx.core.rows import make_rows
from pofx.learn.em import em_step, fit_em
from pofx.models.chow_liu_tree import ChowLiuTree
from pofx.models.class_conditional import ClassConditional
from pofx.models.correlated import Correlated
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.models.linear_gaussian.shrinkage import log_prior_of_covariance, pseudo_variance
from pofx.models.mixture import Mixture

KEY = jax.random.key(0)
A, B = Column("a", "real", family="normal"), Column("b", "real", family="normal")
P = Column("p", "positive", family="log_normal")
C = Column("c", "count", resolution=1.0, family="poisson")
N = Column("n", "count", resolution=1.0, family="negative_binomial")
Y = Column("y", "binary", levels=2, family="bernoulli")


def learn(model, x, columns, **options):
    data = make_rows(np.asarray(x, float))
    return fit_em(model.from_data(KEY, data, columns, **options), data).model


def table(n=60):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, n)
    a = rng.normal(8 * y, 1)
    b = a + rng.normal(0, 0.01, n)
    x = np.stack([a, b, np.exp(rng.normal(y, 0.1)), rng.poisson(3 + 40 * y), y], 1)
    x[::7, 1] = np.nan
    return x


CASES = {
    "gaussian": (Gaussian, [0, 1], (A, B), {"prior": 1.0}),
    "independent": (Mixture, [0, 2, 3], (A, P, C), {"components": 2}),
    "negative binomial": (Mixture, [0, 3], (A, N), {"components": 2}),
    **{
        s: (Mixture, [0, 1], (A, B), {"components": 2, "part": "gaussian", "covariance": s})
        for s in ("full", "tied", "diagonal", "spherical")
    },
    "correlated": (Mixture, [0, 2, 3], (A, P, C), {"components": 2, "part": "correlated"}),
    "ppca": (Mixture, [0, 1], (A, B), {"components": 2, "part": "ppca", "latent": 1}),
    "class_conditional": (ClassConditional, [0, 1, 4], (A, B, Y), {"on": "y", "part": "gaussian"}),
    "tree": (ChowLiuTree, [0, 1, 4], (A, B, Y), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_no_step_lowers_the_likelihood_and_the_prior_together(case):
    model, places, columns, options = CASES[case]
    data = make_rows(table()[:, places])
    p, before = model.from_data(KEY, data, columns, **options), -np.inf
    for _ in range(6):
        new, mean = em_step(p, data)
        now = float(mean * data.total + p.log_prior_density())
        # The tolerance is what the float type resolves of a sum over these rows.
        assert now >= before - 100 * np.finfo(mean.dtype).eps * (abs(now) + 100)
        p, before = new, now


def test_the_prior_is_that_of_huang_and_wand():
    # The pseudo-scatter is minus twice the gradient of the log prior without its determinant, with
    # respect to the precision: -1/2 tr(D dP) = -q/2 Σ dP_jj / (P_jj + (q - 1) / V_j).
    precision, variance = jnp.array([2.0, 50.0, 0.3]), jnp.array([1.0, 4.0, 9.0])
    slope = jax.grad(lambda p: log_prior_of_covariance(0.0, p, variance))(precision)
    np.testing.assert_allclose(pseudo_variance(precision, variance), -2 * slope, rtol=1e-5)
    # If the residual variance is the column's variance, so is the pseudo-scatter.
    np.testing.assert_allclose(pseudo_variance(1 / variance, variance), variance, rtol=1e-6)


@pytest.mark.parametrize("part", ["independent", "gaussian", "correlated"])
def test_narrow_clusters_stay_narrow(part):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-50, 1, 1000), rng.normal(50, 0.1, 1000)])[:, None]
    p = learn(Mixture, x, (A,), components=2, part=part)
    sizes = jax.vmap(lambda part: jax.vmap(part.sample)(jax.random.split(KEY, 4000)).std())(p.parts)
    np.testing.assert_allclose(np.sort(sizes), [x[1000:].std(), x[:1000].std()], rtol=0.04)


def test_components_of_rare_counts_keep_their_rate():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.poisson(1, 500), rng.poisson(1000, 500)])[:, None]
    p = learn(Mixture, x, (C,), components=2)
    np.testing.assert_allclose(
        np.sort(p.parts.groups[0].rate.ravel()), [x[:500].mean(), x[500:].mean()], rtol=0.02
    )


def test_a_sum_of_many_parts_is_barely_loosened(float64):
    # No direction of an estimate from n rows is wider than n + d q rows would make it.
    # The test needs float64: in float32 the floor exceeds the residual variance.
    rng = np.random.default_rng(0)
    parts = rng.normal(0, 1, (3000, 4))
    total = parts.sum(1) + rng.normal(0, 0.01, 3000)
    x = np.column_stack([parts, total])
    columns = tuple(Column(f"x{i}", "real", family="normal") for i in range(5))
    p = learn(Correlated, x, columns)
    _, left, *_ = np.linalg.lstsq(np.column_stack([parts, np.ones(3000)]), total)
    residual = 1 / jnp.linalg.inv(p.normal.covariance)[4, 4]
    np.testing.assert_allclose(residual, left[0] / 3000, rtol=0.03)


def test_an_empty_component_falls_back_on_the_columns():
    x = np.random.default_rng(0).normal(3, 2, (40, 2))
    p = Gaussian.from_data(KEY, make_rows(x), (A, B), prior=1.0)
    statistics, _ = p.expected_statistics(jnp.asarray(x), jnp.ones(2, bool), jnp.ones(40))
    nothing = jax.tree.map(jnp.zeros_like, statistics)
    for _ in range(200):
        p = p.m_step(nothing)
    np.testing.assert_allclose(p.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(p.covariance, np.diag(x.var(0)), rtol=1e-3, atol=1e-5)


def test_a_component_on_few_rows_does_not_collapse():
    x = np.random.default_rng(0).normal(size=(6, 2))
    p = learn(Mixture, x, (A, B), components=6, part="gaussian")
    assert jnp.linalg.eigvalsh(p.parts.covariance).min() > 0.01
    q = learn(Independent, np.array([[1.0], [1.0], [5.0]]), (A,))
    assert q.groups[0].dispersion[0] > 0.1
