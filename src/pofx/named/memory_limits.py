"""Limits on the size of an answer by the memory of this machine."""

import os
from pathlib import Path

from pofx.core.errors import PofxError

CELL_BYTES = 128
"""Memory per cell while it is drawn and decoded, as measured."""
MAX_MEMORY_SHARE = 0.75
"""The share of the memory that one answer may take."""
DEFAULT_MEMORY_BYTES = 4 * 2**30
"""The memory that is assumed on a system that does not report it."""
LIMIT_PATHS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files with the memory limit of a container."""


def memory_bytes() -> int:
    """The memory of this machine, or of this container if that is less."""
    try:
        bytes_known = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):
        bytes_known = []
    for path in LIMIT_PATHS:
        try:
            bytes_known.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no container, or one without a limit
            continue
    return min((n for n in bytes_known if n > 0), default=DEFAULT_MEMORY_BYTES)


def check_room(name: str, number: int, cells: int) -> None:
    """Raises PofxError if memory has no room for `number` pieces of `cells` cells each.

    >>> check_room("n", 100, 5)
    """
    memory = memory_bytes()
    limit = int(MAX_MEMORY_SHARE * memory) // (CELL_BYTES * max(cells, 1))
    if number > limit:
        # Nobody reads a number of more digits.
        got = f"{number}" if number < 10**20 else "more than 10^20"
        raise PofxError(
            f"{name}: expected at most {limit}, for which {memory / 2**30:.3g} GiB of memory have "
            f"room, got {got}; ask for fewer at a time, under several seeds"
        )
