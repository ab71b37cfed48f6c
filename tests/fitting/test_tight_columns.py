"""Columns that determine each other, and correlations in units of any size."""

import numpy as np
import pytest

import pofx
from pofx import PofxWarning

RNG = np.random.default_rng(0)
X = RNG.normal(20, 5, 1000)


def test_a_tie_beyond_what_a_covariance_holds_is_said():
    data = {"x": X, "y": 1.8 * X + 32 + RNG.normal(0, 1e-5, 1000), "z": RNG.normal(size=1000)}
    with pytest.warns(PofxWarning, match="columns 'x', 'y': others determine them more closely"):
        p = pofx.fit(data, "gaussian")
    assert len(p.fit_info["warnings"]) == 1


@pytest.mark.parametrize(
    "y",
    [1.8 * X + 32, X + RNG.normal(0, 1e-3, 1000), np.rint(X)],
    ids=["an exact relation is kept apart", "a looser tie", "rounding"],
)
def test_other_ties_are_held(y):
    p = pofx.fit({"x": np.rint(X) if (y == np.rint(X)).all() else X, "y": y}, "gaussian")
    assert p.fit_info["warnings"] == []


@pytest.mark.parametrize("unit", [1e-100, 1e80])
def test_a_correlation_has_no_unit(unit):
    y = 0.8 * X + RNG.normal(size=1000)
    p = pofx.fit({"x": unit * X, "y": unit * y}, "gaussian")
    expected = np.corrcoef(X, y)[0, 1]
    assert float(p.ask("Corr[x, y]")) == pytest.approx(expected, rel=1e-9)
    answer = p.ask(f"Corr[x, y | y > {unit * y.mean()}]")
    assert 0 < float(answer) < expected


def test_a_covariance_is_in_the_units_of_the_data():
    y = 0.8 * X + RNG.normal(size=1000)
    p = pofx.fit({"x": 1000 * X, "y": y}, "gaussian")
    assert float(p.ask("Cov[x, y]")) == pytest.approx(1000 * np.cov(X, y, ddof=0)[0, 1], rel=1e-6)
