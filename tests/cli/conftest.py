"""A folder with tables and model files, and a way to run command lines in it."""

import sys

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.cli.main import main
from pofx.table.frames.files import read

RNG = np.random.default_rng(0)
ROWS = 40


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with tables, without and with missing cells, a model, and files of other kinds."""
    path = tmp_path_factory.mktemp("cli")
    frame = pd.DataFrame(
        {
            "kind": RNG.choice(["red, bright", "blue", "green"], ROWS),
            "size": RNG.normal(5, 1, ROWS).round(3),
            "year": RNG.integers(2007, 2010, ROWS),
            "alive": RNG.random(ROWS) < 0.5,
        }
    )
    holes = frame.astype({"year": "Int64", "alive": "boolean"})
    for j, name in enumerate(holes):
        holes.loc[holes.index[j :: 5 + j], name] = None
    frame.to_csv(path / "whole.csv", index=False)
    frame.to_parquet(path / "whole.parquet")
    holes.to_csv(path / "holes.csv", index=False)
    frame.assign(kind="violet").to_csv(path / "violet.csv", index=False)
    frame.rename(columns={"size": "sise"}).to_csv(path / "other.csv", index=False)
    (path / "empty.csv").touch()
    (path / "heads.csv").write_text("kind,size,year,alive\n")
    (path / "png.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    pofx.fit(read(path / "holes.csv"), "mixture", components=2, restarts=1).save(path / "p.pofx")
    content = (path / "p.pofx").read_bytes()
    (path / "cut.pofx").write_bytes(content[: len(content) // 2])
    pofx.fit({"image": RNG.normal(size=(9, 2, 2))}, "independent").save(path / "image.pofx")
    return path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Runs a command line in the folder: its exit code, output and errors."""
    monkeypatch.chdir(folder)

    def command(line):
        monkeypatch.setattr(
            sys, "argv", ["pofx", *(line if isinstance(line, list) else line.split())]
        )
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return command


@pytest.fixture(scope="session")
def p(folder):
    return pofx.load(folder / "p.pofx")
