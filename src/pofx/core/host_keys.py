"""Random keys made on the host: the keys of `jax.random`, without compiling a program for each.

JAX compiles a program for every kind of operation on keys, which takes longer than a whole
question. The hash is Threefry-2x32 (Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3"), of which a few words are quickly computed with numpy.
"""

from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import PRNGKeyArray

from pofx.core.compilation import to_device

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = np.uint32(0x1BD11BDA)


def key(seed: int) -> PRNGKeyArray:
    """`jax.random.key(seed)` of 64 bits, whatever the float width.

    >>> bool(key(3) == jax.random.key(3))
    True
    """
    if not _is_threefry(None):
        with jax.enable_x64(True):
            return jax.random.key(seed)
    return _wrapped(_seed_words(seed))


def fold_in(key: PRNGKeyArray, number: int) -> PRNGKeyArray:
    """`jax.random.fold_in(key, number)`.

    >>> bool(fold_in(key(3), 5) == jax.random.fold_in(jax.random.key(3), 5))
    True
    """
    if not _is_threefry(key):
        return jax.random.fold_in(key, number)
    words = _seed_words(number % 2**32)
    return _wrapped(_threefry(_words(key), words[:1], words[1:]).ravel())


def split(key: PRNGKeyArray, count: int = 2) -> list[PRNGKeyArray]:
    """The keys of `jax.random.split(key, count)`, as a list.

    >>> bool(split(key(3))[1] == jax.random.split(jax.random.key(3))[1])
    True
    """
    if not _is_threefry(key):
        return list(jax.random.split(key, count))
    counts = np.arange(count, dtype=np.uint32)
    return [_wrapped(words) for words in _threefry(_words(key), np.zeros_like(counts), counts)]


def randint(key: PRNGKeyArray, limit: int) -> int:
    """`int(jax.random.randint(key, (), 0, limit))`, for a limit below 2^31.

    >>> randint(key(3), 100) == int(jax.random.randint(jax.random.key(3), (), 0, 100))
    True
    """
    if not _is_threefry(key):
        return int(jax.random.randint(key, (), 0, limit))
    wide = jax.config.read("jax_enable_x64")
    size = 2**64 if wide else 2**32
    zero = np.zeros(1, np.uint32)
    pairs = [map(int, _threefry(_words(k), zero, zero)[0]) for k in split(key)]
    high, low = (a * 2**32 + b if wide else a ^ b for a, b in pairs)
    # As JAX does, in integers that overflow.
    root = (2**32 if wide else 2**16) % limit
    multiplier = root * root % size % limit
    return (high % limit * multiplier + low % limit) % size % limit


def _is_threefry(key: PRNGKeyArray | None) -> bool:
    """Whether keys are those of JAX's default, and this one is no tracer."""
    if isinstance(key, Tracer):
        return False
    settings: Any = jax.config
    name = settings.jax_default_prng_impl if key is None else str(jax.random.key_impl(key))
    return name == "threefry2x32" and settings.jax_threefry_partitionable


def _seed_words(seed: int) -> np.ndarray:
    return np.array([(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)


def _words(key: PRNGKeyArray) -> np.ndarray:
    return np.asarray(jax.random.key_data(key))


def _wrapped(words: np.ndarray) -> PRNGKeyArray:
    return jax.random.wrap_key_data(to_device(words), impl="threefry2x32")


def _threefry(key: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """The hash of pairs of words, of shape (n, 2)."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    with np.errstate(over="ignore"):
        x, y = high + schedule[0], low + schedule[1]
        for i in range(5):
            for distance in ROTATIONS[i % 2]:
                x = x + y
                y = x ^ ((y << np.uint32(distance)) | (y >> np.uint32(32 - distance)))
            x = x + schedule[(i + 1) % 3]
            y = y + schedule[(i + 2) % 3] + np.uint32(i + 1)
    return np.stack([x, y], axis=-1)
