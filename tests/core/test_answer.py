"""Arithmetic, comparison and printing of answers, which keep their kind and their error."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pofx.core.answer import Answer
from pofx.core.errors import PofxError
from pofx.core.row_means import mean_over_rows

EXACT = Answer(0.5, method="closed form", unit="nats", question="H(a)")
ESTIMATE = Answer(0.2, 0.003, "estimate", draws=1000, unit="nats")
LOWER = Answer(-3.0, 0.01, "lower bound", draws=10)
UPPER = Answer(-2.0, 0.02, "upper bound")
FINITE = st.floats(-1e6, 1e6)


def quick(test):
    return settings(max_examples=50, deadline=None, derandomize=True, database=None)(test)


@pytest.mark.parametrize(
    ("answer", "kind", "stderr"),
    [
        (EXACT + EXACT, "exact", 0),
        (EXACT - EXACT, "exact", 0),
        (EXACT + ESTIMATE, "estimate", 0.003),
        (ESTIMATE - EXACT, "estimate", 0.003),
        (ESTIMATE + ESTIMATE, "estimate", 0.003 * math.sqrt(2)),
        (EXACT + 3, "exact", 0),
        (3 - ESTIMATE, "estimate", 0.003),
        (LOWER + 1, "lower bound", 0.01),
        (LOWER + EXACT, "lower bound", 0.01),
        (LOWER + LOWER, "lower bound", 0.01 * math.sqrt(2)),
        (1 - LOWER, "upper bound", 0.01),
        (UPPER - LOWER, "upper bound", math.hypot(0.01, 0.02)),
        (LOWER - UPPER, "lower bound", math.hypot(0.01, 0.02)),
        (-LOWER, "upper bound", 0.01),
        (-UPPER, "lower bound", 0.02),
        (-ESTIMATE, "estimate", 0.003),
        (2 * LOWER, "lower bound", 0.02),
        (LOWER * -2, "upper bound", 0.02),
        (UPPER / 4, "upper bound", 0.005),
        (UPPER / -4, "lower bound", 0.005),
    ],
)
def test_kind_and_error(answer, kind, stderr):
    assert answer.kind == kind
    assert answer.stderr == pytest.approx(stderr)


@pytest.mark.parametrize("answer", [LOWER - LOWER, LOWER + UPPER, LOWER + ESTIMATE])
def test_what_is_no_bound_has_an_unknown_error(answer):
    assert answer.kind == "estimate"
    assert math.isnan(answer.stderr)
    assert "± ?" in str(answer)


def test_a_bound_times_numbers_of_both_signs_is_no_bound():
    product = Answer(np.array([1.0, 2.0]), 0.1, "lower bound") * np.array([1, -1])
    assert product.value.tolist() == [1, -2]
    assert product.kind == "estimate"
    assert math.isnan(product.stderr)


def test_the_way_and_the_draws_are_kept():
    assert (EXACT + EXACT).method == (0 + EXACT).method == "closed form"
    assert (EXACT + Answer(1.0, method="by enumeration")).method == ""
    assert (EXACT + ESTIMATE).draws == 1000
    assert (EXACT + 1).unit == "nats"


@quick
@given(FINITE, FINITE, st.floats(0, 10), st.floats(0, 10), st.floats(-100, 100))
def test_values_are_those_of_numbers(a, b, s, t, factor):
    x, y = Answer(a, s, "estimate"), Answer(b, t, "estimate")
    assert float(x + y) == a + b
    assert float(x - y) == a - b
    assert float(x * factor) == a * factor
    assert (x + y).stderr == pytest.approx(math.hypot(s, t))
    assert (x * factor).stderr == pytest.approx(s * abs(factor))
    assert (x < y, x <= y, x > y, x >= y, x == y) == (a < b, a <= b, a > b, a >= b, a == b)


def test_comparison_with_something_else():
    assert EXACT != "a word"
    assert EXACT not in (None, "", ())
    assert EXACT == 0.5
    assert 0.4 < EXACT <= 0.5
    with pytest.raises(TypeError, match="unhashable"):
        hash(EXACT)


def test_answers_are_not_multiplied():
    with pytest.raises(TypeError):
        EXACT * EXACT
    with pytest.raises(TypeError):
        EXACT / EXACT


def test_truth_is_that_of_the_value():
    assert EXACT
    assert not Answer(0.0)


ARRAY = Answer(np.array([1.0, 2.0, 4.0]), np.array([0.3, 0.4, 0.0]), "estimate")


def test_it_is_an_array_for_numpy():
    np.testing.assert_array_equal(np.asarray(ARRAY), [1, 2, 4])
    assert np.asarray(ARRAY, dtype=np.float32).dtype == np.float32
    assert len(ARRAY) == 3
    assert [float(a) for a in ARRAY] == [1, 2, 4]
    assert (ARRAY[1].value, ARRAY[1].stderr, ARRAY[1].kind) == (2, 0.4, "estimate")
    assert ARRAY[ARRAY > 1].value.tolist() == [2, 4]


@pytest.mark.parametrize(
    "function",
    [np.exp, np.log, np.sqrt, np.sum, np.max, np.sort, lambda a: np.maximum(a, 2), np.add.reduce],
)
def test_numpy_functions_that_would_drop_kind_and_error_raise(function):
    with pytest.raises(PofxError, match=r"drop the kind and the error.*answer\.value"):
        function(ARRAY)


def test_numpy_functions_that_drop_nothing_work():
    assert (np.shape(ARRAY), np.ndim(ARRAY), np.size(ARRAY)) == ((3,), 1, 3)
    assert np.divide(ARRAY, 2).kind == np.positive(ARRAY).kind == (+ARRAY).kind == "estimate"
    np.testing.assert_array_equal(np.divide(ARRAY, 2).value, [0.5, 1, 2])


def test_float_of_an_array_says_what_to_take():
    with pytest.raises(PofxError, match=r"expected one number, got 3; use answer\.value"):
        float(ARRAY)


def test_it_becomes_a_column_of_numbers():
    data = pd.DataFrame({"x": [1, 2, 3]})
    data["answer"] = ARRAY
    assert data["answer"].tolist() == [1, 2, 4]
    data["number"] = Answer(0.5)
    assert [float(a) for a in data["number"]] == [0.5, 0.5, 0.5]


def test_numpy_functions_work_on_the_value():
    np.testing.assert_array_equal(np.exp(ARRAY.value), np.exp([1, 2, 4]))
    np.testing.assert_array_equal(np.exp(np.asarray(ARRAY)), np.exp([1, 2, 4]))
    assert math.exp(Answer(0.0)) == 1
    assert np.exp(float(Answer(0.0))) == 1


def test_numpy_comparisons_with_an_array_on_the_left():
    assert (np.array([1, 3, 4]) == ARRAY).tolist() == [True, False, True]
    assert (np.array([2, 2, 2]) < ARRAY).tolist() == [False, False, True]
    assert (np.array([2, 2, 2]) <= ARRAY).tolist() == [False, True, True]
    assert (np.array([2, 2, 2]) > ARRAY).tolist() == [True, False, False]
    assert (np.array([2, 2, 2]) >= ARRAY).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (np.ones(3) + ARRAY, [2, 3, 5]),
        (ARRAY + np.ones(3), [2, 3, 5]),
        (np.ones(3) - ARRAY, [0, -1, -3]),
        (2 * np.ones(3) * ARRAY, [2, 4, 8]),
        (np.float64(2) * ARRAY, [2, 4, 8]),
    ],
)
def test_an_array_on_the_left_keeps_kind_and_error(answer, value):
    assert isinstance(answer, Answer)
    assert answer.kind == "estimate"
    assert answer.value.tolist() == value
    assert answer.stderr[1] > 0


def test_mean():
    mean = ARRAY.mean()
    assert float(mean) == pytest.approx(7 / 3)
    assert mean.stderr == pytest.approx(0.5 / 3)
    assert Answer(np.ones(4), 0.2, "estimate").mean().stderr == pytest.approx(0.1)
    assert float(np.mean(ARRAY)) == float(mean)


def test_an_error_that_rows_share_is_not_averaged_away():
    answer = Answer(np.zeros(100), np.full(100, 0.5), "estimate", shared_stderr=0.3)
    assert answer.mean().stderr == pytest.approx(math.hypot(0.3, 0.4 / 10))
    assert (-2 * answer[:10]).mean().stderr == pytest.approx(2 * math.hypot(0.3, 0.4 / 10**0.5))
    difference = answer - Answer(1.0, 0.4, "estimate", shared_stderr=0.4)
    assert difference.shared_stderr == pytest.approx(0.5)
    rows = Answer(np.arange(50.0), 0.3, "estimate", shared_stderr=0.3)
    spread = mean_over_rows(rows.value).stderr
    assert mean_over_rows(rows).stderr == pytest.approx(math.hypot(spread, 0.3))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(0.73312, 0.004, "estimate", 20000), "0.733 ± 0.004   estimate, 20000 draws"),
        (Answer(0.73312, 0.0123, "estimate"), "0.733 ± 0.012   estimate"),
        (Answer(0.73312, 0.0996, "estimate"), "0.73 ± 0.10   estimate"),
        (Answer(1234.5, 30.0, "estimate"), "1234 ± 30   estimate"),
        (Answer(0.5, 0.0, "lower bound"), "0.5   lower bound"),
        (Answer(math.inf, 0.0, "estimate"), "inf   estimate"),
        (Answer(1.0, math.nan, "estimate"), "1 ± ?   estimate"),
        (EXACT, "H(a) = 0.5 nats   exact, closed form"),
        (Answer(np.array([1.0, 2.0])), "[1. 2.]   exact"),
    ],
)
def test_print(answer, text):
    assert str(answer) == repr(answer) == text


def test_format():
    assert f"{EXACT:.2f}" == "0.50"
    assert f"{EXACT}" == str(EXACT)


def test_mean_over_rows():
    rng = np.random.default_rng(0)
    values = rng.normal(size=50)
    mean = mean_over_rows(values)
    assert mean.value == pytest.approx(values.mean())
    assert mean.stderr == pytest.approx(values.std(ddof=1) / math.sqrt(50))
    assert math.isnan(mean_over_rows(values[:1]).stderr)
    assert mean_over_rows(np.array([1.0, -np.inf])).value == -np.inf
    assert mean_over_rows(np.array([1.0, -np.inf]), np.array([1, 0])).value == 1


def test_probabilities_too_small_for_digits():
    """The power of ten is known, but no digit."""
    assert str(Answer(0.0, log=-1e20)).startswith("10^-4.34294e+19   exact")
    assert str(Answer(0.0, log=-1000.0)).startswith("5.07596e-435   exact")
