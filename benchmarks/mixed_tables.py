"""Mixed tables with missing cells: held-out likelihood, and imputation beside scikit-learn's.

    python benchmarks/mixed_tables.py DIR [--quick] [--tables NAME ...] [--budget S] [--json FILE]

DIR holds NAME.csv.gz tables (UCI and R; a header row, an empty cell is missing), of which at most
--rows rows, drawn at random, are used, with the cells that they lack by themselves. One split at
random, 80 % to train and 20 % to test; the kinds, levels and units of the columns come from the
whole table.

Likelihood: nats per test row in the data's units, missing cells integrated out, with the standard
error over test rows; of `pofx.fit(table)` (None, "default", within --budget seconds, a stack of
what it tried) and of single models with their default options; in brackets the default's paired
gain on each.

Imputation: of the test rows' cells a share of HOLES more vanish completely at random. What learned
from the training rows, with the holes that these have by themselves, fills them:
  numbers   root of the mean squared error in standard deviations of the column (training rows),
            mean over columns of numbers (real, positive and count by pofx's schema);
  levels    share of wrong levels, mean over the other columns (binary, categorical, ordinal).
Errors of numbers are squared on the scale of the data: no logarithms for anyone. Peers, with
nothing tuned: mean and most frequent level; KNNImputer of 10 neighbours, and IterativeImputer of
BayesianRidge with its defaults (10 rounds), both on standardised numbers and an indicator per
level, where a level is not predicted from the indicators of its own column and the largest
indicator is the answer; random forests by MissForest's loop, 100 trees, 4 rounds
(benchmarks/imputers.py).
pofx gives conditional means and most probable levels.

Coverage: the share of those numbers' cells within the central 90 % of DRAWS imputations, from the
5th to the 95th of 99, ends included: 90 % for a calibrated model, more where draws are tied, as
spikes and counts are. "Split" breaks these ties at random, and is 90 % then too.

Standard errors of imputation are over test rows, by BOOTSTRAPS resamplings of them. "Level" is a
paired difference within one standard error. The best peer is picked on the test rows themselves,
for each measure: a bias against pofx.
"""

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import imputers
import jax
import numpy as np
import pandas as pd
from timing import machine

import pofx
from pofx.table.schema import Schema
from pofx.table.schema_inference import infer

TABLES: dict[str, tuple[str, ...]] = {
    # without the survey's weight
    "adult_train": ("fnlwgt",),
    "airquality": (),
    "auto_imports": (),
    "california_housing": (),
    # without the hospital's number and the codes of lesions, which are neither numbers nor few
    "horse_colic": ("2", "24", "25", "26"),
    # without a column of one level
    "mushroom": ("16",),
    "Ozone": (),
    # without the number of the patient
    "pbc": ("id",),
    "Soybean": (),
    "TitanicSurvival": (),
}
"""The tables, and the columns of each that are left out."""
QUICK = ("airquality", "TitanicSurvival", "pbc")
TEST, HOLES, DRAWS, BOOTSTRAPS = 0.2, 0.3, 99, 1000
MODELS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "default": (None, {}),
    "independent": ("independent", {}),
    "mixture 8": ("mixture", {"components": 8}),
    "latent_tree": ("latent_tree", {}),
    "continuous_mixture": ("continuous_mixture", {"part": "independent"}),
}
OURS = ("default", "mixture 8", "latent_tree")
"""The models that impute too."""
Fill = Callable[[np.ndarray, np.ndarray, imputers.Cells], np.ndarray]


class Task(NamedTuple):
    """A table split in two; `removed` are the cells of the test rows that vanish on top."""

    name: str
    schema: Schema
    train: pd.DataFrame
    test: pd.DataFrame
    removed: np.ndarray

    @property
    def holed(self) -> pd.DataFrame:
        return self.test.mask(self.removed)

    @property
    def number(self) -> np.ndarray:
        """Which columns are numbers."""
        return np.array([not v.discrete for v in self.schema.variables])

    @property
    def cells(self) -> imputers.Cells:
        variables = self.schema.variables
        return imputers.Cells(
            tuple(len(v.levels) for v in variables), tuple(v.kind == "ordinal" for v in variables)
        )

    def coded(self, frame: pd.DataFrame) -> np.ndarray:
        """Rows as (n, d): numbers in standard deviations of the training rows, codes of levels."""
        out = np.empty(frame.shape)
        for j, v in enumerate(self.schema.variables):
            column = frame[v.name]
            if v.discrete:
                out[:, j] = column.map({level: i for i, level in enumerate(v.levels)})
            else:
                mean, spread = self.train[v.name].mean(), self.train[v.name].std(ddof=0)
                out[:, j] = (column - mean) / (spread or 1.0)
        return out


