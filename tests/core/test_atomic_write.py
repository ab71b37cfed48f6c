"""Atomic writes: through links, with the mode of the old file, and directly into devices."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from pofx.core.atomic_write import write_atomically
from pofx.core.errors import PofxError


def put(path, content=b"new"):
    write_atomically(path, lambda file: file.write(content))


def broken(file):
    file.write(b"half")
    raise ValueError("no more")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    path.chmod(mode)
    put(path)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("target_exists", [True, False])
def test_a_link_stays_and_its_target_is_written(tmp_path, target_exists):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "a.csv", tmp_path / "link"
    if target_exists:
        target.write_bytes(b"old")
    link.symlink_to(target)
    put(link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path / "far") == ["a.csv"]


def test_a_link_to_itself_is_refused(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(PofxError, match="link: cannot be written: Too many levels"):
        put(link)
    assert link.is_symlink()


def test_a_pipe_is_written_to_directly(tmp_path):
    pipe = tmp_path / "pipe"
    contents = []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: contents.append(pipe.read_bytes()))
    reader.start()
    put(pipe)
    reader.join()
    assert contents == [b"new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_device_stays_one():
    link = os.devnull
    before = os.stat(link)
    put(link)
    after = os.stat(link)
    assert stat.S_ISCHR(after.st_mode)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    with pytest.raises(PofxError, match="/dev/full: cannot be written: No space left"):
        put("/dev/full")


def test_parts_of_killed_processes_are_cleared_away_and_no_others(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stale = tmp_path / f".a.csv.{dead.pid}.0123abcd.part"
    old = tmp_path / f".a.csv.{os.getpid()}.0123abcd.part"
    kept = [
        tmp_path / f".a.csv.{os.getpid()}.4567abcd.part",  # maybe a thread of this process
        tmp_path / f".b.csv.{dead.pid}.0123abcd.part",
        tmp_path / f".a.csv.{dead.pid}.part",
    ]
    for path in (stale, old, *kept):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    put(tmp_path / "a.csv")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a.csv", *kept])


def test_what_fails_leaves_the_file_and_no_part(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    with pytest.raises(PofxError, match="cannot be written: no more"):
        write_atomically(path, broken)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("path", [None, 3, b"a", "", "a\0b"])
def test_what_names_no_file_is_refused(path):
    with pytest.raises(PofxError, match=r"the name of a file|cannot be written: embedded null"):
        put(path)
