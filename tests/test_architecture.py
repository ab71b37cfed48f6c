"""The layout: which room imports which, which classes are abstract, names, length of files."""

import ast
import inspect
import pkgutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import equinox as eqx
import pytest

import pofx
from pofx.core.abstract import AbstractDistribution, AbstractEMModel, AbstractTractable
from pofx.core.family import AbstractFamily
from pofx.core.registry import discover

SOURCE = Path(pofx.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

ORDER = [
    ["core"],
    ["table", "families", "nets", "learn", "queries", "estimate", "notation"],
    ["models"],
    ["named"],
    ["ask"],
    ["joint"],
    ["distributions", "fitting", "plot"],
    ["report"],
    ["sklearn", "cli"],
]
"""Rooms by rank: a room may import itself and rooms of lower rank."""

FORBIDDEN = {"models": {"table", "learn", "queries", "estimate", "notation"}}
"""Rooms of lower rank that a room may not import."""

RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
LAZY = {"core/registry.py"}
"""Files that import a module whose name is in a variable."""
PRONOUNS = {"own", "told", "found", "asked", "whole", "rest"}
"""Words that say nothing as names."""
NAME_FIELDS = {
    ast.Name: "id",
    ast.Attribute: "attr",
    ast.arg: "arg",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
}
"""Where a node of a syntax tree holds the name that it binds."""


def room(path):
    """The room of a file; "" for a file outside of the rooms."""
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else ""


def imports(path):
    """The dotted names that a file imports, anywhere in it, by a statement or a string."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield name.value
            else:
                assert str(path.relative_to(SOURCE)) in LAZY, f"{path}: imports by a variable"


def _name(function):
    return getattr(function, "attr", getattr(function, "id", ""))


def file_of(name):
    """The file of pofx that holds a dotted name; None for other packages."""
    parts = name.split(".")
    if parts[0] != "pofx":
        return None
    for end in range(len(parts), 0, -1):
        base = SOURCE.joinpath(*parts[1:end])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    raise AssertionError(name)


GRAPH = {path: {file_of(name) for name in imports(path)} - {None, path} for path in FILES}


def test_imports_run_one_way():
    wrong = []
    for path, imported in GRAPH.items():
        here = room(path)
        if not here:
            continue
        for other in imported:
            there = room(other)
            # Only the front ends may `import pofx`, because elsewhere it would be a circle.
            allowed = here in ("cli", "sklearn") if not there else RANK[there] < RANK[here]
            if there != here and (not allowed or there in FORBIDDEN.get(here, ())):
                wrong.append(f"{path.relative_to(SOURCE)} imports {other.relative_to(SOURCE)}")
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other_in_a_circle():
    graph = {p: {o for o in others if o != SOURCE / "__init__.py"} for p, others in GRAPH.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(
            " -> ".join(str(p.relative_to(SOURCE)) for p in error.args[1])
        ) from None


def test_models_shows_models_only():
    shown = {path.stem for path in (SOURCE / "models").glob("*.py")} - {"__init__"}
    models = {
        cls.__module__.split(".")[2]
        for cls in discover("pofx.models", AbstractDistribution).values()
    }
    assert shown <= models


def test_no_room_has_the_name_of_a_public_function():
    """Because importing the room would replace the function by the module."""
    assert not set(RANK) & {name for name in pofx.__all__ if name not in RANK}


def modules():
    """Every eqx.Module class of pofx; the command line and plots have none."""
    for info in pkgutil.walk_packages(pofx.__path__, "pofx."):
        if info.name.startswith(("pofx.cli", "pofx.plot")):
            continue  # their extras may not be installed
        module = import_module(info.name)
        for _, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, eqx.Module) and value.__module__ == info.name:
                yield value


CLASSES = sorted(modules(), key=lambda c: c.__qualname__)


def test_classes_are_found():
    assert {"Gaussian", "Mixture", "Normal", "AbstractEMModel"} <= {c.__name__ for c in CLASSES}


def test_a_class_is_abstract_or_final():
    wrong = [
        f"{cls.__name__} extends {base.__name__}, which is concrete"
        for cls in CLASSES
        for base in cls.__mro__[1:]
        if base.__module__.startswith("pofx.") and not inspect.isabstract(base)
    ]
    assert not wrong, "\n".join(wrong)


def test_a_class_with_abstract_methods_says_so():
    wrong = [
        f"{path.relative_to(SOURCE)}: {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and not node.name.lstrip("_").startswith("Abstract")
        and any(
            _name(decorator) == "abstractmethod"
            for function in node.body
            for decorator in getattr(function, "decorator_list", ())
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_only_estimators_use_the_fit_hook():
    """It is the one exception to imports that run one way."""
    users = {room(path) for path, others in GRAPH.items() if SOURCE / "core/fit_hook.py" in others}
    assert users == {"", "estimate"}


@pytest.mark.parametrize(
    "base", [AbstractDistribution, AbstractTractable, AbstractEMModel, AbstractFamily]
)
def test_bases_promise_something(base):
    assert inspect.isabstract(base)
    with pytest.raises(TypeError, match="abstract"):
        base()


def test_no_concrete_method_is_overridden():
    for cls in CLASSES:
        for name, value in vars(cls).items():
            if name.startswith("__") or not (callable(value) or isinstance(value, classmethod)):
                continue
            for base in cls.__mro__[1:]:
                if base.__module__.startswith("pofx.") and name in vars(base):
                    inherited = inspect.getattr_static(base, name)
                    abstract = getattr(inherited, "__isabstractmethod__", False)
                    assert abstract, f"{cls.__name__}.{name} overrides that of {base.__name__}"


@pytest.mark.parametrize("cls", discover("pofx.models", AbstractDistribution).values())
def test_a_model_tells_itself(cls):
    """It has a file of its own, a docstring with a doctest, and an example for the laws."""
    assert cls.__doc__
    assert ">>>" in cls.__doc__
    assert "example" in vars(cls)
    others = [c for c in discover("pofx.models", AbstractDistribution).values() if c is not cls]
    assert cls.__module__ not in {c.__module__ for c in others}


def test_no_file_is_long():
    """Except for the facade, whose docstrings make it long."""
    lengths = {str(p.relative_to(SOURCE)): len(p.read_text().splitlines()) for p in FILES}
    assert {name for name, n in lengths.items() if n > 350} <= {"joint/joint.py"}


def bound_names(path):
    """The names that a file binds, each with its line; names of imports do not count."""
    for node in ast.walk(ast.parse(path.read_text())):
        name = getattr(node, NAME_FIELDS.get(type(node), ""), None)
        if name and isinstance(getattr(node, "ctx", ast.Store()), ast.Store):
            yield name, node.lineno


def test_no_name_is_a_pronoun():
    wrong = [
        f"{path.relative_to(SOURCE)}:{line}: {name}"
        for path in FILES
        for name, line in bound_names(path)
        if name.strip("_") in PRONOUNS
    ]
    assert not wrong, "\n".join(wrong)


def python(*arguments):
    process = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    return process.returncode, process.stdout + process.stderr


def test_importing_pofx_does_not_import_jax():
    heavy = "{'jax', 'equinox', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'narwhals'}"
    result = python("-c", f"import pofx, sys; print(sorted({heavy} & set(sys.modules)))")
    assert result == (0, "[]\n")


def test_imports_are_silent():
    assert python("-W", "error", "-c", "import pofx; pofx.fit") == (0, "")


def test_public_names_are_there():
    assert set(pofx.__all__) <= set(dir(pofx))
    for name in pofx.__all__:
        assert getattr(pofx, name) is not None
    with pytest.raises(AttributeError, match="attribute fitt"):
        pofx.fitt  # noqa: B018
