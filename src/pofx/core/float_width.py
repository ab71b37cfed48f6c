"""The float width: which work is done in float64, whatever the user's JAX is set to.

Answers are computed in the width of the model's own numbers. On a CPU these are float64, except for
networks. Small tables are learned in float64 too; networks, large tables and accelerators use
float32, but for models of tightly tied columns, whose answers float32 would not resolve. If the
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

T = TypeVar("T")
Q = ParamSpec("Q")

MIN_FLOAT32_CELLS = 2**21
"""Cells from which a table is learned in float32: twice as fast, in half the memory."""
_USERS: ContextVar[bool | None] = ContextVar("users", default=None)


def users_float64() -> bool:
    """Whether the user has enabled float64 in JAX, outside of any context of pofx."""
    outer = _USERS.get()
    return bool(jax.config.read("jax_enable_x64")) if outer is None else outer


@contextmanager
def float64(enabled: bool) -> Iterator[None]:
    """JAX computes in float64 inside, or as the user has set it.

    >>> with float64(True):
    ...     jnp.zeros(1).dtype.name
    'float64'
    """
    users = users_float64()
    token = _USERS.set(users)
    try:
        with jax.enable_x64(enabled or users):
            yield
    finally:
        _USERS.reset(token)


def prefers_float64() -> bool:
    """Whether answers are computed in float64 here: on a CPU it costs next to nothing."""
    return users_float64() or jax.default_backend() == "cpu"


def is_float64(*models: Any) -> bool:
    """Whether any array of the models is float64.

    >>> is_float64(np.zeros(2)), is_float64(jnp.zeros(2, jnp.float32))
    (True, False)
    """
    leaves = (leaf for model in models for leaf in jax.tree.leaves(model))
    return any(eqx.is_array_like(a) and getattr(a, "dtype", None) == np.float64 for a in leaves)


def widened(tree: T) -> T:
    """The same with its float32 arrays in float64. To be called inside `float64(True)`."""
    return _cast(tree, jnp.float32, jnp.float64)


def narrowed(tree: T) -> T:
    """The same with its float64 arrays in float32."""
    return _cast(tree, jnp.float64, jnp.float32)


def as_default(tree: T) -> T:
    """The same with its floats as wide as JAX computes here."""
    return widened(tree) if jax.config.read("jax_enable_x64") else narrowed(tree)


def widen_for_answers(model: T, needed: bool = False) -> T:
    """The model in float64 where its answers are preferred in that width, or need it."""
    if not (needed or prefers_float64()):
        return model
    with float64(True):
        return widened(model)


def in_model_width(query: Callable[Q, T]) -> Callable[Q, T]:
    """Decorates a function of objects that hold a `model`: computed in the width of these."""

    @wraps(query)
    def computed(*arguments: Q.args, **options: Q.kwargs) -> T:
        models = [getattr(a, "model", None) for a in (*arguments, *options.values())]
        with float64(is_float64(*models)):
            return query(*arguments, **options)

    return computed


def _cast(tree: Any, source: Any, target: Any) -> Any:
    def leaf(a: Any) -> Any:
        is_source = eqx.is_array(a) and a.dtype == source
        return a.astype(target) if is_source else a

    return jax.tree.map(leaf, tree)
