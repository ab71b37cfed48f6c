"""Opening a model file: its size and header are checked, its arrays are left for later.

JAX is not imported, so what a file says about itself is read in a moment.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pofx.core.errors import PofxError, PofxWarning
from pofx.core.escaping import escaped
from pofx.joint.file_header import check_header, parse_header

FORMAT = 2
"""The version of the format, which grows if older versions cannot read new files."""
HEADER = "pofx"
MAX_HEADER_BYTES = 64 * 2**20


@contextmanager
def open_model_file(path: str | Path) -> Iterator[tuple[dict[str, Any], Any]]:
    """The checked header of a model file, and its arrays as safetensors has them.

    Raises PofxError for a file of a newer format, other errors for a malformed one.
    """
    _check_sizes(path)
    with safe_open(path, framework="numpy") as file:
        header = parse_header((file.metadata() or {})[HEADER])
        if type(header.get("format")) is int and header["format"] > FORMAT:
            raise PofxError(
                f"{path}: written in format {header['format']} by a newer pofx; this one reads up "
                f"to {FORMAT}: upgrade pofx"
            )
        check_header(header)
        yield header, file


@contextmanager
def reporting_damage(path: str | Path) -> Iterator[None]:
    """Turns any error that a malformed file causes into a PofxError of one line."""
    try:
        yield
    except PofxError as error:
        text = str(error)
        raise PofxError(text if text.startswith(str(path)) else f"{path}: {text}") from None
    except OSError as error:
        raise PofxError(f"{path}: cannot be read: {error.strerror or error}") from None
    except PofxWarning:  # if warnings are errors
        raise
    except Exception as error:  # JAX too raises errors of several kinds for shapes that do not fit
        reason = escaped(str(error).splitlines()[0][:120]) if str(error) else type(error).__name__
        raise PofxError(f"{path}: not a valid pofx model file ({reason})") from None


def _check_sizes(path: str | Path) -> None:
    """Compares the stated length of the header with the file's, before anything is read."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        stated = int.from_bytes(file.read(8), "little")
    if size < 8 or stated > min(size - 8, MAX_HEADER_BYTES):
        raise ValueError("the stated size of its header is not that of the file")
