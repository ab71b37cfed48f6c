"""Keys made on the host are those of JAX, and cost no program."""

import jax
import numpy as np
import pytest

from pofx.core import host_keys
from pofx.core.compilation_count import counting_compilations

SEEDS = [0, 1, 7, 2**31, 2**32 + 1, 2**63 - 1, -1, -(2**63)]


def same(a, b):
    return np.array_equal(jax.random.key_data(a), jax.random.key_data(b))


@pytest.mark.parametrize("seed", SEEDS)
def test_keys_are_those_of_jax(seed):
    with jax.enable_x64(True):
        expected = jax.random.key(seed)
    key = host_keys.key(seed)
    assert same(key, expected)
    for number in (0, 1, 123456, 2**31 - 1):
        assert same(host_keys.fold_in(key, number), jax.random.fold_in(expected, number))
    for count in (1, 2, 5, 100):
        ours, theirs = host_keys.split(key, count), jax.random.split(expected, count)
        assert all(same(a, b) for a, b in zip(ours, theirs))


def test_another_generator_of_the_users_is_used():
    with jax.default_prng_impl("rbg"):
        key = host_keys.key(3)
        assert same(key, jax.random.key(3))
        assert same(host_keys.fold_in(key, 2), jax.random.fold_in(key, 2))
        assert same(host_keys.split(key)[1], jax.random.split(key)[1])


def test_traced_keys_are_left_to_jax():
    def draw(key):
        return jax.random.normal(host_keys.fold_in(host_keys.split(key)[0], 3))

    key = jax.random.key(5)
    expected = jax.random.normal(jax.random.fold_in(jax.random.split(key)[0], 3))
    assert float(jax.jit(draw)(key)) == float(expected)


def test_no_program_is_compiled():
    jax.clear_caches()
    with counting_compilations() as programs:
        for key in host_keys.split(host_keys.fold_in(host_keys.key(9), 4), 3):
            host_keys.fold_in(key, 1)
    assert programs.count == 0
