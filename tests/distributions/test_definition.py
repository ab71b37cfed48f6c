"""Distributions in the notation, against enumeration, closed forms and published numbers."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

import pofx
from pofx.models.discrete_network import DiscreteNetwork
from pofx.models.gaussian import Gaussian
from pofx.models.hybrid_network import HybridNetwork
from pofx.notation.errors import NotationError

ASIA = """
# Lauritzen and Spiegelhalter, "Local computations with probabilities" (1988)
asia ~ Bernoulli(0.01)
tub | asia ~ { yes: Bernoulli(0.05), no: Bernoulli(0.01) }
smoke ~ Bernoulli(0.5)
lung | smoke ~ { yes: Bernoulli(0.1), no: Bernoulli(0.01) }
bronc | smoke ~ { yes: Bernoulli(0.6), no: Bernoulli(0.3) }
either | lung, tub ~ table([[[1, 0], [0, 1]], [[0, 1], [0, 1]]])
xray | either ~ { yes: Bernoulli(0.98), no: Bernoulli(0.05) }
dysp | bronc, either ~ {
  yes: { yes: Bernoulli(0.9), no: Bernoulli(0.8) },
  no: { yes: Bernoulli(0.7), no: Bernoulli(0.1) },
}
"""
NAMES = ("asia", "tub", "smoke", "lung", "bronc", "either", "xray", "dysp")
MIXED = """
rain ~ Bernoulli(0.2)
sky | rain ~ { yes: Categorical({grey: 0.9, blue: 0.1}), no: Categorical({grey: 0.3, blue: 0.7}) }
(a, b) | rain ~ { yes: Normal([0, 1], [[2, 0.5], [0.5, 1]]), no: Normal([2, 2], [[1, 0], [0, 1]]) }
y | a, b ~ Normal(3 + 2 * a - b, sd=0.5)
t | rain ~ { yes: Gamma(2, rate=1), no: Exponential(3) }
n ~ Poisson(4)
"""


@pytest.fixture(scope="module")
def asia():
    return pofx.define(ASIA)


@pytest.fixture(scope="module")
def mixed():
    return pofx.define(MIXED)


def asia_table():
    """The joint probabilities of asia, from its numbers."""

    def p(share, is_yes):
        return share if is_yes else 1 - share

    table = {}
    for x in product((0, 1), repeat=8):
        asia, tub, smoke, lung, bronc, either, xray, dysp = x
        cough = ((0.1, 0.7), (0.8, 0.9))[bronc][either]
        table[x] = (
            p(0.01, asia)
            * p((0.01, 0.05)[asia], tub)
            * p(0.5, smoke)
            * p((0.01, 0.1)[smoke], lung)
            * p((0.3, 0.6)[smoke], bronc)
            * (either == (lung or tub))
            * p((0.05, 0.98)[either], xray)
            * p(cough, dysp)
        )
    return table


def test_asia_has_its_published_marginals(asia):
    published = [0.01, 0.0104, 0.5, 0.055, 0.45, 0.064828, 0.11029, 0.435971]
    for name, share in zip(NAMES, published):
        answer = asia.ask(f"P({name} = yes)")
        assert float(answer) == pytest.approx(share, abs=1e-6)
        assert answer.kind == "exact"


@pytest.mark.parametrize("seen", [{"asia": 1, "dysp": 1}, {"xray": 1}, {"smoke": 0, "xray": 1}])
def test_asia_has_the_posteriors_of_enumeration(asia, seen):
    table = asia_table()
    text = ", ".join(f"{name} = {('no', 'yes')[value]}" for name, value in seen.items())
    rows = {x: p for x, p in table.items() if all(x[NAMES.index(k)] == v for k, v in seen.items())}
    for j, name in enumerate(NAMES):
        if name not in seen:
            expected = sum(p for x, p in rows.items() if x[j]) / sum(rows.values())
            assert float(asia.ask(f"P({name} = yes | {text})")) == pytest.approx(expected, rel=1e-9)


def test_asia_is_a_network_and_its_information_is_that_of_the_table(asia):
    assert isinstance(asia.model, DiscreteNetwork)
    p = np.array(list(asia_table().values()))
    assert float(asia.entropy()) == pytest.approx(stats.entropy(p), rel=1e-9)
    assert float(asia.mutual_information("asia", "smoke")) == pytest.approx(0, abs=1e-12)


def test_a_mixed_network_is_its_formula(mixed):
    rng = np.random.default_rng(0)
    rain, sky = rng.integers(0, 2, 6), rng.integers(0, 2, 6)
    x, t, n = rng.normal(1, 1, (6, 3)), rng.gamma(2, 1, 6), rng.poisson(4, 6)
    rows = {
        "rain": np.array(["no", "yes"])[rain],
        "sky": np.array(["grey", "blue"])[sky],
        **{name: x[:, i] for i, name in enumerate("aby")},
        "t": t,
        "n": n,
    }
    normals = [([2, 2], np.eye(2)), ([0, 1], [[2, 0.5], [0.5, 1]])]
    times = [stats.expon(scale=1 / 3), stats.gamma(2)]
    expected = [
        np.log([0.8, 0.2][r])
        + np.log([[0.3, 0.7], [0.9, 0.1]][r][s])
        + stats.multivariate_normal(*normals[r]).logpdf(row[:2])
        + stats.norm(3 + 2 * row[0] - row[1], 0.5).logpdf(row[2])
        + times[r].logpdf(time)
        + stats.poisson(4).logpmf(count)
        for r, s, row, time, count in zip(rain, sky, x, t, n)
    ]
    np.testing.assert_allclose(mixed.log_prob(rows).value, expected, rtol=1e-9)


def test_levels_given_numbers_by_bayes_rule(mixed):
    wet = 0.2 * stats.gamma(2).pdf(0.7) * stats.norm(0, 2**0.5).pdf(1.0)
    dry = 0.8 * stats.expon(scale=1 / 3).pdf(0.7) * stats.norm(2, 1).pdf(1.0)
    answer = mixed.ask("P(rain = yes | t = 0.7, a = 1)")
    assert float(answer) == pytest.approx(wet / (wet + dry), rel=1e-9)
    assert answer.kind == "exact"
    mean = mixed.mean("a", "y")
    assert mean.kind == "exact"
    np.testing.assert_allclose(mean.value, [1.6, 0.2 * 2 + 0.8 * 5], rtol=1e-12)


def test_normal_definitions_alone_are_a_gaussian():
    text = "(a, b) ~ Normal([0, 1], [[2, 0.5], [0.5, 1]])\ny | a{} ~ Normal(3 + 2 * a, 0.1)"
    cov = np.array([[2, 0.5, 4], [0.5, 1, 1], [4, 1, 8.1]])
    complete, sparse = pofx.define(text.format(", b")), pofx.define(text.format(""))
    assert isinstance(complete.model, Gaussian)
    assert isinstance(sparse.model, HybridNetwork)
    for p in (complete, sparse):
        np.testing.assert_allclose(p.mean().value, [0, 1, 3])
        np.testing.assert_allclose(p.covariance(("a", "b", "y")).value, cov)
        entropy = p.entropy()
        assert entropy.kind == "exact"
        assert float(entropy) == pytest.approx(stats.multivariate_normal(cov=cov).entropy())
        information = p.mutual_information("a", "y")
        assert information.kind == "exact"
        assert float(information) == pytest.approx(-np.log1p(-16 / 2 / 8.1) / 2)
        assert p.given(y=1.0).ask("E[a | b = 0]").kind == "exact"
    other = pofx.gaussian([0, 0, 0], np.eye(3), names=["a", "b", "y"])
    divergences = [pofx.kl(p, other) for p in (complete, sparse)]
    assert [d.kind for d in divergences] == ["exact", "exact"]
    assert float(divergences[0]) == pytest.approx(float(divergences[1]), rel=1e-9)


def test_what_is_not_connected_is_independent():
    p = pofx.define("a ~ Normal(0, 1)\nb ~ Poisson(2)\nc ~ Bernoulli(0.5, levels=[0, 1])")
    assert float(p.mutual_information(["a", "c"], "b")) == 0
    assert float(p.ask("P(c = 1, b > 1)")) == pytest.approx(stats.poisson(2).sf(1) / 2)


def test_draws_are_those_of_the_definition(mixed):
    rows = mixed.sample(4000, seed=1)
    wet = np.asarray(rows["rain"]) == "yes"
    assert abs(wet.mean() - 0.2) < 0.03
    assert stats.kstest(np.asarray(rows["t"])[wet], stats.gamma(2).cdf).pvalue > 1e-3
    noise = rows["y"] - 3 - 2 * rows["a"] + rows["b"]
    assert stats.kstest(noise, stats.norm(0, 0.5).cdf).pvalue > 1e-3


def test_a_file_of_definitions(tmp_path):
    path = tmp_path / "coin.p"
    path.write_text("coin ~ Bernoulli(0.25)\n")
    for place in (path, str(path)):
        assert float(pofx.define(place).ask("P(coin = yes)")) == pytest.approx(0.25)
    with pytest.raises(pofx.PofxError, match=r"none\.p: cannot be read: No such file"):
        pofx.define(tmp_path / "none.p")


MISTAKES = {
    "a ~ Bernoulli(1.2)": (1, "Bernoulli: p: expected a number above 0 and below 1, got 1.2"),
    "a ~ Bernuolli(0.2)": (1, "no family 'Bernuolli'; did you mean 'Bernoulli'?"),
    "(a, b) ~ Normal([0, 0], [[1, 2], [2, 1]])": (1, "positive definite.*the eigenvalue -1"),
    "(a, b) ~ Normal([0, 0], [[1, 1], [0, 2]])": (1, "expected a symmetric matrix"),
    "a | b ~ Normal(b, 1)\nb | a ~ Normal(a, 1)": (1, "a cycle: a <- b <- a"),
    "a | a ~ Normal(a, 1)": (1, "a cycle: a depends on itself"),
    "a | b ~ Normal(b, 1)\nb ~ Normal(0, 1)": (1, "b is used before it is defined"),
    "rain ~ Bernoulli(0.1)\na | ran ~ Normal(0, 1)": (2, "'ran'; did you mean 'rain'?"),
    "r ~ Bernoulli(0.5)\na | r ~ { yes: Normal(0, 1) }": (2, "expected a case for level no of r"),
    "r ~ Bernoulli(0.5)\na | r ~ {yes: Normal(0, 1), on: Normal(0, 1)}": (2, "no level of r 'on'"),
    "r ~ Bernoulli(0.5)\na | r ~ table([[0.5, 0.6], [1, 0]])": (2, "sum to 1; got .* of sum 1.1"),
    "r ~ Bernoulli(0.5)\na | r ~ {yes: Normal(0, 1), no: Gamma(1)}": (2, "in all cases"),
    "a ~ Gamma(2)\nb | a ~ Normal(a, 1)": (2, "nothing may depend on it yet"),
    "a ~ Normal(0, 1)\nb | a ~ Poisson(a)": (2, "Poisson may depend on levels only"),
    "a ~ Normal(0, 1)\na ~ Normal(0, 1)": (2, "a is defined twice"),
    "a ~ Normal(b, 1)": (1, "b is no parent of numbers"),
    "a ~ Normal(0, -1)": (1, "variance: expected a number above 0, got -1"),
    "a ~ Gamma(2, rat=3)": (1, r"expected Gamma\(shape, rate\)"),
    "a ~ Normal(0,": (1, "found the end"),
    "a Normal(0, 1)": (1, r"expected '\|' or '~', found 'Normal'"),
    "a ~ Normal(a * a, 1)": (1, "expected a sum, found a product of names"),
    "a ~ Normal(1e999, 1)": (1, "expected a finite number, found '1e999'"),
    "a ~ Poisson(2, name=b)": (1, "Poisson: expected no name, the column is a"),
    "a ~ table([])": (1, "table: expected a pair of brackets"),
    "a ~ table([0.5, 0.5], levels=[u, u])": (1, "table: .*expected distinct values"),
    "a ~ Categorical([1], levels=3)": (1, "expected a list of levels, got 3"),
    "a ~ {yes: Normal(0, 1)}": (1, "expected no more cases"),
    "": (1, "expected a definition such as"),
}


def test_brackets_without_end_are_one_clear_line():
    with pytest.raises(pofx.PofxError, match=r"^define: expected fewer brackets"):
        pofx.define(f"a ~ Normal({'(' * 9000}1{')' * 9000}, 1)")


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_names_its_line_and_points_at_its_place(text):
    line, message = MISTAKES[text]
    with pytest.raises(NotationError, match=f"^define: line {line}: .*{message}") as raised:
        pofx.define(text)
    _, shown, caret = str(raised.value).split("\n")
    assert shown.strip() == text.split("\n")[line - 1].strip()
    assert caret.strip() == "^"
