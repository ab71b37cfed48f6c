"""Finding the concrete classes of a package, so that no list of them is kept by hand."""

import inspect
import pkgutil
import re
from functools import cache
from importlib import import_module

from pofx.core.errors import unknown_name_error


def snake_case(name: str) -> str:
    """The name users write for a class.

    >>> snake_case("FactorAnalysis"), snake_case("PPCA"), snake_case("LogNormal")
    ('factor_analysis', 'ppca', 'log_normal')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@cache
def discover(package: str, base: type) -> dict[str, type]:
    """Concrete subclasses of `base` defined in `package` and its sub-packages, by user's name.

    >>> from pofx.core.family import AbstractFamily
    >>> "normal" in discover("pofx.families", AbstractFamily)
    True
    """
    found = {}
    for info in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
        module = import_module(info.name)
        for name, value in inspect.getmembers(module, inspect.isclass):
            here = value.__module__ == module.__name__
            if here and issubclass(value, base) and not inspect.isabstract(value):
                found[snake_case(name)] = value
    return dict(sorted(found.items()))


def class_by_name(package: str, base: type, what: str, name: str) -> type:
    """The class of that name, or an error that suggests the nearest."""
    classes = discover(package, base)
    if not isinstance(name, str) or name not in classes:
        raise unknown_name_error(what, name, classes)
    return classes[name]
