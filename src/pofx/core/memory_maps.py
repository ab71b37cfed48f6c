"""Memory maps of compiled functions, of which Linux allows a process a limited number."""

from pathlib import Path

import jax

MAX_USED_SHARE = 0.7
"""The share of the memory maps allowed to a process above which caches are cleared."""


def clear_caches_if_maps_run_out() -> bool:
    """Clears all compiled functions if they have nearly used up the kernel's memory maps.

    XLA maps a few pieces of memory for each function it compiles, and crashes if Linux allows no
    more (`vm.max_map_count`, 65530 by default). A process that fits hundreds of models of different
    shapes would reach that. Returns whether it cleared them; it never does on other systems.
    """
    try:
        max_maps = int(Path("/proc/sys/vm/max_map_count").read_text())
        with open("/proc/self/maps", "rb") as file:
            used = sum(1 for _ in file)
    except OSError:
        return False
    if used < MAX_USED_SHARE * max_maps:
        return False
    jax.clear_caches()
    return True
