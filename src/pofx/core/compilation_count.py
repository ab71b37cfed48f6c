"""How many programs are compiled, by JAX's own events."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import jax

COMPILED = "/jax/core/compile/backend_compile_duration"
CACHED = "/jax/compilation_cache/cache_hits"


@dataclass
class CompilationCount:
    """Programs built, of which some were read from a cache, and the seconds they took."""

    count: int = 0
    cached: int = 0
    seconds: float = 0.0

    def on_duration(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == COMPILED:
            self.count += 1
            self.seconds += duration_secs

    def on_event(self, event: str, **_: str | int) -> None:
        self.cached += event == CACHED


@contextmanager
def counting_compilations() -> Iterator[CompilationCount]:
    """The programs that are compiled inside, in any thread.

    >>> import jax.numpy as jnp
    >>> with counting_compilations() as programs:
    ...     _ = jax.jit(lambda x: x + 1)(jnp.zeros(3)).block_until_ready()
    >>> programs.count >= 1
    True
    """
    programs = CompilationCount()
    jax.monitoring.register_event_duration_secs_listener(programs.on_duration)
    jax.monitoring.register_event_listener(programs.on_event)
    try:
        yield programs
    finally:
        jax.monitoring.unregister_event_duration_listener(programs.on_duration)
        jax.monitoring.unregister_event_listener(programs.on_event)
