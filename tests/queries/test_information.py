"""Information, compared with closed forms, enumeration and quadrature; coverage of its errors."""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pofx.core.abstract import AbstractTractable
from pofx.core.column import Column
from pofx.core.component_axis import stack_modules
from pofx.core.registry import discover
from pofx.core.rows import make_rows
from pofx.families.bernoulli import Bernoulli
from pofx.learn.em import fit_em
from pofx.models.class_conditional import ClassConditional
from pofx.models.conditional import Conditional
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture
from pofx.queries import divergence, information
from pofx.queries.monte_carlo import BLOCK_DRAWS, DEFAULT_DRAWS, monte_carlo

KEY = jax.random.key(0)


def mask(d, *places):
    return np.isin(np.arange(d), places)


def unruled(model):
    """The same distribution, as a class for which there is no rule."""
    d = model.size
    return Conditional(model, jnp.zeros(d), jnp.zeros(d, bool), tuple(range(d)))


@pytest.fixture(scope="module")
def normal():
    return Gaussian.example(jax.random.key(3))


def correlation(p):
    s = np.asarray(p.covariance, np.float64)
    return s / np.sqrt(np.outer(np.diag(s), np.diag(s)))


def test_gaussian_information_is_the_closed_form(normal):
    p, columns = normal
    r = correlation(p)[0, 1]
    a, b, none = mask(3, 0), mask(3, 1), mask(3)
    value = information.mutual_information(KEY, p, columns, a, b, none)
    assert (value.kind, value.stderr) == ("exact", 0)
    assert float(value) == pytest.approx(-0.5 * math.log(1 - r**2), rel=1e-4)
    s = np.asarray(p.covariance, np.float64)
    partial = -np.linalg.inv(s)[0, 1] / np.sqrt(np.linalg.inv(s)[0, 0] * np.linalg.inv(s)[1, 1])
    given = information.mutual_information(KEY, p, columns, a, b, mask(3, 2))
    assert float(given) == pytest.approx(-0.5 * math.log(1 - partial**2), rel=1e-3)
    whole = information.entropy(KEY, p, columns, mask(3, 0, 1, 2))
    expected = stats.multivariate_normal(np.zeros(3), s).entropy()
    assert float(whole) == pytest.approx(expected, rel=1e-4)
    left = information.conditional_entropy(KEY, p, columns, a, mask(3, 1, 2))
    assert float(left) == pytest.approx(
        0.5 * math.log(2 * math.pi * math.e / np.linalg.inv(s)[0, 0]), rel=1e-3
    )


def test_estimates_lie_around_the_truth_as_far_as_they_say(normal):
    p, columns = normal
    a, b, none = mask(3, 0), mask(3, 1), mask(3)
    truth = float(information.mutual_information(KEY, p, columns, a, b, none))
    q, off = unruled(p), []
    for seed in range(40):
        key = jax.random.key(seed)
        value = information.mutual_information(key, q, columns, a, b, none, max_draws=BLOCK_DRAWS)
        assert (value.kind, value.draws) == ("estimate", BLOCK_DRAWS)
        off.append((float(value) - truth) / value.stderr)
    assert np.abs(off).max() < 4
    # Errors told neither too small nor too large: 40 standard normals, in all but 1 run of 1000.
    assert stats.chi2(40).ppf([5e-4, 1 - 5e-4])[0] < np.square(off).sum()
    assert np.square(off).sum() < stats.chi2(40).ppf(1 - 5e-4)


def test_a_requested_error_is_met_and_a_spent_budget_is_told(normal):
    p, columns = normal
    q, all_ = unruled(p), mask(3, 0, 1, 2)
    plain = information.entropy(KEY, q, columns, all_)
    assert plain.draws == DEFAULT_DRAWS
    assert plain.method == ""
    asked = plain.stderr / 2
    met = information.entropy(KEY, q, columns, all_, stderr=asked)
    assert met.stderr <= asked
    assert 2 * DEFAULT_DRAWS < met.draws < 8 * DEFAULT_DRAWS
    assert met.method == ""
    short = information.entropy(KEY, q, columns, all_, stderr=1e-6, max_draws=2 * DEFAULT_DRAWS)
    assert short.draws == 2 * DEFAULT_DRAWS
    assert short.stderr > 1e-6
    assert short.method == "asked for ± 1e-06, budget spent"
    assert "budget spent" in str(short)
    # The same key gives the same answer, another another.
    assert float(information.entropy(KEY, q, columns, all_)) == float(plain)
    assert float(information.entropy(jax.random.key(1), q, columns, all_)) != float(plain)


def coins():
    """Three dependent binary columns, a mixture of independent ones."""
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(2):
        one = jnp.asarray(rng.uniform(0.05, 0.95, 3))
        like = Bernoulli.example(KEY)[0]
        family = jax.tree.unflatten(jax.tree.structure(like), [one])
        parts.append(Independent((family,), (family,), ((0, 1, 2),)))
    columns = tuple(Column(n, "binary", levels=2, family="bernoulli") for n in "abc")
    return Mixture(jnp.log(jnp.array([0.3, 0.7])), stack_modules(parts)), columns


