"""How the benchmarks time: in turn, median of several rounds, the machine named."""

import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

import numpy as np

import pofx


def machine(*packages: str) -> str:
    """The machine and the versions, for the head of a table."""
    import os

    versions = []
    for package in packages:
        try:
            number = pofx.__version__ if package == "pofx" else version(package)
            versions.append(f"{package} {number}")
        except PackageNotFoundError:
            versions.append(f"{package} absent")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, " + ", ".join(
        versions
    )


def in_turn(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each work; each once per round, after a round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for i in range(rounds + 1):
        for name, work in works.items():
            # Uncounted first: threads of the work before still spin, and caches hold its data.
            work()
            began = time.perf_counter()
            work()
            if i:
                seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(each)) for name, each in seconds.items()}
