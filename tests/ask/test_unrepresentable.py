"""Probabilities and densities that no float holds, in tables and in arithmetic."""

import math

import numpy as np
import pytest

import pofx
from pofx import PofxError
from pofx.core.answer import Answer

NAMES = [f"x{i}" for i in range(24)]
POINT = ", ".join(f"{name} = 1e-30" for name in NAMES)


@pytest.fixture(scope="module")
def narrow():
    """Columns with a density of 1e30 each, and one column of levels."""
    columns = {name: [0.0, 1e-30, 2e-30] * 2 for name in NAMES}
    return pofx.fit({**columns, "c": list("xxyxyx")}, "independent")


@pytest.mark.parametrize("point", ["x0 = 1", POINT])
def test_a_table_prints_what_no_float_holds_by_its_logarithm(narrow, point):
    one = {c: narrow.ask(f"p(c = {c}, {point})") for c in "xy"}
    table = narrow.ask(f"p(c, {point})")
    for c, answer in one.items():
        assert float(answer) in (0.0, math.inf)
        assert table[c].log == pytest.approx(answer.log, rel=1e-12)
        assert str(table[c]).split("=")[-1].split()[0] == str(answer).split("=")[-1].split()[0]
        assert f"{c}  {str(answer).split(' = ')[-1].split()[0]}" in str(table)
    under = narrow.ask(f"p({point} | c)")
    assert under["x"].log == pytest.approx(narrow.ask(f"p({point} | c = x)").log, rel=1e-12)
    assert str(table.answer).startswith(f"p(c, {point}) = [") or "e" in str(table.answer)


def test_a_probability_below_floats_of_a_level():
    rng = np.random.default_rng(0)
    c = np.array(list("xy"))[(rng.random(80) < 0.5).astype(int)]
    p = pofx.fit({"a": rng.normal(size=80) + 5 * (c == "x"), "c": c}, "class_conditional", on="c")
    table = p.ask("p(c | a = 1000)")
    rare = min("xy", key=lambda level: table[level].log)
    assert table[rare].log < -750
    assert float(table[rare]) == 0
    assert "e-" in str(table)
    assert table[rare].log == pytest.approx(p.ask(f"p(c = {rare} | a = 1000)").log, rel=1e-9)


def test_arithmetic_keeps_the_logarithm_or_says_that_it_cannot():
    tiny, huge = (Answer(v, log=log) for v, log in ((0.0, -1000.0), (math.inf, 1000.0)))
    for one in (tiny, huge):
        twice = one * 2
        assert twice.log == pytest.approx(one.log + math.log(2))
        assert (one / 2).log == pytest.approx(one.log - math.log(2))
        assert (one + one).log == pytest.approx(twice.log)
        assert (np.float64(3) * one).log == pytest.approx(one.log + math.log(3))
        assert "e" in str(twice)
        assert one < twice
        assert twice > one
        assert one == Answer(one.value, log=one.log)
        assert one != twice
        assert one
        for wrong in (lambda a: -a, lambda a: a - a, lambda a: a * -1, lambda a: a - 1e-320):
            with pytest.raises(PofxError, match="no float holds this number"):
                wrong(one)
    assert float(tiny * 1e300 * 1e300) == pytest.approx(math.exp(-1000 + 600 * math.log(10)))
    assert float(huge * 1e-200) == pytest.approx(math.exp(1000 - 200 * math.log(10)))
    assert float(tiny + 1) == float(1 - tiny) == 1
    assert (huge + 1).log == pytest.approx(1000)
    with pytest.raises(PofxError, match="no float holds this number"):
        1 - huge
    with pytest.raises(PofxError, match="no float holds this number"):
        Answer(np.array([1.0, math.inf]), log=np.array([0.0, 1000.0])).mean()
    assert (Answer(1e300) * 1e300).log == pytest.approx(600 * math.log(10))
    assert (Answer(1e-300) / 1e300).log == pytest.approx(-600 * math.log(10))
    assert (Answer(1.5e308) + 1.5e308).log == pytest.approx(math.log(3) + 308 * math.log(10))
    for lost in (Answer(1e300) * -1e300, Answer(-1.5e308) + -1.5e308):
        assert (lost.kind, lost.method) == ("estimate", "beyond floats")
    assert not Answer(0.0, log=-math.inf)
    assert float(Answer(0.25, log=math.log(0.25)) - Answer(0.5)) == -0.25


@pytest.mark.parametrize("model", ["gaussian", "mixture"])
@pytest.mark.parametrize("scale", [1e-160, 1e-200, 1e149])
def test_moments_of_columns_of_extreme_scales(model, scale):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 80))
    y = x + y
    options = {"components": 2} if model == "mixture" else {}
    usual = pofx.fit({"x": x, "y": -y}, model, **options)
    p = pofx.fit({"x": x * scale, "y": -y * scale}, model, **options)
    for given in ("", " | x > 0", " | y = 0"):
        sd, one = p.ask(f"SD[x{given}]"), usual.ask(f"SD[x{given}]")
        assert float(sd) == pytest.approx(float(one) * scale, rel=1e-2 if ">" in given else 1e-4)
        assert sd.kind == one.kind
        assert not 0 < abs(float(sd.stderr)) < 1e-300
        variance = p.ask(f"Var[x{given}]")
        log = math.log(float(variance)) if scale > 1 else variance.log
        assert log == pytest.approx(2 * math.log(float(sd)), abs=1e-6)
        assert variance.kind == one.kind
        if scale < 1:
            assert float(variance) < 1e-300
            assert " = 0 " not in str(variance)
    covariance = p.ask("Cov[x, y]")
    if scale > 1:
        expected = float(usual.ask("Cov[x, y]"))
        assert float(covariance) / scale / scale == pytest.approx(expected, rel=1e-4)
    else:
        assert (covariance.kind, covariance.method) == ("estimate", "beyond floats")
    exact = p.ask("p(x)")
    assert float(exact.sd) == float(p.ask("SD[x]"))


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_errors_of_extreme_scales_add(scale):
    one = Answer(scale, 3 * scale, "estimate")
    assert (one - Answer(scale, 4 * scale, "estimate")).stderr == pytest.approx(5 * scale)
    many = Answer(np.full(4, scale), np.full(4, 3 * scale), "estimate", shared_stderr=scale)
    assert many.mean().stderr == pytest.approx(math.sqrt(3) * scale)
