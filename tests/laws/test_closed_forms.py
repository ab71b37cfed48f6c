"""The closed forms of each model, against its own log_prob and draws."""

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
from pofx.queries.row_conditionals import conditional_mixture, has_closed_conditional


def numbers(case):
    """The columns whose conditional distribution has a closed form."""
    return [j for j, c in enumerate(case.columns) if has_closed_conditional(case.model, c, j)]


def row_of(case, seed):
    """A row of the model, and a random mask that observes about half of its entries."""
    rng = np.random.default_rng(seed)
    return case.sample(seed, 1)[0].copy(), rng.random(case.size) < 0.5


def skip_if_recoded(case):
    if isinstance(case.model, Recoded):
        pytest.skip("it answers divergences, and no questions about one column")


def test_every_number_has_a_closed_conditional(case):
    # Every model that `fit` returns has closed conditionals; others are answered from draws.
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
        conditional = _conditional(
            case.model, jnp.asarray(x, jnp.zeros(()).dtype), jnp.asarray(observed), j
        )
        log_p = jax.vmap(conditional.log_prob)(jnp.asarray(values, jnp.zeros(()).dtype))
        np.testing.assert_allclose(log_p, expected, atol=20 * case.tolerance)


def test_quantiles_invert_the_distribution_function(case):
    for j in numbers(case)[:1]:
        x, observed = row_of(case, j)
        conditional = _conditional(
            case.model, jnp.asarray(x, jnp.zeros(()).dtype), jnp.asarray(observed), j
        )
        for u in (0.01, 0.5, 0.97):
            at = conditional.quantile(jnp.asarray(u), case.columns[j])
            assert float(conditional.cdf(at)) == pytest.approx(u, abs=1e-4)
            assert float(conditional.between(at, jnp.inf).sum()) == pytest.approx(1 - u, abs=1e-4)


def test_expectations_are_those_of_the_conditionals(case):
    skip_if_recoded(case)
    rule = closed_forms.expectation.find(case.model)
    assert rule is not None
    x, observed = row_of(case, 3)
    observed[numbers(case)[:1]] = False
    row = jnp.asarray(x, jnp.zeros(()).dtype)
    means = eqx.filter_jit(rule)(case.model, row, jnp.asarray(observed))
    for j in numbers(case):
        if not observed[j]:
            mean = _conditional(case.model, row, jnp.asarray(observed), j).mean()
            assert float(means[j]) == pytest.approx(float(mean), abs=1e-4)


def test_moments_are_those_of_draws(case):
    rule = closed_forms.moments.find(case.model)
    moments = rule and rule(case.model)
    if moments is None:
        pytest.skip("no closed moments")
    mean, covariance = moments
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
    row, seen = jnp.asarray(x, jnp.zeros(()).dtype), jnp.asarray(observed)
    ends = jnp.full(len(place), jnp.inf)
    log_p = rule(case.model, row, seen, place, -ends, ends)
    if log_p is None:
        pytest.skip("no closed boxes")
    expected = case.log_prob(x[None], observed)[0]
    assert float(log_p) == pytest.approx(expected, abs=20 * case.tolerance)
    # A number that is observed stays as it is.
    also_seen = observed | (np.arange(case.size) == place[0])
    log_p_seen = rule(case.model, row, jnp.asarray(also_seen), place, -ends, ends)
    joint = case.log_prob(x[None], also_seen)[0]
    assert float(log_p_seen) == pytest.approx(joint, abs=20 * case.tolerance)
    # For one column, the box follows from its conditional distribution.
    low = jnp.asarray([x[place[0]] - 1.0])
    log_p_box = rule(case.model, row, seen, place[:1], low, low + 1)
    inside = _conditional(case.model, row, seen, place[0]).between(low[0], low[0] + 1).sum()
    assert float(log_p_box) == pytest.approx(expected + float(jnp.log(inside)), abs=1e-3)


def test_a_closed_divergence_is_what_draws_say(case):
    other = type(case.model).example(jax.random.key(5)).model
    target_mask = np.arange(case.size) >= case.size // 3
    value = divergence._closed_kl(case.model, other, target_mask)
    if value is None:
        pytest.skip("no closed form")
    draw = divergence._LogRatioDraw.from_columns(
        case.model, other, case.columns, target_mask, (1.0, -1.0)
    )
    estimate = monte_carlo(jax.random.key(3), draw, max_draws=2048)
    assert abs(value - float(estimate)) < 4 * estimate.stderr + 1e-6


@eqx.filter_jit
def _conditional(model: AbstractTractable, x, observed, j):
    return conditional_mixture(model, x, observed, j)


def test_the_most_probable_completion_beats_draws(case):
    rule = closed_forms.most_probable.find(case.model)
    if rule is None:
        pytest.skip("no closed completion")
    x, observed = row_of(case, 3)
    row, seen = jnp.asarray(x, jnp.zeros(()).dtype), jnp.asarray(observed)
    best, score = eqx.filter_jit(rule)(case.model, jnp.where(seen, row, 0), seen)
    np.testing.assert_array_equal(np.asarray(best)[observed], np.asarray(row)[observed])
    # With hidden categories the score is their joint log-probability, at most that of the row.
    log_p = case.log_prob(np.asarray(best)[None], np.ones(case.size, bool))[0]
    assert np.isfinite(score)
    assert score < log_p + 20 * case.tolerance
    repeated = eqx.filter_jit(rule)(case.model, best, jnp.ones(case.size, bool))
    assert float(repeated[1]) == pytest.approx(float(score), abs=20 * case.tolerance)
