"""`pofx demo`: penguins with missing cells, then digits as images."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pofx.core.errors import PofxError


def run(folder: Path) -> None:
    """Both parts; pictures go to `folder`, their paths are printed."""
    from pofx.front import digits, penguins

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


def heading(text: str) -> None:
    """A line over what follows."""
    print(f"\n\033[1m{text}\033[0m\n" if _terminal() else f"\n{text}\n{'-' * len(text)}\n")


def timed(what: str, work: Callable[[], Any]) -> Any:
    """The result of some work, and a line on how long it took."""
    began = time.perf_counter()
    result = work()
    print(f"{what}: {time.perf_counter() - began:.1f} s, compilation included")
    return result


def _terminal() -> bool:
    import sys

    return sys.stdout.isatty()
