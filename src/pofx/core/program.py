"""A function compiled for arguments of one structure, traced once for all processes."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple, cast

import jax
import jax.export
import numpy as np

from pofx.core import trace_cache
from pofx.core.structure import is_array


class ArrayKind(NamedTuple):
    """What a program knows of an array in its arguments."""

    shape: tuple[int, ...]
    dtype: Any
    is_weak: bool


class Program:
    """A function compiled for arguments of one structure.

    Args:
        function: the function.
        options: XLA's options on a CPU.
        tree: how the arguments are built of their leaves.
        kinds: of the leaves; the type and the value of a leaf that is no array.
        settings: those of JAX on which tracing depends.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        options: dict[str, Any],
        tree: Any,
        kinds: tuple[Any, ...],
        settings: tuple[Any, ...],
    ):
        self.function = function
        self.options = options
        self.tree = tree
        self.kinds = kinds
        self.settings = settings
        self.lock = Lock()
        self.is_ready = False
        self.jitted: Any = None
        self.result: Any = None
        """The result of the function, with any array in the place of each."""

    def __call__(self, arrays: list[Any]) -> Any:
        if self.is_ready:
            return self._run(arrays)
        # One thread compiles it, and the others wait.
        with self.lock, paused_collection():
            if not self.is_ready:
                self._build(arrays)
            result = self._run(arrays)
            self.is_ready = True
        return result

    def _run(self, arrays: list[Any]) -> Any:
        # A result without arrays follows from the structure, and is known once that was traced.
        is_known = self.result is not None and not any(map(is_array, self.result[0]))
        numbers = iter(() if is_known else self.jitted(*arrays))
        leaves, tree = cast(Any, self.result)
        return jax.tree.unflatten(tree, [next(numbers) if is_array(v) else v for v in leaves])

    def _build(self, arrays: list[Any]) -> None:
        on_cpu = jax.default_backend() == "cpu"
        if not on_cpu:
            self.jitted = jax.jit(self._apply)
            return
        traced = self._traced_before_or_now(arrays)
        # The results of an exported function are bound to a device. If the arguments were not, the
        # program would be compiled again for its own results, as in a loop of learning.
        device: Any = jax.sharding.SingleDeviceSharding(jax.devices("cpu")[0])
        self.jitted = jax.jit(
            traced or self._apply,
            in_shardings=device,
            out_shardings=device,
            compiler_options=self.options,
        )

    def _apply(self, *arrays: Any) -> list[Any]:
        """The function, from the arrays in its arguments to those in its result."""
        numbers = iter(arrays)
        is_data = [isinstance(kind, ArrayKind) for kind in self.kinds]
        leaves = [next(numbers) if d else kind[1] for d, kind in zip(is_data, self.kinds)]
        arguments, named = jax.tree.unflatten(self.tree, leaves)
        leaves, tree = jax.tree.flatten(self.function(*arguments, **named))
        self.result = [np.zeros(0) if is_array(leaf) else leaf for leaf in leaves], tree
        return [leaf for leaf in leaves if is_array(leaf)]

    def _traced_before_or_now(self, arrays: list[Any]) -> Callable[..., Any] | None:
        """The traced function, from the cache or for it; None if it is not to be cached."""
        key = trace_cache.key(self.function, self.tree, self.kinds, self.settings)
        if key is None:
            return None
        entry = trace_cache.read(key)
        if entry is not None:
            exported, result = entry
            self.result = jax.tree.flatten(result)
            return exported.call
        try:
            exported = jax.export.export(jax.jit(self._apply))(*arrays)
        except Exception:
            # What cannot be exported is traced again, and an error raised again, by its first call.
            return None
        leaves, tree = self.result
        trace_cache.write(key, exported, jax.tree.unflatten(tree, leaves))
        return exported.call


@contextmanager
def paused_collection() -> Iterator[None]:
    """A context without garbage collection, which takes a sixth of the time of tracing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
