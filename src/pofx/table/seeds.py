"""Keys from the seeds that users give."""

from numbers import Integral
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from pofx.core.errors import PofxError


def key_of(seed: Any, *numbers: int) -> PRNGKeyArray:
    """The key of a seed, and of further numbers under it. Raises PofxError for no whole number.

    >>> key_of(3) == jax.random.key(3)
    Array(True, dtype=bool)
    """
    if not isinstance(seed, Integral) or not -(2**63) <= int(seed) < 2**63:
        raise PofxError(f"seed: wanted a whole number of 64 bits, got {seed!r}")
    key = jax.random.key(int(seed))
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return key
