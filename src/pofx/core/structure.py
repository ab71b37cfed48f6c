"""The structure of a value, all but the numbers in its arrays, as JSON.

Two values of equal structure lead to one compiled program. A structure is read back without
running anything that is stored in it: only classes and functions of this package are named in it.
"""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import jax
import numpy as np

from pofx.core.registry import at

PACKAGE = "pofx."
PLAIN = (str, int, float, bool, type(None))


class UnknownStructureError(Exception):
    """A value with a part that has no name in this package, such as a user's own class."""


def is_array(value: Any) -> bool:
    """Whether a value is data, which no program is compiled for.

    >>> is_array(np.zeros(3)), is_array(3.0)
    (True, False)
    """
    return isinstance(value, jax.Array | np.ndarray | np.generic)


def to_json(value: Any) -> Any:
    """The structure of a value, with null in the place of each array.

    >>> to_json((np.zeros(3), {"a": [1, True]}))
    {'tuple': [{'array': None}, {'dict': [['a', {'list': [1, True]}]]}]}

    Raises UnknownStructureError for parts that are not of this package.
    """
    if type(value) in PLAIN:
        return value
    if is_array(value):
        return {"array": None}
    kind = type(value)
    if kind in (tuple, list):
        return {kind.__name__: [to_json(v) for v in value]}
    if kind is dict:
        return {"dict": [[to_json(k), to_json(v)] for k, v in value.items()]}
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    if inspect.isfunction(value) or isinstance(value, type):
        return {"name": _name(value)}
    if isinstance(value, tuple):
        return {"record": _name(kind), "values": [to_json(v) for v in value]}
    if is_dataclass(value):
        values = {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
        return {"class": _name(kind), "fields": values}
    raise UnknownStructureError(f"{kind.__module__}.{kind.__qualname__}")


def from_json(structure: Any, array: Callable[[], Any]) -> Any:
    """The value of that structure.

    Args:
        structure: what `to_json` returned.
        array: returns what takes the place of the next array.

    >>> from_json(to_json((np.zeros(3), {"a": [1, True]})), lambda: "x")
    ('x', {'a': [1, True]})
    """
    if type(structure) in PLAIN:
        return structure
    ((kind, content), *others) = structure.items()
    match kind:
        case "array":
            return array()
        case "tuple":
            return tuple(from_json(v, array) for v in content)
        case "list":
            return [from_json(v, array) for v in content]
        case "dict":
            return {from_json(k, array): from_json(v, array) for k, v in content}
        case "dtype":
            return np.dtype(content)
        case "name":
            return at(PACKAGE, content)
        case "record":
            return at(PACKAGE, content)._make(from_json(v, array) for v in others[0][1])
    cls: Any = at(PACKAGE, content)
    instance = object.__new__(cls)
    for name, value in others[0][1].items():
        object.__setattr__(instance, name, from_json(value, array))
    return instance


def _name(value: Any) -> str:
    name = f"{value.__module__}:{value.__qualname__}"
    if getattr(value, "__closure__", None) or not _is_at(name, value):
        raise UnknownStructureError(name)
    return name


def _is_at(name: str, value: Any) -> bool:
    try:
        return at(PACKAGE, name) is value
    except (ImportError, AttributeError, ValueError):
        return False
