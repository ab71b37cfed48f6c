"""Synthetic data: how faithful, and does it leak?

    python examples/synthetic_data.py [table.csv] [--budget S]

Learns a table (the penguins, or a file), draws as many rows, and checks two things on rows held
out. Fidelity: can a forest separate synthetic rows from real ones (area under the curve; 0.5 is
no)? Leakage: are synthetic rows nearer to the training rows than real rows held out are? A share of
0.5 is what no copying gives; draws that repeat training rows come near to 1.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import NearestNeighbors

import pofx


def numbers(p: pofx.Joint, *frames: pd.DataFrame) -> list[np.ndarray]:
    """Frames as numbers: standardised, an indicator per level, holes at the mean and marked."""
    x = pd.get_dummies(pd.concat(frames), dummy_na=False).astype(float)
    missing = pd.concat(frames).isna().add_suffix(" missing").astype(float)
    x = pd.concat([(x - x.mean()) / (x.std() + 1e-9), missing], axis=1).fillna(0)
    ends = np.cumsum([len(f) for f in frames])[:-1]
    return np.split(x.to_numpy(), ends)


def rounded(p: pofx.Joint, df: pd.DataFrame) -> pd.DataFrame:
    """Draws rounded as the data are: to a tenth of a millimetre, to 25 grams."""
    steps = {v.name: v.resolution for v in p.schema.variables if v.resolution}
    return df.assign(**{name: (df[name] / step).round() * step for name, step in steps.items()})


def separability(a: np.ndarray, b: np.ndarray) -> float:
    """Area under the curve of a forest that separates a from b, cross-validated."""
    forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0)
    y = np.repeat([0, 1], [len(a), len(b)])
    return float(cross_val_score(forest, np.vstack([a, b]), y, scoring="roc_auc", cv=5).mean())


def nearer(train: np.ndarray, synthetic: np.ndarray, held: np.ndarray) -> float:
    """How often the nearest training row of a synthetic row is nearer than that of a held-out one.

    Over all pairs of the two, ties half: the area under the curve of the distances.
    """
    near = NearestNeighbors(n_neighbors=1).fit(train)
    a, b = (near.kneighbors(rows)[0][:, 0] for rows in (synthetic, held))
    return float(np.mean((a[:, None] < b) + 0.5 * (a[:, None] == b)))


def main(
    df: pd.DataFrame, model: str | None = None, budget: float | None = None, **options
) -> dict:
    """Prints and returns the checks."""
    order = np.random.default_rng(0).permutation(len(df))
    train, held = df.iloc[order[::2]], df.iloc[order[1::2]]
    p = pofx.fit(train, model, budget=budget, **options)
    synthetic = rounded(p, p.sample(len(held), seed=1))
    holes = held.isna().to_numpy()  # a model draws whole rows: give them the holes of real ones
    a, b, c = numbers(p, train, synthetic.mask(holes), held)
    checks = {
        "told apart, synthetic from held out": separability(b, c),
        "told apart, training from held out": separability(a, c),
        "synthetic nearer to training rows": nearer(a, b, c),
        "copies of training rows nearer": nearer(a, a, c),
    }
    print(f"{len(train)} rows learned, {len(synthetic)} drawn, {len(held)} held out")
    for name, value in checks.items():
        print(f"  {name:36} {value:.3f}")
    return checks


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="?", type=Path)
    parser.add_argument("--budget", type=float)
    given = parser.parse_args()
    if given.table:
        frame = pd.read_csv(given.table)
    else:
        from palmerpenguins import load_penguins

        frame = load_penguins()
    main(frame, budget=given.budget)