def test_discrete_information_is_enumerated():
    p, columns = coins()
    cells = np.array(list(itertools.product([0, 1], repeat=3)))
    table = np.exp(jax.vmap(p.log_prob)(jnp.asarray(cells, jnp.float32))).astype(np.float64)
    assert table.sum() == pytest.approx(1, abs=1e-5)
    table = table.reshape(2, 2, 2)

    def h(*axes):
        other = tuple(i for i in range(3) if i not in axes)
        return stats.entropy(table.sum(other).ravel())

    a, b, c = (mask(3, i) for i in range(3))
    for value, expected in [
        (information.entropy(KEY, p, columns, a | b | c), h(0, 1, 2)),
        (information.entropy(KEY, p, columns, b), h(1)),
        (information.conditional_entropy(KEY, p, columns, a, b), h(0, 1) - h(1)),
        (
            information.mutual_information(KEY, p, columns, a, b, c),
            h(0, 2) + h(1, 2) - h(0, 1, 2) - h(2),
        ),
    ]:
        assert value.kind == "exact"
        assert "enumeration" in value.method
        assert float(value) == pytest.approx(expected, abs=1e-5)


def test_information_between_a_class_and_a_number_is_the_integral():
    weight = np.array([0.3, 0.7])
    means, spreads = np.array([0.0, 2.0]), np.array([1.0, 0.5])
    parts = stack_modules(
        [Gaussian.from_moments(jnp.array([m]), jnp.array([[s**2]])) for m, s in zip(means, spreads)]
    )
    p = ClassConditional(jnp.log(jnp.asarray(weight)), parts, 0)
    columns = (Column("y", "binary", levels=2), Column("x", "real", family="normal"))
    x = np.linspace(-9, 9, 20_001)
    density = weight * stats.norm(means, spreads).pdf(x[:, None])
    total = density.sum(1)
    inside = np.where(density > 0, density * np.log(density / weight / total[:, None]), 0)
    truth = np.trapezoid(inside.sum(1), x)
    y, number, none = mask(2, 0), mask(2, 1), mask(2)
    value = information.mutual_information(KEY, p, columns, y, number, none, stderr=0.002)
    assert value.kind == "estimate"
    assert value.stderr <= 0.002
    assert abs(float(value) - truth) < 4 * value.stderr
    # H(y) stays exact though y lies beside a number.
    alone = information.entropy(KEY, p, columns, y)
    assert alone.kind == "exact"
    assert float(alone) == pytest.approx(stats.entropy(weight), abs=1e-5)


def test_divergence_of_gaussians_by_draws_and_in_closed_form():
    p, q = (Gaussian.example(jax.random.key(i)).model for i in (3, 7))
    columns = Gaussian.example(KEY).columns
    exact = divergence.kl(KEY, p, q, columns, np.ones(len(columns), bool))
    assert exact.kind == "exact"
    s, t = (np.asarray(m.covariance, np.float64) for m in (p, q))
    off = np.asarray(q.mean - p.mean, np.float64)
    ti = np.linalg.inv(t)
    log_dets = np.linalg.slogdet(t)[1] - np.linalg.slogdet(s)[1]
    by_hand = 0.5 * (np.trace(ti @ s) + off @ ti @ off - 3 + log_dets)
    assert float(exact) == pytest.approx(by_hand, rel=1e-3)
    drawn = divergence.kl(KEY, unruled(p), unruled(q), columns, np.ones(len(columns), bool))
    assert drawn.kind == "estimate"
    assert abs(float(drawn) - by_hand) < 4 * drawn.stderr


def test_divergence_is_infinite_where_q_holds_p_impossible():
    columns = (Column("c", "categorical", levels=2, family="categorical"),)
    both, one = make_rows(np.array([[0.0], [1.0]])), make_rows(np.array([[0.0], [0.0]]))
    p, q = (fit_em(Independent.from_data(KEY, r, columns, prior=0.0), r).model for r in (both, one))
    every = np.ones(1, bool)
    assert float(divergence.kl(KEY, p, q, columns, every)) == math.inf
    back = float(divergence.kl(KEY, q, p, columns, every))
    assert back == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "ppca", "factor_analysis"])
def test_linear_gaussian_entropies_are_closed(name):
    model, columns = discover("pofx.models", AbstractTractable)[name].example(jax.random.key(0))
    answer = information.exact_entropy(model, columns, np.ones(model.size, bool))
    assert answer is not None
    assert (answer.kind, answer.method) == ("exact", "closed form")


def test_what_is_not_finite_is_not_passed_off_as_an_estimate():
    class Draw(eqx.Module):
        value: float

        def __call__(self, key):
            return jnp.where(jax.random.uniform(key) < 0.5, self.value, 1.0)

    key = jax.random.key(0)
    for value, told in ((np.inf, "infinite"), (np.nan, "undefined")):
        answer = monte_carlo(key, Draw(value), stderr=None, max_draws=2048)
        assert not np.isfinite(answer.value)
        assert np.isnan(answer.stderr)
        assert told in answer.method
