"""Small tables, ordinary and degenerate, and exact models of them, for the test of exactness."""

from typing import Any

import numpy as np

import pofx

REALS = ("gaussian", "ppca", "factor_analysis")
"""Models that support real columns only."""

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "independent": ("independent", {}),
    "gaussian": ("gaussian", {}),
    "ppca": ("ppca", {"latent": 1}),
    "factor_analysis": ("factor_analysis", {"latent": 1}),
    "correlated": ("correlated", {}),
    "chow_liu_tree": ("chow_liu_tree", {"states": 3}),
    "latent_tree": ("latent_tree", {"states": 3}),
    "class-conditional": ("class_conditional", {"on": "y"}),
    "class-conditional correlated": ("class_conditional", {"on": "y", "part": "correlated"}),
    "class-conditional tree": (
        "class_conditional",
        {"on": "y", "part": "chow_liu_tree", "states": 2},
    ),
    "mixture": ("mixture", {"components": 2}),
    "mixture of gaussians": ("mixture", {"components": 2, "part": "gaussian"}),
    "mixture of factors": ("mixture", {"components": 2, "part": "factor_analysis", "latent": 1}),
    "mixture of correlated": ("mixture", {"components": 2, "part": "correlated"}),
    "mixture of trees": ("mixture", {"components": 2, "part": "chow_liu_tree", "states": 2}),
    "continuous mixture": (
        "continuous_mixture",
        {"part": "independent", "latent": 1, "points": 4, "width": 4, "depth": 1, "epochs": 1},
    ),
    "stack": ("stack", {"components": 2, "states": 2}),
}
"""The model and the options of each name in the table of results."""


def real(name: str) -> bool:
    """Whether a model supports real columns only."""
    _, options = OPTIONS[name]
    return name in REALS or options.get("part") in REALS


def shapes(name: str) -> tuple[str, ...]:
    """The shapes of tables that a model is tested on; "small" has the fewest columns."""
    if real(name):
        return ("small", "three rows", "nearly singular")
    levels = ("200 levels", "one level", "spikes")
    both = ("small", "ordinary", "three rows")
    return both + levels if name in BY_LEVELS else both


BY_LEVELS = ("independent", "chow_liu_tree", "class-conditional", "mixture", "correlated")
"""Models that are tested on columns with 200 levels, with one level, and with point masses."""


def table(name: str, shape: str, seed: int) -> dict[str, Any]:
    """A table of this shape, for a model."""
    if real(name):
        rows, near = (3 if shape == "three rows" else 40), 0.3
        return reals(seed, rows, near=1e-3 if shape == "nearly singular" else near)
    levels = {"200 levels": 200, "one level": 1}.get(shape, 3)
    rows = {"three rows": 3, "200 levels": 400}.get(shape, 40)
    missing, spikes = (0.0 if levels == 200 else 0.1), (0.4 if shape == "spikes" else 0.0)
    mixed_table = mixed(seed, rows, levels, missing, spikes)
    columns = {"small": "ay", "200 levels": "acy", "one level": "acy", "spikes": "by"}
    return {name: mixed_table[name] for name in columns.get(shape, "abny")}


def mixed(
    seed: int, rows: int, levels: int = 3, missing: float = 0.1, spikes: float = 0.0
) -> dict[str, Any]:
    """Columns of five kinds that depend on each other."""
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 2
    c = (np.arange(rows) // 2 + y) % levels
    a = 1e6 + 3e-2 * (rng.normal(0, 1, rows) + 2 * y)
    b = 1e-7 * np.exp(rng.normal(0, 0.7, rows) + y)
    b = np.where((rng.random(rows) < spikes) & (np.arange(rows) > 2), 0.0, b)
    n = rng.negative_binomial(3, 0.3, rows) + 3 * y

    def holes(values: Any) -> list:
        gone = (rng.random(rows) < missing) & (np.arange(rows) > 3)
        return [None if g else v for v, g in zip(np.asarray(values).tolist(), gone)]

    return {
        "a": holes(a),
        "b": holes(b),
        "n": holes(n),
        "c": holes([10 * int(v) for v in c]),
        "y": holes([("u", "v")[v] for v in y]),
    }


SCHEMA = {"a": "real", "b": "positive", "n": "count", "c": "categorical", "y": "categorical"}


def reals(seed: int, rows: int, columns: int = 3, near: float = 0.3) -> dict[str, Any]:
    """Real columns in different units: one common quantity plus noise of scale `near`."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(rows, 1))
    x = common + near * rng.normal(size=(rows, columns))
    x = x * 10.0 ** np.arange(-3, columns - 3) + 1e3 * np.arange(columns)
    x[rng.random(x.shape) < 0.05] = np.nan
    x[0] = np.nan_to_num(x[0])
    return {"abcdefgh"[j]: x[:, j].tolist() for j in range(columns)}


def fitted(name: str, table: dict[str, Any], seed: int = 0, **more: Any) -> pofx.Joint:
    """A model learned in few steps, because the test is valid for any parameters."""
    model, options = OPTIONS[name]
    names = table.keys()
    schema = {n: kind for n, kind in SCHEMA.items() if n in names}
    if real(name):
        schema = dict.fromkeys(names, "real")
    quick = {"steps": 5, "restarts": 1, "seed": seed, "progress": False}
    return pofx.fit(table, model, **{"schema": schema, **quick, **options, **more})
