"""Room for compiled functions."""

from pathlib import Path

import jax

SHARE = 0.7
"""Of the memory maps that the kernel allows a process."""


def clear_caches_if_maps_run_out() -> bool:
    """Forgets all compiled functions where they have nearly used up the kernel's memory maps.

    XLA maps a few pieces of memory for each function it compiles, and crashes where Linux grants no
    more (`vm.max_map_count`, 65530 by default): a process that fits hundreds of models of different
    shapes would come to that. Says whether it was so; elsewhere than on Linux nothing is done.
    """
    try:
        most = int(Path("/proc/sys/vm/max_map_count").read_text())
        with open("/proc/self/maps", "rb") as file:
            used = sum(1 for _ in file)
    except OSError:
        return False
    if used < SHARE * most:
        return False
    jax.clear_caches()
    return True
