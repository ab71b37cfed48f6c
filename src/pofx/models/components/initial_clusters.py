"""Clusters to start a mixture from."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.core.rows import Rows

STARTS = ("k-means++", "random")
WIDE = 32
"""Levels beyond which a column takes random directions instead of one axis a level."""
MAX_KMEANS_ROWS = 20_000
"""Rows that place the centres; the others are only assigned to them."""


def kmeans_clusters(
    key: PRNGKeyArray, rows: Rows, columns: Sequence[Column], components: int, init: str
) -> Int[np.ndarray, "n"]:
    """The cluster of each row: a few steps of k-means from k-means++ seeds, or from random rows.

    Columns enter at unit variance, levels one-hot, missing cells at the mean (Arthur and
    Vassilvitskii 2007).
    """
    if init not in STARTS:
        raise PofxError(f"init: expected one of {', '.join(STARTS)}; got {init!r}")
    if components == 1:
        return np.zeros(rows.count, int)
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
    rng = np.random.default_rng(seed)
    f, weight = features(rows, columns), rows.to_arrays()[2]
    few = len(f) <= MAX_KMEANS_ROWS
    chosen = np.arange(len(f)) if few else rng.choice(len(f), MAX_KMEANS_ROWS, replace=False)
    # Fewer distinct rows than clusters would leave k-means with empty ones: jitter parts them.
    some = f[chosen] + 1e-6 * rng.standard_normal((len(chosen), f.shape[1]))
    steps = 10 if init == "k-means++" else 1
    settings: dict[str, Any] = {"n_init": 1, "max_iter": steps, "random_state": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows of weight zero, clusters of none
        means = KMeans(components, init=init, **settings).fit(some, sample_weight=weight[chosen])
    return np.asarray(means.predict(f))


def features(rows: Rows, columns: Sequence[Column]) -> Float[np.ndarray, "n f"]:
    """Columns as numbers of comparable size."""
    x, observed, _ = rows.to_arrays()
    out = []
    for j, column in enumerate(columns):
        seen = observed[:, j]
        if column.discrete:
            hot = _places(column.levels)[np.where(seen, x[:, j], 0).astype(int)]
            hot[~seen] = hot[seen].mean(0) if seen.any() else 0
            out.append(hot / np.sqrt(2))
        else:
            # Signed logarithm beyond one unit: tails of counts and amounts should not rule.
            v = np.sign(x[:, j]) * np.log1p(np.abs(x[:, j])) if column.kind != "real" else x[:, j]
            mean, sd = (v[seen].mean(), v[seen].std()) if seen.any() else (0.0, 1.0)
            out.append(np.where(seen, (v - mean) / (sd or 1.0), 0)[:, None])
    return np.concatenate(out, axis=1).astype(np.float64)


def _places(levels: int) -> Float[np.ndarray, "levels f"]:
    """Points at distance √2 or so from each other, one a level.

    Of many levels in few random directions, which keep distances (Johnson and Lindenstrauss 1984)
    and spare the memory of an axis a level for each row.
    """
    if levels <= WIDE:
        return np.eye(levels)
    return np.random.default_rng(levels).standard_normal((levels, WIDE)) / np.sqrt(WIDE)
