"""Compiled programs kept on disk, so that the next process need not compile them again.

JAX has such a cache, which is off by default. It is switched on by the first `fit` or `load`, in
the user's cache directory, unless the user has configured JAX's cache. POFX_CACHE is a directory
to use instead, or "off".

A cached program is machine code that will be run. So the cache is only used in a directory that
belongs to the user and that nobody else may write to.
"""

import hashlib
import os
import platform
import stat
import warnings
import zlib
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import platformdirs

from pofx.core.errors import PofxError, os_reason, warn

VARIABLE = "POFX_CACHE"
OFF, ON = ("off", "no", "0", "false", ""), ("on", "yes", "1", "true")
MAX_BYTES = 512 * 2**20
"""The size of all caches together above which the oldest programs are deleted."""
KEPT_SHARE = 0.75
"""The share of that size which is kept then."""
FOLDER = "jaxlib-"
"""How the name of a folder of programs begins."""
ENTRY, TRACED = "-cache", "traced-"
"""How the name of the file of a program ends, and how that of a traced function begins."""
DIGEST_BYTES = 32
"""What a traced function begins with (see `trace_cache.py`)."""
ZSTANDARD = b"\x28\xb5\x2f\xfd"
"""How a program begins that JAX has compressed with zstandard, which may be absent here."""
MARK = "checked"
"""The file whose time is that of the last check for damage."""
PRIVATE = 0o700


class CacheState(NamedTuple):
    """Where compiled programs are kept; without a directory, the reason why they are not."""

    directory: Path | None
    reason: str = ""
    writable: bool = True


def enable() -> None:
    """Switches the cache on, once per process. Never fails: without a cache, programs compile."""
    _USE.state = _USE.state or _enable()


class _Use:
    """What `enable` has switched on in this process."""

    state: CacheState | None = None


_USE = _Use()


def in_use() -> CacheState:
    """The cache that `enable` has switched on; without a directory before that, or if it failed."""
    return _USE.state or CacheState(None, "not switched on")


def _enable() -> CacheState:
    cache_state = state()
    directory = cache_state.directory
    if directory is None or cache_state.reason:
        if directory is None and _setting() not in ("", "off"):
            warn(f"{VARIABLE}: {cache_state.reason}; programs are compiled in every process")
        return CacheState(None, cache_state.reason)
    least_seconds = 0.0
    if cache_state.writable:
        _prune(directory.parent)
        delete_damaged(directory, only_new=True)
    else:
        least_seconds = float("inf")
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", least_seconds)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # A damaged or half-written entry, or a full disk, costs a compilation and needs no warning.
    for doing in ("reading", "writing"):
        message = f"Error {doing} persistent compilation cache entry"
        warnings.filterwarnings("ignore", message, UserWarning)
    return cache_state


def state() -> CacheState:
    """Where compiled programs are kept, or would be after `enable`."""
    settings: Any = jax.config
    users_directory = settings.jax_compilation_cache_dir
    if users_directory and not _is_own(users_directory):
        return CacheState(Path(users_directory), "configured in JAX, and left as it is")
    if not settings.jax_enable_compilation_cache:
        return CacheState(None, "switched off in JAX")
    setting = _setting()
    if setting == "off":
        return CacheState(None, f"switched off by {VARIABLE}")
    try:
        parent = Path(setting).expanduser().resolve() if setting else _users_cache_directory()
        directory = parent / _machine()
        for path in (parent, directory):
            _make_private(path)
        return CacheState(directory, writable=os.access(directory, os.W_OK))
    except (OSError, RuntimeError, PofxError) as error:
        return CacheState(None, os_reason(error) if isinstance(error, OSError) else str(error))


def _setting() -> str:
    """The directory that the user has named, "off", or "" for the usual one."""
    setting = os.environ.get(VARIABLE, "on").strip()
    if setting.lower() in ON:
        return ""
    return "off" if setting.lower() in OFF else setting


def _is_own(directory: str) -> bool:
    return Path(directory).name == _machine()


