"""The whole family on real data: test nats or bits per dimension of every model, and its seconds.

    python benchmarks/taxonomy.py DIR [--sets NAME ...] [--models NAME ...] [--json FILE]
                                  [--gpu [--copies N]]

DIR holds `tables` (NAME.csv.gz) and `images/mnist` (idx files). Sets:
  digits    scikit-learn's 1797 digits of 64 pixels of 17 grey levels, as ordinal columns; bits per
            dimension are of those levels
  mnist     28 by 28 pixels, nats per image, one if at least 128 of 255: a fixed threshold, whose
            figures are about 10 nats lower than those of the published binarisation; the first
            --rows training images and 500 test images. With --gpu one with probability its grey
            level, as in the papers: all 60000 images --copies times, drawn anew each time in place
            of each epoch, and 10000 test images drawn once
  tables    four of real columns (power_plant, wine_red, banknote, housing) and four of mixed types
            with their missing cells (titanic, pbc, airquality, adult); nats per row in the data's
            units, of densities if columns are real, a fifth of at most 5000 rows to test
A model that lacks the kind of a set's column is left out there. Every model has its default options
but for those below, which fit two cores; --gpu has the sizes of the published figures (MADE 8000
wide, 84.87 nats; RBM 500 hidden, 86.3; VAE 50 latent, 500 wide, 86.8). The kind says how log p is
known; the standard error is over test rows. Nothing is chosen on test rows.
"""

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from mnist import idx
from sklearn.datasets import load_digits
from timing import machine

import pofx
from pofx.core.abstract_approximate import AbstractImportanceSampled
from pofx.core.row_means import mean_over_rows

MODELS = (
    "independent",
    "gaussian",
    "mixture",
    "chow_liu_tree",
    "latent_tree",
    "continuous_mixture",
    "autoregressive",
    "any_order",
    "flow",
    "vae",
    "diffusion",
    "rbm",
    "neural_energy",
)
REAL = {
    "power_plant": ("reg_power_plant", ()),
    "wine_red": ("winequality_red", ("11",)),  # a mark
    "banknote": ("banknote_authentication", ("4",)),  # a class
    "housing": ("california_housing", ()),
}
MIXED = {
    "titanic": ("TitanicSurvival", ()),
    "pbc": ("pbc", ("id",)),
    "airquality": ("airquality", ()),
    "adult": ("adult_train", ("fnlwgt",)),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "mixture": {"components": 16},
    "continuous_mixture": {"points": 64},
}
IMAGES: dict[str, dict[str, Any]] = {
    "mixture": {"components": 64},
    "autoregressive": {"width": 500, "depth": 1},
    "vae": {"latent": 32, "width": 256},
    "rbm": {"hidden": 256},
}
LARGE: dict[str, dict[str, Any]] = {
    "mixture": {"components": 500},
    "autoregressive": {"width": 8000, "depth": 1, "epochs": 12},
    "vae": {"latent": 50, "width": 500, "epochs": 40},
    "rbm": {"hidden": 500, "epochs": 40},
}
DRAWS = {"any_order": 2, "diffusion": 4}
"""Weighted draws a row on images, where one takes hundreds of passes."""


class Task(NamedTuple):
    """A set: training and test rows, the schema, and what log p is divided by, with its name."""

    train: Any
    test: Any
    schema: Any
    unit: str
    share: float
    image: bool


def digits() -> Task:
    x, _ = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x = x[order].reshape(-1, 8, 8)
    schema = {"image": {"kind": "ordinal", "levels": list(range(17))}}
    bits, unit = -64 * np.log(2), "bits per dimension, less is better"
    return Task({"image": x[360:]}, {"image": x[:360]}, schema, unit, bits, True)


