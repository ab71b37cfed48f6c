"""The check of JAX's sums finds wrong ones."""

import jax
import jax.numpy as jnp
import pytest

from pofx.core import sum_check


def test_sums_are_right_here():
    assert sum_check.wrong_sums() == ""


def test_a_wrong_sum_is_found(monkeypatch):
    jax.clear_caches()
    right = jnp.square
    monkeypatch.setattr(jnp, "square", lambda x: 1.1 * right(x))
    assert sum_check.wrong_sums() == "16385 rows of float32"


@pytest.mark.parametrize("name", ["jit", "compiled", "compiled_quickly"])
def test_a_fault_of_one_compiler_is_found(monkeypatch, name):
    def faulty(function):
        return lambda matrix, x: 2 * jax.numpy.sum(function(matrix, x))

    monkeypatch.setattr(jax if name == "jit" else sum_check, name, faulty)
    assert sum_check.wrong_sums() == "16385 rows of float32"
