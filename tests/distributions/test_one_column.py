"""Written distributions of one column against scipy."""

import numpy as np
import pytest
from scipy import stats

import pofx

CONTINUOUS = {
    "normal": (pofx.normal(1, 2), stats.norm(1, 2)),
    "normal by variance": (pofx.normal(-3, variance=0.25), stats.norm(-3, 0.5)),
    "far normal": (pofx.normal(1e9, 1e-3), stats.norm(1e9, 1e-3)),
    "uniform": (pofx.uniform(-1, 3), stats.uniform(-1, 4)),
    "exponential": (pofx.exponential(0.5), stats.expon(scale=2)),
    "gamma": (pofx.gamma(2.5, 3), stats.gamma(2.5, scale=1 / 3)),
    "beta": (pofx.beta(2, 0.7), stats.beta(2, 0.7)),
    "student_t": (pofx.student_t(5, 1, 2), stats.t(5, 1, 2)),
    "log_normal": (pofx.log_normal(0.3, 0.5), stats.lognorm(0.5, scale=np.exp(0.3))),
}
DISCRETE = {
    "bernoulli": (pofx.bernoulli(0.3), stats.bernoulli(0.3)),
    "certain": (pofx.bernoulli(1), stats.bernoulli(1)),
    "categorical": (
        pofx.categorical([0.2, 0, 0.8]),
        stats.rv_discrete(values=([0, 1, 2], [0.2, 0, 0.8])),
    ),
    "poisson": (pofx.poisson(3.5), stats.poisson(3.5)),
    "negative_binomial": (pofx.negative_binomial(2, 3), stats.nbinom(2, 2 / 5)),
}
SHARES = np.array([0.001, 0.2, 0.5, 0.9, 0.9999])


@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities_and_distribution_functions(name):
    p, reference = CONTINUOUS[name]
    x = reference.ppf(SHARES)
    log_prob = p.log_prob({"x": x})
    np.testing.assert_allclose(log_prob.value, reference.logpdf(x), rtol=1e-9, atol=1e-9)
    assert log_prob.kind == "exact"
    for point in x.tolist():
        answer = p.ask(f"P(x < {point!r})")
        assert float(answer) == pytest.approx(reference.cdf(point), rel=1e-9)
        assert answer.kind == "exact"


@pytest.mark.parametrize("name", CONTINUOUS)
def test_moments_quantiles_and_entropy(name):
    p, reference = CONTINUOUS[name]
    unit = reference.std()
    assert float(p.ask("E[x]")) == pytest.approx(reference.mean(), abs=1e-6 * unit)
    assert float(p.ask("Var[x]")) == pytest.approx(reference.var(), rel=1e-4)
    assert float(p.ask("Q[0.9](x)")) == pytest.approx(reference.ppf(0.9), abs=1e-5 * unit)
    entropy = p.entropy("x")
    assert float(entropy) == pytest.approx(reference.entropy(), abs=5 * entropy.stderr + 1e-6)


@pytest.mark.parametrize("name", DISCRETE)
def test_masses_means_and_entropy(name):
    p, reference = DISCRETE[name]
    x = np.arange(2 if name in ("bernoulli", "certain") else 3)
    with np.errstate(divide="ignore"):
        expected = reference.logpmf(x)
    np.testing.assert_allclose(p.log_prob({"x": x}).value, expected, atol=1e-9)
    assert float(p.ask("E[x]")) == pytest.approx(reference.mean(), rel=1e-6)
    assert float(p.ask("Var[x]")) == pytest.approx(reference.var(), rel=1e-6, abs=1e-12)
    entropy = p.entropy("x")
    assert float(entropy) == pytest.approx(reference.entropy(), abs=5 * entropy.stderr + 1e-6)


@pytest.mark.parametrize("name", ["normal", "gamma", "beta", "student_t", "log_normal"])
def test_divergences_against_quadrature(name):
    makers = {
        "normal": (pofx.normal(0, 1), pofx.normal(1, 2)),
        "gamma": (pofx.gamma(2, 1), pofx.gamma(3, 0.5)),
        "beta": (pofx.beta(2, 3), pofx.beta(1.5, 1.5)),
        "student_t": (pofx.student_t(4), pofx.student_t(9, 1)),
        "log_normal": (pofx.log_normal(0, 1), pofx.log_normal(0.5, 1)),
    }
    p, q = makers[name]
    grid = np.array([float(p.ask(f"Q[{u}](x)")) for u in (1e-6, 0.5, 1 - 1e-6)])
    x = np.linspace(grid[0], grid[-1], 200_001)
    one, other = (np.asarray(d.log_prob({"x": x})) for d in (p, q))
    expected = np.trapezoid(np.exp(one) * (one - other), x)
    answer = pofx.kl(p, q)
    assert float(answer) == pytest.approx(expected, abs=5 * answer.stderr + 2e-3)
    assert float(pofx.kl(p, p)) == pytest.approx(0, abs=1e-9)


def test_draws_are_of_the_distribution():
    for name, (p, reference) in CONTINUOUS.items():
        if name != "far normal":
            draws = p.sample(2000)["x"]
            assert stats.kstest(draws, reference.cdf).pvalue > 1e-3, name


def test_levels_may_have_names():
    p = pofx.categorical({"sun": 0.7, "rain": 0.3}, name="sky")
    assert float(p.ask("P(sky = rain)")) == pytest.approx(0.3)
    assert set(p.sample(50)["sky"]) == {"sun", "rain"}


MISTAKES = {
    "sd: expected a number above 0, got -1": lambda: pofx.normal(0, -1),
    "variance: expected sd or variance, got both": lambda: pofx.normal(0, 1, variance=1),
    "mean: expected a finite number, got nan": lambda: pofx.normal(np.nan),
    "high: expected a number above 2, got 1": lambda: pofx.uniform(2, 1),
    "rate: expected a number above 0, got 'two'": lambda: pofx.poisson("two"),
    "p: expected a number above 0 and below 1, got 1.5": lambda: pofx.bernoulli(1.5),
    "p: expected a sum of 1, got 0.9": lambda: pofx.categorical([0.5, 0.4]),
    "p: expected no negative probability, got -0.5": lambda: pofx.categorical([1.5, -0.5]),
    "levels: expected a list of levels, got 'ab'": lambda: pofx.bernoulli(0.5, levels="ab"),
    "levels: expected a list of levels, got 3": lambda: pofx.categorical([1], levels=3),
    "q: expected a distribution, got 3": lambda: pofx.normal() * 3,
    "parts: expected a distribution, got 3": lambda: pofx.mixture([3]),
    "p: expected a distribution, got 3": lambda: pofx.linear_gaussian(3, {}),
    "prior: expected a distribution of one column of levels": lambda: pofx.per_level(3, {}),
    "levels: expected two, got 3": lambda: pofx.bernoulli(0.5, levels=list("abc")),
    "levels: expected 2, got 3": lambda: pofx.categorical([0.5, 0.5], levels=list("abc")),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_one_clear_line(message):
    with pytest.raises(pofx.PofxError) as raised:
        MISTAKES[message]()
    assert str(raised.value) == message
