"""Estimates from counts, compared with enumerations, known formulas, and each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import digamma, gammaln, polygamma
from scipy.stats import entropy as plug_in

from pofx.estimate import discrete, entropy, mutual_information
from pofx.estimate.discrete import METHODS, Table

COUNTS = np.array([4, 2, 3, 2, 4, 2, 1, 1])
JOINT = np.array([[0.3, 0.05, 0.05], [0.05, 0.05, 0.5]])


def truth(joint):
    return plug_in(joint.sum(0)) + plug_in(joint.sum(1)) - plug_in(joint.ravel())


def rows(joint, n, seed=0):
    cells = np.random.default_rng(seed).choice(joint.size, n, p=joint.ravel())
    return np.unravel_index(cells, joint.shape)


def test_formulas_by_hand():
    n, k = COUNTS.sum(), len(COUNTS)
    p = COUNTS / n
    seen = (1 - 2 / n) * p
    by_hand = {
        "plug-in": plug_in(p),
        "miller-madow": plug_in(p) + (k - 1) / (2 * n),
        "chao-shen": -sum(q * math.log(q) / (1 - (1 - q) ** n) for q in seen),
    }
    share = min(1.0, (1 - (p**2).sum()) / ((n - 1) * ((1 / k - p) ** 2).sum()))
    by_hand["shrinkage"] = plug_in(share / k + (1 - share) * p)
    for name, value in by_hand.items():
        assert METHODS[name](Table(COUNTS, k)) == pytest.approx(value, abs=1e-12)


def test_grassberger_is_its_recursion():
    """G(1) = -γ - log 2, G(2) = 2 + G(1), G(2m + 1) = G(2m), G(2m + 2) = G(2m) + 2 / (2m + 1)."""
    g = [math.nan, -np.euler_gamma - math.log(2), 2 - np.euler_gamma - math.log(2)]
    for c in range(3, 6):
        g.append(g[c - 1] if c % 2 else g[c - 2] + 2 / (c - 1))
    n = COUNTS.sum()
    value = math.log(n) - sum(c * g[c] for c in COUNTS) / n
    assert discrete.grassberger(Table(COUNTS, 8)) == pytest.approx(value, abs=1e-12)


def test_nsb_is_its_integral():
    cells, n = 12, COUNTS.sum()
    counts = np.append(COUNTS, np.zeros(cells - len(COUNTS)))

    def weight(log_beta):
        beta = math.exp(log_beta)
        evidence = gammaln(cells * beta) - gammaln(n + cells * beta)
        evidence += (gammaln(counts + beta) - gammaln(beta)).sum()
        slope = cells * polygamma(1, cells * beta + 1) - polygamma(1, beta + 1)
        return math.exp(evidence + 40) * slope * beta

    def mean(log_beta):
        one, whole = counts + math.exp(log_beta), n + cells * math.exp(log_beta)
        return digamma(whole + 1) - (one * digamma(one + 1)).sum() / whole

    top = quad(lambda b: weight(b) * mean(b), -12, 14, limit=200)[0]
    value = top / quad(weight, -12, 14, limit=200)[0]
    assert discrete.nsb(Table(COUNTS, cells)) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_many_rows_give_the_truth(method):
    x, y = rows(JOINT, 20000)
    information = mutual_information(x, y, method=method)
    assert information.value == pytest.approx(truth(JOINT), abs=4 * information.stderr)
    own = entropy(x, method=method)
    assert own.value == pytest.approx(plug_in(JOINT.sum(1)), abs=4 * own.stderr)
    assert own.method.endswith("20000 rows")


def test_corrections_take_most_of_the_bias():
    x, y = np.random.default_rng(1).integers(0, 10, (2, 200))
    assert mutual_information(x, y, discrete=True, method="plug-in").value > 0.15
    assert abs(mutual_information(x, y, discrete=True).value) < 0.05
    many = np.random.default_rng(2).integers(0, 300, 300)
    error = {m: entropy(many, discrete=True, method=m).value - math.log(300) for m in METHODS}
    assert error["plug-in"] < -0.4
    assert abs(error["grassberger"]) < 0.15
    assert abs(error["chao-shen"]) < 0.3


def test_conditional_information_of_a_chain_vanishes():
    """x -> z -> y: I(x; y | z) is 0, and I(x; y, z) splits by the chain rule."""
    rng = np.random.default_rng(3)
    x = rng.integers(0, 3, 6000)
    z = np.where(rng.random(6000) < 0.3, rng.integers(0, 3, 6000), x)
    y = np.where(rng.random(6000) < 0.3, rng.integers(0, 3, 6000), z)
    assert abs(mutual_information(x, y, given=z).value) < 0.003
    assert mutual_information(x, y).value > 0.2
    both = mutual_information(x, np.column_stack([y, z]), method="plug-in").value
    parts = mutual_information(x, z, method="plug-in").value
    parts += mutual_information(x, y, given=z, method="plug-in").value
    assert both == pytest.approx(parts, abs=1e-12)


def test_exclusive_or_is_told_only_by_both():
    x, y = np.random.default_rng(4).integers(0, 2, (2, 4000))
    assert abs(mutual_information(x, x ^ y).value) < 0.002
    assert mutual_information(x, x ^ y, given=y).value == pytest.approx(math.log(2), abs=0.005)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_says_nothing(method):
    x, y = np.zeros(50, int), np.arange(50) % 3
    assert entropy(x, method=method).value == 0
    assert mutual_information(x, y, method=method).value == pytest.approx(0, abs=1e-9)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=40), st.sampled_from(sorted(METHODS)))
def test_symmetry_names_and_bits(x, method):
    y = [(3 * i) % 4 for i in range(len(x))]
    nats = mutual_information(x, y, discrete=True, method=method)
    turned = mutual_information(y, [f"level {v}" for v in x], discrete=True, method=method)
    assert nats.value == pytest.approx(turned.value, abs=1e-9)
    bits = mutual_information(x, y, discrete=True, method=method, unit="bits")
    assert bits.value * math.log(2) == pytest.approx(nats.value, abs=1e-9)
    assert bits.stderr * math.log(2) == pytest.approx(nats.stderr, abs=1e-9)
    assert bits.unit == "bits"


def test_errors_cover():
    """95 % intervals of 200 tables: 190 expected, sd 3; below 182 has a chance of 1 in 300."""
    answers = [mutual_information(*rows(JOINT, 400, seed)) for seed in range(200)]
    inside = [abs(a.value - truth(JOINT)) < 1.96 * a.stderr for a in answers]
    assert sum(inside) >= 182
