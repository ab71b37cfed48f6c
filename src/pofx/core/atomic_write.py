"""Files written completely or not at all."""

import errno
import io
import os
import re
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from pofx.core.errors import PofxError

MAX_PART_SECONDS = 24 * 3600
"""The age above which a temporary file is stale, even if a process has its number."""


def write_atomically(path: str | os.PathLike[str], fill: Callable[[BinaryIO], object]) -> None:
    """Writes a file by a temporary file, which then replaces the file at `path`.

    A symbolic link stays, and its target is written. An existing file keeps its mode and, if that
    is allowed, its owner. Devices and pipes such as /dev/stdout are written to directly.

    Args:
        path: the file.
        fill: writes the content into an open binary file.

    Raises PofxError if that cannot be done; then a regular file does not change.
    """
    if not isinstance(path, str | os.PathLike) or not Path(path).name:
        raise PofxError(f"path: expected the name of a file, got {str(path)!r}")
    try:
        before = _status(path)
        if before is None or stat.S_ISREG(before.st_mode):
            _replace(Path(os.path.realpath(path)), before, fill)
        else:
            _write_directly(path, fill)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PofxError(f"{path}: cannot be written: {reason}") from None


def _status(path: str | os.PathLike[str]) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _write_directly(path: str | os.PathLike[str], fill: Callable[[BinaryIO], object]) -> None:
    """Writes into a device or a pipe, which supports neither renaming nor seeking."""
    content = io.BytesIO()
    with open(path, "wb") as file:
        fill(content)
        file.write(content.getbuffer())


def _replace(
    target: Path, before: os.stat_result | None, fill: Callable[[BinaryIO], object]
) -> None:
    """Fills a temporary file beside the target, then renames it."""
    if before is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    _clear_stale(target)
    # A killed process leaves its temporary file, and another may get the same process number.
    part = target.with_name(f".{target.name}.{os.getpid()}.{token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            if before is not None:
                _keep_access(part, before)
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _keep_access(part: Path, before: os.stat_result) -> None:
    """Gives an empty temporary file the owner and the mode of the file that it replaces."""
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(part, before.st_uid, before.st_gid)
    os.chmod(part, stat.S_IMODE(before.st_mode))


def _clear_stale(target: Path) -> None:
    """Removes temporary files for this target that killed processes left."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d+)\.[0-9a-f]{{8}}\.part")
    with suppress(OSError):
        for part in target.parent.iterdir():
            match = pattern.fullmatch(part.name)
            if match and not _is_in_use(part, int(match[1])):
                part.unlink(missing_ok=True)


def _is_in_use(part: Path, process: int) -> bool:
    """Whether the process of a temporary file may still be writing."""
    if time.time() - part.stat().st_mtime > MAX_PART_SECONDS:
        return False
    if sys.platform == "win32":  # there os.kill ends the process for any signal
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
