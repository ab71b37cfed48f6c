"""`ask`: probabilities, densities and tables, compared with sums over narrow cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from pofx import PofxError
from pofx.ask.results import Table

from .test_cells import COVARIANCE, KINDS, cells_of_farm, counts, farm, normal


@pytest.fixture(scope="module")
def p():
    return farm()


@pytest.fixture(scope="module")
def cells():
    return cells_of_farm()


def value(p, question, **how):
    return float(p.ask(question, **how))


# -- points


def test_a_probability_of_points(p, cells):
    expected = cells.p(kind=["cat"], good=lambda x: x, year=lambda x: x == 2008)
    expected /= cells.p(year=lambda x: x == 2008)
    for question in (
        "p(kind = cat, good = true | year = 2008)",
        "P(good == True, kind='cat' | year in {2008}, gain = ?)",
    ):
        answer = p.ask(question)
        assert float(answer) == pytest.approx(expected, rel=1e-5)
        assert (answer.kind, answer.unit) == ("exact", "")
    assert p.ask("P(kind=cat|size=?)").question == "P(kind = cat | size = ?)"


def test_a_density_is_in_the_units_of_the_data(p, cells):
    i, j = (np.searchsorted(cells.middle[n], x) for n, x in (("size", 1201), ("gain", 2.5)))
    gain = float(cells.middle["gain"][j])
    answer = p.ask(f"p(size = 1201, gain = {gain!r} | kind = bee)")
    mass = cells.mass["size"][1, i] / 2 * cells.mass["gain"][1, j] / (0.01 * gain)
    assert float(answer) == pytest.approx(mass / cells.prior[1] ** 2, rel=1e-4)
    assert answer.unit == "per unit of size and of gain"
    assert " = 0.000" in str(answer)


def test_a_spike_has_a_mass_and_another_number_none(p, cells):
    mass = p.ask("p(gain = 0)")
    assert not mass.unit
    assert mass == p.ask("P(gain = 0)")
    assert float(mass) == pytest.approx(cells.p(gain=lambda x: x == 0), rel=1e-5)
    nothing = p.ask("P(gain = 1.5, kind = ape)")
    assert (nothing.value, nothing.kind) == (0, "exact")
    assert "a density has no mass at a point" in nothing.method
    assert value(p, "P(gain in {1.5, 2.5})") == 0
    assert value(p, "P(gain != 1.5)") == 1
    assert value(p, "P(gain in {0, 2.5})") == pytest.approx(float(mass), rel=1e-5)


# -- sets


@pytest.mark.parametrize(
    ("event", "inside"),
    [
        ("size > 1300", {"size": lambda x: x > 1300}),
        ("900 <= size < 1400", {"size": lambda x: (x > 900) & (x < 1400)}),
        ("size > 2400", {"size": lambda x: x > 2400}),
        ("gain >= 0", {}),
        ("gain > 0", {"gain": lambda x: x > 0}),
        ("gain <= 0", {"gain": lambda x: x == 0}),
        ("gain in [0, 0]", {"gain": lambda x: x == 0}),
        ("gain < 0", {"gain": lambda x: x < 0}),
        ("gain != 0", {"gain": lambda x: x > 0}),
        ("gain in (-1, 1)", {"gain": lambda x: x < 1}),
        ("year > 2007", {"year": lambda x: x > 2007}),
        ("year >= 2007.5", {"year": lambda x: x > 2007}),
        ("year not in {2007}", {"year": lambda x: x > 2007}),
        ("year > 2009", {"year": lambda x: x > 2009}),
        ("good != true", {"good": lambda x: ~x}),
        ("good < 0.5", {"good": lambda x: ~x}),
        ("kind != ape, good = 1", {"kind": ["bee", "cat"], "good": lambda x: x}),
        ("kind in {ape, bee}, year < 3000", {"kind": ["ape", "bee"]}),
    ],
)
def test_an_event_is_the_sum_of_its_cells(p, cells, event, inside):
    answer = p.ask(f"P({event})")
    assert float(answer) == pytest.approx(cells.p(**inside), rel=3e-4, abs=1e-9)
    assert answer.kind == "exact"


@pytest.mark.parametrize(
    ("event", "inside"),
    [
        ("visits >= 3", lambda n: n >= 3),
        ("visits > 2.5", lambda n: n >= 3),
        ("visits > 3", lambda n: n > 3),
        ("visits < 3", lambda n: n < 3),
        ("visits <= 3.9", lambda n: n <= 3),
        ("visits in (1, 4]", lambda n: (n > 1) & (n <= 4)),
        ("visits in {1, 2, 7}", lambda n: np.isin(n, [1, 2, 7])),
        ("visits not in {1, 2, 7}", lambda n: ~np.isin(n, [1, 2, 7])),
        ("visits in {1, 2.5}", lambda n: n == 1),
        ("visits = 2", lambda n: n == 2),
    ],
)
def test_an_event_of_counts_is_a_sum(event, inside):
    n = np.arange(60)
    expected = poisson(3).pmf(n)[inside(n)].sum()
    assert value(counts(), f"P({event})") == pytest.approx(expected, rel=1e-5)


def test_outside_of_the_support_nothing_happens(p):
    for event in ("visits = 2.5", "visits in {-1, 0.5}", "3 < visits < 4"):
        assert value(counts(), f"P({event})") == 0
    assert value(p, "P(gain = -1)") == value(p, "p(gain = -1, kind = ape)") == 0


@pytest.mark.parametrize(("name", "end"), [("size", 1234.5), ("gain", 0), ("visits", 3)])
def test_an_event_and_its_complement(p, name, end):
    p = counts() if name == "visits" else p
    for one, other in (("<=", ">"), ("<", ">=")):
        both = [value(p, f"P({name} {sign} {end})") for sign in (one, other)]
        assert sum(both) == pytest.approx(1, abs=1e-6)


def test_conditions_of_all_kinds(p, cells):
    size, gain, year = (lambda x: x < 1300), (lambda x: x > 1), (lambda y: y != 2008)
    answer = p.ask("P(size < 1300, kind in {ape, bee} | gain > 1, year != 2008)")
    expected = cells.p(size=size, gain=gain, year=year, kind=["ape", "bee"])
    assert float(answer) == pytest.approx(expected / cells.p(gain=gain, year=year), rel=1e-4)
    assert answer.kind == "exact"
    # A value may be more probable under the evidence than without it.
    more = cells.weight(gain=gain)[2] / cells.p(gain=gain)
    assert more > cells.prior[2]
    assert value(p, "P(kind = cat | gain > 1)") == pytest.approx(more, rel=1e-4)
    density = p.ask("p(gain = 0, size < 1300 | kind = bee)")
    expected = cells.p(gain=lambda x: x == 0, size=size, kind=["bee"]) / cells.p(kind=["bee"])
    assert float(density) == pytest.approx(expected, rel=1e-4)


def test_an_event_within_an_event(p, cells):
    expected = cells.p(size=lambda x: x > 1500) / cells.p(size=lambda x: x > 1200)
    assert value(p, "P(size > 1500 | size > 1200)") == pytest.approx(expected, rel=1e-4)
    assert value(p, "P(size < 1500 | size > 1600)") == 0
    assert value(p, "P(kind != cat | kind in {ape, bee})") == pytest.approx(1)
    assert value(p, "P(kind != cat | kind not in {ape, bee})") == 0


def test_a_set_of_one_level_is_a_point_and_all_there_is_no_set(p):
    for evidence in ("year = 2008", "year not in {2007, 2009}", "year in [2008, 2008.5]"):
        answer = p.ask(f"H(kind, good | {evidence}, gain >= 0, size != 3)")
        assert float(answer) == pytest.approx(value(p, "H(kind, good | year = 2008)"))
    assert p.ask("Corr[size, gain | good != true]").kind == "exact"


@settings(max_examples=6)
@given(st.floats(800, 1900), st.floats(0.1, 20))
def test_the_product_rule(p, size, gain):
    event, evidence = f"size <= {size!r}, kind in {{ape, bee}}", f"gain > {gain!r}, year != 2008"
    joint = value(p, f"P({event}, {evidence})")
    parts = value(p, f"P({event} | {evidence})"), value(p, f"P({evidence})")
    assert joint == pytest.approx(parts[0] * parts[1], rel=1e-4, abs=1e-9)


# -- tables


def test_a_table_of_levels(p, cells):
    table = p.ask("p(good, kind | year = 2008)")
    assert (table.names, table.levels) == (("good", "kind"), ((False, True), tuple(KINDS)))
    assert table.probabilities.sum() == pytest.approx(1)
    cat = value(p, "p(kind = cat, good = true | year = 2008)")
    assert float(table[True, "cat"]) == pytest.approx(cat, rel=1e-5)
    turned = p.ask("p(kind, good | year = 2008)")
    np.testing.assert_allclose(turned.probabilities, table.probabilities.T, rtol=1e-6)
    assert str(turned).splitlines()[1].split() == ["kind", "good", "p"]
    expected = cells.weight(gain=lambda x: x > 1) / cells.p(gain=lambda x: x > 1)
    np.testing.assert_allclose(p.ask("p(kind | gain > 1)").probabilities, expected, rtol=1e-4)


def test_a_table_prints_its_trust_and_its_lines(p):
    table = p.ask("p(kind)")
    first, *lines = str(table).splitlines()
    assert first == "p(kind)   exact, closed form"
    assert [line.split()[0] for line in lines] == KINDS
    with pytest.raises(PofxError, match="no level of 'kind' 'dog'"):
        table["dog"]
    with pytest.raises(PofxError, match="expected a level of each of kind"):
        table["ape", 1]


def test_a_table_beside_conditions_is_of_the_joint(p, cells):
    table = p.ask("p(kind, gain > 1)")
    np.testing.assert_allclose(table.probabilities, cells.weight(gain=lambda x: x > 1), rtol=1e-4)
    assert not p.ask("p(kind, gain < -1)").probabilities.any()
    density = p.ask("p(good, kind, year = 2008)")
    assert density.probabilities.sum() == pytest.approx(value(p, "p(year = 2008)"))


def test_a_name_given_without_a_value_makes_a_line_of_each_level(p):
    table = p.ask("p(good, kind | year)")
    assert table.names == ("year", "good", "kind")
    np.testing.assert_allclose(table.probabilities.sum((1, 2)), 1, rtol=1e-5)
    alone = p.ask("p(good, kind | year = 2008)").probabilities
    np.testing.assert_allclose(table.probabilities[1], alone, rtol=1e-5)
    means = p.ask("E[size | kind]")
    assert isinstance(means, Table)
    assert float(means["bee"]) == pytest.approx(value(p, "E[size | kind = bee]"), rel=1e-6)
    with pytest.raises(PofxError, match="not of p"):
        _ = means.probabilities


def test_levels_beside_a_number(p):
    table = p.ask("p(kind, size)")
    np.testing.assert_allclose(table.probabilities, p.ask("p(kind)").probabilities, rtol=1e-5)
    for name, question in {"mean": "E[size | kind = cat]", "sd": "SD[size | kind = cat]"}.items():
        assert table.columns[name].value[2] == pytest.approx(value(p, question), rel=1e-5)


# -- estimates and requests


@pytest.mark.slow
def test_an_estimate_goes_on_to_the_error_asked_for():
    p = normal()
    first = p.ask("P(a > 0, b > 5)", seed=1)
    # A quarter, and what the correlation adds (Sheppard 1899).
    expected = 0.25 + np.arcsin(COVARIANCE[0, 1]) / (2 * np.pi)
    assert first.kind == "estimate"
    assert abs(float(first) - expected) < 4 * first.stderr
    better = p.ask("P(a > 0, b > 5)", stderr=float(first.stderr) / 2)
    assert better.stderr <= first.stderr / 2
    assert abs(float(better) - expected) < 4 * better.stderr
    ratio = p.ask("P(a > 0 | b > 5)", stderr=5e-4)
    assert ratio.stderr <= 5e-4
    assert abs(float(ratio) - 2 * expected) < 4 * ratio.stderr
    assert first == p.ask("P(a > 0, b > 5)", seed=1)
    assert first != p.ask("P(a > 0, b > 5)", seed=2)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"unit": "hartley"}, "unit: expected 'nats' or 'bits'"),
        ({"stderr": 0}, "stderr: expected a number > 0"),
        ({"max_draws": 0}, "max_draws: expected a whole number"),
        ({"q": 0}, "q: expected a distribution"),
    ],
)
def test_what_cannot_be_requested(p, how, message):
    with pytest.raises(PofxError, match=message):
        p.ask("H(kind)", **how)
