"""Integration of a linear field, compared with the matrix exponential."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from pofx.nets.ode_flow import MAX_EXACT_TRACE_SIZE, integrate_with_log_det

pytest.importorskip("diffrax")


def field(d):
    return np.random.default_rng(0).normal(size=(d, d)) / np.sqrt(d)


def integrate(matrix, z, keys):
    a = jnp.asarray(matrix)

    def one(key):
        return integrate_with_log_det(key, lambda z, t: 2 * t * (a @ z), jnp.asarray(z))

    return jax.jit(jax.vmap(one))(keys)


def test_the_trace_of_a_small_matrix_is_exact():
    matrix, z = field(4), np.arange(4.0)
    end, log_det = integrate(matrix, z, jax.random.split(jax.random.key(0), 2))
    np.testing.assert_allclose(end[0], expm(matrix) @ z, rtol=1e-3)
    np.testing.assert_allclose(log_det, np.trace(matrix), rtol=1e-3)


def test_the_trace_of_a_large_matrix_is_right_on_average():
    d = MAX_EXACT_TRACE_SIZE + 8
    matrix, z = field(d), np.ones(d)
    end, log_det = integrate(matrix, z, jax.random.split(jax.random.key(0), 400))
    np.testing.assert_allclose(end[0], expm(matrix) @ z, rtol=1e-2, atol=1e-3)
    log_det = np.asarray(log_det, np.float64)
    assert log_det.std() > 0
    assert log_det.mean() == pytest.approx(np.trace(matrix), abs=4 * log_det.std() / 20)
