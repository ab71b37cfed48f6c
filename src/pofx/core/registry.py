"""A search for the concrete classes of a package, so that no list of them is kept by hand."""

import inspect
import pkgutil
import re
from functools import cache, reduce
from importlib import import_module
from importlib.util import find_spec
from typing import Any

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
        classes |= _classes_of(info.name, base)
    return dict(sorted(classes.items()))


def _classes_of(module_name: str, base: type) -> dict[str, type]:
    """The concrete subclasses of `base` that a module defines, by their user names."""
    return {
        snake_case(name): value
        for name, value in inspect.getmembers(import_module(module_name), inspect.isclass)
        if value.__module__ == module_name
        and issubclass(value, base)
        and not inspect.isabstract(value)
    }


def class_by_name(package: str, base: type, what: str, name: str) -> type:
    """The class of that name.

    Args:
        package, base: as for `discover`.
        what: what the name is of, for the error.
        name: the name.

    Raises PofxError for an unknown name, with the nearest known one.
    """
    cls = _in_module_of_its_name(package, base, name) if isinstance(name, str) else None
    if cls is not None:
        return cls
    classes = discover(package, base)
    if not isinstance(name, str) or name not in classes:
        raise unknown_name_error(what, name, classes)
    return classes[name]


@cache
def _in_module_of_its_name(package: str, base: type, name: str) -> type | None:
    """The class, if it stands in a module of the same name, without importing all others."""
    if not name.isidentifier() or find_spec(f"{package}.{name}") is None:
        return None
    return _classes_of(f"{package}.{name}", base).get(name)


def at(package: str, name: str) -> Any:
    """What is called "module:qualified.name" in a package.

    Args:
        package: how the name of the module begins.
        name: the name.

    Raises ValueError for another package, ImportError or AttributeError for an unknown name.

    >>> at("pofx.", "pofx.core.registry:snake_case") is snake_case
    True
    """
    module, _, path = name.partition(":")
    if not module.startswith(package):
        raise ValueError(f"{name} is not in {package}")
    return reduce(getattr, path.split("."), import_module(module))
