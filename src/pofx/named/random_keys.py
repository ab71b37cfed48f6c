"""Random keys and generators from the seeds of users."""

from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from pofx.core import host_keys
from pofx.core.errors import PofxError


def key_of(seed: Any, *numbers: int) -> PRNGKeyArray:
    """The random key of a seed, folded with further numbers; PofxError for no whole number.

    >>> import jax
    >>> key_of(3) == jax.random.key(3)
    Array(True, dtype=bool)
    >>> key_of(3) == key_of(3 + 2**32)
    Array(False, dtype=bool)
    """
    key = host_keys.key(_check_seed(seed))
    for number in numbers:
        key = host_keys.fold_in(key, number)
    return key


def generator_of(seed: Any) -> np.random.Generator:
    """The numpy generator of a seed, which may be negative; PofxError for no whole number.

    >>> bool(generator_of(3).random() == np.random.default_rng(3).random())
    True
    >>> bool(generator_of(-1).random() < 1)
    True
    """
    return np.random.default_rng(_check_seed(seed) % 2**64)


def _check_seed(seed: Any) -> int:
    if not isinstance(seed, Integral) or not -(2**63) <= int(seed) < 2**63:
        # Python refuses to write out very long numbers.
        text = repr(seed) if not isinstance(seed, int) or abs(seed) < 10**40 else "a longer one"
        raise PofxError(f"seed: expected a whole number of 64 bits, got {text}")
    return int(seed)
