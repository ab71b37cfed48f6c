"""The cache of compiled programs: where it is, whom it trusts, and that damage only costs time."""

import os
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import jax
import numpy as np
import pytest

from pofx.core import compilation_cache
from pofx.core.errors import PofxWarning

COMPILE = """
import warnings
warnings.simplefilter("error")
import jax, jax.numpy as jnp
import pofx
from pofx.core import compilation_cache
from pofx.core.compilation_count import counting_compilations
compilation_cache.enable()
with counting_compilations() as programs:
    values = [float(jax.jit(lambda x, k=k: jnp.sin(x * k))(0.5)) for k in range(4)]
print(programs.count, programs.cached, *values)
"""
needs_owners = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners on this system")
needs_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away"
)


def compiled(**environment):
    """Programs, programs from the cache, and results of a new process."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "POFX_"))}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        capture_output=True,
        text=True,
        env={**kept, **{k: str(v) for k, v in environment.items()}},
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    count, cached, *values = done.stdout.split()
    return int(count), int(cached), values


def programs(folder):
    return sorted(folder.glob("*/*-cache"))


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """JAX without a cache of the user's, whose directories are in a temporary one."""
    users = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.delenv(compilation_cache.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", users)


def test_the_next_process_compiles_nothing_anew(tmp_path):
    count, cached, values = compiled(POFX_CACHE=tmp_path / "kept")
    assert count > cached
    again = compiled(POFX_CACHE=tmp_path / "kept")
    assert again == (count, count, values)


def test_two_processes_fill_it_at_the_same_time(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: compiled(POFX_CACHE=tmp_path), range(2)))
    count, cached, values = compiled(POFX_CACHE=tmp_path)
    assert count == cached
    assert all(each[2] == values for each in both)


def test_damaged_entries_are_compiled_again_without_a_word(tmp_path):
    count, _, values = compiled(POFX_CACHE=tmp_path)
    rng = np.random.default_rng(0)
    for i, path in enumerate(programs(tmp_path)):
        content = bytearray(path.read_bytes())
        if i % 3 == 0:
            content = content[: rng.integers(len(content))]
        elif i % 3 == 1:
            for place in rng.integers(len(content), size=20):
                content[place] ^= 1 + rng.integers(255)
        else:
            content = bytearray()
        path.write_bytes(content)
    assert compiled(POFX_CACHE=tmp_path) == (count, 0, values)
    assert compiled(POFX_CACHE=tmp_path) == (count, count, values)


def test_only_programs_written_since_the_last_check_are_checked(alone):
    directory = compilation_cache.state().directory
    good, damaged = directory / "good-cache", directory / "damaged-cache"
    good.write_bytes(zlib.compress(b"a program"))
    damaged.write_bytes(good.read_bytes()[:-4])
    assert compilation_cache.delete_damaged(directory, only_new=True) == 1
    damaged.write_bytes(b"")
    os.utime(damaged, (0, 0))
    assert compilation_cache.delete_damaged(directory, only_new=True) == 0
    assert compilation_cache.delete_damaged(directory) == 1
    assert good.exists()
    assert not damaged.exists()


def test_a_user_without_a_home_has_no_cache_and_no_message(tmp_path):
    nowhere = tmp_path / "file"
    nowhere.touch()
    _, cached, _ = compiled(HOME=nowhere, XDG_CACHE_HOME=nowhere / "cache")
    assert cached <= 1


def test_the_users_own_cache_of_jax_is_left_as_it_is(tmp_path):
    compiled(JAX_COMPILATION_CACHE_DIR=tmp_path / "mine", POFX_CACHE=tmp_path / "pofx")
    assert not (tmp_path / "pofx").exists()


@pytest.mark.parametrize("word", ["on", "1", "Yes", "true"])
def test_it_can_be_switched_on_which_is_the_default(alone, monkeypatch, word):
    usual = compilation_cache.state()
    monkeypatch.setenv(compilation_cache.VARIABLE, word)
    assert compilation_cache.state() == usual


@pytest.mark.parametrize("word", ["off", "OFF", "0", ""])
def test_it_can_be_switched_off(alone, monkeypatch, word):
    monkeypatch.setenv(compilation_cache.VARIABLE, word)
    state = compilation_cache.state()
    assert state.directory is None
    assert state.reason == "switched off by POFX_CACHE"


def test_the_directory_is_private_and_named_by_version_and_processor(alone):
    state = compilation_cache.state()
    assert state == (state.directory, "", True)
    assert state.directory.parent == alone / "home" / "pofx"
    assert state.directory.name.startswith(f"jaxlib-{version('jaxlib')}-")
    if hasattr(os, "getuid"):
        for path in (state.directory, state.directory.parent):
            assert path.stat().st_mode & 0o777 == 0o700


@needs_root
@pytest.mark.parametrize("place", ["home", "home/pofx", "machine"])
def test_a_directory_of_another_user_is_not_trusted(alone, place):
    directory = compilation_cache.state().directory
    path = directory if place == "machine" else alone / place
    os.chown(path, 12345, 12345)
    state = compilation_cache.state()
    assert state.directory is None
    assert state.reason == f"{path} belongs to another user"


@needs_owners
def test_a_directory_that_others_may_write_to_is_not_trusted(alone, monkeypatch):
    shared = alone / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv(compilation_cache.VARIABLE, str(shared))
    with pytest.warns(PofxWarning, match="POFX_CACHE: .* can be written by others; try chmod 700"):
        assert compilation_cache._enable().directory is None


def test_the_users_cache_may_be_elsewhere_by_a_link(alone):
    (alone / "disk").mkdir(mode=0o700)
    (alone / "home").symlink_to(alone / "disk")
    assert compilation_cache.state().directory.parent == (alone / "disk" / "pofx").resolve()


@needs_owners
def test_a_link_to_a_directory_elsewhere_is_not_trusted(alone):
    directory = compilation_cache.state().directory
    elsewhere = alone / "elsewhere"
    directory.rename(elsewhere)
    directory.symlink_to(elsewhere)
    assert compilation_cache.state().reason == f"{directory} is not a directory"


def test_a_read_only_directory_is_read_and_not_written(alone, monkeypatch):
    settings = {}
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(jax.config, "update", settings.__setitem__)
    state = compilation_cache.state()
    assert not state.writable
    compilation_cache._enable()
    assert settings["jax_compilation_cache_dir"] == str(state.directory)
    assert settings["jax_persistent_cache_min_compile_time_secs"] == float("inf")


def test_the_oldest_programs_go_when_space_runs_out(alone, monkeypatch):
    directory = compilation_cache.state().directory
    older = directory.parent / "jaxlib-0.0-old"
    older.mkdir()
    (directory.parent / "mine").mkdir()
    (directory.parent / "mine" / "my-cache").write_bytes(bytes(100))
    for age, path in enumerate([directory / "new-cache", directory / "b-cache", older / "c-cache"]):
        path.write_bytes(bytes(100))
        os.utime(path, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(compilation_cache, "MAX_BYTES", 299)
    compilation_cache._prune(directory.parent)
    left = ["b-cache", "my-cache", "new-cache"]
    assert sorted(path.name for path in programs(directory.parent)) == left
    compilation_cache._prune(directory.parent)
    assert len(programs(directory.parent)) == 3
    assert compilation_cache.size(directory) == (2, 200)
    assert compilation_cache.clear(directory) == 2
    assert compilation_cache.size(directory) == (0, 0)
