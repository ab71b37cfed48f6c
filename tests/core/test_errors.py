"""Errors for unknown names, and the lines that warnings point to."""

import inspect

import pytest

from pofx.core.errors import PofxError, PofxWarning, unknown_name_error, warn


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("specis", ["species", "island"], "no column 'specis'; did you mean 'species'?"),
        ("zzz", ["species", "island"], "no column 'zzz'; there are: species, island"),
        ("zzz", [], "no column 'zzz'; there are: none"),
        (2010, [2007, 2008], "no column '2010'; did you mean '2008'?"),
        ("a\nb", ["u"], "no column 'a\\nb'; there are: u"),
    ],
)
def test_unknown(name, known, text):
    assert str(unknown_name_error("column", name, known)) == text


def test_long_lists_are_cut():
    text = str(unknown_name_error("column", "zzz", [f"a{i}" for i in range(5000)]))
    assert text.endswith("a19, ... (5000)")


def test_it_is_a_value_error():
    assert issubclass(PofxError, ValueError)


def test_a_warning_points_past_the_packages_inside():
    """A warning points to the user's line, across any number of frames inside."""
    inner = eval("lambda: warn('few rows')", {"__name__": "equinox.module", "warn": warn})
    outer = eval("lambda: inner()", {"__name__": "pofx.models.mixture", "inner": inner})
    line = inspect.currentframe().f_lineno + 2
    with pytest.warns(PofxWarning, match="few rows") as caught:
        outer()
    assert caught[0].filename == __file__
    assert caught[0].lineno == line
