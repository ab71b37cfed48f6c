"""Density estimation on binary tables, beside the published figures.

    python benchmarks/binary_tables.py DIR [--quick] [--sets NAME ...] [--json FILE]

DIR holds NAME.npz files, all of which are measured: `train`, `valid` and `test`, rows of bits
packed along their second axis, and `columns`, the number of columns. Every set gets the same: a
Chow-Liu tree, latent trees of 16 to 128 states, a continuous mixture of Chow-Liu trees, and the
stack of all these. The validation part stops learning and weighs the stack; the test part is scored
once. Each set runs in a process of its own, whose peak memory and seconds, compilation included,
are printed. --quick takes four of the sets, one latent tree, of 16 states, and five epochs: what
still runs, not what it can reach.

Test log-likelihoods in nats per row, with the standard error of their mean over the test rows.
Published figures of the same splits, for the sets that have some: Chow-Liu trees, computed by us;
hidden Chow-Liu trees of five seeds, from the authors' logs (the repository
UCLA-StarAI/Tractable-PC-Regularization, NeurIPS 2021; for kdd and tretail the epoch that is best on
validation rows); and circuits, the better of two ("A compositional theory of curvature in
probabilistic circuits", 2026, table 2).
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from timing import machine

PUBLISHED = {
    "nltcs": (-6.759, -5.999, -6.00),
    "msnbc": (-6.540, -6.058, -6.08),
    "kdd": (-2.295, -2.141, -2.22),
    "plants": (-16.524, -14.263, -12.67),
    "baudio": (-44.375, -39.774, -39.62),
    "accidents": (-33.186, -26.744, -26.55),
    "tretail": (-10.944, -10.855, -10.84),
    "pumsb_star": (-30.800, -23.648, -22.75),
    "dna": (-87.661, -79.056, -81.28),
    "bbc": (-261.79, -249.049, -260.07),
}
"""Chow-Liu tree, hidden Chow-Liu tree, circuits of 2026: mean test log-likelihood, nats per row."""
NO_FIGURES = (float("nan"),) * 3
STATES = (16, 32, 64, 128)
QUICK = ("nltcs", "plants", "baudio", "dna")


def load(path: Path) -> dict[str, np.ndarray]:
    """The three parts of a set, rows of zeros and ones."""
    with np.load(path) as file:
        columns = int(file["columns"])
        return {
            part: np.unpackbits(file[part], axis=1)[:, :columns]
            for part in ("train", "valid", "test")
        }


def measure(path: Path, quick: bool) -> dict:
    """All models of one set: test score and error of each, seconds and peak memory."""
    import pofx

    parts = load(path)
    began = time.perf_counter()
    schema = {f"x{j}": "binary" for j in range(parts["train"].shape[1])}
    shared = {"validation": parts["valid"], "progress": False}
    first = pofx.fit(parts["train"], "chow_liu_tree", schema=schema, **shared)
    models, seconds = {"chow_liu_tree": first}, {}
    shared["schema"] = first.schema
    jobs = {f"latent_tree {k}": ("latent_tree", {"states": k}) for k in STATES[: 1 if quick else 4]}
    jobs["continuous_mixture"] = ("continuous_mixture", {})
    for name, (model, options) in jobs.items():
        start = time.perf_counter()
        epochs = 5 if quick else 0
        models[name] = pofx.fit(parts["train"], model, epochs=epochs, **options, **shared)
        seconds[name] = time.perf_counter() - start
    models["stack"] = pofx.stack(list(models.values()), parts["valid"])
    total_seconds = time.perf_counter() - began
    scores = {n: np.asarray(p.log_prob(parts["test"]), np.float64) for n, p in models.items()}
    n = len(parts["test"])
    return {
        "rows": len(parts["train"]),
        "columns": parts["train"].shape[1],
        "test": {k: (float(s.mean()), float(s.std(ddof=1) / n**0.5)) for k, s in scores.items()},
        "valid": {k: float(np.mean(p.log_prob(parts["valid"]))) for k, p in models.items()},
        "weights": models["stack"].fit_info["parts"],
        "seconds": total_seconds,
        "each": seconds,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def show(results: dict[str, dict]) -> None:
    """The table, and how the stack fares against the published figures."""
    names = ["chow_liu_tree", "latent_tree", "continuous_mixture", "stack"]
    print(f"{'set':>10} {'rows':>7} {'cols':>5}", *(f"{n:>20}" for n in names), end=" ")
    print(f"{'s':>5} {'GiB':>5} {'tree':>8} {'hidden':>8} {'circuits':>8}")
    better = 0
    for name, result in results.items():
        # The latent tree that the validation part prefers.
        trees = [k for k in result["test"] if k.startswith("latent_tree")]
        best = max(trees, key=result["valid"].__getitem__)
        cells = [result["test"][best if n == "latent_tree" else n] for n in names]
        published = PUBLISHED.get(name, NO_FIGURES)
        print(f"{name:>10} {result['rows']:>7} {result['columns']:>5}", end=" ")
        print(*(f"{m:>12.3f} ± {e:.3f}" for m, e in cells), end=" ")
        print(f"{result['seconds']:>5.0f} {result['memory']:>5.1f}", end=" ")
        print(*(f"{t:>8.2f}" for t in published))
        better += result["test"]["stack"][0] >= max(published)
    known = len(PUBLISHED.keys() & results.keys())
    print(f"\nstack at least as good as the best published figure: {better} of {known}")
    mean = np.mean([result["test"]["stack"][0] for result in results.values()])
    print(f"mean of the stack: {mean:.3f} nats per row")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dir", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.dir / f"{given.one}.npz", given.quick)))
        return
    print(machine("pofx", "jax", "numpy"), flush=True)
    results = {}
    there = sorted(path.stem for path in given.dir.glob("*.npz"))
    names = given.sets or (QUICK if given.quick else there)
    for name in [name for name in names if name in there]:
        command = [sys.executable, __file__, str(given.dir), "--one", name]
        command += ["--quick"] * given.quick
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}: {done.stderr[-2000:]}")
        results[name] = json.loads(done.stdout.splitlines()[-1])
        stack = results[name]["test"]["stack"]
        line = f"{name}: {stack[0]:.3f} ± {stack[1]:.3f}, {results[name]['seconds']:.0f} s"
        print(line, file=sys.stderr, flush=True)
        if given.json:
            given.json.write_text(json.dumps(results, indent=1))
    show(results)


if __name__ == "__main__":
    main()