def read(folder: Path, name: str, most: int, seed: int = 0) -> Task:
    """A table as a task, of at most so many rows."""
    frame = pd.read_csv(folder / f"{name}.csv.gz").drop(columns=list(TABLES[name]))
    # all numbers as floats: a mean imputed for an integer would be rounded
    frame = frame.astype({c: float for c in frame if pd.api.types.is_numeric_dtype(frame[c])})
    order = np.random.default_rng(seed).permutation(len(frame))[:most]
    frame = frame.iloc[order].reset_index(drop=True)
    test = frame[: round(TEST * len(frame))]
    dice = np.random.default_rng(seed + 1).random(test.shape)
    removed = (dice < HOLES) & test.notna().to_numpy()
    return Task(name, infer(frame), frame[len(test) :], test, removed)


# -- what is measured


class Score(NamedTuple):
    """A figure with its standard error."""

    value: float
    stderr: float


class Likelihood(NamedTuple):
    """Nats per test row of a model, the default's paired gain on it, and its seconds to fit."""

    nats: Score
    gain: Score
    impossible: int
    seconds: float


class Filling(NamedTuple):
    """What one way made of the removed cells, NaN elsewhere: squared errors, and wrong levels."""

    squared: np.ndarray
    wrong: np.ndarray
    seconds: float


def mean(rows: np.ndarray) -> Score:
    with np.errstate(invalid="ignore"):  # where rows are impossible
        return Score(float(rows.mean()), float(rows.std(ddof=1) / len(rows) ** 0.5))


