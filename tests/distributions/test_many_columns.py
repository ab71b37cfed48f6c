"""Written joint distributions against closed forms and enumeration."""

import jax
import numpy as np
import pytest
from scipy import stats

import pofx
from pofx.distributions.written import as_joint, number_variable
from pofx.models.recoded import Recoded

RNG = np.random.default_rng(0)
HALF = RNG.normal(size=(4, 4))
COV = HALF @ HALF.T + 0.5 * np.eye(4)
MEAN = np.array([1.0, -2.0, 0.5, 3.0])


def test_the_blocks_of_a_gaussian_are_those_of_the_formula():
    p = pofx.gaussian(MEAN, COV, names={"a": 2, "b": 2})
    b = np.array([0.3, 1.0])
    gain = COV[:2, 2:] @ np.linalg.inv(COV[2:, 2:])
    given_b = p.given(b=b)
    mean, covariance = given_b.mean("a"), given_b.covariance("a")
    np.testing.assert_allclose(mean.value, MEAN[:2] + gain @ (b - MEAN[2:]), rtol=1e-12)
    np.testing.assert_allclose(covariance.value, COV[:2, :2] - gain @ COV[2:, :2], rtol=1e-10)
    assert mean.kind == covariance.kind == "exact"
    np.testing.assert_allclose(p.marginal("b").covariance("b").value, COV[2:, 2:])
    np.testing.assert_allclose(p.covariance("b", "a").value, COV[2:, :2])


def test_precision_and_cholesky_say_the_same():
    x = RNG.normal(size=(5, 4))
    rows = {f"x{i + 1}": x[:, i] for i in range(4)}
    expected = stats.multivariate_normal(MEAN, COV).logpdf(x)
    for form in (
        {"cov": COV},
        {"precision": np.linalg.inv(COV)},
        {"cholesky": np.linalg.cholesky(COV)},
    ):
        np.testing.assert_allclose(pofx.gaussian(MEAN, **form).log_prob(rows).value, expected)


def test_a_table_is_its_sums():
    table = RNG.dirichlet(np.ones(12)).reshape(2, 3, 2)
    p = pofx.pmf(table, {"a": ["u", "v"], "b": [0, 1, 2], "c": [False, True]})
    assert float(p.ask("P(b = 2)")) == pytest.approx(table[:, 2].sum(), rel=1e-12)
    expected = table[1, :, 1].sum() / table[:, :, 1].sum()
    assert float(p.ask("P(a = v | c = true)")) == pytest.approx(expected, rel=1e-12)
    assert float(p.entropy()) == pytest.approx(stats.entropy(table.ravel()), rel=1e-9)
    pair = table.sum(2)
    mutual = stats.entropy(pair.ravel(), np.outer(pair.sum(1), pair.sum(0)).ravel())
    assert float(p.mutual_information("a", "b")) == pytest.approx(mutual, rel=1e-9)


def test_a_table_with_impossible_levels():
    p = pofx.pmf([[0.5, 0.5], [0, 0]], {"a": [0, 1], "b": [0, 1]})
    assert float(p.ask("P(a = 1)")) == 0
    assert p.log_prob({"a": [1], "b": [0]}).value[0] == -np.inf


def test_a_product_is_independent():
    pair = pofx.gaussian([0, 1], [[2, 0.5], [0.5, 1]], names=["x", "y"])
    p = pair * pofx.poisson(2, name="n") * pofx.bernoulli(0.2, levels=["no", "yes"], name="s")
    rows = p.sample(20)
    expected = sum(np.asarray(q.log_prob(rows)) for q in (pair, pofx.poisson(2, name="n")))
    expected = expected + np.where(np.asarray(rows["s"]) == "yes", np.log(0.2), np.log(0.8))
    np.testing.assert_allclose(p.log_prob(rows).value, expected, rtol=1e-9)
    information = p.mutual_information(["x", "n"], ["y", "s"])
    assert float(information) == pytest.approx(float(pair.mutual_information("x", "y")), abs=1e-9)
    assert float(p.given(s="yes", y=1.0).ask("E[x]")) == pytest.approx(0)
    assert float(p.ask("P(n > 1 | s = yes)")) == pytest.approx(stats.poisson(2).sf(1))


def test_a_mixture_is_the_weighted_sum():
    parts = [pofx.normal(-1, 1), pofx.student_t(5, 1, 2), pofx.uniform(0, 4)]
    weights = [0.5, 0.3, 0.2]
    p = pofx.mixture(parts, weights)
    x = {"x": np.linspace(-3, 5, 9)}
    expected = np.log(sum(w * np.exp(q.log_prob(x).value) for w, q in zip(weights, parts)))
    np.testing.assert_allclose(p.log_prob(x).value, expected, rtol=1e-9)
    share = sum(w * float(q.ask("P(x > 1)")) for w, q in zip(weights, parts))
    assert float(p.ask("P(x > 1)")) == pytest.approx(share, rel=1e-9)


def test_a_mixture_of_different_levels_has_all_of_them():
    one = pofx.categorical({"a": 0.5, "b": 0.5})
    other = pofx.categorical({"b": 0.25, "c": 0.75})
    p = pofx.mixture([one, other], [0.4, 0.6])
    probabilities = [float(p.ask(f"P(x = {level})")) for level in "abc"]
    np.testing.assert_allclose(probabilities, [0.2, 0.35, 0.45])


