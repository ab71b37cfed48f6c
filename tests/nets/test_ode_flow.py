"""What flows along a linear field, against the matrix exponential."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from pofx.nets.ode_flow import EXACT, transported

pytest.importorskip("diffrax")


def field(d):
    return np.random.default_rng(0).normal(size=(d, d)) / np.sqrt(d)


def flowed(matrix, z, keys):
    own = jnp.asarray(matrix)

    def one(key):
        return transported(key, lambda z, t: 2 * t * (own @ z), jnp.asarray(z))

    return jax.jit(jax.vmap(one))(keys)


def test_the_trace_of_few_is_exact():
    matrix, z = field(4), np.arange(4.0)
    end, grown = flowed(matrix, z, jax.random.split(jax.random.key(0), 2))
    np.testing.assert_allclose(end[0], expm(matrix) @ z, rtol=1e-3)
    np.testing.assert_allclose(grown, np.trace(matrix), rtol=1e-3)


def test_the_trace_of_many_is_right_on_average():
    d = EXACT + 8
    matrix, z = field(d), np.ones(d)
    end, grown = flowed(matrix, z, jax.random.split(jax.random.key(0), 400))
    np.testing.assert_allclose(end[0], expm(matrix) @ z, rtol=1e-2, atol=1e-3)
    grown = np.asarray(grown, np.float64)
    assert grown.std() > 0
    assert grown.mean() == pytest.approx(np.trace(matrix), abs=4 * grown.std() / 20)