def mnist(folder: Path, rows: int, gpu: bool, copies: int) -> Task:
    rng = np.random.default_rng(0)

    def read(part, most, copies):
        grey = idx(folder / "images" / "mnist", part, "images")[:most]
        grey = np.concatenate([grey] * copies)
        one = rng.integers(255, size=grey.shape, dtype=np.uint8) < grey if gpu else grey >= 128
        return {"image": one.astype(np.float32).reshape(-1, 28, 28)}

    schema = {"image": "binary"}
    unit = "-log p, nats per image, less is better"
    if gpu:
        train, test = read("train", None, copies), read("t10k", None, 1)
    else:
        train, test = read("train", rows, 1), read("t10k", 500, 1)
    return Task(train, test, schema, unit, -1.0, True)


def table(folder: Path, name: str, without: tuple[str, ...], real: bool) -> Task:
    frame = pd.read_csv(folder / "tables" / f"{name}.csv.gz")
    frame = frame.drop(columns=[c for c in without if c in frame])
    order = np.random.default_rng(0).permutation(len(frame))[:5000]
    frame = frame.iloc[order].reset_index(drop=True)
    if real:
        frame = frame.select_dtypes("number").astype(float).dropna()
    cut = len(frame) // 5
    # Levels are those of the whole table: a test row may have one that no other row has.
    schema = {c: {"levels": sorted(frame[c].dropna().unique())} for c in frame if text(frame[c])}
    if real:
        schema = {c: {"kind": "real", "spikes": []} for c in frame}
    return Task(frame[cut:], frame[:cut], schema, "log p, nats per row, more is better", 1.0, False)


def text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def tasks(folder: Path, rows: int, gpu: bool, copies: int) -> dict[str, Any]:
    sets = {"digits": digits, "mnist": lambda: mnist(folder, rows, gpu, copies)}
    for tables, real in ((REAL, True), (MIXED, False)):
        for name, (file, without) in tables.items():
            sets[name] = lambda file=file, without=without, real=real: table(
                folder, file, without, real
            )
    return sets


class Result(NamedTuple):
    """Mean log p of test rows with its standard error, how it is known, and seconds."""

    value: float
    stderr: float
    kind: str
    fit: float
    score: float


def judged(task: Task, name: str, gpu: bool) -> Result:
    options = dict(OPTIONS.get(name, {}))
    if task.image:
        options |= (LARGE if gpu else IMAGES).get(name, {})
    began = time.perf_counter()
    p = pofx.fit(task.train, name, schema=task.schema, progress=False, **options)
    fitted = time.perf_counter()
    if task.image and isinstance(p.model, AbstractImportanceSampled) and name in DRAWS:
        p = replace(p, model=replace(p.model, draws=DRAWS[name]))
    answer = p.log_prob(task.test) / task.share
    mean = mean_over_rows(answer)
    seconds = time.perf_counter() - fitted
    return Result(float(mean), mean.stderr, answer.kind, fitted - began, seconds)


def results(task: Task, models: list[str], gpu: bool) -> Iterator[tuple[str, Result | str]]:
    for name in models:
        try:
            yield name, judged(task, name, gpu)
        except pofx.PofxError as error:
            yield name, str(error)
        jax.clear_caches()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--sets", nargs="+", metavar="NAME")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--json", type=Path, metavar="FILE")
    a = parser.parse_args()
    known = tasks(a.folder, a.rows, a.gpu, a.copies)
    print(machine("pofx", "jax", "flowjax", "diffrax", "blackjax"))
    warnings.simplefilter("ignore", pofx.PofxWarning)
    record: dict[str, dict[str, Any]] = {}
    for name in a.sets or known:
        task = known[name]()
        print(f"\n{name}, {task.unit}")
        record[name] = {}
        for model, r in results(task, a.models, a.gpu):
            if isinstance(r, str):
                print(f"  {model:<20}{r[:90]}", flush=True)
                continue
            record[name][model] = r._asdict()
            print(
                f"  {model:<20}{f'{r.value:.3f} ± {r.stderr:.3f}':>20}  {r.kind:<12}"
                f"fit {r.fit:>6.1f} s, test {r.score:>5.1f} s",
                flush=True,
            )
        if a.json:
            a.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
