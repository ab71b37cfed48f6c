"""Numbers have the digits of their standard error or spread, and texts are escaped."""

import math

import numpy as np
import pytest

from pofx.core.answer import Answer
from pofx.core.errors import PofxError, PofxWarning, recording_warnings, warn
from pofx.core.escaping import escaped
from pofx.core.printing import array_text, number_text


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (3e-12, 4e-13, "3.0e-12 ± 4e-13"),
        (3e-12, 0.3, "0.0 ± 0.3"),
        (0.5, 1e-14, "0.500000000000000 ± 0.000000000000010"),
        (-2.5e-7, 1.5e-8, "-2.50e-07 ± 1.5e-08"),
        (0.0, 4e-13, "0e+00 ± 4e-13"),
        (1e-13, 4e-12, "1e-13 ± 4e-12"),
        (1e9 + 0.25, 0.02, "1000000000.250 ± 0.020"),
        (1e300, 3e298, "1.00e+300 ± 3e+298"),
        (1234567.0, 12345.0, "1234567 ± 12345"),
        (0.73312, 0.0996, "0.73 ± 0.10"),
        (1.0, math.nan, "1 ± ?"),
        (1.0, math.inf, "1 ± inf"),
        (math.inf, 0.1, "inf ± 0.1"),
        (5e-324, 5e-324, "5e-324 ± 5e-324"),
    ],
)
def test_estimates(value, stderr, text):
    assert number_text(value, stderr) == text


@pytest.mark.parametrize("seed", range(3))
def test_the_written_value_is_within_its_error_and_the_error_within_itself(seed):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        value, stderr = (
            rng.normal() * 10.0 ** rng.integers(-30, 30, 1),
            10.0 ** rng.uniform(-30, 30),
        )
        value = float(value[0])
        printed, error = map(float, number_text(value, stderr).split(" ± "))
        assert abs(printed - value) <= stderr + 1e-15 * abs(value)
        assert error == pytest.approx(stderr, rel=0.35)


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (1e9 + 1.25, 2.0, "1000000001.25"),
        (1e9 + 1.25, 0.0, "1e+09"),
        (3.14159265, 1.0, "3.14159"),
        (0.0, 1e-9, "0"),
        (math.nan, 1.0, "nan"),
        (math.inf, 1.0, "inf"),
        (1e9, math.inf, "1e+09"),
        (1e300, 1e-300, f"{1e300:.17g}"),
        (1 - 1e-9, 0.0, "0.999999999"),
        (1.0, 0.0, "1"),
    ],
)
def test_exact_numbers(value, spread, text):
    assert number_text(value, spread=spread) == text


def test_arrays():
    assert str(Answer(np.array([1.0, 2.0]))) == "[1. 2.]   exact"
    assert array_text(np.array([1e9 + 0.25, 1e9 + 0.5])) == "[1000000000.25 1000000000.5]"
    estimates = Answer(np.array([0.1234, 3e-12]), np.array([0.02, 4e-13]), "estimate")
    assert str(estimates) == "[0.123 ± 0.020, 3.0e-12 ± 4e-13]   estimate"
    assert "±" in array_text(np.ones((2, 2)), 0.1)
    assert array_text(np.ones(3), math.nan) == "[1 ± ?, 1 ± ?, 1 ± ?]"
    assert array_text(np.zeros(0)) == "[]"
    assert array_text(np.array(["a", "b"])) == "['a' 'b']"
    assert "..." in array_text(np.arange(100.0) + 1e9)
    assert array_text(np.array([np.nan, np.inf, 1e9, 1e9 + 1])).endswith("1000000000 1000000001]")


def test_spreads_go_along_in_arithmetic():
    one = Answer(1e9 + 1.5, spread=1.0)
    assert "1000000001.5" in str(one)
    assert "2000000003" in str(2 * one)
    assert "1000000002.5" in str(one + 1)


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31mb", "a\u202eb", "a\rb", "a\x9bb", "a\ud800b"])
def test_no_text_reaches_a_line_raw(text):
    assert escaped(text).isprintable()
    with recording_warnings() as record, pytest.warns(PofxWarning) as caught:
        warn(f"few rows in {text}")
    for line in (
        str(Answer(0.5, question=f"P(k = {text})", unit=text, method=text)),
        str(PofxError(f"no column {text}")),
        str(caught[0].message),
        *record,
    ):
        assert line.isprintable()
