"""Pages that run: their runner, what the lecture covers, and (slow) that each prints its output."""

import doctest
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"
if not (DOCS / "lecture.md").exists():
    pytest.skip("without the repository", allow_module_level=True)

LARGEST = 150_000
MISSION = (
    *("discrete", "continuous", "independence", "marginal", "conditional", "sum rule"),
    *("product rule", "bayes' rule", "gaussian", "entropy", "bernoulli", "conditional entropy"),
    *("mutual information", "kullback-leibler", "generative", "discriminative", "missing"),
    *("side information", "maximum likelihood", "closed form", "expectation maximisation"),
    *("stochastic gradient descent", "structure", "the family", "noise", "decisions under"),
)


def module(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


RUNNER = module("run_page")
LECTURE = DOCS / "lecture.md"
PAGE = LECTURE.read_text(encoding="utf-8")
PARTS = list(RUNNER.parts(PAGE))


def test_every_block_is_found_and_is_python():
    blocks = [part for part in PARTS if part.code]
    assert len(blocks) == len(re.findall(r"^```python$", PAGE, re.M))
    for block in blocks:
        compile(block.code, f"line {block.line}", "exec")
        told = "print(" in block.code
        assert told == (block.text is not None), f"line {block.line}: code and text do not fit"


@pytest.mark.parametrize("item", MISSION)
def test_the_page_covers(item):
    assert item in PAGE.lower()


def test_pictures_are_there_and_small():
    pictures = [part.picture for part in PARTS if part.picture]
    assert sorted(pictures) == sorted(p.stem for p in RUNNER.PICTURES.iterdir())
    for name in pictures:
        size = (RUNNER.PICTURES / f"{name}.png").stat().st_size
        assert 0 < size < LARGEST, f"{name}.png has {size} bytes"


def test_links_lead_somewhere():
    heads = re.findall(r"^## (.+)$", PAGE, re.M)
    anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
    links = re.findall(r"\]\(([^)\s]+)\)", PAGE)
    assert links
    for link in links:
        known = link[1:] in anchors if link.startswith("#") else (DOCS / link).exists()
        assert known, link


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("I = 0.4976 ± 0.0016 nats", "I = 0.4974 ± 0.0016 nats"),
        ("[0.45 0.55]", "[0.46 0.55]"),
        ("E = 4653.14", "E = 4653.2"),
        ("[ -inf -6.28]", "[-inf -6.28]"),
        ("", ""),
    ],
)
def test_what_machines_round_differently_is_the_same(shown, printed):
    assert RUNNER.differences(shown, printed) == []


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("0.45", "0.49"),
        ("-0.25", "0.25"),
        ("344 rows", "343 rows"),
        ("exact", "estimate"),
        ("one line", "one line\ntwo"),
        ("a number", ""),
    ],
)
def test_what_differs_is_told(shown, printed):
    assert RUNNER.differences(shown, printed)


def test_a_false_page_is_told_and_written_true():
    page = "Text\n\n```python\nx = 2.5\nprint(x)\n```\n\n```text\n3.5\n```\n\nmore\n"
    new, wrong = RUNNER.run(page, LECTURE)
    assert wrong == ["lecture.md, line 3:", "shown   '3.5'", "printed '2.5'"]
    assert new == page.replace("3.5", "2.5")
    assert RUNNER.run(new, LECTURE) == (new, [])


def test_what_is_no_longer_printed_goes():
    page = "```python\nx = 1\n```\n\n```text\n1\n```\n"
    assert RUNNER.run(page, LECTURE)[0] == "```python\nx = 1\n```\n"


def test_an_error_tells_the_line_of_the_page():
    with pytest.raises(ZeroDivisionError) as raised:
        RUNNER.run("Text\n\n```python\nx = 1\nx / 0\n```\n", LECTURE)
    assert raised.traceback[-1].lineno == 4  # counted from 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [LECTURE, DOCS / "index.md", *sorted((DOCS / "guides").iterdir())], ids=lambda p: p.stem
)
def test_a_page_prints_what_it_shows(page):
    done = subprocess.run(
        [sys.executable, str(DOCS / "run_page.py"), str(page)],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_model_of_the_page_passes_its_tests(monkeypatch):
    """`adding-a-model.md`: the model's block, then that of its tests."""
    text = (DOCS / "adding-a-model.md").read_text(encoding="utf-8")
    model, checks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    spherical = ModuleType("pofx.models.spherical")
    monkeypatch.setitem(sys.modules, spherical.__name__, spherical)
    exec(compile(model, "adding-a-model.md", "exec"), vars(spherical))
    page = {"__name__": "test_spherical"}
    exec(compile(checks, "adding-a-model.md", "exec"), page)
    tests = [value for name, value in page.items() if name.startswith("test_")]
    assert len(tests) == 3
    for check in tests:
        check()
    results = doctest.DocTestRunner().run(
        doctest.DocTestParser().get_doctest(
            spherical.Spherical.__doc__, vars(spherical), "Spherical", None, 0
        )
    )
    assert results.failed == 0
