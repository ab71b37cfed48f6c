"""A search for the concrete classes of a package, so that no list of them is kept by hand."""

import inspect
import pkgutil
import re
from functools import cache
from importlib import import_module

from pofx.core.errors import unknown_name_error


def snake_case(name: str) -> str:
    """The name by which users refer to a class.

    >>> snake_case("FactorAnalysis"), snake_case("PPCA"), snake_case("LogNormal")
    ('factor_analysis', 'ppca', 'log_normal')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@cache
def discover(package: str, base: type) -> dict[str, type]:
    """The concrete subclasses of `base` in a package and its sub-packages, by their user names.

    >>> from pofx.core.family import AbstractFamily
    >>> "normal" in discover("pofx.families", AbstractFamily)
    True
    """
    classes = {}
    for info in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
        module = import_module(info.name)
        for name, value in inspect.getmembers(module, inspect.isclass):
            defined_here = value.__module__ == module.__name__
            if defined_here and issubclass(value, base) and not inspect.isabstract(value):
                classes[snake_case(name)] = value
    return dict(sorted(classes.items()))


def class_by_name(package: str, base: type, what: str, name: str) -> type:
    """The class of that name.

    Args:
        package, base: as for `discover`.
        what: what the name is of, for the error.
        name: the name.

    Raises PofxError for an unknown name, with the nearest known one.
    """
    classes = discover(package, base)
    if not isinstance(name, str) or name not in classes:
        raise unknown_name_error(what, name, classes)
    return classes[name]
