"""The rooms: which may import which, what is abstract and what final, and how long a file is."""

import ast
import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import equinox as eqx
import pytest

import pofx
from pofx.core.abstract import Distribution, Statistical, Tractable
from pofx.core.family import Family
from pofx.core.registry import discover

SOURCE = Path(pofx.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

MAY_IMPORT = {
    "core": set(),
    "families": {"core"},
    "nets": {"core"},
    "models": {"core", "families", "nets"},
    "estimate": {"core"},
    "learn": {"core"},
    "notation": {"core"},
    "queries": {"core"},
    "table": {"core", "estimate", "families", "learn", "models", "notation", "queries"},
    "sklearn": {"core", "table"},
    "plot": {"core", "queries", "table"},
    "front": {
        "core",
        "estimate",
        "families",
        "learn",
        "models",
        "notation",
        "plot",
        "queries",
        "table",
    },
}


def room(path):
    """The room a file stands in; that of the files beside the rooms is pofx itself."""
    inside = path.relative_to(SOURCE)
    return inside.parts[0] if len(inside.parts) > 1 else ""


def imports(path):
    """What of pofx a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        else:
            continue
        yield from (n.split(".") for n in names if n.split(".")[0] == "pofx")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path):
    own = room(path)
    if not own:
        return
    assert own in MAY_IMPORT, f"a room that this test does not know: {own}"
    for name in imports(path):
        # `import pofx` and `from pofx import fit`: a cycle, but for the front, which is outermost.
        other = name[1] if len(name) > 1 else ""
        if other not in MAY_IMPORT:
            assert own == "front", f"{path.name} imports {'.'.join(name)}"
            continue
        assert other == own or other in MAY_IMPORT[own], f"{path.name} imports {'.'.join(name)}"


def modules():
    """Every eqx.Module class of pofx, by the module that defines it; fronts and plots have none."""
    for info in pkgutil.walk_packages(pofx.__path__, "pofx."):
        if info.name.startswith(("pofx.cli", "pofx.plot")):
            continue  # its extras may not be installed
        module = import_module(info.name)
        for _, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, eqx.Module) and value.__module__ == info.name:
                yield value


CLASSES = sorted(modules(), key=lambda c: c.__qualname__)


def test_classes_are_found():
    assert {"Gaussian", "Mixture", "Normal", "Statistical"} <= {c.__name__ for c in CLASSES}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_a_class_is_abstract_or_final(cls):
    for base in cls.__mro__[1:]:
        if base.__module__.startswith("pofx."):
            assert inspect.isabstract(base), f"{cls.__name__} extends {base.__name__}, concrete"
    if not inspect.isabstract(cls):
        assert not [c.__name__ for c in CLASSES if cls in c.__mro__[1:]]


@pytest.mark.parametrize("base", [Distribution, Tractable, Statistical, Family])
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


@pytest.mark.parametrize("cls", discover("pofx.models", Distribution).values())
def test_a_model_tells_itself(cls):
    """Its own file, a docstring with a doctest, and an example for the laws."""
    assert cls.__doc__
    assert ">>>" in cls.__doc__
    assert "example" in vars(cls)
    others = [c for c in discover("pofx.models", Distribution).values() if c is not cls]
    assert cls.__module__ not in {c.__module__ for c in others}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_file_is_long(path):
    assert len(path.read_text().splitlines()) <= 350


def python(*arguments):
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_importing_pofx_does_not_import_jax():
    heavy = "{'jax', 'equinox', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'narwhals'}"
    told = python("-c", f"import pofx, sys; print(sorted({heavy} & set(sys.modules)))")
    assert told == (0, "[]\n")


def test_imports_are_silent():
    assert python("-W", "error", "-c", "import pofx; pofx.fit") == (0, "")


def test_public_names_are_there():
    assert set(pofx.__all__) <= set(dir(pofx))
    for name in pofx.__all__:
        assert getattr(pofx, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        pofx.fitt  # noqa: B018
