"""How long does a first answer take? Twenty calls on the penguins, in new processes.

    python benchmarks/latency.py [--old DIR] [--rounds N]

Each call once, and again with other values and another pattern of missing cells, in a process of
its own: with an empty cache of compiled programs ("empty"), and in the next process ("filled").
DIR is a checkout of an older commit, which is measured in turn with this one, without a cache and
with JAX's own cache filled. Seconds, median of the rounds; in brackets the programs built. Then
the command line, and batches of 40 random sizes.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
SIZES = 40
LARGEST = 4000
QUESTIONS = {
    "p(level | numbers)": (
        "p(species | bill_length_mm = 45, sex = ?)",
        "p(species | bill_length_mm = 40, body_mass_g = ?)",
    ),
    "P(range | two, one)": (
        "P(body_mass_g > 4000 | flipper_length_mm = 200, sex = male)",
        "P(body_mass_g > 4500 | flipper_length_mm = 190, sex = female)",
    ),
    "E[a | b]": (
        "E[body_mass_g | flipper_length_mm = 200]",
        "E[body_mass_g | bill_length_mm = 40]",
    ),
    "Q[0.9](a | range)": (
        "Q[0.9](body_mass_g | bill_length_mm < 45)",
        "Q[0.8](body_mass_g | bill_length_mm < 42)",
    ),
    "I(a; b)": ("I(species; bill_length_mm)", "I(species; bill_depth_mm)"),
    "H(a | b)": ("H(species | island)", "H(species | sex)"),
    "p(number | number)": (
        "p(body_mass_g | flipper_length_mm = 200)",
        "p(body_mass_g | flipper_length_mm = 190)",
    ),
}


def calls(pofx: Any, frame: Any, folder: Path) -> dict[str, Any]:
    """The twenty calls; each takes 0 the first time and 1 the second."""
    held: dict[str, Any] = {}
    rows = [frame.head(100), frame.tail(60)]
    cost = {
        "treat": {"Adelie": 0, "Gentoo": 5, "Chinstrap": 1},
        "leave": {"Adelie": 2, "Gentoo": 0},
    }
    cost["leave"]["Chinstrap"] = 1

    def keep(name, value):
        held[name] = value
        return value

    def fit(k):
        return keep("p", pofx.fit(frame, "mixture", components=3, seed=k, progress=False))

    def given(k):
        return keep("q", held["p"].given(species=["Adelie", "Gentoo"][k]))

    def informations(k):
        p = held["p"]
        name = "mutual_informations" if hasattr(p, "mutual_informations") else "mutual_information"
        return getattr(p, name)(seed=k)

    def save_and_load(k):
        held["p"].save(folder / f"{k}.pofx")
        return pofx.load(folder / f"{k}.pofx")

    return {
        "fit": fit,
        "log_prob": lambda k: held["p"].log_prob(rows[k]),
        "sample(5)": lambda k: held["p"].sample(5 + k),
        "sample(1000)": lambda k: held["p"].sample(1000 - 40 * k),
        "given": given,
        "sample of that": lambda k: held["q"].sample(5 + k),
        "predict_proba": lambda k: held["p"].predict_proba(rows[k], "species"),
        "impute": lambda k: held["p"].impute(rows[k]),
        "impute, 3 draws": lambda k: held["p"].impute(rows[k], draws=3),
        **{name: (lambda k, pair=pair: held["p"].ask(pair[k])) for name, pair in QUESTIONS.items()},
        "all informations": informations,
        "decide": lambda k: held["p"].decide(rows[k], "species", cost=cost),
        "interval": lambda k: held["p"].interval(rows[k], "body_mass_g"),
        "tail_probability": lambda k: held["p"].tail_probability(rows[k]),
        "save and load": save_and_load,
    }


def work() -> None:
    """In a process of its own: all calls, first and again, as JSON."""
    began = time.perf_counter()
    import pofx

    imported = time.perf_counter() - began
    import warnings

    import jax
    from palmerpenguins import load_penguins

    built: list[float] = []

    def listen(event: str, seconds: float, **_: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            built.append(seconds)

    warnings.simplefilter("ignore")
    frame = load_penguins()
    jax.monitoring.register_event_duration_secs_listener(listen)
    results: dict[str, Any] = {"import": [imported, 0.0, 0]}
    with tempfile.TemporaryDirectory() as folder:
        for name, call in calls(pofx, frame, Path(folder)).items():
            before, began = len(built), time.perf_counter()
            try:
                call(0)
                first, count = time.perf_counter() - began, len(built) - before
                began = time.perf_counter()
                call(1)
                again = time.perf_counter() - began
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
                continue
            results[name] = [first, again, count]
        results["sizes"] = sizes(pofx, frame)
    print(json.dumps(results))


def sizes(pofx: Any, frame: Any) -> list[float]:
    """Seconds of batches of random sizes, after the first three."""
    import numpy as np
    import pandas as pd

    p = pofx.fit(frame, "mixture", components=3, progress=False)
    rng = np.random.default_rng(0)
    table = pd.concat([frame] * 12)
    seconds = []
    for n in rng.integers(1, LARGEST, SIZES):
        began = time.perf_counter()
        p.log_prob(table.head(int(n)))
        seconds.append(time.perf_counter() - began)
    return sorted(seconds[3:])


def run(source: Path, cache: Path | None) -> dict[str, Any]:
    """The calls in a new process, by the code in `source`."""
    return json.loads(process([sys.executable, str(HERE), "--work"], source, cache))


def process(command: list[str], source: Path, cache: Path | None) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "POFX_"))}
    environment |= {"PYTHONPATH": str(source / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    is_old = not (source / "src/pofx/core/compilation_cache.py").exists()
    if is_old and cache:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    else:
        environment["POFX_CACHE"] = str(cache) if cache else "off"
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    if done.stderr:
        print(done.stderr, file=sys.stderr)
    return done.stdout


def command_line(source: Path, cache: Path, folder: Path) -> dict[str, float]:
    """Seconds of whole processes, with a filled cache."""
    model = folder / "p.pofx"
    fit = (
        "import pofx; from palmerpenguins import load_penguins; "
        "pofx.fit(load_penguins(), 'mixture', components=3, progress=False)"
    )
    run_main = [sys.executable, "-m", "pofx"]
    commands = {
        "import and fit": [sys.executable, "-c", fit],
        "pofx ask": [*run_main, "ask", str(model), "P(body_mass_g > 4000 | sex = male)"],
        "pofx info": [*run_main, "info", str(model)],
    }
    process([sys.executable, "-c", f"{fit}.save({str(model)!r})"], source, cache)
    seconds = {}
    for name, command in commands.items():
        process(command, source, cache)
        began = time.perf_counter()
        process(command, source, cache)
        seconds[name] = time.perf_counter() - began
    return seconds


def measure(source: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        result = {"empty": run(source, cache), "filled": run(source, cache)}
        result["commands"] = command_line(source, cache, Path(folder))
        shutil.rmtree(cache)
    return result


def median(results: list[dict[str, Any]], state: str, name: str, place: int) -> float:
    return statistics.median(r[state][name][place] for r in results)


def table(title: str, results: list[dict[str, Any]]) -> dict[str, float]:
    """Prints the calls of one commit, and returns its totals."""
    names = [name for name in results[0]["empty"] if name != "sizes"]
    print(f"\n{title}\n{'':<22}{'empty, s':>10}{'filled, s':>16}{'again, ms':>12}")
    totals = {"empty": 0.0, "filled": 0.0}
    for name in names:
        empty, filled = (median(results, state, name, 0) for state in totals)
        again = 1e3 * median(results, "filled", name, 1)
        count = results[0]["filled"][name][2]
        totals["empty"] += empty + again / 1e3
        totals["filled"] += filled + again / 1e3
        print(f"{name:<22}{empty:>10.2f}{filled:>10.2f} ({count:>3}){again:>12.1f}")
    questions = [name for name in names if name in QUESTIONS]
    totals["slowest question, empty"] = max(median(results, "empty", n, 0) for n in questions)
    totals["slowest question, filled"] = max(median(results, "filled", n, 0) for n in questions)
    times_again = [median(results, "filled", name, 1) for name in questions]
    totals["question again, median"] = statistics.median(times_again)
    totals["question again, most"] = max(times_again)
    for name in results[0]["commands"]:
        totals[name] = statistics.median(r["commands"][name] for r in results)
    late = [r["empty"]["sizes"] for r in results]
    totals["random sizes, worst"] = statistics.median(each[-1] for each in late)
    return totals


def main() -> None:
    from timing import machine

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", action="store_true")
    a = parser.parse_args()
    if a.work:
        return work()
    print(machine("pofx", "jax"))
    sources = {"now": HERE.parents[1], **({"old": a.old.resolve()} if a.old else {})}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in sources}
    for _ in range(a.rounds):
        for name, source in sources.items():
            results[name].append(measure(source))
    totals = {name: table(name, each) for name, each in results.items()}
    print(
        f"\n{'':<28}" + "".join(f"{name:>10}" for name in totals) + ("     ratio" if a.old else "")
    )
    for what, value in totals["now"].items():
        old = f"{totals['old'][what]:>10.3f}{totals['old'][what] / value:>10.1f}" if a.old else ""
        print(f"{what:<28}{value:>10.3f}{old}")
    return None


if __name__ == "__main__":
    main()
