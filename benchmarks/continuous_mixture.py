"""A continuous mixture of Chow-Liu trees: training, scoring and drawing beside SPFlow.

    python benchmarks/continuous_mixture.py DIR [--set plants] [--points 1024]

DIR holds NAME.npz as for binary_tables.py. Both sides: the Chow-Liu tree of the training rows, a
decoder of two hidden layers of 256 from four latent numbers, Sobol points shifted at random in each
step, batches of 128, Adam; float32. An epoch is the difference of runs of three and one, without
evaluation, so that compilation and start are left out of it. Scoring: 1000 test rows. Drawing: the
missing half of the cells of 8 test rows (SPFlow takes a second for each), one pattern for all and a
pattern per row; SPFlow's model has the points it was trained with, so has pofx's. Needs spflow (the
`peers` extra).
"""

import argparse
import time
from pathlib import Path

import jax
import numpy as np
import torch
from binary_tables import load
from spflow.zoo.cms.continuous_mixtures import learn_continuous_mixture_cltree
from timing import in_turn, machine

from pofx.core.column import Column
from pofx.core.rows import log_prob, make_rows
from pofx.learn.sgd import SGDConfig, train
from pofx.models.continuous_mixture import ContinuousMixture
from pofx.queries import imputation

ROWS, DRAWN = 1000, 8
SHORT, LONG = 1, 3
"""Epochs of the two runs whose difference is timed."""


def seconds(work) -> float:
    """The seconds that one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dir", type=Path)
    parser.add_argument("--set", default="plants")
    parser.add_argument("--points", type=int, default=1024)
    given = parser.parse_args()
    parts = load(given.dir / f"{given.set}.npz")
    train_x, test = parts["train"].astype(np.float32), parts["test"][:ROWS].astype(np.float32)
    n, d = train_x.shape
    print(machine("pofx", "jax", "spflow", "torch"))
    print(f"{given.set}: {n} rows, {d} columns, {given.points} points")

    key = jax.random.key(0)
    columns = [Column(f"x{j}", "binary", levels=2, family="bernoulli") for j in range(d)]
    train_rows = make_rows(train_x)
    start = ContinuousMixture.from_data(key, train_rows, columns, points=given.points, depth=2)
    data = torch.tensor(train_x)
    models = {}

    def ours(epochs):
        done = train(key, start, train_rows, settings=SGDConfig(epochs=epochs))
        models["pofx"] = done.model.mixture()

    def theirs(epochs):
        models["spflow"] = learn_continuous_mixture_cltree(
            data, leaf="bernoulli", num_points_train=given.points, num_epochs=epochs, patience=0
        )

    compiling = seconds(lambda: ours(SHORT))
    epoch: dict[str, list[float]] = {"pofx": [], "spflow": []}
    for _ in range(2):
        for name, work in (("pofx", ours), ("spflow", theirs)):
            short = seconds(lambda work=work: work(SHORT))
            long = seconds(lambda work=work: work(LONG))
            epoch[name].append((long - short) / (LONG - SHORT))
    print(f"pofx compiles and trains the first epoch in {compiling:.1f} s")
    report("training epoch", {k: float(np.median(v)) for k, v in epoch.items()})

    rng = np.random.default_rng(0)
    drawn = test[:DRAWN]
    one = np.broadcast_to(rng.random(d) < 0.5, drawn.shape)
    each = rng.random(drawn.shape) < 0.5
    test_rows = make_rows(test)
    tensor = torch.tensor(test)

    def score():
        with torch.no_grad():
            models["spflow"].log_likelihood(tensor)

    report(
        f"scoring {ROWS} rows",
        in_turn({"pofx": lambda: log_prob(models["pofx"], test_rows), "spflow": score}, 5),
    )
    for name, holes in (("one pattern", one), ("a pattern a row", each)):
        holed = np.where(holes, np.nan, drawn)
        rows_with_holes = make_rows(holed)

        def draw(holed=holed):
            with torch.no_grad():
                models["spflow"].sample_with_evidence(evidence=torch.tensor(holed))

        works = {
            "pofx": lambda rows=rows_with_holes: imputation.draw_missing(key, models["pofx"], rows)
        }
        report(f"drawing half of {DRAWN} rows, {name}", in_turn({**works, "spflow": draw}, 3))


def report(what: str, times: dict[str, float]) -> None:
    """Both times, and how many times faster pofx is."""
    ratio = times["spflow"] / times["pofx"]
    cells = ", ".join(f"{name} {1000 * t:.1f} ms" for name, t in times.items())
    print(f"{what:>45}: {cells}, {ratio:.1f} x", flush=True)


if __name__ == "__main__":
    main()
