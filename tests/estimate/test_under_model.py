"""Mutual information under cross-fitted models, compared with closed forms, sums and zero."""

import math
from functools import partial

import numpy as np
import pytest
from scipy.stats import multivariate_t

import pofx
from pofx.core.errors import PofxError, PofxWarning
from pofx.estimate import mutual_information
from pofx.estimate.copulas import elliptical_copula_learner, normal_mixture_learner, standardised
from pofx.estimate.cross_fit import Task, cross_fit, estimate_with_error, log_ratio


def gaussian(rho, d, n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=(n, d))
    return x, y, -d / 2 * math.log(1 - rho**2)


def one_normal(x, y, given=None):
    z = np.zeros((len(x), 0)) if given is None else given
    columns = standardised(np.hstack([x, y, z]))
    return normal_mixture_learner(columns, (x.shape[1], y.shape[1], z.shape[1]), 1, 0)


def test_overfitting_of_many_columns_is_removed():
    """25 + 25 columns, 2000 rows: in sample 0.2 nats too high, on held-out rows 0.2 too low."""
    x, y, truth = gaussian(0.3, 25, 2000)
    learn, task = one_normal(x, y), Task(2000, False, 0)
    fit = cross_fit(learn, task, with_scores=False)
    value, error = estimate_with_error(learn, task, fit)
    assert value == pytest.approx(truth, abs=2.5 * error)
    assert 0.02 < error < 0.06
    assert fit.excess > 0.3


@pytest.mark.slow
def test_a_named_gaussian_of_many_columns():
    x, y, truth = gaussian(0.3, 25, 2000)
    answer = mutual_information(x, y, model="gaussian")
    assert answer.value == pytest.approx(truth, abs=2.5 * answer.stderr)
    in_sample = pofx.fit({"x": x, "y": y}, "gaussian").mutual_information("x", "y")
    assert float(in_sample) > truth + 3 * answer.stderr


@pytest.mark.parametrize(("rho", "d"), [(0.5, 1), (0.0, 1), (0.0, 4), (0.4, 4)])
def test_the_error_covers(rho, d):
    covered = 0
    for seed in range(40):
        x, y, truth = gaussian(rho, d, 200, seed)
        learn, task = one_normal(x, y), Task(200, False, seed)
        value, error = estimate_with_error(learn, task, cross_fit(learn, task, with_scores=False))
        covered += abs(value - truth) <= 2 * error
    assert covered >= 34


def test_the_mean_over_samples_is_the_truth():
    values = []
    for seed in range(60):
        x, y, truth = gaussian(0.3, 5, 150, seed)
        values.append(cross_fit(one_normal(x, y), Task(150, False, seed), with_scores=False).value)
    assert np.mean(values) == pytest.approx(truth, abs=3 * np.std(values) / math.sqrt(60))


def test_given_a_third_variable():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 1))
    x, y = z + rng.normal(size=(1000, 1)), z + rng.normal(size=(1000, 1))
    answer = mutual_information(x, y, given=z, model="auto")
    assert abs(answer.value) <= 2.5 * answer.stderr
    assert answer.question == "I(x; y | given)"
    learn, task = one_normal(x, y), Task(1000, False, 0)
    assert cross_fit(learn, task).value == pytest.approx(-0.5 * math.log(0.75), abs=0.07)


def test_the_log_ratio_of_a_mixture_is_that_of_its_density():
    x, y, _ = gaussian(0.5, 1, 400)
    density = one_normal(x, y)(np.arange(400))
    rho = np.corrcoef(x[:, 0], y[:, 0])[0, 1]
    a, b = standardised(x)[:, 0], standardised(y)[:, 0]
    form = (2 * rho * a * b - rho**2 * (a**2 + b**2)) / (2 * (1 - rho**2))
    ratio = log_ratio(density, np.arange(400), given=False)
    assert ratio == pytest.approx(form - 0.5 * math.log(1 - rho**2), abs=2e-3)


@pytest.mark.parametrize("map_", [lambda v: v, np.arcsinh])
def test_heavy_tails(map_):
    """An uncorrelated Student t of 3 degrees: all information is in the tails."""
    rng = np.random.default_rng(0)
    t = map_(rng.normal(size=(1500, 4)) / np.sqrt(rng.chisquare(3, (1500, 1)) / 3))
    h = [_t_entropy(2), _t_entropy(4)]
    answer = mutual_information(t[:, :2], t[:, 2:], model="auto")
    assert "elliptical copula" in answer.method
    assert answer.value == pytest.approx(2 * h[0] - h[1], abs=2.5 * answer.stderr)


def _t_entropy(d, nu=3):
    return multivariate_t(np.zeros(d), np.eye(d), df=nu).entropy()


