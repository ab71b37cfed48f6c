"""The laws of probability, for every tractable model."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pofx.core.log_ratios import log_conditional
from pofx.models.conditional import condition
from pofx.queries import divergence, information
from pofx.queries.monte_carlo import monte_carlo

GRID = 801


def support(case, j):
    """Points of column j, and their weights in a sum or a trapezoidal integral over it."""
    column = case.columns[j]
    if column.discrete:
        return np.arange(column.levels), np.ones(column.levels)
    draws, positive = case.sample(99, 2000)[:, j], column.kind == "positive"
    values = np.log(draws) if positive else draws
    points = values.mean() + 12 * values.std() * np.linspace(-1, 1, GRID)
    step = np.full(GRID, points[1] - points[0])
    return (np.exp(points), step * np.exp(points)) if positive else (points, step)


def patterns(case, n, seed):
    """Rows of the model, and random patterns of observed entries."""
    rng = np.random.default_rng(seed)
    return case.sample(seed, n).copy(), rng.random((n, case.size)) < 0.5


def test_nothing_observed_is_certain(case):
    x = case.sample(0, 3)
    assert case.log_prob(x, np.zeros_like(x, bool)) == pytest.approx(0, abs=1e-6)


def test_sum_rule(case):
    x, observed = patterns(case, 4, 1)
    for j in range(case.size):
        points, weight = support(case, j)
        with_j = np.repeat(x, len(points), 0)
        with_j[:, j] = np.tile(points, len(x))
        seen, unseen = observed.copy(), observed.copy()
        seen[:, j], unseen[:, j] = True, False
        joint = np.exp(case.log_prob(with_j, np.repeat(seen, len(points), 0)))
        total = joint.reshape(len(x), -1) @ weight
        expected = np.exp(case.log_prob(x, unseen))
        np.testing.assert_allclose(total, expected, rtol=max(case.tolerance, 1e-6))


def test_product_rule_by_the_conditional_as_a_model(case):
    x, observed = patterns(case, 3, 2)
    for row, o in zip(x, observed):
        if not o.any() or o.all():
            continue
        conditional = condition(case.model, row, o, ~o)
        assert conditional.size == (~o).sum()
        missing = jnp.asarray(row[~o], jnp.zeros(()).dtype)
        joint, evidence = case.log_prob(np.stack([row, row]), np.stack([o | True, o]))
        expected = joint - evidence
        tolerance = max(case.tolerance, 1e-7) * (1 + abs(joint) + abs(evidence))
        assert float(conditional.log_prob(missing)) == pytest.approx(expected, abs=tolerance)


def test_marginal_as_a_model(case):
    x, observed = patterns(case, 3, 3)
    for row, o in zip(x, observed):
        if not o.any() or o.all():
            continue
        nothing = np.zeros(case.size, bool)
        marginal = condition(case.model, row, nothing, o)
        values = jnp.asarray(row[o], jnp.zeros(()).dtype)
        expected = case.log_prob(row[None], o[None])[0]
        tolerance = max(case.tolerance, 1e-7) * (1 + abs(expected))
        assert float(marginal.log_prob(values)) == pytest.approx(expected, abs=tolerance)


def integral_transforms(case, draws, observed, seed):
    """P(X_j <= x_j | earlier entries) of each draw, uniform if draws follow the density.

    For a discrete column, it is uniform within the step of the draw (Rosenblatt 1952).
    """
    rng = np.random.default_rng(seed)
    before = np.tile(observed, (len(draws), 1))
    for j in np.flatnonzero(~observed):
        points, weight = support(case, j)
        rows = np.repeat(draws, len(points), 0)
        rows[:, j] = np.tile(points, len(draws))
        now = before.copy()
        now[:, j] = True
        density = np.exp(case.log_prob(rows, np.repeat(now, len(points), 0)))
        density = density.reshape(len(draws), -1)
        if case.columns[j].discrete:
            share = density / density.sum(1, keepdims=True)
            at = draws[:, j].astype(int)
            below = np.array([s[:k].sum() for s, k in zip(share, at)])
            yield j, below + rng.random(len(draws)) * share[np.arange(len(draws)), at]
        else:
            mass = density * weight
            middle = (mass[:, 1:] + mass[:, :-1]) / 2
            cdf = np.concatenate([np.zeros((len(draws), 1)), middle.cumsum(1)], 1)
            cdf /= cdf[:, -1:]
            yield j, np.array([np.interp(d[j], points, c) for d, c in zip(draws, cdf)])
        before = now


def test_draws_follow_the_density(case):
    draws = case.sample(4, 400)
    for j, u in integral_transforms(case, draws, np.zeros(case.size, bool), 4):
        assert stats.kstest(u, "uniform").pvalue > 1e-3, f"column {j}"


def test_conditional_draws_follow_the_conditional(case):
    if case.size == 1:
        return
    observed = np.arange(case.size) == case.size - 1
    row = case.sample(5, 1)[0]
    draws = case.sample(6, 400, row, observed)
    np.testing.assert_array_equal(draws[:, observed], np.tile(row[observed], (400, 1)))
    for j, u in integral_transforms(case, draws, observed, 6):
        assert stats.kstest(u, "uniform").pvalue > 1e-3, f"column {j}"


def test_missing_entries_may_hold_anything_and_gradients_are_finite(case):
    x, observed = patterns(case, 1, 7)
    observed[0, 0] = False
    x[0, 0] = np.nan
    row, mask = jnp.asarray(x[0], jnp.zeros(()).dtype), jnp.asarray(observed[0])
    value, gradient = eqx.filter_value_and_grad(lambda m: m.log_prob(row, mask))(case.model)
    assert np.isfinite(value)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))


def test_compiled_and_plain_agree(case):
    x, observed = patterns(case, 1, 8)
    row, mask = jnp.asarray(x[0], jnp.zeros(()).dtype), jnp.asarray(observed[0])
    plain = float(case.model.log_prob(row, mask))
    assert case.log_prob(x, observed)[0] == pytest.approx(plain, rel=10 * case.tolerance)


def test_wrong_shape_raises(case):
    with pytest.raises(ValueError, match=rf"expected shape \({case.size},\)"):
        case.model.log_prob(jnp.zeros(case.size + 1))
    with pytest.raises(ValueError, match="observed: expected shape"):
        case.model.sample(jax.random.key(0), jnp.zeros(case.size), jnp.zeros((1,) * 2, bool))


def test_exact_entropy_is_what_draws_say(case):
    target_mask = np.arange(case.size) < max(case.size - 1, 1)
    value = information.exact_entropy(case.model, case.columns, target_mask)
    if value is None:
        pytest.skip("no closed form")
    draw = information.LogRatio.from_terms(
        case.model, case.columns, np.array([-1.0]), target_mask[None], {}
    )
    estimate = monte_carlo(jax.random.key(9), draw, stderr=None, max_draws=2048)
    assert value.kind == "exact"
    assert abs(float(value) - float(estimate)) < 4 * estimate.stderr


def test_kl_of_equals_is_zero_and_of_others_positive(case):
    again, every = jax.tree.map(lambda a: a, case.model), np.ones(case.size, bool)
    same = divergence.kl(jax.random.key(0), case.model, again, case.columns, every, max_draws=2048)
    assert float(same) == pytest.approx(0, abs=1e-5)
    other = type(case.model).example(jax.random.key(5)).model
    key = jax.random.key(0)
    far = divergence.kl(key, case.model, other, case.columns, every, max_draws=2048)
    assert float(far) > 0


def test_a_ratio_of_densities_is_their_difference_where_that_has_digits(case):
    x = jnp.asarray(case.sample(2, 1)[0], jnp.zeros(()).dtype)
    rng = np.random.default_rng(4)
    observed = rng.random(case.size) < 0.8
    given = observed & (rng.random(case.size) < 0.5)
    ratio = eqx.filter_jit(log_conditional)(
        case.model, x, jnp.asarray(observed), jnp.asarray(given)
    )
    joint, before = case.log_prob(np.asarray(x)[None], np.stack([observed, given]))
    assert float(ratio) == pytest.approx(joint - before, abs=20 * case.tolerance)
