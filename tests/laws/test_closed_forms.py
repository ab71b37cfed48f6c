"""What models register as closed forms, held against their own log_prob and draws."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core import closed_forms
from pofx.core.abstract import AbstractTractable
from pofx.models.recoded import Recoded
from pofx.queries import divergence
from pofx.queries.monte_carlo import monte_carlo
from pofx.queries.row_conditionals import atoms, closed


def numbers(case):
    """The entries whose distributions are known in closed form."""
    return [j for j, c in enumerate(case.columns) if closed(case.model, c, j)]


def row_of(case, seed):
    """A row of the model, and about half of its entries observed."""
    rng = np.random.default_rng(seed)
    return case.sample(seed, 1)[0].copy(), rng.random(case.size) < 0.5


def skip_if_recoded(case):
    if isinstance(case.model, Recoded):
        pytest.skip("divergences ask it, and nothing of one column")


def test_every_number_has_a_closed_conditional(case):
    # Every model that fit returns promises it; one that cannot is answered from draws.
    skip_if_recoded(case)
    assert numbers(case) == [j for j, c in enumerate(case.columns) if not c.discrete]


def test_the_conditional_of_a_column_is_the_ratio_of_densities(case):
    for j in numbers(case):
        x, observed = row_of(case, j)
        observed[j] = False
        values = case.sample(7, 8)[:, j]
        rows = np.repeat(x[None], len(values), 0)
        rows[:, j] = values
        seen = observed.copy()
        seen[j] = True
        expected = case.log_prob(rows, seen) - case.log_prob(x[None], observed)
        own = _atoms(case.model, jnp.asarray(x, jnp.zeros(()).dtype), jnp.asarray(observed), j)
        found = jax.vmap(own.log_prob)(jnp.asarray(values, jnp.zeros(()).dtype))
        np.testing.assert_allclose(found, expected, atol=20 * case.tolerance)


def test_quantiles_invert_the_distribution_function(case):
    for j in numbers(case)[:1]:
        x, observed = row_of(case, j)
        own = _atoms(case.model, jnp.asarray(x, jnp.zeros(()).dtype), jnp.asarray(observed), j)
        for u in (0.01, 0.5, 0.97):
            at = own.quantile(jnp.asarray(u), case.columns[j])
            assert float(own.cdf(at)) == pytest.approx(u, abs=1e-4)
            assert float(own.between(at, jnp.inf).sum()) == pytest.approx(1 - u, abs=1e-4)


def test_expectations_are_those_of_the_conditionals(case):
    skip_if_recoded(case)
    rule = closed_forms.expectation.find(case.model)
    assert rule is not None
    x, observed = row_of(case, 3)
    observed[numbers(case)[:1]] = False
    own = jnp.asarray(x, jnp.zeros(()).dtype)
    found = eqx.filter_jit(rule)(case.model, own, jnp.asarray(observed))
    for j in numbers(case):
        if not observed[j]:
            mean = _atoms(case.model, own, jnp.asarray(observed), j).mean()
            assert float(found[j]) == pytest.approx(float(mean), abs=1e-4)


def test_moments_are_those_of_draws(case):
    rule = closed_forms.moments.find(case.model)
    if rule is None:
        pytest.skip("no closed moments")
    mean, covariance = rule(case.model)
    draws = case.sample(11, 20_000)
    error = np.sqrt(np.diag(covariance) / len(draws))
    assert (np.abs(draws.mean(0) - mean) < 5 * error + 1e-6).all()
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(np.cov(draws.T) / scale, covariance / scale, atol=0.08)


def test_a_box_around_everything_is_no_evidence(case):
    rule = closed_forms.log_prob_box.find(case.model)
    place = tuple(numbers(case))
    if rule is None or not place:
        pytest.skip("no closed boxes")
    x, observed = row_of(case, 5)
    observed[list(place)] = False
    own, seen = jnp.asarray(x, jnp.zeros(()).dtype), jnp.asarray(observed)
    ends = jnp.full(len(place), jnp.inf)
    found = rule(case.model, own, seen, place, -ends, ends)
    if found is None:
        pytest.skip("no closed boxes")
    expected = case.log_prob(x[None], observed)[0]
    assert float(found) == pytest.approx(expected, abs=20 * case.tolerance)
    # One column's box is that of its conditional distribution.
    low = jnp.asarray([x[place[0]] - 1.0])
    one = rule(case.model, own, seen, place[:1], low, low + 1)
    inside = _atoms(case.model, own, seen, place[0]).between(low[0], low[0] + 1).sum()
    assert float(one) == pytest.approx(expected + float(jnp.log(inside)), abs=1e-3)


def test_a_closed_divergence_is_what_draws_say(case):
    other = type(case.model).example(jax.random.key(5)).model
    asked = np.arange(case.size) >= case.size // 3
    value = divergence._closed_kl(case.model, other, asked)
    if value is None:
        pytest.skip("no closed form")
    draw = divergence._Draw.of(case.model, other, case.columns, asked, (1.0, -1.0))
    estimate = monte_carlo(jax.random.key(3), draw, max_draws=2048)
    assert abs(value - float(estimate)) < 4 * estimate.stderr + 1e-6


@eqx.filter_jit
def _atoms(model: AbstractTractable, x, observed, j):
    return atoms(model, x, observed, j)


def test_the_most_probable_completion_beats_draws(case):
    rule = closed_forms.most_probable.find(case.model)
    if rule is None:
        pytest.skip("no closed completion")
    x, observed = row_of(case, 3)
    own, seen = jnp.asarray(x, jnp.zeros(()).dtype), jnp.asarray(observed)
    best, score = eqx.filter_jit(rule)(case.model, jnp.where(seen, own, 0), seen)
    np.testing.assert_array_equal(np.asarray(best)[observed], np.asarray(own)[observed])
    # With hidden categories it is their joint probability: no more than the row's own.
    whole = case.log_prob(np.asarray(best)[None], np.ones(case.size, bool))[0]
    assert np.isfinite(score)
    assert score < whole + 20 * case.tolerance
    again = eqx.filter_jit(rule)(case.model, best, jnp.ones(case.size, bool))
    assert float(again[1]) == pytest.approx(float(score), abs=20 * case.tolerance)