def test_degrees_of_freedom_are_learned():
    rng = np.random.default_rng(1)
    t = rng.normal(size=(2000, 2)) / np.sqrt(rng.chisquare(2, (2000, 1)) / 2)
    fit = cross_fit(elliptical_copula_learner(t, (1, 1, 0)), Task(2000, False, 0))
    normal = cross_fit(one_normal(t[:, :1], t[:, 1:]), Task(2000, False, 0))
    assert fit.scores.mean() > normal.scores.mean()


def test_a_bent_dependence():
    rng = np.random.default_rng(0)
    x = rng.uniform(-math.pi, math.pi, 1500)
    noise = 0.3
    y = np.sin(x) + noise * rng.normal(size=1500)
    grid = np.linspace(-2.5, 2.5, 1001)
    centres = np.sin(np.linspace(-math.pi, math.pi, 2001))
    p = np.exp(-0.5 * ((grid[:, None] - centres) / noise) ** 2).mean(1)
    p /= noise * math.sqrt(2 * math.pi)
    entropy = -(p * np.log(p)).sum() * (grid[1] - grid[0])
    truth = entropy - 0.5 * math.log(2 * math.pi * math.e * noise**2)
    answer = mutual_information(x, y, model="auto")
    assert answer.value == pytest.approx(truth, abs=2.5 * answer.stderr)


def test_what_no_model_follows_has_no_error():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1000, 12)), rng.normal(size=(1000, 12))
    y[:, :2] = 0.8 * x[:, :2] + 0.6 * y[:, :2]
    angle = (x**2).sum(1) / 5
    turned = x[:, 0] * np.cos(angle) - x[:, 1] * np.sin(angle)
    x[:, 1] = x[:, 0] * np.sin(angle) + x[:, 1] * np.cos(angle)
    x[:, 0] = turned
    with pytest.warns(PofxWarning, match="error unknown"):
        answer = mutual_information(x, y, model="auto")
    assert math.isnan(answer.stderr)
    assert "error unknown" in answer.method


def test_a_copy_is_no_finite_answer():
    x = np.random.default_rng(0).normal(size=200)
    with pytest.warns(PofxWarning, match="may be infinite"):
        assert math.isnan(mutual_information(x, 3 * x + 1, model="auto").stderr)


LEVELS = np.random.default_rng(0).integers(0, 3, 400).astype(str)


def test_levels_under_a_named_tree():
    """y is x with probability 0.7, else uniform, for which I has a closed form."""
    rng = np.random.default_rng(1)
    y = np.where(rng.random(400) < 0.7, LEVELS, rng.integers(0, 3, 400).astype(str))
    p = np.full((3, 3), 0.1 / 3) + 0.7 / 3 * np.eye(3)
    truth = (p * np.log(9 * p)).sum()
    answer = mutual_information(LEVELS, y, model="chow_liu_tree")
    assert answer.value == pytest.approx(truth, abs=2.5 * answer.stderr)
    assert answer.method == "cross-fitted chow_liu_tree, 5 folds, 400 rows"
    bits = mutual_information(LEVELS, y, model="chow_liu_tree", unit="bits", stderr=False)
    assert bits.value * math.log(2) == pytest.approx(answer.value)
    assert math.isnan(bits.stderr)


def test_a_level_seen_once_is_known_to_every_fold():
    x = np.array(["once", *LEVELS[1:]])
    answer = mutual_information(x, LEVELS[::-1], model="chow_liu_tree")
    assert abs(answer.value) < 0.05


def test_a_function_that_fits():
    x, y, truth = gaussian(0.6, 1, 400)
    fit = partial(pofx.fit, model="gaussian")
    answer = mutual_information(x, y, model=fit)
    named = mutual_information(x, y, model="gaussian")
    assert answer.value == named.value
    assert answer.value == pytest.approx(truth, abs=2.5 * answer.stderr)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("gausian", "did you mean 'gaussian'"),
        (3, "model: expected 'auto', a name"),
        (lambda data: None, "fit.data, weights"),
        (lambda data, weights: None, "it returned NoneType"),
    ],
)
def test_a_model_that_cannot_be(model, says):
    x, y, _ = gaussian(0.5, 1, 50)
    with pytest.raises(PofxError, match=says):
        mutual_information(x, y, model=model)


def test_a_model_and_a_method():
    x, y, _ = gaussian(0.5, 1, 50)
    with pytest.raises(PofxError, match="leave one out"):
        mutual_information(x, y, model="auto", method="ksg")
    with pytest.raises(PofxError, match="at least 20 rows"):
        mutual_information(x[:19], y[:19], model="auto")
