"""The slot for `pofx.fit` that `estimate` uses to cross-fit models, because it may not import it.

`pofx/__init__.py`, which knows all public names, fills it. It is the one exception to imports that
run one way, and the reason is that a test of independence needs no model, but
`pofx.estimate.mutual_information(..., model=...)` fits one.
"""

from collections.abc import Callable
from typing import Any

_LOADERS: list[Callable[[], Callable[..., Any]]] = []


def provide_fit(load: Callable[[], Callable[..., Any]]) -> None:
    """Sets the function that returns `pofx.fit`, which is imported when it is first used."""
    _LOADERS[:] = [load]


def provided_fit() -> Callable[..., Any]:
    """`pofx.fit`.

    >>> provided_fit().__name__
    'fit'
    """
    return _LOADERS[0]()
