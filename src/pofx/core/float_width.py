"""The float width: which work is done in float64, whatever the user's setting of JAX is.

Answers are computed in the width of the model's parameters. On a CPU these are float64, except for
networks. Small tables are also learned in float64. Networks, large tables and accelerators use
float32, except for models of tightly tied columns, whose answers float32 would not resolve. If the
user has enabled float64 in JAX, everything is float64.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

T = TypeVar("T")
Q = ParamSpec("Q")

MIN_FLOAT32_CELLS = 2**21
"""The number of cells from which a table is learned in float32, twice as fast as float64."""
_USER_FLOAT64: ContextVar[bool | None] = ContextVar("user_float64", default=None)


def users_float64() -> bool:
    """Whether the user has enabled float64 in JAX, outside of any context of pofx."""
    outer_setting = _USER_FLOAT64.get()
    return bool(jax.config.read("jax_enable_x64")) if outer_setting is None else outer_setting


@contextmanager
def float64(enabled: bool) -> Iterator[None]:
    """A context in which JAX computes in float64 if `enabled`, else as the user has set it.

    >>> with float64(True):
    ...     jnp.zeros(1).dtype.name
    'float64'
    """
    users = users_float64()
    token = _USER_FLOAT64.set(users)
    try:
        with jax.enable_x64(enabled or users):
            yield
    finally:
        _USER_FLOAT64.reset(token)


def prefers_float64() -> bool:
    """Whether answers are computed in float64 on this machine: on a CPU it costs very little."""
    return users_float64() or jax.default_backend() == "cpu"


def is_float64(*models: Any) -> bool:
    """Whether any array of the models is float64.

    >>> is_float64(np.zeros(2)), is_float64(jnp.zeros(2, jnp.float32))
    (True, False)
    """
    leaves = (leaf for model in models for leaf in jax.tree.leaves(model))
    return any(eqx.is_array_like(a) and getattr(a, "dtype", None) == np.float64 for a in leaves)


def widened(tree: T) -> T:
    """A pytree with its float32 arrays in float64, to be called inside `float64(True)`."""
    return _cast(tree, jnp.float32, jnp.float64)


def narrowed(tree: T) -> T:
    """A pytree with its float64 arrays in float32."""
    return _cast(tree, jnp.float64, jnp.float32)


def as_default(tree: T) -> T:
    """A pytree with its floats in the width that JAX currently computes in."""
    return widened(tree) if jax.config.read("jax_enable_x64") else narrowed(tree)


def widen_for_answers(model: T, needed: bool = False) -> T:
    """The model in float64 if its answers need that width or the machine prefers it."""
    if not (needed or prefers_float64()):
        return model
    with float64(True):
        return widened(model)


def in_model_width(query: Callable[Q, T]) -> Callable[Q, T]:
    """Decorates a function of objects with a `model`, to compute in the width of these models."""

    @wraps(query)
    def compute(*arguments: Q.args, **options: Q.kwargs) -> T:
        models = [getattr(a, "model", None) for a in (*arguments, *options.values())]
        with float64(is_float64(*models)):
            return query(*arguments, **options)

    return compute


def _cast(tree: Any, source: Any, target: Any) -> Any:
    on_cpu = jax.default_backend() == "cpu"

    def cast_leaf(a: Any) -> Any:
        if not (eqx.is_array(a) and a.dtype == source):
            return a
        if isinstance(a, Tracer) or not on_cpu:
            return a.astype(target)
        # JAX would compile a program for each shape.
        return jax.device_put(np.asarray(a).astype(target))

    return jax.tree.map(cast_leaf, tree)
