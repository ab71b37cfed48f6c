"""Generative against discriminative classifiers as cells of the inputs vanish.

    python benchmarks/missing_inputs.py DIR [--quick] [--train-holes] [--tables NAME ...] [--json F]

DIR holds NAME.csv.gz tables (UCI and R; a header row, an empty cell is missing). Of the test rows'
cells, inputs only, 0 to 70 % vanish completely at random, on top of those that the table lacks.
Accuracy and log-loss (nats) of pofx, p(class | whatever cells are left) by Bayes' rule, and of
scikit-learn's classifiers.

Splits of 60 / 20 / 20 % are repeated and by class. pofx's model is one of CANDIDATES, and a peer's
settings one of its own list (benchmarks/classification.py): that with the least log-loss of the
validation rows, averaged over all rates of holes, one choice per split. Then each learns from
training and validation rows together, with the holes that these have by themselves; with
--train-holes there is one more peer, boosting that is shown the training rows with holes of every
rate. The kinds, levels and units of the columns come from the whole table. Those of TABLES that are
LONG are left out unless named.
"""

import argparse
import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from classification import (
    SHOWN,
    Split,
    Task,
    choose,
    log_loss,
    paired,
    peers,
    posteriors,
    rows_mean,
    splits,
)
from classification import with_holes as holed
from timing import machine

import pofx
from pofx.table.schema_inference import infer

RATES = (0.0, 0.1, 0.3, 0.5, 0.7)
TARGET = "the class"
STYLES = {"accuracy, %": (100, 1), "log-loss": (1, 3)}
"""The measures: what a figure is multiplied by, and its digits."""


class Source(NamedTuple):
    """The class of a table, the columns left out, and how it is read if that is not one file."""

    target: str
    without: tuple[str, ...] = ()
    read: Callable[[Path], pd.DataFrame] | None = None


def wine(folder: Path) -> pd.DataFrame:
    """White wines, their marks of 3 to 9 in three classes."""
    frame = pd.read_csv(folder / "winequality_white.csv.gz")
    frame["11"] = np.select([frame["11"] < 6, frame["11"] == 6], ["3 to 5", "6"], "7 to 9")
    return frame


TABLES = {
    "HouseVotes84": Source("Class"),
    "Soybean": Source("Class"),
    "TitanicSurvival": Source("survived"),
    "breast_cancer_wisconsin_original": Source("9"),
    "banknote_authentication": Source("4"),
    # without the hospital's number and what is known only after surgery or death
    "horse_colic": Source("22", ("2", "23", "24", "25", "26", "27")),
    # without the number of the patient and the days until the status was noted
    "pbc": Source("status", ("id", "time")),
    "abalone": Source("0"),
    "mushroom": Source("0"),
    # without the survey's weight
    "adult_train": Source("income", ("fnlwgt",)),
    "winequality_white": Source("11", read=wine),
}
LONG = ("Soybean", "mushroom", "adult_train")
"""Learned from only where they are named: many classes or levels, and so the most minutes."""
QUICK = ("HouseVotes84", "TitanicSurvival", "banknote_authentication")


class Candidate(NamedTuple):
    """A model of all columns; if `real`, numbers are real whatever they look like."""

    name: str
    model: str
    options: Mapping[str, Any]
    real: bool = False


def chain(name: str, part: str, real: bool = False, **options: Any) -> Candidate:
    return Candidate(
        f"chain of {name}", "class_conditional", {"on": TARGET, "part": part, **options}, real
    )


def of_tied_chains(k: int) -> Candidate:
    options = {
        "components": k,
        "part": "class_conditional.gaussian",
        "on": TARGET,
        "covariance": "tied",
    }
    return Candidate(f"mixture {k} of tied gaussian chains", "mixture", options, True)


CANDIDATES = (
    chain("independent", "independent"),
    *(chain(f"mixture {k}", "mixture", components=k) for k in (2, 4, 8)),
    *(Candidate(f"mixture {k}", "mixture", {"components": k}) for k in (16, 32, 64)),
    Candidate("mixture 64, prior 0.1", "mixture", {"components": 64, "prior": 0.1}),
    Candidate(
        "mixture 16 of chains",
        "mixture",
        {"components": 16, "part": "class_conditional", "on": TARGET},
    ),
    chain("gaussian", "gaussian", True),
    chain("tied gaussian", "gaussian", True, covariance="tied"),
    *(of_tied_chains(k) for k in (2, 4, 8)),
)
"""All of them exact for any holes. Those without a table's kinds of columns are passed over.

A chain is p(class) p(inputs | class), a mixture one of all columns, and a mixture of chains
Σ_k w_k p_k(class) p_k(inputs | class).
"""
LEARNING = {"steps": 200, "tolerance": 1e-5}


