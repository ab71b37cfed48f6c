"""Random weights of many shapes at once."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray


def normals(key: PRNGKeyArray, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Independent standard normal numbers in arrays of these shapes.

    Of one stream: a stream for each shape would be compiled for each, half a second long.

    >>> [a.shape for a in normals(jax.random.key(0), [(2, 3), (4,)])]
    [(2, 3), (4,)]
    """
    sizes = [math.prod(shape) for shape in shapes]
    parts = jnp.split(jax.random.normal(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes)]
