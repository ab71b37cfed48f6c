"""Are probabilities what they say? Calibration of classes, coverage of intervals of numbers.

    python benchmarks/calibration.py DIR [PICTURE.png]

DIR holds NAME.csv.gz tables (UCI and R). Each is split in halves at random: one half learns, on the
other half of the rows p(class | the other cells) is held to the share that is right, with all cells
and with half of them missing completely at random: accuracy, and the expected calibration error in
10 bins of equal width (Guo et al. 2017) beside what perfect confidence would show by chance. For
numbers, the share of held-out rows within central intervals of 50, 80, 90 and 95 %. One model per
table, stated, nothing chosen on the test half. At most 3000 rows per half.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from timing import machine

import pofx
from pofx import plot
from pofx.queries.calibration import calibration
from pofx.table.schema_inference import infer

CLASSES = {
    "HouseVotes84": ("Class", {"part": "mixture", "components": 3}),
    "Soybean": ("Class", {"part": "independent"}),
    "TitanicSurvival": ("survived", {"part": "mixture", "components": 4}),
    "banknote_authentication": ("4", {"part": "mixture.gaussian", "components": 4}),
    "adult_train": ("income", {"part": "mixture", "components": 8}),
    "mushroom": ("0", {"part": "mixture", "components": 8}),
}
NUMBERS = {
    "reg_power_plant": "4",
    "california_housing": "median_house_value",
    "abalone": "8",
    "airquality": "Ozone",
}
LEVELS = (0.5, 0.8, 0.9, 0.95)
MOST = 3000


def halves(folder, name, target):
    frame = pd.read_csv(Path(folder) / f"{name}.csv.gz")
    frame = frame[frame[target].notna()]
    frame = frame.sample(min(len(frame), 2 * MOST), random_state=0).reset_index(drop=True)
    in_train = frame.index < len(frame) // 2
    return frame[in_train], frame[~in_train].reset_index(drop=True)


def classes(folder):
    """Posteriors of every table, and the codes of the truth, with and without holes."""
    pooled = {"all cells": ([], []), "half of them": ([], [])}
    print(f"{'class':<26} {'model':<34} {'cells':<13} {'right':>6} {'ECE':>15} {'chance':>7}")
    for name, (target, options) in CLASSES.items():
        train, test = halves(folder, name, target)
        train, test = (part.astype({target: str}) for part in (train, test))
        real = "gaussian" in options["part"]
        schema = infer(pd.concat([train, test]), numeric=lambda v: real and v != target)  # noqa: B023
        p = pofx.fit(train, "class_conditional", on=target, schema=schema, **options)
        levels = np.array(p.schema.variable(target).levels)
        codes = np.searchsorted(levels, test[target])
        inputs = test.drop(columns=target)
        holes = np.random.default_rng(0).random(inputs.shape) < 0.5
        for cells, data in (("all cells", inputs), ("half of them", inputs.mask(holes))):
            posterior = np.asarray(p.predict_proba(data, target, unseen="missing"))
            result = calibration(posterior, codes)
            settings = " ".join(f"{k}={v}" for k, v in options.items())
            right = posterior.argmax(1) == codes
            print(
                f"{name:<26} {settings:<34} {cells:<13} {right.mean():>6.1%} "
                f"{100 * result.error.value:>6.1f} ± {100 * result.error.stderr:>4.1f} % "
                f"{100 * result.by_chance:>5.1f} %",
                flush=True,
            )
            pooled[cells][0].append(posterior.max(1))
            pooled[cells][1].append(right)
    return {k: tuple(map(np.concatenate, v)) for k, v in pooled.items()}


def numbers(folder):
    head = " ".join(f"{level:>13.0%}" for level in LEVELS)
    print(f"\n{'number':<20} {'model':<26} {'rows':>5} {head}")
    for name, target in NUMBERS.items():
        train, test = halves(folder, name, target)
        numeric = [c for c in train if pd.api.types.is_numeric_dtype(train[c])]
        for model, options in (
            ("mixture.gaussian", {"part": "gaussian", "components": 8}),
            ("mixture of independent", {"part": "independent", "components": 32}),
        ):
            columns = numeric if "gaussian" in model else list(train)
            p = pofx.fit(train[columns], "mixture", **options)
            shares = []
            for level in LEVELS:
                ends = p.interval(test[columns], target, level, unseen="missing")
                inside = (test[target] > ends["low"]) & (test[target] <= ends["high"])
                shares.append((inside.mean(), np.sqrt(level * (1 - level) / len(test))))
            cells = " ".join(f"{100 * s:>6.1f} ± {100 * e:>2.1f} %" for s, e in shares)
            print(f"{name:<20} {model:<26} {len(test):>5} {cells}", flush=True)


def main():
    folder = sys.argv[1]
    picture = Path(sys.argv[2] if len(sys.argv) > 2 else "reliability.png")
    print(machine("pofx"))
    pooled = classes(folder)
    numbers(folder)
    drawn, axes = plot.figure(1, 2)
    for ax, (cells, (confidence, right)) in zip(axes[0], pooled.items()):
        # As two levels, the one that was held most probable and the others together.
        table = np.stack([confidence, 1 - confidence], 1)
        plot.reliability(table, 1 - right.astype(int), ax=ax)
        ax.set_title(f"{cells}, {len(right)} rows of {len(CLASSES)} tables", fontsize=10, pad=34)
    drawn.savefig(picture)
    print(f"\nreliability of all tables pooled: {picture}")


if __name__ == "__main__":
    main()
