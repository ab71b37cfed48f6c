"""Calibration: values computed by hand, the error by chance, and bad input."""

import numpy as np
import pytest

from pofx.core.errors import PofxError
from pofx.queries.calibration import calibration


def simulated(rows, sharpen=1.0, levels=3, seed=0):
    """Probabilities, true levels drawn from them, and a power that makes them overconfident."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet(np.ones(levels), rows)
    codes = (rng.random(rows)[:, None] > true.cumsum(1)).sum(1)
    told = true**sharpen
    return told / told.sum(1, keepdims=True), codes


def test_bins_by_hand():
    found = calibration([[0.7, 0.3], [0.8, 0.2], [0.05, 0.95], [0.1, 0.9]], [0, 1, 1, 1], bins=5)
    np.testing.assert_allclose(found.confidence, [0.75, 0.925])
    np.testing.assert_allclose(found.accuracy, [0.5, 1.0])
    assert found.count.tolist() == [2, 2]
    assert found.error.value == pytest.approx((0.25 + 0.075) / 2)
    assert found.error.kind == "estimate"
    assert (found.stderr > 0).all()


def test_a_bin_holds_its_upper_end():
    found = calibration([0.9, 0.90001, 1.0], [1, 1, 1], bins=10)
    assert found.count.tolist() == [1, 2]


def test_the_calibrated_err_by_chance_alone():
    errors = [calibration(*simulated(2000, seed=i)) for i in range(20)]
    seen, by_chance = (np.mean(v) for v in zip(*((e.error.value, e.by_chance) for e in errors)))
    assert seen == pytest.approx(by_chance, rel=0.15)


@pytest.mark.parametrize("equal", ["width", "mass"])
def test_the_too_sure_are_found(equal):
    found = calibration(*simulated(4000, sharpen=3.0), equal=equal)
    assert found.error.value > found.by_chance + 5 * found.error.stderr
    assert (found.accuracy[-3:] < found.confidence[-3:]).all()


def test_bins_of_equal_mass():
    assert set(calibration(*simulated(1000), bins=8, equal="mass").count) <= {124, 125, 126}


def test_a_standard_error_is_that_of_repetition():
    accuracies, stderrs = zip(
        *(
            (found.accuracy[0], found.stderr[0])
            for found in (calibration(*simulated(400, seed=i), bins=1) for i in range(200))
        )
    )
    assert np.mean(stderrs) == pytest.approx(np.std(accuracies), rel=0.2)


@pytest.mark.parametrize(
    ("probabilities", "truth", "options", "told"),
    [
        ([[0.5, 0.4]], [0], {}, "row 0 .* sums to 0.9"),
        ([[np.nan, 1.0]], [0], {}, "sum to 1"),
        ([1.2], [1], {}, "from 0 to 1"),
        (np.zeros((0, 2)), [], {}, "shape"),
        ([[0.5, 0.5]], [2], {}, "0 to 1"),
        ([[0.5, 0.5]], ["a"], {}, "codes"),
        ([[0.5, 0.5]], [0, 1], {}, "expected 1 codes"),
        ([0.5], [1], {"bins": 0}, "at least 1"),
        ([0.5], [1], {"equal": "widht"}, "did you mean 'width'"),
    ],
)
def test_refused(probabilities, truth, options, told):
    with pytest.raises(PofxError, match=told):
        calibration(probabilities, truth, **options)
