"""The function that learns a model by name, for rooms that may not import the one it is in.

`pofx/__init__.py`, which knows all public names, provides it.
"""

from collections.abc import Callable
from typing import Any

_PROVIDED: list[Callable[[], Callable[..., Any]]] = []


def provide_learner(load: Callable[[], Callable[..., Any]]) -> None:
    """Sets the function that returns `pofx.fit`, which is imported when it is first used."""
    _PROVIDED[:] = [load]


def learner() -> Callable[..., Any]:
    """`pofx.fit`.

    >>> learner().__name__
    'fit'
    """
    return _PROVIDED[0]()
