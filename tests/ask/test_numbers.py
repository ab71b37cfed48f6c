"""`ask`: means, quantiles, covariances, modes, draws and information."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm, poisson

from pofx import Answer, PofxError, PofxWarning
from pofx.ask.question import Question
from pofx.named.precision import Precision

from .test_cells import COVARIANCE, KINDS, cells_of_farm, counts, farm, normal

pytestmark = pytest.mark.slow
"""Minutes of compilation; the quick tests cover a few of each."""


@pytest.fixture(scope="module")
def p():
    return farm()


@pytest.fixture(scope="module")
def cells():
    return cells_of_farm()


@pytest.fixture(scope="module")
def abc():
    return normal()


@pytest.fixture(scope="module")
def drawn_abc():
    """Draws of the same numbers by numpy, with a > 0.5 and b < 5."""
    x = np.random.default_rng(0).multivariate_normal(np.zeros(4), COVARIANCE, 1_000_000)
    return pd.DataFrame(x[(x[:, 0] > 0.5) & (x[:, 1] < 0)], columns=list("abcd"))


def value(p, question, **how):
    return float(p.ask(question, **how))


# -- means and variances


@pytest.mark.parametrize("name", ["size", "gain", "year", "good"])
def test_mean_and_variance(p, cells, name):
    inside = {"kind": ["bee", "cat"]}
    answer = p.ask(f"E[{name} | kind != ape]")
    assert float(answer) == pytest.approx(cells.mean(name, **inside), rel=1e-3)
    assert answer.kind == "exact"
    variance = p.ask(f"Var[{name} | kind != ape]")
    assert float(variance) == pytest.approx(cells.variance(name, **inside), rel=5e-3)
    units = ("", "") if name == "good" else (f"units of {name}", f"squared units of {name}")
    assert (answer.unit, variance.unit) == units
    spread = p.ask(f"SD[{name} | kind != ape]")
    assert float(spread) == pytest.approx(np.sqrt(float(variance)), rel=1e-6)
    assert spread.unit == units[0]


def test_a_gaussian_answers_as_its_formulas(abc):
    s = COVARIANCE
    u = norm(s[0, 1] * 2, np.sqrt(1 - s[0, 1] ** 2))
    assert value(abc, "E[a | b = 5.02]") == pytest.approx(u.mean(), rel=1e-5)
    assert value(abc, "SD[a | b = 5.02]") == pytest.approx(u.std(), rel=1e-5)
    assert value(abc, "Q[0.9](a | b = 5.02)") == pytest.approx(u.ppf(0.9), rel=1e-5)
    assert value(abc, "P(a > 6 | b = 5.02)") == pytest.approx(u.sf(6), rel=1e-4)
    density = multivariate_normal(np.zeros(2), s[:2, :2]).pdf([1, 2]) / 0.01
    assert value(abc, "p(a = 1, b = 5.02)") == pytest.approx(density, rel=1e-5)
    assert value(abc, "Cov[b, c]") == pytest.approx(0.01 * s[1, 2], rel=1e-5)
    left = s[0, 2] - s[0, 1] * s[1, 2]
    ratio = left / np.sqrt((1 - s[0, 1] ** 2) * (1 - s[2, 1] ** 2))
    assert value(abc, "Corr[c, a | b = 5.02]") == pytest.approx(ratio, rel=1e-4)


def test_moments_given_ranges(abc, drawn_abc):
    c, d = drawn_abc.c, drawn_abc.d
    for question, expected in {
        "E[c | a > 0.5, b < 5]": c.mean(),
        "Var[c | a > 0.5, b < 5]": c.var(),
        "SD[c | a > 0.5, b < 5]": c.std(),
        "median(c | a > 0.5, b < 5)": c.median(),
        "Cov[d, c | a > 0.5, b < 5]": np.cov(c, d)[0, 1],
        "Corr[d, c | a > 0.5, b < 5]": np.corrcoef(c, d)[0, 1],
    }.items():
        answer = abc.ask(question)
        assert answer.kind == "estimate"
        assert abs(float(answer) - expected) < 4 * np.hypot(answer.stderr, 1.5 / np.sqrt(len(c)))
        assert answer.stderr < 0.05
    spent = abc.ask("E[c | a > 0.5, b < 5]", stderr=1e-9, max_draws=4096)
    assert "budget spent" in spent.method


def test_an_estimate_goes_on_to_the_error_asked_for():
    def ask(draws):
        return Answer(0.5, 1 / np.sqrt(draws), "estimate", draws)

    def to_precision(**precision):
        return Question("", Precision(**precision)).to_precision(ask)

    assert to_precision().draws == 4096
    assert to_precision(max_draws=100).draws == 100
    answer = to_precision(stderr=0.003)
    assert answer.stderr <= 0.003
    assert answer.draws == 2**17
    spent = to_precision(stderr=1e-9, max_draws=2**15)
    assert spent.draws == 2**15
    assert "budget spent" in spent.method
    exact = Question("", Precision()).to_precision(lambda draws: Answer(1.0))
    assert exact.kind == "exact"


@pytest.mark.parametrize("pair", ["size, gain", "year, size", "good, year"])
def test_covariance_of_all_kinds(p, cells, pair):
    a, b = pair.split(", ")
    answer, expected = p.ask(f"Cov[{pair}]"), cells.covariance(a, b)
    assert float(answer) == pytest.approx(expected, rel=2e-3)
    assert answer.kind == "exact"
    ratio = expected / np.sqrt(cells.variance(a) * cells.variance(b))
    assert value(p, f"Corr[{b}, {a}]") == pytest.approx(ratio, rel=5e-3)


# -- quantiles and summaries


@pytest.mark.parametrize(
    ("name", "level"), [("size", 0.9), ("gain", 0.2), ("gain", 0.7), ("year", 0.4)]
)
def test_quantiles(p, cells, name, level):
    answer = value(p, f"Q[{level}]({name})")
    x, mass = cells.marginal(name)
    expected = x[np.searchsorted(np.cumsum(mass), level)]
    assert answer == pytest.approx(expected, rel=6e-3, abs=1e-6)


def test_moments_and_quantiles_of_a_count():
    assert value(counts(), "E[visits]") == pytest.approx(3)
    assert value(counts(), "Var[visits]") == pytest.approx(3)
    assert value(counts(), "Q[0.8](visits)") == poisson(3).ppf(0.8)
    assert counts().ask("mode(visits)").values["visits"] in (2, 3)


def test_a_summary_of_a_number(p):
    summary = p.ask("p(gain)")
    assert float(summary.mean) == pytest.approx(value(p, "E[gain]"))
    assert float(summary.median) == pytest.approx(value(p, "median(gain)"))
    assert float(summary.spikes[0.0]) == pytest.approx(value(p, "p(gain = 0)"), rel=1e-5)
    lines = str(summary).splitlines()
    assert lines[0] == "p(gain)   exact, closed form"
    assert [line.split()[0] for line in lines[1:4]] == ["mean", "sd", "Q[0.05]"]
    assert lines[-1].startswith("  P(gain = 0)  0.")


def test_moments_of_several_numbers(abc):
    moments = abc.ask("p(c, a)")
    assert moments.names == ("c", "a")
    assert float(moments.correlation[0, 1]) == pytest.approx(COVARIANCE[0, 2], rel=1e-5)
    assert str(moments).splitlines()[1].split() == ["mean", "sd", "Corr:", "c", "a"]


# -- modes


def test_the_most_probable_levels(p):
    table = p.ask("p(kind, good | year = 2008)")
    best = np.unravel_index(table.probabilities.argmax(), (3, 2))
    mode = p.ask("mode(kind, good | year = 2008)")
    assert mode.values == {"kind": KINDS[best[0]], "good": bool(best[1])}
    assert float(mode.probability) == pytest.approx(table.probabilities.max())
    assert mode.kind == "exact"
    assert str(mode).startswith("mode(kind, good | year = 2008) = (")


def test_the_highest_density(p, abc):
    mode = p.ask("mode(size)")
    values = (mode.values["size"], *np.linspace(900, 1900, 21))
    assert max(value(p, f"p(size = {x})") for x in values) == pytest.approx(float(mode.probability))
    both = abc.ask("mode(a, b)")
    assert (both.kind, both.method) == ("estimate", "local search")
    assert both.values == {"a": pytest.approx(0, abs=0.01), "b": pytest.approx(5, abs=1e-4)}
    assert "per unit of a and of b" in str(both)


def test_levels_and_numbers_together(p):
    mode = p.ask("mode(good, size | kind = cat)")
    assert mode.values["good"] is (value(p, "p(good = true | kind = cat)") > 0.5)
    assert mode.values["size"] == pytest.approx(value(p, "E[size | kind = cat]"), rel=1e-3)
    heavy = p.ask("mode(kind, gain)")
    assert heavy.values["gain"] == 0
    assert float(heavy.probability) == pytest.approx(
        max(value(p, f"p(gain = 0, kind = {kind})") for kind in KINDS), rel=1e-5
    )


# -- draws


def test_draws_given_values(p):
    expected = value(p, "p(kind = cat | year = 2008)")
    frame = p.ask("sample[250](size, kind | year = 2008)", seed=1)
    assert list(frame) == ["kind", "size"]
    assert frame.dtypes.astype(str).tolist() == ["object", "float64"]
    assert (frame.kind == "cat").mean() == pytest.approx(expected, abs=0.15)
    assert frame.equals(p.ask("SAMPLE[250](size, kind | year = 2008)", seed=1))


def test_draws_given_ranges(abc, drawn_abc, monkeypatch):
    frame = abc.ask("sample[1000](c | a > 0.5, b < 5)", seed=1)
    for u in (0.1, 0.5, 0.9):
        assert (frame.c <= drawn_abc.c.quantile(u)).mean() == pytest.approx(u, abs=0.06)
    monkeypatch.setattr("pofx.ask.draws.MIN_ESS_SHARE", 0.9)
    with pytest.warns(
        PofxWarning, match="a > 2, b < 5 are hard to get: 4096 weighted ones count for"
    ):
        abc.ask("sample(c | a > 2, b < 5)")


# -- information


def entropy(table, *axes):
    p = table.sum(axis=tuple({*range(table.ndim)} - set(axes)))
    return -(p[p > 0] * np.log(p[p > 0])).sum()


def test_information_of_levels_is_summed(p):
    table = p.ask("p(kind, good, year)").probabilities
    h = lambda *axes: entropy(table, *axes)  # noqa: E731
    for question, expected in {
        "H(kind, good)": h(0, 1),
        "H(kind | year)": h(0, 2) - h(2),
        "I(kind; good | year)": h(0, 2) + h(1, 2) - h(0, 1, 2) - h(2),
        "TC(kind, good, year)": h(0) + h(1) + h(2) - h(0, 1, 2),
    }.items():
        answer = p.ask(question)
        assert float(answer) == pytest.approx(expected, abs=1e-5)
        assert (answer.kind, answer.unit, answer.question) == ("exact", "nats", question)
    assert value(p, "H(kind, good)", unit="bits") == pytest.approx(h(0, 1) / np.log(2), rel=1e-5)


def test_information_given_values_and_sets(p):
    table = p.ask("p(kind, good, year)").probabilities
    for given, years in {"year = 2008": [1], "year != 2008": [0, 2]}.items():
        conditional = table[:, :, years] / table[:, :, years].sum()
        h = lambda *axes: entropy(conditional, *axes)  # noqa: E731, B023
        for question, expected in {
            f"H(kind | good, {given})": h(0, 1) - h(1),
            f"I(kind; good | {given})": h(0) + h(1) - h(0, 1),
            f"TC(kind, good | {given})": h(0) + h(1) - h(0, 1),
        }.items():
            answer = p.ask(question)
            assert float(answer) == pytest.approx(expected, abs=1e-5)
            assert (answer.kind, answer.question) == ("exact", question)


def test_what_numbers_tell_is_closed_where_the_model_is(abc):
    assert value(abc, "I(a; b)") == pytest.approx(-0.5 * np.log(1 - 0.8**2), rel=1e-4)
    entropy = abc.ask("H(b | a = 0.2)")
    expected = 0.5 * np.log(2 * np.pi * np.e * (1 - 0.8**2)) + np.log(0.01)
    assert entropy.kind == "exact"
    assert float(entropy) == pytest.approx(expected, rel=1e-5)
    spread = value(abc, "KL(p(b | a = 0) || p(b | a = 1))")
    assert spread == pytest.approx(0.8**2 / 2 / (1 - 0.8**2), rel=1e-5)


def test_divergences_of_levels(p):
    one, other = (p.ask(f"p(kind, good | year = {y})").probabilities for y in (2008, 2009))
    middle = (one + other) / 2
    kl = lambda a, b: (a * np.log(a / b))[a > 1e-9].sum()  # noqa: E731
    for kind, expected in {
        "KL": kl(one, other),
        "JS": (kl(one, middle) + kl(other, middle)) / 2,
        "CE": kl(one, other) + entropy(one, 0, 1),
    }.items():
        question = f"{kind}(p(kind, good | year = 2008) || q(good, kind | year = 2009))"
        answer = p.ask(question, q=p)
        assert float(answer) == pytest.approx(expected, abs=1e-4)
        assert answer.question == question
    assert value(p, "KL(p(kind) || p(kind))") == 0
    with pytest.raises(PofxError, match="same variables"):
        p.ask("KL(p || q)", q=normal())
