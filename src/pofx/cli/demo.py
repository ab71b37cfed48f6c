"""`pofx demo`: penguins with missing cells, then images of digits."""

import time
from pathlib import Path

from pofx.cli.output import heading
from pofx.core.errors import PofxError


def run(folder: Path) -> None:
    """Runs both parts, writes their pictures to `folder` and prints their paths."""
    from pofx.cli import digits, penguins

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PofxError(f"{folder}: cannot be made: {error.strerror or error}") from None
    began = time.perf_counter()
    paths = [*penguins.run(folder), *digits.run(folder)]
    heading("Pictures")
    for path in paths:
        print(path)
    print(f"\nThe tour took {time.perf_counter() - began:.0f} s.")
