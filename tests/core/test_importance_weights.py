"""Pareto smoothing of importance weights whose tails are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.importance_weights import pareto_k_threshold, pareto_smoothed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("k", [0.2, 0.5, 0.8, 1.2])
def test_the_shape_of_a_pareto_tail_is_found(k):
    u = jax.random.uniform(jax.random.key(1), (40, 2000))
    _, estimate = jax.vmap(pareto_smoothed)(-k * jnp.log(u))
    assert estimate.mean() == pytest.approx(k, abs=0.12)


def test_smoothing_leaves_order_and_all_but_the_tail():
    log_w = jax.random.normal(jax.random.key(0), (400,))
    smooth, _ = pareto_smoothed(log_w)
    assert (jnp.diff(smooth[jnp.argsort(log_w)]) >= 0).all()
    num_tail = int(min(0.2 * 400, 3 * np.sqrt(400)))
    body = jnp.argsort(log_w)[:-num_tail]
    assert (smooth[body] == log_w[body]).all()
    assert (smooth != log_w).sum() > num_tail / 2


def test_smoothing_lowers_the_error_of_a_heavy_tail():
    """Squared errors of the mean of weights u^-0.8, which is 5, with and without smoothing."""
    u = jax.random.uniform(jax.random.key(2), (2000, 256))
    log_w = -0.8 * jnp.log(u)
    smooth, _ = jax.vmap(pareto_smoothed)(log_w)
    raw_error, error = (np.asarray(jnp.exp(w).mean(1), np.float64) - 5 for w in (log_w, smooth))
    assert (error**2).mean() < 0.5 * (raw_error**2).mean()


def test_weights_without_a_tail():
    smooth, k = pareto_smoothed(jnp.zeros(64))
    assert (smooth == 0).all()
    assert k == -jnp.inf
    smooth, k = pareto_smoothed(jnp.full(64, -jnp.inf))
    assert (smooth == -jnp.inf).all()
    assert k == jnp.inf
    smooth, k = pareto_smoothed(jnp.arange(10.0))
    assert (smooth == jnp.arange(10.0)).all()
    assert k == jnp.inf


def test_large_weights_do_not_overflow():
    log_w = 500 * jax.random.normal(jax.random.key(3), (256,))
    smooth, k = pareto_smoothed(log_w)
    assert jnp.isfinite(smooth).all()
    assert k > 1


@pytest.mark.parametrize(("draws", "k"), [(64, 0.4463), (1000, 2 / 3), (10**6, 0.7)])
def test_more_draws_carry_heavier_tails(draws, k):
    assert pareto_k_threshold(draws) == pytest.approx(k, abs=1e-3)
