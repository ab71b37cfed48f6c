"""Time that goes into work: a clock that stands still while programs are traced and compiled.

A budget of such time leads to the same choice whether programs were compiled before or not.
"""

import threading
import time
from functools import cache

import jax

COMPILATION = "/jax/core/compile/"
"""How the names of JAX's events begin that tell how long a part of compilation took."""


class _Compilation(threading.local):
    """The seconds of one thread that went into compilation."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.counted: list[tuple[float, float]] = []
        """The begin and the length of each part that is counted, in order."""

    def on_duration(self, event: str, duration_secs: float, **_: str | int) -> None:
        if not event.startswith(COMPILATION):
            return
        begin = time.monotonic() - duration_secs
        # A function traced within another one was counted before, and is part of it.
        while self.counted and self.counted[-1][0] >= begin:
            self.seconds -= self.counted.pop()[1]
        self.counted.append((begin, duration_secs))
        self.seconds += duration_secs


@cache
def _compilation() -> _Compilation:
    compilation = _Compilation()
    jax.monitoring.register_event_duration_secs_listener(compilation.on_duration)
    return compilation


def work_time() -> float:
    """Seconds on a clock of this thread that stands still during compilation.

    >>> begin = work_time()
    >>> work_time() >= begin
    True
    """
    return time.monotonic() - _compilation().seconds
