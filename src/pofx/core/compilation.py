"""Compilation that suits how long a program runs, and arrays without any.

Most of the time of a first answer would go into tracing and optimising a program that then runs for
a millisecond, and each operation on arrays outside of a program is a program of its own.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import cache, wraps
from threading import Lock
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from pofx.core.program import ArrayKind, Program
from pofx.core.structure import is_array

T = TypeVar("T")

MAX_PROGRAMS = 256
"""The programs of one function in memory above which those not used for longest are dropped."""
QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""XLA's options for programs that run briefly: compiled three times as fast as by default."""
MODERATE = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
"""For longer programs: compiled twice as fast as by default, and up to a third slower."""
FULL: dict[str, Any] = {}
"""XLA's own options, for loops that run for much longer than they take to compile."""
SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_debug_nans",
    "jax_debug_infs",
    "jax_disable_jit",
)
"""JAX's settings that change what a function is traced to."""


def compiled_quickly(function: Callable[..., T]) -> Callable[..., T]:
    """A function compiled for programs that run briefly.

    Like `eqx.filter_jit`: arrays in the arguments are data, all else is part of the program. What
    was traced once is kept beside the compiled programs, so that the next process need not trace it
    again. Such a function depends on nothing but its arguments.

    >>> import jax.numpy as jnp
    >>> float(compiled_quickly(lambda x: jnp.sin(x).sum())(np.zeros(3)))
    0.0
    """
    return _compiled(function, QUICK)


def compiled(function: Callable[..., T]) -> Callable[..., T]:
    """The same for longer programs: draws by the thousand, large batches, loops of learning.

    >>> import jax.numpy as jnp
    >>> float(compiled(lambda x: jnp.sin(x).sum())(np.zeros(3)))
    0.0
    """
    return _compiled(function, MODERATE)


def compiled_fully(function: Callable[..., T]) -> Callable[..., T]:
    """The same for loops that run for much longer than they take to compile.

    >>> import jax.numpy as jnp
    >>> float(compiled_fully(lambda x: jnp.sin(x).sum())(np.zeros(3)))
    0.0
    """
    return _compiled(function, FULL)


def compiled_in_place(
    function: Callable[..., T], options: dict[str, Any] = MODERATE
) -> Callable[..., T]:
    """The same for steps of learning, whose results take the memory of all arguments but the first.

    On a CPU all arguments are bound to the device that results of other programs are bound to: JAX
    compiles a program anew for arguments that are not.

    >>> import jax.numpy as jnp
    >>> float(compiled_in_place(lambda rate, x: x - rate)(0.5, jnp.ones(())))
    0.5
    """

    @cache
    def jitted() -> Any:
        # The backend is known only when it is first used.
        on_cpu = jax.default_backend() == "cpu"
        arguments: Any = {"compiler_options": options} if on_cpu else {}
        return eqx.filter_jit(function, donate="all-except-first", **arguments)

    @wraps(function)
    def call(*arguments: Any) -> T:
        if jax.default_backend() != "cpu":
            return jitted()(*arguments)
        arrays, structure = eqx.partition(arguments, is_array)
        return jitted()(*eqx.combine(jax.device_put(arrays, jax.devices("cpu")[0]), structure))

    return call


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    programs: OrderedDict[Any, Program] = OrderedDict()
    lock = Lock()

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        leaves, tree = jax.tree.flatten((arguments, named))
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            return function(*arguments, **named)
        key = tree, tuple(map(_kind, leaves)), tuple(getattr(jax.config, s) for s in SETTINGS)
        with lock:
            program = programs.pop(key, None) or Program(function, options, *key)
            programs[key] = program
            if len(programs) > MAX_PROGRAMS:
                programs.popitem(last=False)
        return program([leaf for leaf in leaves if is_array(leaf)])

    return call


def _kind(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array):
        return ArrayKind(leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False))
    if is_array(leaf):
        return ArrayKind(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype), False)
    # The type too, because 1 and True are equal, and lead to different programs.
    return type(leaf), leaf


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
