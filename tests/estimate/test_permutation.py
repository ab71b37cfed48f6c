"""The permutation test of independence: its level under independence, and its power."""

import numpy as np
import pytest

from pofx.estimate import independence_test
from pofx.estimate import permutation as tests

SIMULATIONS, N = 100, 80


def p_value(x, y, given=None, permutations=19, seed=0):
    return independence_test(x, y, given=given, permutations=permutations, seed=seed).p_value


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Skip the standard error, which needs subsamples."""
    plain = tests.mutual_information
    monkeypatch.setattr(
        tests, "mutual_information", lambda *a, **options: plain(*a, stderr=False, **options)
    )


def null(kind, rng):
    """x and y of a kind that are independent given the third variable, if there is one."""
    level = rng.integers(0, 2, N)
    x, y, z = rng.normal(size=(3, N))
    return {
        "numbers": (x, y, None),
        "levels": (rng.integers(0, 3, N), rng.integers(0, 3, N), None),
        "both": (level, x, None),
        "numbers given levels": (x + 2 * level, y + level, level),
        "levels given levels": (x + level > 0.5, y + level > 0.5, level),
        "numbers given numbers": (x + z, y + z, z),
    }[kind]


@pytest.mark.parametrize(
    "kind", ["numbers", "levels", "both", "numbers given levels", "levels given levels"]
)
def test_the_level_is_kept(kind):
    """At the 10 % level 10 of 100 are expected, sd 3; at 50 % 50, sd 5; ties make it fewer."""
    rng = np.random.default_rng(1)
    p = np.array([p_value(*null(kind, rng), seed=s) for s in range(SIMULATIONS)])
    assert (p <= 0.1).sum() <= 19
    assert (p <= 0.5).sum() <= 64
    assert (p <= 0.5).sum() >= 30


def test_the_level_is_about_kept_given_numbers():
    rng = np.random.default_rng(2)
    drawn = (null("numbers given numbers", rng) for _ in range(SIMULATIONS // 2))
    p = np.array([p_value(*one, seed=s) for s, one in enumerate(drawn)])
    assert (p <= 0.1).sum() <= 12


def test_power():
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, 300))
    level = rng.integers(0, 2, 300)
    assert p_value(x, x**2 + rng.normal(size=300)) == 0.05
    assert p_value(x > 0, x + rng.normal(size=300) > 0) == 0.05
    assert p_value(x, level * x + rng.normal(size=300), given=level) == 0.05
    assert p_value(x + z, x - z + rng.normal(size=300), given=z) == 0.05


def test_a_common_cause_is_seen_through():
    """x and y depend on each other only through the levels, so exchange must be within levels."""
    rng = np.random.default_rng(4)
    level = rng.integers(0, 3, 200)
    x, y = 2 * level + rng.normal(size=(2, 200))
    assert p_value(x, y) == 0.05
    assert p_value(x, y, given=level) > 0.05


def test_rows_are_exchanged_within_levels():
    given = tests.read({"given": np.array([0, 1, 0, 1, 1, 2] * 3)})[0]["given"]
    draw, how = tests._permuter(given, np.random.default_rng(0))
    orders = [draw() for _ in range(20)]
    assert all((given.level[order] == given.level).all() for order in orders)
    assert all(sorted(order) == list(range(18)) for order in orders)
    assert how == "permutations within the levels given"


def test_rows_are_exchanged_among_close_ones():
    given = tests.read({"given": np.random.default_rng(0).normal(size=(200, 1))})[0]["given"]
    draw, how = tests._permuter(given, np.random.default_rng(0))
    order, rank = draw(), np.argsort(np.argsort(given.numbers[:, 0]))
    assert np.abs(rank[order] - rank).max() <= tests.LOCAL_ROWS
    assert len(set(order.tolist())) > 180
    assert "approximate" in how


def test_it_says_what_it_found():
    x = np.random.default_rng(5).normal(size=100)
    told = str(independence_test(x, x**2, permutations=39))
    first, second = told.split("\n")
    assert first.startswith("I(x; y) = ")
    assert second == "p = 0.025   39 permutations"
