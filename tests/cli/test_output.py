"""Tables on a terminal, and output to streams of any encoding."""

import io
import sys

import numpy as np
import pytest

from pofx.cli import output
from pofx.cli.main import main


def test_brackets_colons_and_escapes_are_shown_as_they_are(capsys):
    names = ["a[/b]", "[unknown]", ":smile:", "x\x1b[31m", "a\nb"]
    output.show_tables({"[b]k\x1b[0m": names, "n": [1e9 + 0.25, 1e9 + 1, 1e9 + 2, 1e9 + 3, np.nan]})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].split() == ["[b]k\\x1b[0m", "n"]
    shown = ["a[/b]", "[unknown]", ":smile:", "x\\x1b[31m", "a\\nb"]
    assert [line.split()[0] for line in lines[1:]] == shown
    assert lines[1].split()[1] == "1000000000.25"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_stream_of_another_encoding_does_not_fail(folder, monkeypatch, encoding):
    monkeypatch.chdir(folder)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    monkeypatch.setattr(sys, "argv", ["pofx", "ask", "p.pofx", "I(kind; size)"])
    with pytest.raises(SystemExit) as end:
        main()
    sys.stdout.flush()
    assert end.value.code == 0
    assert ("+-" if encoding == "ascii" else "±") in raw.getvalue().decode(encoding)


def test_tables_are_in_utf8_whatever_the_stream(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    output.write({"k": ["ä", "±"]})
    assert raw.getvalue().decode() == "k\nä\n±\n"
