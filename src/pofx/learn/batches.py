"""Rows cut into batches of one size."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


def batches(n: int, most: int) -> tuple[Int[Array, "m c"], Bool[Array, "m c"]]:
    """Numbers of n rows in m equal batches of at most `most`, and which of them are no padding.

    The padding repeats the last row, so that it is not finite only where its batch is not.

    >>> batches(5, 3)[0].tolist()
    [[0, 1, 2], [3, 4, 4]]
    """
    count = -(-n // most)
    index = jnp.arange(count * -(-n // count)).reshape(count, -1)
    return jnp.minimum(index, n - 1), index < n
