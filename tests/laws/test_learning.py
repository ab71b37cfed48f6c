"""The laws of learning, for every EM model."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.rows import make_rows
from pofx.learn.em import em_step, fit_em


def table(case, n=60, missing=0.25, seed=0):
    """Rows of a model with missing cells."""
    x = case.sample(seed, n)
    holes = np.random.default_rng(seed).random(x.shape) < missing
    return np.where(holes, np.nan, x)


def log_likelihoods(model, data, steps=6):
    seen = []
    for _ in range(steps):
        model, value = em_step(model, data)
        seen.append(float(value))
    return np.array(seen)


def test_no_step_lowers_the_likelihood(statistical):
    case, other = statistical
    for missing in (0.0, 0.3):
        seen = log_likelihoods(case.model, make_rows(table(other, missing=missing)))
        assert seen[-1] > seen[0]
        assert (np.diff(seen) > -10 * case.tolerance * (1 + abs(seen[0]))).all()


def test_likelihood_of_the_statistics_is_that_of_log_prob(statistical):
    case, other = statistical
    x = table(other)
    _, value = em_step(case.model, make_rows(x))
    mean_log_prob = case.log_prob(np.nan_to_num(x), ~np.isnan(x)).mean()
    assert float(value) == pytest.approx(mean_log_prob, rel=10 * case.tolerance)


def test_weights_equal_repetition_and_zero_weights_count_for_nothing(statistical):
    case, other = statistical
    x = table(other, n=24)
    times = np.random.default_rng(1).integers(0, 4, len(x)).astype(float)
    x[times == 0] = 1e3 * np.isfinite(x[times == 0])
    weighted, _ = em_step(case.model, make_rows(x, weight=times))
    repeated, _ = em_step(case.model, make_rows(np.repeat(x, times.astype(int), 0)))
    same(weighted, repeated, 100 * case.tolerance)


def test_order_of_rows_does_not_matter(statistical):
    case, other = statistical
    x = table(other)
    forward, _ = em_step(case.model, make_rows(x))
    backward, _ = em_step(case.model, make_rows(x[::-1]))
    same(forward, backward, 100 * case.tolerance)


def test_shared_and_own_patterns_agree(statistical):
    case, other = statistical
    x = jnp.asarray(np.nan_to_num(table(other, n=8)), jnp.zeros(()).dtype)
    observed = jnp.arange(case.size) % 2 == 0
    weight = jnp.linspace(0.5, 2, 8, dtype=x.dtype)
    statistics = eqx.filter_jit(case.model.expected_statistics)
    shared = statistics(x, observed, weight)
    separate = statistics(x, jnp.tile(observed, (8, 1)), weight)
    same(shared, separate, 100 * case.tolerance)


def test_learning_from_many_draws_finds_the_model(statistical):
    case, other = statistical
    x = other.sample(3, 3000)
    fit = fit_em(case.model, make_rows(x), steps=500, tolerance=1e-4)
    assert fit.converged
    mean_log_prob = other.log_prob(x, np.ones_like(x, bool)).mean()
    assert fit.log_likelihood > mean_log_prob - 0.02


def test_empty_statistics_leave_a_model_that_still_answers(statistical):
    case, _ = statistical
    x = jnp.zeros((3, case.size))

    @eqx.filter_jit
    def unlearned(model):
        nothing, _ = model.expected_statistics(x, jnp.ones(case.size, bool), jnp.zeros(3))
        return model.m_step(nothing)

    model = unlearned(case.model)
    arrays = eqx.filter(model, eqx.is_array)
    assert not any(bool(jnp.isnan(a).any()) for a in jax.tree.leaves(arrays))
    assert np.isfinite(replace(case, model=model).log_prob(np.ones((1, case.size)), True))


def same(a, b, tolerance):
    """Asserts that leaves agree, relative to the size of each."""
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        one, other = np.asarray(one, float), np.asarray(other, float)
        with np.errstate(invalid="ignore"):
            size = np.nan_to_num(np.abs(one), posinf=0).max(initial=1)
        np.testing.assert_allclose(one, other, atol=tolerance * size, rtol=0)
