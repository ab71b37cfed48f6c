"""Degenerate data: tables that break float32, variance floors and Cholesky factors elsewhere.

For every table, learning gives a finite likelihood, finite draws, and at most a warning.
"""

import warnings

import jax
import numpy as np
import pytest

import pofx
from pofx.core.errors import PofxWarning
from pofx.models.factor_analysis import FactorAnalysis
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture
from pofx.models.ppca import PPCA

from .conftest import draws, learn, real, scores

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
PLAIN = RNG.normal(size=(12, 3))
NAN = np.nan

TABLES = {
    "plain": PLAIN,
    "constant column": PLAIN * [1, 1, 0] + [0, 0, 0.1],
    "all constant": np.tile([0.1, -7.3, 1e5], (12, 1)),
    "duplicated columns": PLAIN[:, [0, 0, 1]],
    "linear columns": PLAIN @ np.diag([1, 1, 0]) @ np.array([[1, 0, 2], [0, 1, -3], [0, 0, 1.0]]),
    "fewer rows than columns": PLAIN[:2],
    "one row": PLAIN[:1],
    "few identical rows": np.concatenate([PLAIN[:9], np.full((3, 3), 40.0)]),
    "far from zero": PLAIN + 9999,
    "large": PLAIN * 1e6,
    "small": PLAIN * 1e-6,
    "unequal scales": PLAIN * [1e-6, 1, 1e6],
    "an outlier": np.concatenate([PLAIN[:11], np.full((1, 3), 1e8)]),
    "column all missing": np.where([False, False, True], NAN, PLAIN),
    "missing cells": np.where(RNG.random(PLAIN.shape) < 0.3, NAN, PLAIN),
}
# Without its column one component of the mixture has two rows in two columns.
SINGULAR = ("duplicated columns", "linear columns", "column all missing")
MODELS = {
    "gaussian": (Gaussian, {}),
    "ppca": (PPCA, {"latent": 1}),
    "factor_analysis": (FactorAnalysis, {"latent": 2}),
    "independent": (Independent, {"prior": 0.0}),
    "mixture": (Mixture, {"part": "gaussian", "components": 2, "prior": 0.0}),
}


@pytest.fixture
def lenient():
    """Allows PofxWarning and no other warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)
        yield


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("lenient")
def test_every_table_has_a_finite_answer(name, wide):
    cls, options = MODELS[name]
    for title, x in TABLES.items():
        if cls is Mixture and len(x) < 2:
            continue
        fit = learn(cls, x, steps=40, **options)
        message = f"{title}: {fit.history[-3:]}"
        assert np.isfinite(fit.history).all(), message
        assert np.isfinite(scores(fit.model, x)).all(), message
        assert np.isfinite(draws(fit.model, 16)).all(), message
        size = np.abs(fit.history).max() + 1
        # A singular covariance is at its floor: 16 d rounding units of the variance in float32, and
        # 1e-10 of it in float64. Rounding one entry moves the likelihood by 0.01 or 1e-6 nats.
        narrow, widest = (0.01, 1e-7) if title in SINGULAR else (2e-4, 1e-9)
        slack = widest if wide else narrow
        assert (np.diff(fit.history) > -slack * size).all(), f"{title}: {fit.history}"


@pytest.mark.parametrize("x", [[[9999.0], [0.0]], [[9999.5], [9999.0]], [[0.1], [0.1], [0.1]]])
def test_float32_gives_what_float64_gives(x):
    columns = real(1, resolution=0.0 if np.ptp(x) else 0.1)
    narrow, wide = [], []
    for results, flag in ((narrow, False), (wide, True)):
        with jax.enable_x64(flag):
            for cls, options in (MODELS["gaussian"], MODELS["independent"]):
                fit = learn(cls, x, columns, **options)
                results += [fit.log_likelihood, *scores(fit.model, x)]
    np.testing.assert_allclose(narrow, wide, rtol=1e-4)


@pytest.mark.parametrize("value", [0.1, 1 / 3, -7.7])
@pytest.mark.parametrize("name", ["gaussian", "independent"])
def test_a_constant_column_buys_no_likelihood_from_the_rounding_of_its_mean(name, value, wide):
    cls, options = MODELS[name]
    x = np.full((3, 1), value)  # the rounded mean of three of these numbers is another number
    fit = learn(cls, x, **options)
    least = 1e-6 * min(1, value**2)
    assert fit.log_likelihood < -0.5 * np.log(2 * np.pi * least) + 0.01


@pytest.mark.parametrize("x", [[[9999.0], [0.0]], [[9999.1], [9999.0]], [[1e12 + 3], [1e12]]])
def test_float32_gives_what_float64_gives_through_fit(x):
    seen = []
    for flag in (False, True):
        with jax.enable_x64(flag):
            p = pofx.fit(np.array(x), "gaussian", schema=dict.fromkeys(["x0"], "real"))
            seen.append(np.asarray(p.log_prob(np.array(x))))
    np.testing.assert_allclose(*seen, rtol=1e-4)


@pytest.mark.parametrize("model", ["gaussian", "ppca", "factor_analysis", "mixture"])
@pytest.mark.usefixtures("lenient")
def test_scale_of_the_data_moves_log_prob_by_its_jacobian_only(model, wide):
    x = np.random.default_rng(3).normal(size=(40, 3)) @ np.array(
        [[1, 0.5, 0], [0, 1, 0.5], [0, 0, 1]]
    )
    x[3, 1] = NAN
    seen = []
    for scale in (1.0, 1e6, 1e-6):
        p = pofx.fit(scale * x, model, restarts=1)
        assert np.isfinite(p.sample(20, seed=1)).all()
        cells = 3 - np.isnan(x).sum(1)
        seen.append(np.asarray(p.log_prob(scale * x)) + cells * np.log(scale))
        assert np.isfinite(seen[-1]).all()
    for other in seen[1:]:
        np.testing.assert_allclose(other, seen[0], atol=1e-3 if not wide else 1e-6)


@pytest.mark.parametrize("name", ["gaussian", "independent", "mixture", "ppca", "factor_analysis"])
@pytest.mark.usefixtures("lenient")
def test_rounded_data_buy_no_unbounded_likelihood(name, float64):
    cls, options = MODELS[name]
    rng = np.random.default_rng(4)
    x = np.round(rng.normal(size=(60, 3)), 1)
    x[:30] = x[0]  # half of the rows are equal and attract a component
    fit = learn(cls, x, real(3, resolution=0.1), steps=200, **options)
    # No density may be narrower than that of rounding to 0.1, whose variance is 0.1² / 12.
    bound = -1.5 * np.log(2 * np.pi * 0.1**2 / 12)
    assert (scores(fit.model, x) <= bound + 1e-9).all()
    assert np.isfinite(fit.history).all()


def test_a_spike_buys_no_unbounded_likelihood(wide):
    rng = np.random.default_rng(5)
    gain = np.where(rng.random(200) < 0.9, 0.0, np.exp(rng.normal(7, 1, 200)))
    table = {"gain": gain, "age": rng.normal(40, 9, 200).round()}
    p = pofx.fit(table, components=4, restarts=1)
    scores = np.asarray(p.log_prob(table))
    # A point mass is at most certain, and age is rounded to whole years.
    assert (scores[gain == 0] <= -0.5 * np.log(2 * np.pi / 12) + 1e-3).all()
    assert np.isfinite(scores).all()
    assert p.fit_info["converged"]
