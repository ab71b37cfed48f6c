"""Estimates from neighbours, compared with closed forms and quadrature, and invariances."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.spatial.distance import cdist
from scipy.special import digamma, xlogy
from scipy.stats import norm, poisson

from pofx.core.errors import PofxError
from pofx.estimate import entropy, mutual_information
from pofx.estimate.neighbour_counts import NeighbourCounter, nearest

N = 1500


def gaussian(r, d=1, n=N, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x, r * x + math.sqrt(1 - r**2) * rng.normal(size=(n, d))


def close(answer, truth, bias=0.0):
    assert answer.value == pytest.approx(truth, abs=4 * answer.stderr + bias)
    assert 0 < answer.stderr < 0.1


@pytest.mark.parametrize("d", [0, 1, 2, 5, 12])
def test_balls_are_those_of_all_pairs(d):
    points = np.random.default_rng(d).normal(size=(300, d))
    radius = np.abs(np.random.default_rng(1).normal(size=300))
    pairs = cdist(points, points, "chebyshev") if d else np.zeros((300, 300))
    assert (
        NeighbourCounter(points).count(points, radius) == (pairs <= radius[:, None]).sum(1)
    ).all()
    if d:
        assert np.array_equal(nearest(points, 4), np.sort(pairs, axis=1)[:, :5])


@pytest.mark.parametrize("r", [0.0, 0.6, 0.95])
def test_gaussian_information(r):
    close(mutual_information(*gaussian(r)), -0.5 * math.log(1 - r**2), bias=0.02)


def test_gaussian_information_of_vectors():
    x, y = gaussian(0.6, d=2)
    close(mutual_information(x, y), -math.log(1 - 0.36), bias=0.03)


def test_it_is_the_formula_of_kraskov():
    x, y = gaussian(0.7, n=200)
    answer = mutual_information(x, y, stderr=False)
    assert math.isnan(answer.stderr)
    ranks = [np.argsort(np.argsort(v[:, 0])) for v in (x, y)]
    dx, dy = (np.abs(s[:, None] - s) for s in (norm.ppf((r + 0.5) / 200) for r in ranks))
    reach = np.sort(np.maximum(dx, dy), axis=1)[:, 3] - 1e-12
    counts = [(d < reach[:, None]).sum(1) for d in (dx, dy)]
    value = digamma(3) + digamma(200) - sum(digamma(c).mean() for c in counts)
    assert answer.value == pytest.approx(value, abs=1e-12)


def test_increasing_maps_and_the_order_of_columns_change_nothing():
    x, y = gaussian(0.6, d=2, n=300)
    value = mutual_information(x, y, stderr=False).value
    mapped = np.column_stack([np.exp(3 * x[:, 1]), 1e6 + x[:, 0] ** 3])
    assert mutual_information(mapped, y, stderr=False).value == pytest.approx(value, abs=1e-9)
    assert mutual_information(y, x, stderr=False).value == pytest.approx(value, abs=1e-9)
    mixed = mutual_information(x, y, method="mixed", stderr=False)
    assert mixed.value == value
    bits = mutual_information(x, y, stderr=False, unit="bits").value
    assert bits * math.log(2) == pytest.approx(value)


@pytest.mark.parametrize("m", [2, 5])
def test_a_number_beside_the_level_it_starts_at(m):
    """x uniform on 0..m-1, y on [x, x + 2]: log m - (m - 1) log 2 / m (Gao et al. 2017)."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, m, N)
    answer = mutual_information(x, x + 2 * rng.random(N))
    assert answer.method == f"mixed, 3 neighbours, {N} rows"
    close(answer, math.log(m) - (m - 1) * math.log(2) / m)


def zero_inflated(p):
    """I(x; y), x exponential, y zero with probability p, else Poisson of mean x."""

    def inflated(y, mass):
        return p * (y == 0) + (1 - p) * mass

    def integrand(x, y):
        # Poisson of an exponential mean is geometric.
        own, whole = inflated(y, poisson.pmf(y, x)), inflated(y, 0.5 ** (y + 1))
        return math.exp(-x) * xlogy(own, own / whole)

    return sum(quad(integrand, 0, 40, args=(y,), limit=200)[0] for y in range(25))


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_a_zero_inflated_poisson_count(p):
    """For p = 0 the integral is 0.3012, as in Gao et al. (2017)."""
    rng = np.random.default_rng(1)
    x = rng.exponential(size=N)
    y = np.where(rng.random(N) < p, 0, rng.poisson(x))
    truth = zero_inflated(p)
    assert p or truth == pytest.approx(0.3012, abs=1e-4)
    close(mutual_information(x, y), truth, bias=0.02)


