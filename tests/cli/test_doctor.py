"""`pofx doctor` says what an answer depends on that is not in the data."""

import os
import zlib

import jax
import pytest

from pofx.cli import doctor
from pofx.core import compilation_cache


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A cache of a user of JAX who has configured none, with one program."""
    users = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv(compilation_cache.VARIABLE, str(tmp_path))
    directory = compilation_cache.state().directory
    (directory / "a-cache").write_bytes(zlib.compress(bytes(2**20), 0))
    yield directory
    jax.config.update("jax_compilation_cache_dir", users)


def test_findings(cache, capsys):
    doctor.doctor()
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert f"jax {jax.__version__}" in lines["packages"]
    assert lines["devices"].startswith(jax.default_backend())
    assert lines["cache"] == f"{cache}, 1 programs, 1.0 MiB"
    assert "programs" in lines["small"]
    assert lines["sums"] == "right"


def test_clear_deletes_the_programs_and_nothing_else(cache, capsys):
    (cache / "note.txt").touch()
    (cache / "folder-cache").mkdir()
    older = cache.parent / "jaxlib-0.1-older"
    older.mkdir()
    (older / "b-cache").touch()
    doctor.doctor(clear=True)
    assert capsys.readouterr().out == f"deleted 2 programs in {cache.parent}\n"
    assert sorted(os.listdir(cache)) == ["folder-cache", "note.txt"]


def test_damaged_programs_are_deleted(cache, capsys):
    (cache / "b-cache").write_bytes(b"half of a program")
    doctor.doctor()
    assert "1 programs, 1.0 MiB, 1 damaged ones deleted" in capsys.readouterr().out
    assert not (cache / "b-cache").exists()


def test_clear_leaves_a_cache_that_the_user_has_configured(cache, capsys):
    jax.config.update("jax_compilation_cache_dir", str(cache.parent / "mine"))
    with pytest.raises(doctor.typer.Exit):
        doctor.doctor(clear=True)
    assert "configured in JAX, and left as it is" in capsys.readouterr().err
    assert len(os.listdir(cache)) == 1
