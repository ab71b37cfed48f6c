"""Progress bars: on a terminal, as HTML in a notebook, and none elsewhere."""

import io
import sys
from types import ModuleType, SimpleNamespace

import pytest

from pofx.learn import progress_bar
from pofx.learn.em import FitProgress
from pofx.learn.progress_bar import watch


@pytest.fixture
def shown(monkeypatch):
    """A notebook whose output is this list, with one entry per state of a display."""
    cells = []

    def display(html, display_id):
        assert display_id is True
        cells.append(html)
        return SimpleNamespace(update=cells.append)

    shell, own = ModuleType("IPython"), ModuleType("IPython.display")
    shell.get_ipython = lambda: SimpleNamespace(kernel=object())
    own.display, own.HTML = display, str
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", own)
    return cells


def test_a_notebook_shows_a_bar(shown, monkeypatch):
    now = iter([0.0, 1.0, 1.1, 2.0])
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: next(now))
    with watch(None, "<mixture>", 2.0) as report:
        report(FitProgress(1, 4, -3.0))
        report(FitProgress(2, 4, -2.5))  # too soon after the first to be drawn
        report(FitProgress(4, 4, -2.0))
    first, one, last, gone = shown
    assert first == "fit &lt;mixture&gt;"
    assert '<progress value="1" max="4">' in one
    assert "step 1  -5.0000 nats/row  1 s, at most 3 s left" in one
    assert '<progress value="4" max="4">' in last
    assert gone == ""


def test_what_is_not_learning_is_named(shown):
    with watch(None, "x") as report:
        report(FitProgress(1, 1, float("nan"), "proposal"))
    assert "step 1  proposal  " in shown[1]
    assert "nan" not in shown[1]


def test_a_bar_is_gone_after_an_error(shown):
    with pytest.raises(KeyboardInterrupt), watch(None, "x"):
        raise KeyboardInterrupt
    assert shown[-1] == ""


def test_quiet_where_it_is_not_wanted(shown):
    with watch(False, "x") as report:
        assert report is None
    assert not shown


def test_quiet_where_nobody_looks(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not progress_bar.in_notebook()
    with watch(None, "x") as report:
        assert report is None


def test_ipython_on_a_terminal_is_no_notebook(monkeypatch):
    shell = ModuleType("IPython")
    shell.get_ipython = lambda: SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert not progress_bar.in_notebook()


def test_a_terminal_shows_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with watch(None, "mixture", 2.0) as report:
        report(FitProgress(3, 4, -3.0))
    assert "fit mixture" in screen.getvalue()
    assert "-5.0000 nats/row" in screen.getvalue()
