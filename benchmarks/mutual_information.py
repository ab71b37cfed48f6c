"""Mutual information of known truth: estimators straight from samples, and fitted models.

    python benchmarks/mutual_information.py DIR [--methods NAME ...]

DIR holds `tasks.csv` (key, name, dim_x, dim_y, true_mi_nats) and `samples.npz` (KEY__x and KEY__y,
a row each). One setting for all tasks; none of it is chosen by a truth. A mixture of Gaussians has
the number of components that gives held-out rows the most probability, and is then fitted to all.
A copula method sees the normal scores of each column, which leaves the information as it is; the
estimators from neighbours take these by themselves. "cross-fitted" is `model="auto"`, the default
that chooses among models by held-out rows. Standard errors: of the sample for neighbours and
cross-fitting, of the draws alone for models (a Gaussian's answer is exact, under the Gaussian). A
standard error of ? says that nothing confirms the estimate. "covered" counts, of the answers with
a standard error, those within two of them.
"""

import argparse
import csv
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata
from timing import machine

import pofx
from pofx.estimate import mutual_information

COMPONENTS = (1, 2, 4, 8, 16)
HELD = 0.2
NATS, SHARE = 0.05, 0.1


def neighbours(k, method=None):
    return lambda x, y: mutual_information(x, y, neighbours=k, method=method)


def gaussian(x, y):
    return pofx.fit({"x": x, "y": y}, "gaussian").mutual_information("x", "y")


def mixture(x, y):
    """A mixture of as many Gaussians as held-out rows prefer."""
    held = np.random.default_rng(0).random(len(x)) < HELD

    def fitted(rows, components):
        data = {"x": x[rows], "y": y[rows]}
        return pofx.fit(data, "mixture", part="gaussian", components=components, restarts=1)

    others, score = {"x": x[held], "y": y[held]}, {}
    for k in COMPONENTS:
        score[k] = float(fitted(~held, k).log_prob(others).mean())
        best = max(score, key=score.__getitem__)
        if best not in list(score)[-2:]:
            break  # two larger ones in turn were no better
    p = fitted(np.full(len(x), True), best)
    return p.mutual_information("x", "y", stderr=0.01)


def copula(method):
    def scored(x, y):
        return method(*(ndtri((rankdata(v, axis=0) - 0.5) / len(v)) for v in (x, y)))

    return scored


METHODS = {
    "KSG, 3": neighbours(3),
    "KSG, 10": neighbours(10),
    "mixed, 3": neighbours(3, "mixed"),
    "cross-fitted": lambda x, y: mutual_information(x, y, model="auto"),
    "Gaussian": gaussian,
    "Gaussian copula": copula(gaussian),
    "Gaussians": mixture,
    "Gaussians copula": copula(mixture),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    folder = arguments.folder
    methods = {name: METHODS[name] for name in arguments.methods}
    # What a fit of few steps has to say of itself is not what is compared here.
    warnings.simplefilter("ignore", pofx.PofxWarning)
    with open(folder / "tasks.csv", newline="") as file:
        tasks = list(csv.DictReader(file))
    samples = np.load(folder / "samples.npz")
    rows = sorted({len(samples[f"{t['key']}__x"]) for t in tasks})
    print(machine("pofx", "jax", "scipy"))
    print(f"nats; {', '.join(map(str, rows))} rows a task; estimate ± standard error, error\n")
    print(f"{'task':>48} {'truth':>6}" + "".join(f"{name:>20}" for name in methods))
    errors, seconds = {name: [] for name in methods}, dict.fromkeys(methods, 0.0)
    stderrs = {name: [] for name in methods}
    for task in tasks:
        x, y = (np.asarray(samples[f"{task['key']}__{v}"], np.float64) for v in "xy")
        truth = float(task["true_mi_nats"])
        print(f"{task['name']:>48} {truth:>6.2f}", end="", flush=True)
        for name, method in methods.items():
            began = time.perf_counter()
            answer = method(x, y)
            seconds[name] += time.perf_counter() - began
            errors[name].append(error := float(answer) - truth)
            stderrs[name].append(answer.stderr)
            known = f"{answer.stderr:.2f}" if np.isfinite(answer.stderr) else "?"
            cell = f"{float(answer):.2f} ± {known} {error:+.2f}"
            print(f"{cell:>20}", end="", flush=True)
        print()
    print(f"\nsolved: |error| <= max({NATS} nats, {SHARE:.0%} of the truth)")
    bound = np.maximum(NATS, [SHARE * float(t["true_mi_nats"]) for t in tasks])
    for name, error in errors.items():
        size, known = np.abs(error), np.isfinite(stderrs[name])
        covered = size[known] <= 2 * np.array(stderrs[name])[known]
        print(
            f"{name:>20}: {(size <= bound).sum():>3} of {len(tasks)} solved, "
            f"{covered.sum():>2} of {known.sum():>2} covered, "
            f"mean |error| {size.mean():.3f} nats, {seconds[name]:.0f} s"
        )


if __name__ == "__main__":
    main()
