"""Access to `pofx.fit` for packages of lower rank, which may not import it.

`pofx/__init__.py`, which knows all public names, provides it.
"""

from collections.abc import Callable
from typing import Any

_LOADERS: list[Callable[[], Callable[..., Any]]] = []


def provide_learner(load: Callable[[], Callable[..., Any]]) -> None:
    """Sets the function that returns `pofx.fit`, which is imported when it is first used."""
    _LOADERS[:] = [load]


def learner() -> Callable[..., Any]:
    """`pofx.fit`.

    >>> learner().__name__
    'fit'
    """
    return _LOADERS[0]()
