"""`pofx demo`: penguins with missing cells, then digits as images."""

import time
from pathlib import Path

from pofx.cli.output import heading
from pofx.core.errors import PofxError


def run(folder: Path) -> None:
    """Both parts; pictures go to `folder`, their paths are printed."""
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
    print(f"\nThe whole tour took {time.perf_counter() - began:.0f} s.")
