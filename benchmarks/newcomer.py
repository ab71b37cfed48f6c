"""A newcomer's path: seconds from a clone of the repository to the first answer on an own CSV.

    python benchmarks/newcomer.py [CSV QUESTION]

Each step as a newcomer types it, in a folder and an environment made for it: clone, install (what
pip brings is as near as the machine's package index), fit with no model named and its usual budget
of 60 seconds, and ask. Without a CSV it is the wines of scikit-learn, a tenth of whose cells are
left empty. The wheel is tried too: built, installed with the demo extra in an empty environment,
`pofx demo`.
"""

import argparse
import platform
import subprocess
import tempfile
import time
from pathlib import Path

from install_size import ROOT, run, wheel

WINES = """
import csv, sys
import numpy as np
from sklearn.datasets import load_wine
w = load_wine()
x = np.round(w.data, 3).astype(str)
x[np.random.default_rng(0).random(x.shape) < 0.1] = ""
with open(sys.argv[1], "w", newline="") as file:
    out = csv.writer(file)
    out.writerow([*w.feature_names, "cultivar"])
    out.writerows([*row, w.target_names[y]] for row, y in zip(x, w.target))
"""
QUESTION = "p(cultivar | alcohol > 13.5, hue < 0.8)"


class Clock:
    """Prints the seconds of each step, and of all of them."""

    def __init__(self) -> None:
        self.total = 0.0

    def __call__(self, *command: str | Path, **options) -> str:
        began = time.perf_counter()
        said = run(*command, **options)
        self.total += (taken := time.perf_counter() - began)
        shown = " ".join(Path(p).name if Path(p).is_absolute() else str(p) for p in command)
        print(f"{taken:>7.1f} s   {shown}", flush=True)
        return said


def from_clone(home: Path, csv: Path | None, question: str) -> None:
    """Clone, install, fit, ask."""
    clock, clone, env = Clock(), home / "pofx", home / "env"
    clock("git", "clone", "--quiet", ROOT, clone)
    clock("python3", "-m", "venv", env)
    clock(env / "bin" / "pip", "install", "-q", clone)
    if csv is None:
        csv = home / "mine.csv"
        run(env / "bin" / "python", "-c", WINES, csv)
    pofx, model = env / "bin" / "pofx", home / "mine.pofx"
    summary = clock(pofx, "fit", csv, "-o", model)
    answer = clock(pofx, "ask", model, question)
    print(f"{clock.total:>7.1f} s   in all, to the first answer\n\n{summary}\n{answer}", flush=True)


def from_wheel(home: Path) -> None:
    """The wheel in an empty environment, and its demo."""
    clock, env = Clock(), home / "empty"
    built = wheel(home)
    print(f"the wheel, {built.stat().st_size / 2**20:.1f} MiB")
    clock("python3", "-m", "venv", env)
    clock(env / "bin" / "pip", "install", "-q", f"{built}[demo]")
    clock(env / "bin" / "pofx", "demo", cwd=home)
    run(env / "bin" / "python", "-W", "error", "-c", "import pofx", cwd=home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", nargs="?", type=Path)
    parser.add_argument("question", nargs="?", default=QUESTION)
    a = parser.parse_args()
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            from_clone(Path(folder), a.csv and a.csv.resolve(), a.question)
            from_wheel(Path(folder))
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"{error}\n{error.stderr}") from None


if __name__ == "__main__":
    main()