def read(folder: Path, name: str, most: int) -> Task:
    """A table as a task, of at most so many rows."""
    source = TABLES[name]
    frame = source.read(folder) if source.read else pd.read_csv(folder / f"{name}.csv.gz")
    frame = frame[frame[source.target].notna()].drop(columns=list(source.without))
    if len(frame) > most:
        frame = frame.sample(most, random_state=0)
    frame = frame.reset_index(drop=True)
    codes, names = pd.factorize(frame.pop(source.target), sort=True)
    schema = infer(frame)
    numbers = [c for c in frame if pd.api.types.is_numeric_dtype(frame[c])]
    few = tuple(c for c in numbers if len(schema.variable(c).levels) > 2)
    text = tuple(c for c in frame if c not in numbers)
    return Task(
        name,
        frame,
        codes,
        tuple(f"{v:g}" if isinstance(v, float) else str(v) for v in names),
        text,
        few,
    )


def table(task: Task, index: np.ndarray) -> pd.DataFrame:
    """Those rows with their class."""
    return task.rows(index).assign(**{TARGET: np.array(task.names, object)[task.classes[index]]})


class Ours:
    """pofx on one task: the schemas of the whole table, and the candidates that support it."""

    def __init__(self, task: Task):
        all_rows = table(task, np.arange(len(task.classes)))
        self.task = task
        self.schemas = {r: infer(all_rows, numeric=lambda c, r=r: r) for r in (False, True)}
        real = {self.schemas[True].variable(c).kind for c in task.inputs} == {"real"}
        self.candidates = [c for c in CANDIDATES if real or not c.real]

    def fit(self, candidate: Candidate, index: np.ndarray) -> pofx.Joint:
        return pofx.fit(
            table(self.task, index),
            candidate.model,
            schema=self.schemas[candidate.real],
            progress=False,
            **LEARNING,
            **candidate.options,
        )

    def posterior(self, p: pofx.Joint, frame: pd.DataFrame) -> np.ndarray:
        proba = p.predict_proba(frame, TARGET, unseen="missing")[list(self.task.names)].to_numpy()
        # a row that the model holds impossible
        return np.where(np.isnan(proba), 1 / len(self.task.names), proba)

    def losses(self, split: Split) -> dict[str, float]:
        """Validation log-loss of each candidate, mean over rates; of those that can be learned."""
        held = pd.concat([holed(self.task, split, split.valid, r) for r in RATES])
        classes = np.tile(self.task.classes[split.valid], len(RATES))
        losses = {}
        for candidate in self.candidates:
            try:
                p = self.fit(candidate, split.train)
            except pofx.PofxError:
                continue
            losses[candidate.name] = float(log_loss(self.posterior(p, held), classes).mean())
        return losses

    def posteriors(self, split: Split) -> tuple[str, np.ndarray, dict[str, float]]:
        """What was chosen, p(class) of the test rows at each rate, and the candidates' losses."""
        losses = self.losses(split)
        best = min(losses, key=losses.get)
        p = self.fit(next(c for c in self.candidates if c.name == best), split.both)
        held = pd.concat([holed(self.task, split, split.test, r) for r in RATES])
        proba = self.posterior(p, held).reshape(len(RATES), len(split.test), -1)
        return best, proba, losses


class Result(NamedTuple):
    """What came of a task: choices, candidates' mean validation losses, and scores by method.

    Scores are (rates, repeats, rows), NaN if a row was not tested.
    """

    task: Task
    chosen: dict[str, Counter]
    valid: dict[str, float]
    right: dict[str, np.ndarray]
    loss: dict[str, np.ndarray]


def run(task: Task, repeats: int, train_holes: bool, caps: tuple[int, int]) -> Result:
    ours, others = Ours(task), peers(train_holes)
    names = ["pofx", *(peer.name for peer in others)]
    shape = (len(RATES), repeats, len(task.classes))
    right, loss = ({n: np.full(shape, np.nan) for n in names} for _ in range(2))
    chosen: dict[str, Counter] = {n: Counter() for n in names}
    valid: list[dict[str, float]] = []
    for i, split in enumerate(splits(task, repeats, *caps)):
        choice, proba, losses = ours.posteriors(split)
        valid.append(losses)
        predictions = {"pofx": (choice, proba)}
        for peer in others:
            picked = choose(peer, task, split, RATES)
            predictions[peer.name] = picked.name, posteriors(peer, picked, task, split, RATES)
        classes = task.classes[split.test]
        for name, (choice, probas) in predictions.items():
            chosen[name][choice] += 1
            for r, proba in enumerate(probas):
                right[name][r, i, split.test] = proba.argmax(1) == classes
                loss[name][r, i, split.test] = log_loss(proba, classes)
    common = [c for c in valid[0] if all(c in v for v in valid)]
    return Result(
        task, chosen, {c: float(np.mean([v[c] for v in valid])) for c in common}, right, loss
    )


class Line(NamedTuple):
    """One measure at one rate: the figure of each method, and pofx's gain on each peer.

    A gain is better the larger: accuracy of pofx less the peer's, log-loss of the peer less pofx's.
    """

    rate: float
    value: dict[str, float]
    gain: dict[str, tuple[float, float]]
    best: str

    def standing(self, peer: str) -> str:
        mean, stderr = self.gain[peer]
        return "ahead" if mean > stderr else "level" if mean >= -stderr else "behind"


