"""How long do the same questions take elsewhere? What each library can do with 344 penguins.

    python benchmarks/latency_peers.py [--python PATH] [--rounds N]

Each library in a process of its own, with its usual settings, on the columns that it can model:
import, learning, and then each question once and again with other values. Seconds, median of the
rounds; pofx with an empty cache and with a filled one. PATH is an interpreter that has the other
libraries (pylace, pgmpy, pomegranate); those that it lacks are left out. `import pofx` imports
nothing yet, so the rest is in its time of learning. The libraries learn different models: what they
are worth is measured in `small_tables.py`, not here.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
LEVELS = ["species", "island", "sex"]
STEPS = ("import", "learn", "log_prob", "sample(1000)", "p(level | number)", "I(a; b)", "impute")
Calls = dict[str, Callable[[int], Any]]


def pofx_calls(frame: Any) -> Calls:
    import pofx

    p = pofx.fit(frame, "mixture", components=3, progress=False)
    given = ["bill_length_mm = 45", "flipper_length_mm = 190"]
    return {
        "log_prob": lambda k: p.log_prob(frame.iloc[100 * k : 100 * k + 100]),
        "sample(1000)": lambda k: p.sample(1000, seed=k),
        "p(level | number)": lambda k: p.ask(f"p(species | {given[k]})"),
        "I(a; b)": lambda k: p.ask(["I(species; body_mass_g)", "I(species; bill_length_mm)"][k]),
        "impute": lambda k: p.impute(frame.iloc[100 * k : 100 * k + 100]),
    }


def lace_calls(frame: Any) -> Calls:
    """16 chains of 1000 sweeps."""
    from lace import Engine

    frame = frame.astype({"year": float})
    frame.index = [f"row {i}" for i in range(len(frame))]
    engine = Engine.from_df(frame, n_states=16, rng_seed=0)
    engine.update(1000)
    given = [{"bill_length_mm": 45.0}, {"flipper_length_mm": 190.0}]
    levels = list(frame["species"].unique())
    import pandas as pd

    values = pd.Series(levels, name="species")
    complete = frame.dropna()
    return {
        "log_prob": lambda k: engine.logp(complete.iloc[100 * k : 100 * k + 100]),
        "sample(1000)": lambda k: engine.simulate(list(frame.columns), n=1000 - k),
        "p(level | number)": lambda k: engine.logp(values, given=given[k]),
        "I(a; b)": lambda k: engine.mi([("species", ["body_mass_g", "bill_length_mm"][k])]),
        "impute": lambda k: engine.impute(NUMBERS[k]),
    }


def sklearn_calls(frame: Any) -> Calls:
    """A Gaussian mixture of the numbers, complete rows."""
    from sklearn.mixture import GaussianMixture

    x = frame[NUMBERS].dropna().to_numpy()
    model = GaussianMixture(3, random_state=0).fit(x)
    return {
        "log_prob": lambda k: model.score_samples(x[100 * k : 100 * k + 100]),
        "sample(1000)": lambda k: model.sample(1000 - k),
    }


def pomegranate_calls(frame: Any) -> Calls:
    """A mixture of normals of the numbers at unit variance, complete rows."""
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    x = frame[NUMBERS].dropna().to_numpy()
    x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
    model = GeneralMixtureModel([Normal() for _ in range(3)])
    model.fit(x)
    return {
        "log_prob": lambda k: model.log_probability(x[100 * k : 100 * k + 100]),
        "sample(1000)": lambda k: model.sample(1000 - k),
    }


def pgmpy_calls(frame: Any) -> Calls:
    """A Bayesian network of the levels: the best tree, complete rows."""
    from pgmpy.estimators import TreeSearch
    from pgmpy.inference import VariableElimination
    from pgmpy.models import DiscreteBayesianNetwork

    x = frame[LEVELS].dropna().astype(str)
    tree = TreeSearch(x, root_node="species").estimate(show_progress=False)
    model = DiscreteBayesianNetwork(tree.edges())
    model.fit(x)
    inference = VariableElimination(model)
    given = [{"island": "Dream"}, {"sex": "male"}]
    return {
        "sample(1000)": lambda k: model.simulate(1000 - k, show_progress=False, seed=k),
        "p(level | number)": lambda k: inference.query(["species"], given[k], show_progress=False),
    }


PEERS: dict[str, Callable[[Any], Calls]] = {
    "pofx": pofx_calls,
    "lace": lace_calls,
    "sklearn": sklearn_calls,
    "pomegranate": pomegranate_calls,
    "pgmpy": pgmpy_calls,
}
MODULES = {
    "pofx": "pofx",
    "lace": "lace",
    "sklearn": "sklearn.mixture",
    "pomegranate": "pomegranate.gmm",
    "pgmpy": "pgmpy.inference",
}


def work(name: str, table: Path) -> None:
    """In a process of its own: import, learning and all calls, first and again, as JSON."""
    import pandas as pd

    warnings.simplefilter("ignore")
    frame = pd.read_csv(table)
    began = time.perf_counter()
    __import__(MODULES[name])
    seconds = {"import": (time.perf_counter() - began, 0.0)}
    began = time.perf_counter()
    calls = PEERS[name](frame)
    seconds["learn"] = (time.perf_counter() - began, 0.0)
    for step, call in calls.items():
        began = time.perf_counter()
        call(0)
        first = time.perf_counter() - began
        began = time.perf_counter()
        call(1)
        seconds[step] = (first, time.perf_counter() - began)
    print(json.dumps(seconds))


def run(python: str, name: str, table: Path, cache: Path) -> dict[str, Any] | None:
    """The times of one library; None if the interpreter lacks it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_"))}
    environment |= {"POFX_CACHE": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [python, str(HERE), "--work", name, "--table", str(table)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def line(name: str, times: list[dict[str, Any]]) -> str:
    def cell(step: str) -> str:
        if step not in times[0]:
            return f"{'-':>18}"
        first, again = (statistics.median(t[step][i] for t in times) for i in range(2))
        shown = f"{first:.3g} s" + (f", {1e3 * again:.3g} ms" if again else "")
        return f"{shown:>20}"

    return f"{name:<14}" + "".join(map(cell, STEPS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", choices=PEERS)
    parser.add_argument("--table", type=Path)
    a = parser.parse_args()
    if a.work:
        return work(a.work, a.table)
    from palmerpenguins import load_penguins
    from timing import machine

    print(machine("pofx", "jax"))
    results: dict[str, list[dict[str, Any]]] = {}
    for _ in range(a.rounds):
        with tempfile.TemporaryDirectory() as folder:
            table, cache = Path(folder) / "penguins.csv", Path(folder) / "cache"
            load_penguins().to_csv(table, index=False)
            rounds = {
                "pofx, empty": run(sys.executable, "pofx", table, cache),
                "pofx, filled": run(sys.executable, "pofx", table, cache),
                **{name: run(a.python, name, table, cache) for name in PEERS if name != "pofx"},
            }
        for name, times in rounds.items():
            if times:
                results.setdefault(name, []).append(times)
    print("\nfirst, and again\n" + " " * 14 + "".join(f"{step:>20}" for step in STEPS))
    for name, times in results.items():
        print(line(name, times))
    return None


if __name__ == "__main__":
    main()
