"""How large an install is: packages and MiB of pofx beside others, each in an empty environment.

    python benchmarks/install_size.py [--extra NAME] [PACKAGE ...]

PACKAGE is what pip is asked for, by default SPFlow and SDV; pofx is the wheel built of this folder,
with --extra one of its extras. MiB (2^20 bytes) are of all that pip brought, as it resolves on this
platform; seconds are of the first import after it, the median of five. A package whose import has
another name than its own is in IMPORTED.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS = ("spflow", "sdv")
IMPORTED = {"scikit-learn": "sklearn"}


def run(*command: str | Path, **options) -> str:
    return subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True, **options
    ).stdout


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def wheel(folder: Path) -> Path:
    """The wheel of this repository, built in a folder."""
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", folder, ROOT)
    return next(folder.glob("pofx-*.whl"))


def measured(requirement: str, module: str) -> tuple[int, float, float]:
    """Packages, MiB and seconds to import, of an environment made for it."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        venv.create(home, with_pip=True)
        python = home / "bin" / "python"
        site = Path(run(python, "-c", "import site; print(site.getsitepackages()[0])").strip())
        before, known = size(site), packages(python)
        run(python, "-m", "pip", "install", "-q", "--no-compile", requirement)
        brought, grown = len(packages(python) - known), size(site) - before
        seconds = []
        for _ in range(6):
            began = time.perf_counter()
            run(python, "-c", f"import {module}", cwd=home)
            seconds.append(time.perf_counter() - began)
        return brought, grown / 2**20, statistics.median(seconds[1:])


def packages(python: Path) -> set[str]:
    listed = json.loads(run(python, "-m", "pip", "list", "--format=json"))
    return {one["name"] for one in listed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", default=list(PEERS))
    parser.add_argument("--extra", metavar="NAME", help="an extra of pofx to install with it")
    a = parser.parse_args()
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}")
    print(f"{'':<24}{'packages':>10}{'MiB':>8}{'import, s':>11}")
    with tempfile.TemporaryDirectory() as folder:
        built = wheel(Path(folder))
        requirements = {"pofx": str(built)}
        if a.extra:
            requirements[f"pofx[{a.extra}]"] = f"{built}[{a.extra}]"
        requirements |= {name: name for name in a.packages}
        for name, requirement in requirements.items():
            plain = name.partition("[")[0].partition("=")[0]
            count, mib, seconds = measured(requirement, IMPORTED.get(plain, plain))
            print(f"{name:<24}{count:>10}{mib:>8.0f}{seconds:>11.2f}", flush=True)


if __name__ == "__main__":
    main()
