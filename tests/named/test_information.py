"""Information by name: units, groups, pairs, independence."""

import math

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx import PofxError


@pytest.fixture(scope="module")
def table():
    """b depends on a, c on b, and a number m on c; d is independent of them."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, 400)
    b = np.where(rng.random(400) < 0.15, 1 - a, a)
    c = np.where(rng.random(400) < 0.15, 1 - b, b)
    frame = pd.DataFrame({"a": a, "b": b, "c": c, "d": rng.integers(0, 2, 400)})
    frame = frame.replace({0: "no", 1: "yes"})
    frame["m"] = c + rng.normal(0, 0.5, 400)
    frame.loc[::20, "d"] = None
    return frame


@pytest.fixture(scope="module")
def p(table):
    return pofx.fit(table, "mixture", components=4, restarts=1)


def test_bits_are_nats_over_log_two(p):
    nats, bits = (p.entropy("a", given="b", unit=unit) for unit in ("nats", "bits"))
    assert float(bits) == pytest.approx(float(nats) / math.log(2))
    assert (bits.unit, str(bits)[:12]) == ("bits", "H(a | b) = 0")
    # In bits too, the error asked for is in bits.
    near = p.mutual_information("a", "m", unit="bits", stderr=0.004, seed=1)
    assert near.stderr <= 0.004
    with pytest.raises(PofxError, match="unit: expected 'nats' or 'bits', got 'byte'"):
        p.entropy("a", unit="byte")


def test_total_correlation_is_information_of_two_and_more_of_more(p):
    two = p.total_correlation("a", "b")
    assert float(two) == pytest.approx(float(p.mutual_information("a", "b")), abs=1e-6)
    three = p.total_correlation("a", "b", "c")
    assert float(three) > float(two)
    assert str(three).startswith("TC(a, b, c) = ")
    with pytest.raises(PofxError, match="expected two columns or more, got a"):
        p.total_correlation("a")
    with pytest.raises(PofxError, match="'a' is on both sides"):
        p.total_correlation("a", "b", "a")


def test_all_pairs(p):
    answer = p.mutual_informations(stderr=0.02)
    assert answer.value.shape == answer.stderr.shape == (5, 5)
    assert answer.value[0, 1] == pytest.approx(float(p.mutual_information("a", "b")), abs=1e-6)
    assert answer.stderr[0, 1] == 0 < answer.stderr[0, 4] <= 0.02
    exact = p.mutual_informations("a", "b", "c", unit="bits")
    assert (exact.kind, exact.unit) == ("exact", "bits")


def test_independence_from_data(p, table):
    joined = p.independence_test("a", "b", table)
    assert joined.p_value == 0.005
    assert str(joined).startswith("I(a; b) = ")
    assert p.independence_test("a", "d", table).p_value > 0.05
    assert p.independence_test("a", "c", table).p_value < 0.05
    # a and c are independent given what lies between them.
    assert p.independence_test("a", "c", table, given="b").p_value > 0.05
    assert p.independence_test("m", ["c", "d"], table, permutations=99).p_value == 0.01
    with pytest.raises(PofxError, match="'a' is on both sides; I\\(a; a\\) is H\\(a\\)"):
        p.independence_test("a", ["b", "a"], table)
    with pytest.raises(PofxError, match="no column 'm'"):
        p.independence_test("a", "m", table[["a", "b"]])


@pytest.mark.slow
def test_divergences_over_some_variables(p, table):
    q = pofx.fit(table, "independent", schema=p.schema)
    one = pofx.kl(p, q, "a")
    assert one.kind == "exact"
    assert 0 <= float(one) < 1e-3
    both = pofx.kl(p, q, "a", "b", unit="bits")
    assert float(both) == pytest.approx(
        float(p.mutual_information("a", "b", unit="bits")), abs=0.01
    )
    assert both.question == "KL(p(a, b) || q(a, b))"
    js = pofx.jensen_shannon(p, q)
    assert 0 < float(js) < math.log(2)
    cross = pofx.cross_entropy(p, q, "a", "b")
    assert float(cross) == pytest.approx(
        float(p.entropy("a", "b")) + float(pofx.kl(p, q, "a", "b"))
    )
    # Of a number it is in the data's units, as its entropy is.
    exact = pofx.cross_entropy(q, q, "m")
    assert float(exact) == pytest.approx(float(q.entropy("m")), abs=1e-5)


def test_information_between_independent_columns_is_zero_to_the_last_digit():
    rng = np.random.default_rng(0)
    data = {"a": rng.normal(size=50), "b": np.arange(50) % 3, "c": rng.normal(size=50)}
    p = pofx.fit(data, "independent")
    for answer in (
        p.mutual_information("a", "b", given="c"),
        p.total_correlation("a", "b", "c"),
        p.total_correlation("a", "b", given="c"),
    ):
        assert (answer.value, answer.kind) == (0.0, "exact")
