"""Information of nearly singular Gaussians, compared with rational arithmetic."""

import operator
from decimal import Decimal, getcontext
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pofx
from pofx.core import closed_forms, extended_precision, float_width
from pofx.core.column import Column
from pofx.core.rows import make_rows
from pofx.models.correlated import Correlated
from pofx.models.gaussian import Gaussian
from pofx.queries import information

getcontext().prec = 60
EXTENDED = float(np.finfo(np.longdouble).eps)
HALF_LOG_2PIE = 0.5 * (1 + np.log(2 * np.pi))


def joint(mean, covariance, wide=True):
    names = "abc"[: len(mean)]
    schema = pofx.Schema(tuple(pofx.Variable(n, "real") for n in names), "mapping")
    with float_width.float64(wide):
        model = Gaussian.from_moments(jnp.asarray(mean, float), jnp.asarray(covariance, float))
    return pofx.Joint(model, schema, np.full(len(mean), np.nan))


def two_units(condition, n=400, seed=0):
    """Covariance of a quantity measured in two units, with small errors, and of their sum."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1)) * [1.0, 2.0, 3.0]
    return np.cov((x + rng.normal(size=x.shape) / np.sqrt(condition)).T)


def eliminated(matrix, right):
    """Gaussian elimination in fractions: the pivots, and matrix⁻¹ right."""
    a = [[Fraction(float(v)) for v in (*row, *more)] for row, more in zip(matrix, right)]
    pivots, d = [], len(a)
    for i in range(d):
        pivots.append(a[i][i])
        a[i] = [v / pivots[-1] for v in a[i]]
        for k in range(d):
            if k != i:
                a[k] = [v - a[k][i] * w for v, w in zip(a[k], a[i])]
    return pivots, [row[d:] for row in a]


def log(fraction):
    return Decimal(fraction.numerator).ln() - Decimal(fraction.denominator).ln()


def exact_entropy(covariance):
    pivots, _ = eliminated(covariance, np.zeros((len(covariance), 0)))
    return len(covariance) * HALF_LOG_2PIE + float(sum(map(log, pivots)) / 2)


def exact_kl(p, q):
    d = len(p[0])
    move = [Fraction(float(a)) - Fraction(float(b)) for a, b in zip(p[0], q[0])]
    pivots, solved = eliminated(q[1], np.hstack([p[1], np.zeros((d, 0))]))
    trace = sum(solved[i][i] for i in range(d))
    _, inverse = eliminated(q[1], np.eye(d))
    quadratic = sum(move[i] * inverse[i][j] * move[j] for i in range(d) for j in range(d))
    own, _ = eliminated(p[1], np.zeros((d, 0)))
    rational = trace + quadratic - d
    both = Decimal(rational.numerator) / Decimal(rational.denominator)
    return float((both + sum(map(log, pivots)) - sum(map(log, own))) / 2)


CONDITIONS = [1e2, 1e6, 1e8, 1e10]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_entropies_and_mutual_informations(condition):
    s = two_units(condition)
    p = joint(np.zeros(3), s)
    tolerance = 10 * max(EXTENDED * condition, np.finfo(float).eps)
    h = exact_entropy(s)
    assert p.entropy().kind == "exact"
    assert abs(float(p.entropy()) - h) < tolerance * max(1, abs(h))
    pairs = exact_entropy(s[:1, :1]), exact_entropy(s[1:2, 1:2]), exact_entropy(s[:2, :2])
    i = p.mutual_information("a", "b")
    assert i.kind == "exact"
    assert abs(float(i) - (pairs[0] + pairs[1] - pairs[2])) < tolerance * abs(h)
    total = p.mutual_information(["a", "b"], "c")
    expected = pairs[2] + exact_entropy(s[2:, 2:]) - h
    assert abs(float(total) - expected) < tolerance * abs(h)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_divergences(condition):
    one = np.zeros(3), two_units(condition)
    other = np.array([1, 2, 3.1]) / np.sqrt(condition), two_units(condition, seed=1)
    p, q = joint(*one), joint(*other)
    found, expected = p.ask("KL(p || q)", q=q), exact_kl(one, other)
    assert found.kind == "exact"
    tolerance = 20 * max(EXTENDED * condition, np.finfo(float).eps)
    assert float(found) == pytest.approx(expected, rel=tolerance)
    assert float(p.ask("KL(p || p)", q=joint(*one))) == 0


def test_a_total_beside_its_parts():
    """For c = a + b + e with a small error e, H(c | a, b) = H(e) in closed form."""
    for error in (1e-3, 1e-5):
        s = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 2 + error**2]])
        # What float64 keeps of the last variance is what the distribution is about.
        e2 = float(Fraction(s[2, 2]) - 2)
        given = joint(np.zeros(3), s).entropy("c", given=["a", "b"])
        assert float(given) == pytest.approx(HALF_LOG_2PIE + 0.5 * np.log(e2), rel=1e-10)


def test_in_float32_the_distribution_is_that_of_its_parameters():
    """Differences of log-determinants are computed in float64, whatever the width of parameters."""
    s = np.asarray(two_units(1e5), np.float32).astype(float)
    other = np.asarray(two_units(1e5, seed=1), np.float32).astype(float)
    p, q = joint(np.zeros(3), s, wide=False), joint(np.zeros(3), other, wide=False)
    assert p.model.covariance.dtype == np.float32
    assert float(p.entropy()) == pytest.approx(exact_entropy(s), rel=1e-12)
    expected = exact_kl((np.zeros(3), s), (np.zeros(3), other))
    assert float(p.ask("KL(p || q)", q=q)) == pytest.approx(expected, rel=1e-10)


def test_beside_a_column_of_levels():
    """Numbers of a table that has other columns too."""
    s = two_units(1e8)
    columns = [Column(n, "real", family="normal") for n in "abc"]
    columns.append(Column("d", "binary", levels=2, family="bernoulli"))
    with float_width.float64(True):
        few = make_rows(np.array([[0.0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 1]]))
        model = Correlated.from_data(jax.random.key(0), few, columns)
        model = eqx.tree_at(lambda p: p.normal.covariance, model, jnp.asarray(s))
        found = information.exact_entropy(model, columns, np.arange(4) < 3)
    assert float(found) == pytest.approx(exact_entropy(s), rel=1e-11)


def test_a_matrix_that_is_not_positive_definite_has_no_entropy():
    assert np.isnan(extended_precision.normal_entropy(np.array([[1.0, 2.0], [2.0, 1.0]])))


@pytest.mark.parametrize("wide", [False, True], ids=["narrow", "wide"])
def test_the_divergence_of_equals_is_zero(wide):
    """Also for models without a closed divergence, and for equal marginals of different models."""
    with jax.enable_x64(wide):
        from pofx.core.abstract import AbstractTractable
        from pofx.core.registry import discover
        from pofx.queries import divergence

        for cls in discover("pofx.models", AbstractTractable).values():
            if cls.__name__ == "Conditional":
                continue
            (model, columns), key = cls.example(jax.random.key(0)), jax.random.key(1)
            again = cls.example(jax.random.key(0)).model
            every = np.ones(len(columns), bool)
            for measure in (divergence.kl, divergence.jensen_shannon):
                found = measure(key, model, again, columns, every)
                assert (float(found), found.kind) == (0.0, "exact")


def test_the_conditional_mean_loses_no_digits():
    """Two columns that are nearly equal predict a third: in its standard deviations given them."""
    with jax.enable_x64(True):
        covariance = two_units(1e7)
        model = Gaussian.from_moments(jnp.zeros(3), jnp.asarray(covariance))
        covariance = np.asarray(model.covariance)
        x = np.random.default_rng(1).multivariate_normal(np.zeros(3), covariance, 20)
        observed = np.array([False, True, True])
        rule = closed_forms.expectation.find(model)
        got = np.asarray(jax.vmap(lambda row: rule(model, row, observed))(x))
    _, solved = eliminated(covariance[1:, 1:], covariance[1:, :1])
    weights = [w for (w,) in solved]
    variance = float(
        Fraction(covariance[0, 0])
        - sum(map(operator.mul, weights, map(Fraction, covariance[0, 1:])))
    )
    expected = [float(sum(w * Fraction(v) for w, v in zip(weights, row[1:]))) for row in x]
    np.testing.assert_allclose(got[:, 0], expected, atol=1e-9 * variance**0.5)