def lines(scores: dict[str, np.ndarray], sign: int) -> list[Line]:
    """A line per rate; the best peer is the one whose figure on these test rows is best.

    The best peer is one of those that learned from the rows as they are.
    """
    out = []
    for r, rate in enumerate(RATES):
        value = {n: float(rows_mean(s[r]).mean()) for n, s in scores.items()}
        others = [n for n in scores if n != "pofx"]
        gain = {n: paired(sign * scores["pofx"][r], sign * scores[n][r]) for n in others}
        best = max((n for n in others if n != SHOWN), key=lambda n: sign * value[n])
        out.append(Line(rate, value, {n: tuple(g) for n, g in gain.items()}, best))
    return out


def show(result: Result, measures: dict[str, list[Line]]) -> None:
    """The tables of one task."""
    task = result.task
    print(
        f"\n{task.name}: {len(task.classes)} rows, {task.inputs.shape[1]} inputs "
        f"({task.inputs.isna().to_numpy().mean():.1%} missing), {len(task.names)} classes "
        f"(the largest {np.bincount(task.classes).max() / len(task.classes):.1%})"
    )
    for name, counts in result.chosen.items():
        print(f"  {name}: " + "; ".join(f"{c} ({n} x)" for c, n in counts.most_common()))
    order = sorted(result.valid, key=result.valid.get)
    print("  on validation: " + ", ".join(f"{c} {result.valid[c]:.3f}" for c in order))
    for what, rates in measures.items():
        names = list(rates[0].value)
        scale, digits = STYLES[what]
        print(f"  {what:<12}" + "".join(f"{n:>26}" for n in names) + "   pofx ahead of best peer")
        for line in rates:
            cells = f"{scale * line.value['pofx']:>26.{digits}f}"
            for n in names[1:]:
                gain = " ± ".join(f"{scale * g:.{digits}f}" for g in line.gain[n])
                cells += f"{f'{scale * line.value[n]:.{digits}f} ({gain})':>26}"
            mean, stderr = (scale * g for g in line.gain[line.best])
            print(
                f"  {line.rate:>10.0%}  {cells}   {mean:+.{digits}f} ± {stderr:.{digits}f} "
                f"{line.standing(line.best)} ({line.best})",
                flush=True,
            )


def summarise(results: dict[str, dict[str, list[Line]]]) -> None:
    """On how many tables pofx is ahead of, level with or behind peers, and means over tables."""
    measures = next(iter(results.values()))
    names = list(measures["log-loss"][0].value)
    print(
        f"\nOf {len(results)} tables, pofx is more than one standard error ahead / within one / "
        "more than one behind"
    )
    print(f"  {'':<36}" + "".join(f"{rate:>12.0%}" for rate in RATES))
    for peer in ("best peer", *names[1:]):
        for what in measures:
            cells = ""
            for i in range(len(RATES)):
                tables = [r[what][i] for r in results.values()]
                standing = Counter(
                    x.standing(x.best if peer == "best peer" else peer) for x in tables
                )
                counts = " / ".join(str(standing[w]) for w in ("ahead", "level", "behind"))
                cells += f"{counts:>12}"
            print(f"  {what:<12} {peer:<23}" + cells)
    print("\nMeans over tables")
    for name in names:
        for what in measures:
            scale, digits = STYLES[what]
            values = [
                [scale * r[what][i].value[name] for r in results.values()]
                for i in range(len(RATES))
            ]
            print(
                f"  {what:<12} {name:<23}" + "".join(f"{np.mean(v):>12.{digits}f}" for v in values)
            )


def as_json(results: dict[str, dict[str, list[Line]]]) -> dict[str, Any]:
    """The lines as JSON holds them."""
    return {
        name: {what: [line._asdict() for line in rates] for what, rates in measures.items()}
        for name, measures in results.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument(
        "--tables", nargs="+", choices=TABLES, metavar="NAME", help=", ".join(TABLES)
    )
    parser.add_argument("--quick", action="store_true", help="three tables, two repeats")
    parser.add_argument("--train-holes", action="store_true", help="one more peer, shown holes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    for name, default in (("repeats", 3), ("rows", 6000), ("train", 3000), ("test", 2000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    repeats = min(a.repeats, 2) if a.quick else a.repeats
    chosen = a.tables or (QUICK if a.quick else [name for name in TABLES if name not in LONG])
    print(machine("pofx", "jax", "scikit-learn", "pandas"))
    print(
        f"{repeats} splits; in brackets pofx's gain on that peer: mean over tested rows of their "
        "mean over repeats ± its standard error over rows.\n"
        "The best peer is picked at each rate on the test rows themselves: a bias against pofx."
    )
    warnings.simplefilter("ignore", pofx.PofxWarning)  # EM out of steps, impossible rows
    results = {}
    for name in chosen:
        result = run(read(a.folder, name, a.rows), repeats, a.train_holes, (a.train, a.test))
        results[name] = {
            "accuracy, %": lines(result.right, 1),
            "log-loss": lines(result.loss, -1),
        }
        show(result, results[name])
        if a.json:
            a.json.write_text(json.dumps(as_json(results), indent=1))
        jax.clear_caches()  # compiled programs use up the memory maps that a process may have
    summarise(results)


if __name__ == "__main__":
    main()
