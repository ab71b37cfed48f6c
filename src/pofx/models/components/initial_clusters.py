"""Initial clusters of rows, from which mixtures start."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from pofx.core import host_keys
from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.core.rows import Rows
from pofx.models.components.kmeans import kmeans, nearest

INIT_METHODS = ("k-means++", "random")
MAX_ONE_HOT_LEVELS = 32
"""Levels up to which each level has an axis; beyond, each has a random direction."""
MAX_KMEANS_ROWS = 20_000
"""Rows that determine the centres; all other rows are only assigned to them."""


def kmeans_clusters(
    key: PRNGKeyArray, rows: Rows, columns: Sequence[Column], components: int, init: str
) -> Int[np.ndarray, "n"]:
    """The cluster of each row, by a few steps of k-means (Arthur and Vassilvitskii 2007).

    Args:
        components: number of clusters.
        init: the first centres: "k-means++", or "random" for random rows.

    Raises PofxError for another `init`.
    """
    if init not in INIT_METHODS:
        raise PofxError(f"init: expected one of {', '.join(INIT_METHODS)}; got {init!r}")
    if components == 1:
        return np.zeros(rows.count, int)
    seed = host_keys.randint(key, 2**31 - 1)
    rng = np.random.default_rng(seed)
    f = features(rows, columns)
    weight = rows.to_arrays()[2]
    fits_whole = len(f) <= MAX_KMEANS_ROWS
    index = np.arange(len(f)) if fits_whole else rng.choice(len(f), MAX_KMEANS_ROWS, replace=False)
    # With fewer distinct rows than clusters k-means would leave empty clusters: jitter rows.
    jittered = f[index] + 1e-6 * rng.standard_normal((len(index), f.shape[1]))
    spread = init == "k-means++"
    steps = 10 if spread else 1
    centres = kmeans(jittered, weight[index], components, seed, spread=spread, steps=steps)
    return nearest(f, centres)


def features(rows: Rows, columns: Sequence[Column]) -> Float[np.ndarray, "n f"]:
    """Rows as numbers of comparable size: numbers at unit variance, levels one-hot.

    Missing cells are at the mean.
    """
    x, observed, _ = rows.to_arrays()
    out = []
    for j, column in enumerate(columns):
        present = observed[:, j]
        if column.discrete:
            vectors = _level_vectors(column.levels)[np.where(present, x[:, j], 0).astype(int)]
            vectors[~present] = vectors[present].mean(0) if present.any() else 0
            out.append(vectors / np.sqrt(2))
        else:
            # A signed logarithm, so that tails of counts and amounts do not dominate.
            v = np.sign(x[:, j]) * np.log1p(np.abs(x[:, j])) if column.kind != "real" else x[:, j]
            mean, sd = (v[present].mean(), v[present].std()) if present.any() else (0.0, 1.0)
            out.append(np.where(present, (v - mean) / (sd or 1.0), 0)[:, None])
    return np.concatenate(out, axis=1).astype(np.float64)


def _level_vectors(levels: int) -> Float[np.ndarray, "levels f"]:
    """One point per level, all about √2 apart.

    Many levels get points in few random directions, which keep distances (Johnson and
    Lindenstrauss 1984) and need less memory per row than one axis per level.
    """
    if levels <= MAX_ONE_HOT_LEVELS:
        return np.eye(levels)
    directions = np.random.default_rng(levels).standard_normal((levels, MAX_ONE_HOT_LEVELS))
    return directions / np.sqrt(MAX_ONE_HOT_LEVELS)