def root(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Root mean square of each column, and the mean of those."""
    return _over_columns(np.sqrt(sums / np.maximum(counts, 1)), counts)


def share(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The share of each column, and the mean of those."""
    return _over_columns(sums / np.maximum(counts, 1), counts)


def pooled_share(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The share of all cells."""
    return sums.sum(-1) / counts.sum(-1)


def _over_columns(each: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return (each * (counts > 0)).sum(-1) / (counts > 0).sum(-1)


def resampled(values: np.ndarray, what: Callable, seed: int = 0) -> tuple[float, np.ndarray]:
    """The figure of (rows, columns), NaN where nothing is, and those of the rows resampled."""
    n = len(values)
    weight = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), BOOTSTRAPS)
    weight = np.vstack([np.ones(n), weight])
    all_of = what(weight @ np.nan_to_num(values), weight @ ~np.isnan(values))
    return float(all_of[0]), all_of[1:]


def score(values: np.ndarray, what: Callable) -> Score:
    value, others = resampled(values, what)
    return Score(value, float(others.std(ddof=1)))


def paired(a: np.ndarray, b: np.ndarray, what: Callable) -> Score:
    """What `a` is more than `b` on the same rows."""
    (first, firsts), (second, seconds) = resampled(a, what), resampled(b, what)
    return Score(first - second, float((firsts - seconds).std(ddof=1)))


# -- one table


def learn(task: Task, budget: float) -> dict[str, tuple[pofx.Joint, float]]:
    """Each model fitted to the training rows, and the seconds that took."""
    out = {}
    for name, (model, options) in MODELS.items():
        began = time.perf_counter()
        p = pofx.fit(
            task.train, model, schema=task.schema, budget=budget, progress=False, **options
        )
        out[name] = p, time.perf_counter() - began
    return out


def likelihoods(task: Task, fits: dict[str, tuple[pofx.Joint, float]]) -> dict[str, Likelihood]:
    rows = {n: np.asarray(p.log_prob(task.test), np.float64) for n, (p, _) in fits.items()}
    with np.errstate(invalid="ignore"):  # of two impossible rows
        gains = {n: mean(rows["default"] - log_p) for n, log_p in rows.items()}
    return {
        n: Likelihood(mean(log_p), gains[n], int(np.isneginf(log_p).sum()), fits[n][1])
        for n, log_p in rows.items()
    }


def judged(task: Task, filled: np.ndarray, seconds: float) -> Filling:
    off = filled - task.coded(task.test)
    number = task.number
    return Filling(
        np.where(task.removed, off**2, np.nan)[:, number],
        np.where(task.removed, off != 0, np.nan)[:, ~number],
        seconds,
    )


def fillings(
    task: Task, fits: dict[str, tuple[pofx.Joint, float]], peers: dict[str, Fill]
) -> dict[str, Filling]:
    """pofx's models and the peers; seconds of the former are of imputation alone."""
    out, holed = {}, task.holed
    for name in OURS:
        began = time.perf_counter()
        filled = task.coded(fits[name][0].impute(holed))
        out[name] = judged(task, filled, time.perf_counter() - began)
    train, test = task.coded(task.train), task.coded(holed)
    for name, fill in peers.items():
        began = time.perf_counter()
        filled = fill(train, test, task.cells)
        out[name] = judged(task, filled, time.perf_counter() - began)
    return out


def covered(task: Task, p: pofx.Joint) -> tuple[Score, Score]:
    """Coverage of 90 % with the ends of intervals, and with ties broken at random."""
    removed = task.removed & task.number
    names = [v.name for v in task.schema.variables]
    draws = p.impute(task.holed, draws=DRAWS)
    truth = task.test.loc[:, task.number].to_numpy(float)[removed[:, task.number]]
    drawn = [d[names].loc[:, task.number].to_numpy(float)[removed[:, task.number]] for d in draws]
    below = np.sum([d < truth for d in drawn], axis=0)
    ties = np.sum([d == truth for d in drawn], axis=0)
    # From the 5th to the 95th, ends included: fewer than 95 below, and at least 5 not above.
    inside = (below < 95) & (below + ties >= 5)
    rank = below + np.random.default_rng(0).integers(0, ties + 1)
    return tuple(
        score(_spread(is_inside, removed), pooled_share)
        for is_inside in (inside, (rank >= 5) & (rank < 95))
    )


def _spread(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    out = np.full(mask.shape, np.nan)
    out[mask] = values
    return out


class Line(NamedTuple):
    """A measure of all ways: figures, and how much more each errs than pofx's default fit."""

    error: dict[str, Score]
    gain: dict[str, Score]
    best: str

    @property
    def standing(self) -> str:
        """The default fit against the best peer: ahead, level or behind."""
        value, stderr = self.gain[self.best]
        return "ahead" if value > stderr else "level" if value >= -stderr else "behind"


def line(values: dict[str, np.ndarray], what: Callable) -> Line | None:
    """None if the table has no such column."""
    if not values["default"].size:
        return None
    error = {n: score(v, what) for n, v in values.items()}
    gain = {n: paired(v, values["default"], what) for n, v in values.items()}
    best = min((n for n in error if n not in OURS), key=lambda n: error[n].value)
    return Line(error, gain, best)


class Result(NamedTuple):
    """All of a table's figures."""

    choice: str
    likelihood: dict[str, Likelihood]
    imputation: dict[str, Line | None]
    coverage: dict[str, tuple[Score, Score]]
    seconds: dict[str, float]


def run(task: Task, budget: float, peers: dict[str, Fill]) -> Result:
    fits = learn(task, budget)
    filled = fillings(task, fits, peers)
    covers = {n: covered(task, fits[n][0]) for n in OURS} if task.number.any() else {}
    return Result(
        described(fits["default"][0]),
        likelihoods(task, fits),
        {
            "numbers": line({n: f.squared for n, f in filled.items()}, root),
            "levels": line({n: f.wrong for n, f in filled.items()}, share),
        },
        covers,
        {n: f.seconds for n, f in filled.items()},
    )


def described(p: pofx.Joint) -> str:
    """What the default fit chose."""

    def name(model: str, options: dict[str, Any]) -> str:
        return model + "(" + ", ".join(f"{k}={v}" for k, v in options.items()) + ")"

    parts = [f"{x['weight']:.2f} {name(x['model'], x['options'])}" for x in p.fit_info["parts"]]
    untried = p.fit_info["untried"]
    return (" + ".join(parts) or name(p.fit_info["model"], p.fit_info["options"])) + (
        f"; untried: {', '.join(untried)}" if untried else ""
    )


# -- what is printed


def show(task: Task, result: Result) -> None:
    """The tables of one task."""
    holes = task.train.isna().to_numpy().mean()
    print(
        f"\n{task.name}: {len(task.train)} + {len(task.test)} rows, {task.number.sum()} numbers, "
        f"{(~task.number).sum()} columns of levels, {holes:.1%} of training cells missing\n"
        f"  default: {result.choice}"
    )
    print(f"  {'nats per row':<20}{'test':>20}{'default ahead by':>20}{'fit, s':>8}")
    for name, fit in result.likelihood.items():
        gain = "" if name == "default" else f"{fit.gain.value:+.3f} ± {fit.gain.stderr:.3f}"
        odd = f"   {fit.impossible} impossible rows" if fit.impossible else ""
        value = f"{fit.nats.value:.3f} ± {fit.nats.stderr:.3f}"
        print(f"  {name:<20}{value:>20}{gain:>20}{fit.seconds:>8.1f}{odd}")
    print(f"  {'imputation':<20}{'numbers, sd':>34}{'levels wrong, %':>34}{'s':>8}")
    for name, seconds in result.seconds.items():
        cells = [
            "" if one is None else figure(one, name, scale, digits)
            for one, scale, digits in zip(result.imputation.values(), (1, 100), (3, 1))
        ]
        print(f"  {name:<20}{cells[0]:>34}{cells[1]:>34}{seconds:>8.1f}")
    for what, one in result.imputation.items():
        if one is not None:
            print(f"  {what}: {one.standing} (best peer: {one.best})")
    for name, (closed, split) in result.coverage.items():
        print(f"  coverage of 90 %, {name:<12} {percent(closed)}, ties split {percent(split)}")
    print(end="", flush=True)


def figure(one: Line, name: str, scale: float, digits: int) -> str:
    """A figure, and in brackets how much more it errs than the default fit."""
    error, gain = (
        [f"{scale * x:.{digits}f}" for x in pair] for pair in (one.error[name], one.gain[name])
    )
    return error[0] + (f" ± {error[1]}" if name == "default" else f" ({gain[0]} ± {gain[1]})")


def percent(one: Score) -> str:
    return f"{100 * one.value:.1f} ± {100 * one.stderr:.1f} %"


def summarise(results: dict[str, Result]) -> None:
    """How often the default fit is best, and means over tables."""
    print(f"\n{len(results)} tables. Default fit against the best peer on the test rows themselves")
    for what in ("numbers", "levels"):
        lines = [r.imputation[what] for r in results.values() if r.imputation[what] is not None]
        counts = Counter(one.standing for one in lines)
        least = sum(o.error["default"].value <= o.error[o.best].value for o in lines)
        print(
            f"  {what:<8} least error or tied on {counts['ahead'] + counts['level']} of "
            f"{len(lines)} ({counts['ahead']} ahead, {counts['level']} level, "
            f"{counts['behind']} behind; least on {least})"
        )
        names = lines[0].error if lines else {}
        means = {n: np.mean([o.error[n].value for o in lines]) for n in names}
        print("    means: " + ", ".join(f"{n} {v:.3f}" for n, v in means.items()))
    for i, what in enumerate(("ends included", "ties split")):
        covers = [r.coverage["default"][i].value for r in results.values() if r.coverage]
        if covers:
            print(
                f"  coverage of 90 %, {what}: mean {100 * np.mean(covers):.1f} %, "
                f"{100 * min(covers):.1f} to {100 * max(covers):.1f} %"
            )
    for name in [n for n in MODELS if n != "default"]:
        gains = [r.likelihood[name].gain for r in results.values()]
        ahead = sum(g.value >= -g.stderr for g in gains)
        print(
            f"  likelihood: default ahead of or level with {name} on {ahead} of {len(gains)}, "
            f"mean gain {np.mean([g.value for g in gains]):+.3f} nats"
        )


def as_json(results: dict[str, Result]) -> dict[str, Any]:
    """All as JSON holds it."""

    def plain(x: Any) -> Any:
        if isinstance(x, tuple) and hasattr(x, "_asdict"):
            return {k: plain(v) for k, v in x._asdict().items()}
        return {k: plain(v) for k, v in x.items()} if isinstance(x, dict) else x

    return {n: plain(r) for n, r in results.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument(
        "--tables", nargs="+", choices=TABLES, metavar="NAME", help=", ".join(TABLES)
    )
    parser.add_argument("--quick", action="store_true", help="three tables, 10 s, small forests")
    parser.add_argument("--budget", type=float, help="seconds of the default fit: 60, or 10")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    a = parser.parse_args()
    peers: dict[str, Fill] = {
        "mean, mode": imputers.floor,
        "k nearest": imputers.nearest,
        "iterative ridge": imputers.linear,
        "forests": partial(imputers.forests, trees=20, rounds=2) if a.quick else imputers.forests,
    }
    budget = a.budget if a.budget is not None else 10 if a.quick else 60
    print(machine("pofx", "jax", "scikit-learn", "pandas"))
    print(f"default fit: budget {budget:g} s. Imputation: in brackets error less the default's")
    warnings.simplefilter("ignore", pofx.PofxWarning)  # EM out of steps
    results = {}
    for name in a.tables or (QUICK if a.quick else TABLES):
        task = read(a.folder, name, a.rows)
        results[name] = run(task, budget, peers)
        show(task, results[name])
        if a.json:
            a.json.write_text(json.dumps(as_json(results), indent=1))
        jax.clear_caches()  # compiled programs use up the memory maps that a process may have
    summarise(results)


if __name__ == "__main__":
    main()
