"""Row numbers in batches of equal size."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


def batch_indices(n: int, max_rows: int) -> tuple[Int[Array, "m c"], Bool[Array, "m c"]]:
    """Numbers of n rows in m equal batches, and a mask that is False for padding.

    The padding repeats the last row. Thus a value of the padding is not finite only if a value of
    its batch is not finite.

    Args:
        n: number of rows.
        max_rows: largest number of rows per batch.

    >>> batch_indices(5, 3)[0].tolist()
    [[0, 1, 2], [3, 4, 4]]
    """
    count = -(-n // max_rows)
    index = jnp.arange(count * -(-n // count)).reshape(count, -1)
    return jnp.minimum(index, n - 1), index < n
