"""Files written whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from pofx.core.errors import PofxError


def write_whole(path: str | os.PathLike[str], fill: Callable[[BinaryIO], object]) -> None:
    """Has `fill` write a temporary file beside `path`, then gives it that name.

    Raises PofxError where that cannot be done, and then `path` is as it was.
    """
    try:
        path = Path(path)
        # A killed process leaves its part, and another may come by the same number.
        part = path.with_name(f".{path.name}.{os.getpid()}.{token_hex(4)}.part")
    except (TypeError, ValueError):
        raise PofxError(f"path: wanted the name of a file, got {str(path)!r}") from None
    try:
        try:
            with part.open("xb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PofxError(f"{path}: cannot be written: {reason}") from None
