"""Conditionals of models without a closed form for them: one of another is one of its model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.models.conditional import Conditional, condition, condition_lazily
from pofx.models.gaussian import Gaussian

D = 4


@pytest.fixture(scope="module")
def p():
    half = np.random.default_rng(0).normal(size=(D, D))
    mean, covariance = np.arange(float(D)), half @ half.T + np.eye(D)
    return Gaussian.from_moments(*(jnp.asarray(a, jnp.float32) for a in (mean, covariance)))


def mask(*indices):
    return np.isin(np.arange(D), indices)


def row(seed=1):
    return np.random.default_rng(seed).normal(size=D).astype(np.float32)


def test_in_two_steps_as_in_one(p):
    x = row()
    first = condition_lazily(p, x, mask(0), ~mask(0))
    second = condition_lazily(first, x[1:], mask(2)[1:], ~mask(0, 2)[1:])
    at_once = condition_lazily(p, x, mask(0, 2), ~mask(0, 2))
    assert second.model is p
    assert second.keep == at_once.keep == (1, 3)
    assert second.given.tolist() == at_once.given.tolist()
    assert second.observed.tolist() == at_once.observed.tolist()


def test_depth_does_not_grow(p):
    q = p
    for j in range(D - 1):
        keep = np.ones(q.size, bool)
        keep[0] = False
        q = condition_lazily(q, np.full(q.size, float(j)), ~keep, keep)
    assert isinstance(q, Conditional)
    assert q.model is p
    assert q.given.tolist() == [0, 1, 2, 0]
    assert q.keep == (3,)


def test_a_marginal_of_a_conditional(p):
    x = row()
    first = condition_lazily(p, x, mask(0), ~mask(0))
    q = condition_lazily(first, np.zeros(3), np.zeros(3, bool), np.array([False, True, False]))
    closed = condition(p, x, mask(0), mask(2))
    for value in (-1.0, 0.5):
        entry, seen = np.array([value], np.float32), np.ones(1, bool)
        np.testing.assert_allclose(q.log_prob(entry, seen), closed.log_prob(entry, seen), rtol=1e-5)


def test_given_columns_that_are_kept_stay_as_they_are_given(p):
    x, other = row(), row(2)
    q = condition_lazily(p, x, mask(0, 2), np.ones(D, bool))
    without_given = condition_lazily(p, x, mask(0, 2), ~mask(0, 2))
    for observed in (mask(1), mask(1, 3), mask(0, 1)):
        log_p = without_given.log_prob(other[[1, 3]], observed[[1, 3]])
        np.testing.assert_allclose(q.log_prob(other, observed), log_p, rtol=1e-5)
    draw = np.asarray(q.sample(jax.random.key(0)))
    np.testing.assert_allclose(draw[[0, 2]], x[[0, 2]], rtol=1e-5)
    again = condition_lazily(q, other, mask(0, 1), np.ones(D, bool))
    np.testing.assert_allclose(again.given, np.where(mask(0, 2), x, other) * mask(0, 1, 2), 1e-5)
