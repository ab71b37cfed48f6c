"""A check that the installed JAX sums correctly, which JAX 0.10.2 does not."""

import jax
import jax.numpy as jnp
import numpy as np

from pofx.core.compilation import compiled, compiled_quickly

ROWS = (16385, 32769)
"""Numbers of rows from which a faulty JAX sums wrongly, in float64 and in float32."""
MAX_RELATIVE_ERROR = 1e-3


def wrong_sums() -> str:
    """The sum that JAX computes wrongly: its number of rows and width; empty if all are right.

    It is Σ_i (A x_i)², compiled in each of the ways in which pofx compiles (jax issue 39103).

    >>> wrong_sums()
    ''
    """
    rng = np.random.default_rng(0)
    for rows in ROWS:
        matrix, x = rng.normal(size=(3, 3)), rng.normal(size=(rows, 3))
        expected = np.square(x @ matrix.T).sum()
        for float64 in (False, True):
            for compiler in (jax.jit, compiled, compiled_quickly):
                with jax.enable_x64(float64):
                    computed = float(compiler(_squared_products)(matrix, x))
                if abs(computed / expected - 1) > MAX_RELATIVE_ERROR:
                    return f"{rows} rows of {'float64' if float64 else 'float32'}"
    return ""


def _squared_products(matrix, x):
    return jnp.square(jax.vmap(lambda row: matrix @ row)(x)).sum()
