"""Compilation that suits how long a program runs, and arrays without any.

Most of the time of a first answer goes into LLVM's optimisation of a program that then runs for a
millisecond. And each operation on arrays outside of a program is a program of its own.
"""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np

T = TypeVar("T")

CPU_OPTIONS = {"compiler_options": {"xla_backend_optimization_level": 0}}


def compiled_quickly(function: Callable[..., T]) -> Callable[..., T]:
    """Like `eqx.filter_jit`, for programs that run briefly.

    On a CPU it halves the time of compilation, and the program takes up to three times as long.

    >>> import jax.numpy as jnp
    >>> float(compiled_quickly(lambda x: jnp.sin(x).sum())(jnp.zeros(3)))
    0.0
    """

    @cache
    def compiled() -> Any:
        # The backend is known only when it is first used.
        options: Any = CPU_OPTIONS if jax.default_backend() == "cpu" else {}
        return eqx.filter_jit(function, **options)

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> T:
        return compiled()(*arguments, **options)

    return call


def to_device(values: Any) -> jax.Array:
    """`jnp.asarray(values)`, which would compile a program for each kind of array.

    >>> to_device([1.0, 2.0]).dtype.name, to_device([True]).dtype.name
    ('float32', 'bool')
    """
    return jax.device_put(np.asarray(values))


def array_size(model: Any) -> int:
    """The number of numbers in the arrays of a model.

    >>> array_size((np.zeros((2, 3)), "a", jax.numpy.ones(4)))
    10
    """
    return sum(a.size for a in jax.tree.leaves(model) if isinstance(a, jax.Array | np.ndarray))
