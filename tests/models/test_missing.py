"""Learning with missing cells: the fit is a stationary point of the observed-data likelihood."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.column import Column
from pofx.models.factor_analysis import FactorAnalysis
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture
from pofx.models.ppca import PPCA

from .conftest import draws, learn, real, scores, slopes

pytestmark = pytest.mark.usefixtures("float64")
TIGHT = {"tolerance": 1e-13, "steps": 20_000}


def linear(n=80, d=5, q=1, seed=0):
    """Rows of a factor model in which no noise is small."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, d)) * np.linspace(0.6, 1.2, d)
    return rng.normal(size=(n, q)) @ rng.normal(size=(q, d)) * 1.5 + noise + np.arange(d)


def holed(x, share=0.25, seed=1):
    """x with cells missing at random, one empty row and one complete row."""
    x = np.where(np.random.default_rng(seed).random(x.shape) < share, np.nan, x)
    x[0], x[1] = np.nan, np.nan_to_num(x[1])
    return x


def greatest(gradients, names):
    return max(float(jnp.abs(getattr(gradients, n)).max()) for n in names)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "options", "parameters"),
    [
        (Gaussian, {}, ("mean", "covariance")),
        (PPCA, {"latent": 2}, ("mean", "loading", "noise")),
        (FactorAnalysis, {"latent": 1}, ("mean", "loading", "noise")),
    ],
)
def test_the_gradient_is_zero_at_the_fit(cls, options, parameters):
    x = holed(linear())
    fit = learn(cls, x, **TIGHT, **options)
    assert fit.converged
    assert greatest(slopes(fit.model, x), parameters) < 1e-5
    # The likelihood is not just flat: after two steps the gradient is not zero.
    with pytest.warns(match="not converged"):
        early = learn(cls, x, steps=2, **options).model
    assert greatest(slopes(early, x), parameters) > 1e-3
    assert fit.log_likelihood == pytest.approx(scores(fit.model, x).mean(), abs=1e-10)
    assert scores(fit.model, x)[0] == 0


def test_filling_in_means_is_another_and_worse_fit():
    x = holed(linear(), share=0.4)
    filled = np.where(np.isnan(x), np.nanmean(x, axis=0), x)
    naive, fit = learn(Gaussian, filled).model, learn(Gaussian, x)
    assert fit.log_likelihood > scores(naive, x).mean() + 0.02


@pytest.mark.parametrize(("cls", "options"), [(Gaussian, {}), (PPCA, {"latent": 2})])
def test_complete_rows_are_learned_in_closed_form(cls, options):
    x = linear()
    fit = learn(cls, x, tolerance=1e-12, **options)
    assert fit.converged
    assert len(fit.history) <= 3
    if cls is Gaussian:
        np.testing.assert_allclose(fit.model.covariance, np.cov(x.T, bias=True), rtol=1e-10)
    assert greatest(slopes(fit.model, x), ("mean",)) < 1e-10


def test_a_mixture_of_independent_columns_is_stationary_too():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 150)
    x = np.stack([4 * y + rng.normal(size=150), rng.poisson(2 + 6 * y), rng.random(150) < y], 1)
    x = holed(x.astype(float))
    columns = (
        Column("a", "real", family="normal"),
        Column("b", "count", family="poisson"),
        Column("c", "binary", levels=2, family="bernoulli"),
    )
    fit = learn(Mixture, x, columns, components=2, prior=0.0, **TIGHT)
    assert fit.converged
    off = slopes(fit.model, x)
    arrays = jax.tree.leaves(eqx.filter((off.log_weights, off.parts.groups), eqx.is_array))
    # Floors and anchors do not affect log_prob; probabilities may be at their limit.
    assert max(float(jnp.abs(a).max()) for a in arrays) < 1e-3
    spread = np.asarray(fit.model.parts.groups[0].centre).ravel()
    assert abs(spread[0] - spread[1]) > 3


def test_rows_without_any_cell_change_nothing():
    x = linear(n=40, d=3)
    more = np.concatenate([x, np.full((20, 3), np.nan)])
    fit, other = (learn(Gaussian, v, tolerance=1e-12, steps=5000) for v in (x, more))
    np.testing.assert_allclose(other.model.mean, fit.model.mean, atol=1e-5)
    np.testing.assert_allclose(other.model.covariance, fit.model.covariance, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (Gaussian, {}),
        (PPCA, {"latent": 1}),
        (FactorAnalysis, {"latent": 1}),
        (Independent, {}),
        (Mixture, {"components": 2, "part": "gaussian"}),
    ],
)
def test_a_column_without_any_cell_leaves_the_others_as_they_were(cls, options):
    x = linear(n=60, d=4)
    x[:, 3] = np.nan
    full = learn(cls, x, tolerance=1e-10, steps=5000, **options)
    assert full.converged
    assert np.isfinite(draws(full.model, 5)).all()
    row = np.array([[np.nan, np.nan, np.nan, 0.3]])
    assert np.isfinite(scores(full.model, row)).all()
    if cls is not Mixture:
        alone = learn(cls, x[:, :3], real(3), tolerance=1e-10, steps=5000, **options)
        assert full.log_likelihood == pytest.approx(alone.log_likelihood, abs=1e-6)


def test_rows_all_missing_alone_leave_the_start():
    fit = learn(Gaussian, np.full((6, 2), np.nan))
    assert fit.log_likelihood == 0
    assert np.isfinite(np.asarray(fit.model.covariance)).all()