def test_the_product_rule_with_a_distribution_per_level():
    prior = pofx.categorical({"low": 0.2, "high": 0.8}, name="y")
    p = pofx.per_level(prior, {"low": pofx.normal(0, 1), "high": pofx.normal(3, 2)})
    x = 1.5
    low, high = 0.2 * stats.norm(0, 1).pdf(x), 0.8 * stats.norm(3, 2).pdf(x)
    assert float(p.ask("P(y = low | x = 1.5)")) == pytest.approx(low / (low + high), rel=1e-9)
    assert float(p.log_prob({"x": [x], "y": [None]}).value[0]) == pytest.approx(
        np.log(low + high), rel=1e-9
    )
    assert float(p.ask("E[x | y = high]")) == pytest.approx(3)
    assert p.predict({"x": [x]}, "y")[0] == "high"


def test_bayesian_linear_regression():
    """The posterior of the weights given observations (Bishop 2006, section 3.3)."""
    inputs = RNG.normal(size=(6, 2))
    targets = inputs @ [1.0, -0.5] + 0.1 * RNG.normal(size=6)
    alpha, beta = 2.0, 25.0
    w = pofx.gaussian(np.zeros(2), np.eye(2) / alpha, names={"w": 2})
    p = pofx.linear_gaussian(w, {"w": inputs}, np.zeros(6), 1 / beta, name="t").given(t=targets)
    covariance = np.linalg.inv(alpha * np.eye(2) + beta * inputs.T @ inputs)
    np.testing.assert_allclose(p.covariance("w").value, covariance, rtol=1e-9)
    np.testing.assert_allclose(p.mean("w").value, beta * covariance @ inputs.T @ targets, rtol=1e-9)


def test_a_step_of_the_kalman_filter():
    """Prediction and correction by the textbook's formulas (Bishop 2006, section 13.3)."""
    step, look = np.array([[1, 0.1], [0, 1]]), np.array([[1.0, 0.0]])
    drift, noise = np.diag([0.01, 0.02]), np.array([[0.5]])
    mean, covariance = np.array([0.0, 1.0]), np.diag([1.0, 0.3])
    p = pofx.gaussian(mean, covariance, names={"old": 2})
    p = pofx.linear_gaussian(p, {"old": step}, np.zeros(2), drift, name="new")
    p = pofx.linear_gaussian(p, {"new": look}, np.zeros(1), noise, name="seen")
    mean, covariance = step @ mean, step @ covariance @ step.T + drift
    gain = covariance @ look.T @ np.linalg.inv(look @ covariance @ look.T + noise)
    q = p.given(seen=[0.7])
    np.testing.assert_allclose(q.mean("new").value, mean + gain @ ([0.7] - look @ mean))
    np.testing.assert_allclose(q.covariance("new").value, covariance - gain @ look @ covariance)


def test_moments_without_a_closed_form_are_estimates():
    independent = pofx.beta(2, 3) * pofx.gamma(2, 1, name="t")
    assert independent.mean().kind == "exact"
    with jax.enable_x64(True):
        model, _ = Recoded.example(jax.random.key(0))
    p = as_joint(model, [number_variable(name, "real") for name in "xyz"])
    mean, covariance = p.mean("x", "y"), p.covariance("x", "y")
    assert mean.kind == covariance.kind == "estimate"
    rows = p.sample(20_000, seed=1)
    x, y = (np.asarray(rows[name]) for name in "xy")
    error = np.std([x, y], axis=1) / np.sqrt(len(x))
    assert (abs(mean.value - [x.mean(), y.mean()]) < 5 * np.hypot(mean.stderr, error)).all()
    expected = np.cov(x, y)[0, 1]
    assert abs(covariance.value.item() - expected) < 8 * covariance.stderr.item()


def test_a_written_distribution_is_saved_and_asked_again(tmp_path):
    p = pofx.per_level(
        pofx.bernoulli(0.3, name="y"), {0: pofx.normal(0, 1), 1: pofx.student_t(3, 1, 2)}
    )
    p.save(tmp_path / "p.pofx")
    q = pofx.load(tmp_path / "p.pofx")
    assert float(q.ask("P(y = 1 | x > 2)")) == float(p.ask("P(y = 1 | x > 2)"))


MISTAKES = {
    "cov: expected a positive definite matrix, got the eigenvalue -1": lambda: pofx.gaussian(
        [0, 0], [[1, 2], [2, 1]]
    ),
    "cov: expected a symmetric matrix, got 0.5 at (0, 1) and 0 at (1, 0)": lambda: pofx.gaussian(
        [0, 0], [[1, 0.5], [0, 1]]
    ),
    "cov: expected the shape (2, 2), got (1, 2)": lambda: pofx.gaussian([0, 0], [[1, 0]]),
    "cov: expected exactly one of cov, precision and cholesky": lambda: pofx.gaussian([0]),
    "names: expected 2 columns, as mean has, got 3": lambda: pofx.gaussian(
        [0, 0], np.eye(2), names=["a", "b", "c"]
    ),
    "table: expected the shape (2, 2) of the levels, got (2,)": lambda: pofx.pmf(
        [0.5, 0.5], {"a": [0, 1], "b": [0, 1]}
    ),
    "expected different columns, both have 'x'": lambda: pofx.normal() * pofx.poisson(1),
    "parts: expected the same columns: only the first has 'x'": lambda: pofx.mixture(
        [pofx.normal(), pofx.normal(name="y")]
    ),
    "parts: expected one for each level of coin, got no part of 1": lambda: pofx.per_level(
        pofx.bernoulli(0.5, name="coin"), {0: pofx.normal()}
    ),
    "prior: expected a distribution of one column of levels": lambda: pofx.per_level(
        pofx.normal(), {}
    ),
    "p: expected a Gaussian without given entries of arrays": lambda: pofx.linear_gaussian(
        pofx.beta(1, 2), {"x": 1}
    ),
    "mean: expected columns of numbers, x has levels": lambda: pofx.bernoulli(0.5).mean(),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_one_clear_line(message):
    with pytest.raises(pofx.PofxError) as raised:
        MISTAKES[message]()
    assert str(raised.value) == message
