"""MNIST as a table of 784 ordinal columns: bits per dimension, and classes with missing pixels.

    python benchmarks/mnist.py DIR [--quick] [--states 16] [--bins 32] [--json FILE]

DIR holds the four idx files of MNIST, gzip. For each digit a latent tree of its training images;
p(x) = Σ_y p(y) p(x | y) is exact for any pattern of missing pixels, and so is p(y | x_O).

A column is a pixel's bin: zero alone, and the other grey levels in bins of about equal frequency.
Within its bin a level has the frequency that it has there over all training pixels, p(v | bin), one
table for all pixels; so bits per dimension are those of a distribution over all 256 levels. A tenth
of the training images stops learning; nothing is chosen on the test images. Published figures:
hidden Chow-Liu trees (Liu and Van den Broeck 2021) and sparse circuits for bits; expected
prediction and median imputation of a logistic regression (Khosravi et al. 2019) for classes, whose
missing pixels are drawn at random as here. --quick takes 1500 training images per digit,
five passes over them, and 1500 to test.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np
from timing import machine

import pofx

MISSING = (0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
EXPECTED = (np.nan, 0.968, 0.949, 0.909, 0.780, 0.616, 0.378)
MEDIAN = (np.nan, 0.925, 0.759, 0.568, 0.388, 0.297, 0.216)
BITS = "published: sparse circuits 1.14, hidden Chow-Liu tree 1.20; flows 0.99 to 1.06"


def idx(folder: Path, part: str, what: str) -> np.ndarray:
    """The images as rows, or the labels."""
    with gzip.open(next(folder.glob(f"{part}-{what}*.gz"))) as file:
        data = file.read()
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape[0], -1)


class Bins:
    """Grey levels as bins, and log p(v | bin) of each level."""

    def __init__(self, pixels: np.ndarray, count: int):
        seen = np.bincount(pixels.ravel(), minlength=256) + 1.0
        share = np.cumsum(seen[1:]) / seen[1:].sum()
        inner = np.minimum((share - 1e-9) * (count - 1), count - 2).astype(int)
        # Some bins may be empty: those left are numbered anew.
        self.of = np.concatenate([[0], 1 + np.unique(inner, return_inverse=True)[1]])
        self.count = int(self.of.max()) + 1
        self.log_within = np.log(seen / np.bincount(self.of, seen)[self.of])


def scores(models: list[pofx.Joint], prior: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """log p(y, x_O) of each row and digit, in nats."""
    each = [np.asarray(p.log_prob(rows), np.float64) for p in models]
    return np.stack(each, 1) + np.log(prior)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dir", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--states", type=int, default=16)
    parser.add_argument("--bins", type=int, default=32)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(machine("pofx", "jax", "numpy"), flush=True)
    train, label = idx(given.dir, "train", "images"), idx(given.dir, "train", "labels")[:, 0]
    test, truth = idx(given.dir, "t10k", "images"), idx(given.dir, "t10k", "labels")[:, 0]
    most = 1500 if given.quick else len(train)
    test, truth = test[:most], truth[:most]
    bins = Bins(train, given.bins)
    levels = list(range(bins.count))
    schema = {f"x{j}": {"kind": "ordinal", "levels": levels} for j in range(train.shape[1])}
    shared = {"schema": schema, "epochs": 5 if given.quick else 0, "progress": False}
    models, prior, began = [], np.bincount(label) / len(label), time.perf_counter()
    for digit in range(10):
        images = bins.of[train[label == digit][:most]].astype(float)
        p = pofx.fit(images, "latent_tree", states=given.states, **shared)
        models.append(p)
        steps, seconds = p.fit_info["steps"], p.fit_info["seconds"]
        print(f"digit {digit}: {len(images)} images, {steps} passes, {seconds:.0f} s", flush=True)
    print(f"learned in {time.perf_counter() - began:.0f} s, {bins.count} bins")

    began = time.perf_counter()
    coded = bins.of[test].astype(float)
    log_p = np.logaddexp.reduce(scores(models, prior, coded), axis=1)
    bits = -(log_p + bins.log_within[test].sum(1)) / (np.log(2) * test.shape[1])
    error = bits.std(ddof=1) / len(bits) ** 0.5
    print(f"{bits.mean():.4f} ± {error:.4f} bits per dimension, {len(bits)} images; {BITS}")

    rng, right = np.random.default_rng(0), []
    print(f"{'missing':>8}{'pofx':>18}{'expected':>10}{'median':>8}")
    for share, expected, median in zip(MISSING, EXPECTED, MEDIAN):
        holed = np.where(rng.random(coded.shape) < share, np.nan, coded)
        hit = scores(models, prior, holed).argmax(1) == truth
        right.append((float(hit.mean()), float(hit.std(ddof=1) / len(hit) ** 0.5)))
        accuracy = f"{right[-1][0]:.4f} ± {right[-1][1]:.4f}"
        print(f"{share:>8.0%}{accuracy:>18}{expected:>10.3f}{median:>8.3f}", flush=True)
    print(f"answered in {time.perf_counter() - began:.0f} s")
    if given.json:
        accuracies = dict(zip(MISSING, right))
        record = {"bits": [float(bits.mean()), float(error)], "accuracy": accuracies}
        given.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