def _users_cache_directory() -> Path:
    """The directory of pofx in that of the user; PofxError if that is another's, as under sudo."""
    home = Path(platformdirs.user_cache_path("pofx", appauthor=False)).parent.resolve()
    if not home.exists():
        home.mkdir(mode=PRIVATE, parents=True)
    _check_owner(home)
    return home / "pofx"


def _make_private(path: Path) -> None:
    """Makes a directory that only the user may read and write, or checks that it is one."""
    with suppress(FileExistsError):
        path.mkdir(mode=PRIVATE, parents=True)
    _check_owner(path)
    mode = stat.S_IMODE(path.lstat().st_mode)
    if hasattr(os, "getuid") and mode & 0o022:
        raise PofxError(f"{path} can be written by others; try chmod 700")


def _check_owner(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise PofxError(f"{path} is not a directory")
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        raise PofxError(f"{path} belongs to another user")


@cache
def _machine() -> str:
    """A name for programs that this machine can run: the version of jaxlib, and the processor."""
    digest = hashlib.sha256(_processor().encode()).hexdigest()[:12]
    return f"{FOLDER}{version('jaxlib')}-{digest}"


def _processor() -> str:
    """What the processor can do: its features as Linux lists them, elsewhere its name."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, features = line.partition(":")
            if name.strip().lower() in ("flags", "features"):
                return platform.machine() + " ".join(sorted(features.split()))
    return platform.machine() + platform.processor()


def size(directory: Path) -> tuple[int, int]:
    """The number of programs in a cache, and their bytes."""
    sizes = [entry.stat().st_size for entry in _entries(directory)]
    return len(sizes), sum(sizes)


def clear(directory: Path) -> int:
    """Deletes the programs of all versions beside a cache, and returns how many there were."""
    entries = _entries_of_all_versions(directory.parent)
    for entry in entries:
        Path(entry.path).unlink(missing_ok=True)
    return len(entries)


def delete_damaged(directory: Path, only_new: bool = False) -> int:
    """Deletes programs that cannot be read, as after a kill or a full disk; returns how many.

    JAX compiles them again in each process, and does not replace them.

    Args:
        directory: the cache.
        only_new: whether to check only programs written since the last such check.
    """
    mark = directory / MARK
    num_damaged = 0
    with suppress(OSError):
        checked = mark.stat().st_mtime if only_new and mark.exists() else 0.0
        mark.touch(PRIVATE)
        for entry in _entries(directory):
            if entry.stat().st_mtime >= checked and not _is_readable(Path(entry.path)):
                Path(entry.path).unlink(missing_ok=True)
                num_damaged += 1
    return num_damaged


def _is_readable(path: Path) -> bool:
    content = path.read_bytes()
    if path.name.startswith(TRACED):
        content = content[DIGEST_BYTES:]
    if content.startswith(ZSTANDARD):
        return True
    try:
        return bool(zlib.decompress(content))
    except zlib.error:
        return False


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    return [e for e in os.scandir(directory) if e.name.endswith(ENTRY) and e.is_file()]


def _entries_of_all_versions(parent: Path) -> list[os.DirEntry[str]]:
    return [
        entry
        for folder in os.scandir(parent)
        if folder.name.startswith(FOLDER) and folder.is_dir(follow_symlinks=False)
        for entry in _entries(Path(folder.path))
    ]


def _prune(parent: Path) -> None:
    """Deletes the oldest programs, whichever version they are of, if all take too much space."""
    with suppress(OSError):
        # Another process may delete an entry at the same time.
        sizes = {Path(e.path): e.stat() for e in _entries_of_all_versions(parent)}
        total = sum(status.st_size for status in sizes.values())
        if total <= MAX_BYTES:
            return
        for path, status in sorted(sizes.items(), key=lambda item: item[1].st_mtime):
            path.unlink(missing_ok=True)
            total -= status.st_size
            if total <= KEPT_SHARE * MAX_BYTES:
                return
