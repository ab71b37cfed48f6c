"""Random weights of many shapes at once."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray


def draw_normals(key: PRNGKeyArray, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Independent standard normal numbers in arrays of these shapes.

    All come from one stream, because a stream per shape would be compiled per shape, at half a
    second each.

    >>> [a.shape for a in draw_normals(jax.random.key(0), [(2, 3), (4,)])]
    [(2, 3), (4,)]
    """
    sizes = [math.prod(shape) for shape in shapes]
    parts = jnp.split(jax.random.normal(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes)]
