"""`pofx doctor`: what an answer depends on that is not in the data."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import numpy as np
import typer

from pofx.cli.app import app

PACKAGES = ("pofx", "jax", "jaxlib", "equinox", "numpy", "scipy", "scikit-learn", "pyarrow")
EXTRAS = ("flowjax", "diffrax", "blackjax", "pandas", "polars")


@app.command()
def doctor(
    clear: Annotated[
        bool, typer.Option("--clear", help="Delete the compiled programs that are kept.")
    ] = False,
) -> None:
    """Print versions, devices, the cache of compiled programs, and a check of the sums."""
    from pofx.cli.output import print_error
    from pofx.core import compilation_cache

    cache = compilation_cache.state()
    if clear:
        if cache.directory is None or cache.reason:
            print_error(f"pofx: no cache to clear: it is {cache.reason}")
            raise typer.Exit(2)
        count = compilation_cache.clear(cache.directory)
        print(f"deleted {count} programs in {cache.directory.parent}")
        return
    for label, text in _findings().items():
        print(f"{label:<12}{text}")


def _findings() -> dict[str, str]:
    import jax

    from pofx.core.sum_check import wrong_sums

    installed = {name: _version(name) for name in PACKAGES + EXTRAS}
    devices = ", ".join(str(d.device_kind) for d in jax.devices())
    wrong = wrong_sums()
    return {
        "python": f"{platform.python_version()}, {platform.platform()}",
        "packages": ", ".join(f"{n} {v}" for n, v in installed.items() if v),
        "absent": ", ".join(n for n, v in installed.items() if not v) or "nothing",
        "devices": f"{jax.default_backend()}: {devices}",
        "threads": f"{os.cpu_count()} cores",
        "cache": _cache_text(),
        "small fit": _small_fit_text(),
        "sums": f"WRONG for {wrong}; use another version of JAX" if wrong else "right",
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cache_text() -> str:
    from pofx.core import compilation_cache

    cache = compilation_cache.state()
    if cache.directory is None:
        return f"none, {cache.reason}"
    if cache.reason:
        return f"{cache.directory}, {cache.reason}"
    num_damaged = compilation_cache.delete_damaged(cache.directory) if cache.writable else 0
    count, size = compilation_cache.size(cache.directory)
    notes = f", {num_damaged} damaged ones deleted" if num_damaged else ""
    notes += "" if cache.writable else ", read-only"
    return f"{cache.directory}, {count} programs, {size / 2**20:.1f} MiB{notes}"


def _small_fit_text() -> str:
    """How long a first fit takes here, and how many of its programs the cache had."""
    import pofx
    from pofx.core.compilation_count import counting_compilations

    rng = np.random.default_rng(0)
    table = {"x": rng.normal(size=100), "level": rng.integers(0, 3, 100)}
    began = time.perf_counter()
    with counting_compilations() as programs:
        pofx.fit(table, "mixture", components=2, progress=False)
    seconds = time.perf_counter() - began
    return f"{seconds:.1f} s, {programs.count} programs, {programs.cached} of them from the cache"
