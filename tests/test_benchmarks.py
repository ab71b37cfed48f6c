"""The scripts of benchmarks/: what they import from pofx is there, and their page is up to date."""

import ast
import importlib.util
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
if not FOLDER.exists():
    pytest.skip("without the repository", allow_module_level=True)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_imports_names_that_are_there(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pofx")):
            continue
        module = import_module(node.module)
        for alias in node.names:
            if not hasattr(module, alias.name):
                import_module(f"{node.module}.{alias.name}")


def test_the_page_holds_the_saved_outputs():
    spec = importlib.util.spec_from_file_location("page", FOLDER / "page.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    saved = (FOLDER.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert saved == page.page(), "python benchmarks/page.py docs/benchmarks.md"


def test_the_script_that_uses_the_tests_runs():
    script = FOLDER / "exactness.py"
    done = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
