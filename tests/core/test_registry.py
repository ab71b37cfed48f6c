"""Concrete classes of a package, found by their names."""

import inspect

import pytest

from pofx.core.abstract import AbstractDistribution
from pofx.core.errors import PofxError
from pofx.core.family import AbstractFamily
from pofx.core.registry import class_by_name, discover, snake_case


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FactorAnalysis", "factor_analysis"),
        ("PPCA", "ppca"),
        ("LogNormal", "log_normal"),
        ("Gaussian", "gaussian"),
    ],
)
def test_snake(name, text):
    assert snake_case(name) == text


@pytest.mark.parametrize(
    ("package", "base"), [("pofx.models", AbstractDistribution), ("pofx.families", AbstractFamily)]
)
def test_what_is_found(package, base):
    classes = discover(package, base)
    assert classes
    assert list(classes) == sorted(classes)
    for name, cls in classes.items():
        assert name == snake_case(cls.__name__)
        assert cls.__module__.startswith(f"{package}.")
        assert not inspect.isabstract(cls)


def test_names_of_classes_are_unique():
    # Model files identify a class by its name alone.
    names = [*discover("pofx.models", object), *discover("pofx.families", object)]
    assert len(names) == len(set(names))


def test_named():
    assert class_by_name("pofx.families", AbstractFamily, "family", "normal").__name__ == "Normal"
    with pytest.raises(PofxError, match="no family 'norml'; did you mean 'normal'"):
        class_by_name("pofx.families", AbstractFamily, "family", "norml")
