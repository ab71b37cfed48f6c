"""Log-likelihoods compared with scikit-learn and scipy, on their public data sets."""

import warnings
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn import datasets, decomposition
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from pofx.core.column import Column
from pofx.core.component_axis import stack_modules
from pofx.core.errors import PofxWarning
from pofx.core.rows import make_rows
from pofx.learn.em import fit_em
from pofx.models.conditional import condition
from pofx.models.factor_analysis import FactorAnalysis
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.models.linear_gaussian.moments import ColumnScale
from pofx.models.mixture import Mixture
from pofx.models.ppca import PPCA

from .conftest import learn, scores

TABLES = ("iris", "wine", "breast_cancer")
PEER = {"full": "full", "diagonal": "diag", "spherical": "spherical", "tied": "tied"}

pytestmark = pytest.mark.usefixtures("float64")


@cache
def table(name, standard=False):
    x = getattr(datasets, f"load_{name}")().data
    return (x - x.mean(0)) / x.std(0) if standard else x


@pytest.mark.parametrize("name", TABLES)
def test_gaussian_is_scipys_multivariate_normal(name):
    x, z = table(name), table(name, standard=True)
    fit = learn(Gaussian, x)
    # Scipy treats breast_cancer in its own units as singular, so the columns are standardised.
    standard = stats.multivariate_normal(np.zeros(z.shape[1]), np.cov(z.T, bias=True))
    expected = standard.logpdf(z) - np.log(x.std(0)).sum()
    np.testing.assert_allclose(scores(fit.model, x), expected, rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(expected.mean(), rel=1e-8)


def ours(peer, structure, x):
    """Our mixture with the parameters of scikit-learn."""
    d = peer.means_.shape[1]
    c = peer.covariances_
    dense = {
        "full": lambda i: c[i],
        "diagonal": lambda i: np.diag(c[i]),
        "spherical": lambda i: c[i] * np.eye(d),
        "tied": lambda i: c,
    }[structure]
    scale = ColumnScale(*map(jnp.asarray, (x.mean(0), x.var(0), 1e-6 * x.var(0))))
    parts = [
        Gaussian(jnp.asarray(m), jnp.asarray(dense(i)), scale, structure)
        for i, m in enumerate(peer.means_)
    ]
    return Mixture(jnp.log(jnp.asarray(peer.weights_)), stack_modules(parts))


def peer_mixture(x, structure, k, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer = GaussianMixture(k, covariance_type=PEER[structure], random_state=0, **options)
        return peer.fit(x)


@pytest.mark.parametrize("structure", PEER)
@pytest.mark.parametrize("name", TABLES)
def test_mixture_scores_as_the_peer_does(name, structure):
    x = table(name, standard=True)
    peer = peer_mixture(x, structure, 3)
    model = ours(peer, structure, x)
    np.testing.assert_allclose(scores(model, x), peer.score_samples(x), rtol=1e-4, atol=1e-4)
    assert scores(model, x).mean() == pytest.approx(peer.score(x), rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "structure"),
    [*(("iris", s) for s in PEER), ("wine", "spherical"), ("breast_cancer", "diagonal")],
)
def test_em_ends_where_the_peer_ends_from_equal_starts(name, structure):
    x = table(name, standard=True)
    first = peer_mixture(x, structure, 3, max_iter=1, reg_covar=1e-12)
    start = {"means_init": first.means_, "precisions_init": first.precisions_}
    peer = peer_mixture(
        x,
        structure,
        3,
        **start,
        weights_init=first.weights_,
        max_iter=3000,
        tol=1e-11,
        reg_covar=1e-12,
    )
    fit = fit_em(ours(first, structure, x), make_rows(x), tolerance=1e-9, steps=3000)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(peer.score(x), rel=1e-6)
    assert fit.log_likelihood > fit.history[0] + 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_ppca_is_pca_up_to_the_peers_normalisation(name):
    x = table(name)
    peer, fit = decomposition.PCA(2).fit(x), learn(PPCA, x, latent=2)
    # Scikit-learn divides the covariance by n - 1; the likelihood is greatest with n.
    more = len(x) / (len(x) - 1)
    p = fit.model
    peers_own = PPCA(p.mean, p.loading * more**0.5, p.noise * more, p.scale)
    assert scores(peers_own, x).mean() == pytest.approx(peer.score(x), rel=1e-6)
    assert fit.log_likelihood == pytest.approx(peer.score(x), rel=1e-4)
    assert fit.log_likelihood > peer.score(x)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TABLES[:2], pytest.param(TABLES[2], marks=pytest.mark.slow)])
def test_factor_analysis_is_no_worse_than_the_peers(name):
    x = table(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer = decomposition.FactorAnalysis(2, tol=1e-5, max_iter=3000, svd_method="lapack")
        peer.fit(x)
        # On iris one noise variance goes to zero, so EM is slow and neither fit converges.
        warnings.simplefilter("ignore", PofxWarning)
        fit = learn(FactorAnalysis, x, latent=2, tolerance=1e-6, steps=2000)
    assert fit.log_likelihood > peer.score(x) - 1e-4 * abs(peer.score(x))
    # The density is that of the covariance ΛΛᵀ + Ψ.
    p = fit.model
    dense = Gaussian.from_moments(p.mean, p.loading @ p.loading.T + jnp.diag(p.noise))
    np.testing.assert_allclose(scores(p, x), scores(dense, x), rtol=1e-6)


def test_conditional_of_a_gaussian_is_the_textbooks():
    x = table("wine")
    mean, s = x.mean(0), np.cov(x.T, bias=True)
    o = np.zeros(x.shape[1], bool)
    o[[0, 3, 7, 12]] = True
    p = condition(Gaussian.from_moments(jnp.asarray(mean), jnp.asarray(s)), x[5], o, ~o)
    gain = s[np.ix_(~o, o)] @ np.linalg.inv(s[np.ix_(o, o)])
    np.testing.assert_allclose(p.mean, mean[~o] + gain @ (x[5] - mean)[o], rtol=1e-8)
    left = s[np.ix_(~o, ~o)] - gain @ s[np.ix_(o, ~o)]
    np.testing.assert_allclose(p.covariance, left, rtol=1e-7, atol=1e-9)


def test_independent_columns_are_scipys():
    rng = np.random.default_rng(0)
    n = 400
    truth = [rng.normal(3, 2, n), rng.poisson(4, n), rng.integers(0, 3, n), rng.lognormal(1, 2, n)]
    x = np.stack(truth, axis=1).astype(float)
    x[rng.random(x.shape) < 0.2] = np.nan
    columns = (
        Column("a", "real", family="normal"),
        Column("b", "count", family="poisson"),
        Column("c", "categorical", levels=3, family="categorical"),
        Column("d", "positive", family="log_normal"),
    )
    data = make_rows(x)
    start = Independent.from_data(jax.random.key(0), data, columns, prior=0.0)
    fit = fit_em(start, data)
    a, b, c, d = x.T
    share = np.bincount(c[~np.isnan(c)].astype(int)) / np.isfinite(c).sum()
    expected = [
        stats.norm(np.nanmean(a), np.nanstd(a)).logpdf(a),
        stats.poisson(np.nanmean(b)).logpmf(b),
        np.log(share)[np.nan_to_num(c).astype(int)],
        stats.lognorm(np.nanstd(np.log(d)), scale=np.exp(np.nanmean(np.log(d)))).logpdf(d),
    ]
    total = np.where(np.isnan(x), 0, np.stack(expected, 1)).sum(1)
    np.testing.assert_allclose(scores(fit.model, x), total, rtol=1e-6)
    assert len(fit.history) <= 3
