"""Every bit of a seed matters, and keys do not depend on the float width."""

import jax
import numpy as np
import pytest

from pofx.core.errors import PofxError
from pofx.named.random_keys import generator_of, key_of

SEEDS = (0, 1, 2**31, 2**32 - 1, 2**32, 1 + 2**32, 1 + 2**33, 2**63 - 1, -1, 1 - 2**32, -(2**63))


def bits(seed):
    return tuple(jax.random.key_data(key_of(seed)).tolist())


def test_seeds_give_keys_of_their_own():
    assert len({bits(seed) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_float_widths_agree(seed):
    with jax.enable_x64(False):
        narrow = bits(seed)
    with jax.enable_x64(True):
        assert bits(seed) == narrow


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**31, 2**32 - 1])
def test_seeds_of_32_bits_keep_their_draws(seed):
    with jax.enable_x64(False):
        assert bits(seed) == tuple(jax.random.key_data(jax.random.key(seed)).tolist())
    assert generator_of(seed).random() == np.random.default_rng(seed).random()


def test_draws_of_a_table_differ():
    one, other = (jax.random.normal(key_of(seed), (4,)) for seed in (1, 1 + 2**32))
    assert not np.allclose(one, other)


@pytest.mark.parametrize(
    "seed", [2**63, -(2**63) - 1, 1.0, "1", None, 10**5000], ids=lambda s: type(s).__name__
)
def test_what_is_no_seed_is_one_line(seed):
    with pytest.raises(PofxError, match=r"^seed: expected a whole number of 64 bits, got .{1,50}$"):
        key_of(seed)
