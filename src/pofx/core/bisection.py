"""Where a bisection looks next."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def middle(low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
    """Between finite ends: halfway, or if they differ in size by ratio, or 0 if by sign too.

    A bracket over hundreds of decades so shrinks to a factor of 2 within some ten steps.

    >>> print(f"{float(middle(jnp.array(1e-30), jnp.array(1e10))):.4g}")
    1e-10
    >>> float(middle(jnp.array(-2.0), jnp.array(3.0)))
    0.5
    """
    sizes = jnp.abs(low), jnp.abs(high)
    small, large = jnp.minimum(*sizes), jnp.maximum(*sizes)
    ratio = jnp.sqrt(jnp.maximum(small, jnp.finfo(large.dtype).tiny)) * jnp.sqrt(large)
    one_sign = jnp.sign(low) * jnp.sign(high) >= 0
    apart = jnp.where(one_sign, jnp.where(high > 0, ratio, -ratio), 0)
    return jnp.where(large > 2 * small, apart, low / 2 + high / 2)