def test_columns_that_are_partly_discrete():
    """Half of the rows are a Gaussian pair, half four atoms: I adds up from the two parts."""
    rng = np.random.default_rng(2)
    smooth = rng.random(N) < 0.5
    pair = np.hstack(gaussian(0.9, seed=3))
    atom = rng.choice([-1, 1], N)
    other = np.where(rng.random(N) < 0.9, atom, -atom)
    x = np.where(smooth, pair[:, 0], atom)
    y = np.where(smooth, pair[:, 1], other)
    atoms = 0.9 * math.log(1.8) + 0.1 * math.log(0.2)
    truth = math.log(2) + 0.5 * (-0.5 * math.log(1 - 0.81)) + 0.5 * atoms
    close(mutual_information(x, y), truth, bias=0.05)


def test_rare_levels_say_nothing_and_break_nothing():
    x = np.arange(N).astype(str)
    assert mutual_information(x, np.random.default_rng(0).normal(size=N)).value == 0
    few = np.where(np.arange(N) < 3, "rare", "common")
    y = np.random.default_rng(1).normal(size=N)
    assert abs(mutual_information(few, y, stderr=False).value) < 0.01


def test_constants_and_copies():
    x = np.random.default_rng(0).normal(size=200)
    assert mutual_information(np.full(200, 0.5), x).value == pytest.approx(0, abs=1e-12)
    with pytest.raises(PofxError, match="is infinite"):
        mutual_information(x, x)


def test_markov_chains():
    rng = np.random.default_rng(4)
    x = rng.normal(size=N)
    z = x + rng.normal(size=N)
    y = z + rng.normal(size=N)
    close(mutual_information(x, y, given=z), 0)
    close(mutual_information(x, y), -0.5 * math.log(1 - 1 / 3), bias=0.01)
    level = rng.integers(0, 3, N)
    x, y = level + rng.normal(size=(2, N))
    close(mutual_information(x, y, given=level), 0)
    close(mutual_information(x, x + level + rng.normal(size=N), given=level), 0.5 * math.log(2))


def test_gaussian_conditional_information():
    rng = np.random.default_rng(5)
    z = rng.normal(size=(N, 2))
    x = z.sum(1) + rng.normal(size=N)
    answer = mutual_information(x, x + z[:, 0] + rng.normal(size=N), given=z)
    assert str(answer).startswith("I(x; y | given) = ")
    close(answer, 0.5 * math.log(2), bias=0.08)


def test_differential_entropies():
    rng = np.random.default_rng(6)
    one = 0.5 * math.log(2 * math.pi * math.e)
    x = rng.normal(size=(N, 2))
    close(entropy(x[:, 0]), one)
    close(entropy(rng.random(N)), 0)
    close(entropy(1000 + x * [10, 0.1]), 2 * one, bias=0.02)
    level = rng.integers(0, 2, N)
    close(entropy(pairs(x[:, 0] * (1 + level), level)), one + 0.5 * math.log(2) + math.log(2))
    scaled, plain = (entropy(c * x, stderr=False).value for c in (8.0, 1.0))
    assert scaled - plain == pytest.approx(2 * math.log(8))


def pairs(numbers, level):
    return np.array(list(zip(numbers.tolist(), map(str, level.tolist()))), dtype=object)


def test_errors_cover():
    """95 % intervals of 60 samples about their mean, so without bias: 57 expected, sd 1.7."""
    answers = [mutual_information(*gaussian(0.6, n=300, seed=s), seed=s) for s in range(60)]
    values = np.array([a.value for a in answers])
    errors = np.array([a.stderr for a in answers])
    assert (np.abs(values - values.mean()) < 1.96 * errors).sum() >= 53
    assert 0.8 < errors.mean() / values.std() < 1.5


def test_a_seed_gives_the_same_answer():
    x, y = gaussian(0.6, n=100)
    one, same, other = (mutual_information(x, y, seed=s) for s in (0, 0, 1))
    assert (one.value, one.stderr) == (same.value, same.stderr)
    assert one.value == other.value
    assert one.stderr != other.stderr
