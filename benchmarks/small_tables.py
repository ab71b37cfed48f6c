"""Does the default fit overfit small tables? Penguins and irises, in 10 folds.

    python benchmarks/small_tables.py [--tables NAME ...] [--budget S] [--folds N]

Mean log-likelihood of the rows of each fold under what was learned from the others, in nats per
row with its standard error over rows: of `pofx.fit(table)` with no model named, and of single
simple models. In brackets the default's paired gain on each. The best simple model is picked on
these very rows: a bias against the default.
"""

import argparse
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from palmerpenguins import load_penguins
from sklearn.datasets import load_iris
from timing import machine

import pofx
from pofx.core.row_means import mean_over_rows
from pofx.table.schema_inference import infer

MODELS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "default": (None, {}),
    "independent": ("independent", {}),
    "correlated": ("correlated", {}),
    **{f"mixture {k}": ("mixture", {"components": k}) for k in (2, 3, 4, 6, 8)},
    "gaussian a species": (
        "class_conditional",
        {"on": "species", "part": "gaussian", "prior": 1.0},
    ),
    "correlated a species": ("class_conditional", {"on": "species", "part": "correlated"}),
    "tree": ("chow_liu_tree", {}),
}


def iris() -> pd.DataFrame:
    iris_data: Any = load_iris(as_frame=True)
    species = np.array(iris_data.target_names)[iris_data.target]
    return iris_data.data.assign(species=species)


TABLES = {"penguins": load_penguins, "iris": iris}


def scores(frame: pd.DataFrame, name: str, budget: float | None, folds: int) -> np.ndarray | None:
    """log p of each row by what the other folds say; None if a model lacks a kind."""
    model, options = MODELS[name]
    schema, out = infer(frame), np.empty(len(frame))
    fold = np.random.default_rng(0).permutation(len(frame)) % folds
    for k in range(folds):
        try:
            p = pofx.fit(
                frame[fold != k], model, schema=schema, budget=budget, progress=False, **options
            )
        except pofx.PofxError:
            return None
        out[fold == k] = p.log_prob(frame[fold == k]).value
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--budget", type=float)
    parser.add_argument("--folds", type=int, default=10)
    a = parser.parse_args()
    print(machine("pofx", "jax"))
    warnings.simplefilter("ignore", pofx.PofxWarning)
    for table in a.tables:
        frame = TABLES[table]()
        within = "its default time" if a.budget is None else f"{a.budget:g} s"
        print(f"\n{table}, {len(frame)} rows, {a.folds} folds, default within {within}")
        log_p: dict[str, np.ndarray] = {}
        for name in MODELS:
            began = time.perf_counter()
            rows = scores(frame, name, a.budget, a.folds)
            if rows is None:
                continue
            log_p[name] = rows
            mean = mean_over_rows(rows)
            gain = mean_over_rows(log_p["default"] - rows)
            gain_text = "" if name == "default" else f"   ({float(gain):+.3f} ± {gain.stderr:.3f})"
            seconds = (time.perf_counter() - began) / a.folds
            print(
                f"  {name:<22}{float(mean):9.3f} ± {mean.stderr:.3f}"
                f"{seconds:7.1f} s per fold{gain_text}",
                flush=True,
            )


if __name__ == "__main__":
    main()
