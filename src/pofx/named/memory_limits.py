"""How many rows the memory of this machine has room for."""

import os
from pathlib import Path

from pofx.core.errors import PofxError

CELL_BYTES = 128
"""Memory that a drawn cell takes while it is drawn and decoded, measured; a draw in all tables."""
SHARE = 0.75
"""The share of the memory that one answer may take."""
UNKNOWN_BYTES = 4 * 2**30
"""The memory that is assumed on a system that does not report it."""
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container is told the memory that it may take."""


def memory_bytes() -> int:
    """The memory of this machine, or of this container if that is less."""
    try:
        bytes_known = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):
        bytes_known = []
    for path in LIMITS:
        try:
            bytes_known.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no container, or one without a limit
            continue
    return min((n for n in bytes_known if n > 0), default=UNKNOWN_BYTES)


def check_room(name: str, number: int, cells: int) -> None:
    """PofxError if there is no room for `number` pieces of so many cells each.

    >>> check_room("n", 100, 5)
    """
    memory = memory_bytes()
    most = int(SHARE * memory) // (CELL_BYTES * max(cells, 1))
    if number > most:
        # More digits than anyone reads are no number to show.
        got = f"{number}" if number < 10**20 else "more than 10^20"
        raise PofxError(
            f"{name}: expected at most {most}, for which {memory / 2**30:.3g} GiB of memory have "
            f"room, got {got}; ask for fewer at a time, under several seeds"
        )
