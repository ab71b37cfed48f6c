"""Weighted k-means, that of scikit-learn, whose import takes longer than a small fit."""

import numpy as np
from jaxtyping import Float, Int

TOLERANCE = 1e-4
"""Steps end when the centres move by less, in variances of the columns."""
CHUNK_ROWS = 2**14
"""Rows whose distances from all centres are in memory at once."""


def kmeans(
    x: Float[np.ndarray, "n f"],
    weight: Float[np.ndarray, "n"],
    clusters: int,
    seed: int,
    *,
    spread: bool,
    steps: int,
) -> Float[np.ndarray, "k f"]:
    """The centres after some steps of k-means (Lloyd 1982).

    The numbers drawn are those of `sklearn.cluster.KMeans(n_init=1)`, and so are the centres, up to
    rounding.

    Args:
        x: the rows.
        weight: their weights, at least 0.
        clusters: the number k.
        seed: of the first centres.
        spread: whether these are spread out, by greedy k-means++ (Arthur and Vassilvitskii 2007);
            else they are random rows.
        steps: the largest number of steps.

    >>> x = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> sorted(kmeans(x, np.ones(4), 2, 0, spread=True, steps=10).ravel().tolist())
    [0.5, 9.5]
    """
    rng = np.random.RandomState(seed)
    mean = x.mean(0)
    x = x - mean
    if spread:
        centres = _spread_rows(rng, x, weight, clusters)
    else:
        centres = x[rng.choice(len(x), clusters, replace=False, p=weight / weight.sum())]
    tolerance = TOLERANCE * x.var(0).mean()
    labels = np.full(len(x), -1)
    for _ in range(steps):
        old_labels, old_centres = labels, centres
        labels = nearest(x, centres)
        centres = _means(x, weight, labels, old_centres)
        if (labels == old_labels).all() or ((centres - old_centres) ** 2).sum() <= tolerance:
            break
    return centres + mean


def nearest(x: Float[np.ndarray, "n f"], centres: Float[np.ndarray, "k f"]) -> Int[np.ndarray, "n"]:
    """The centre nearest to each row."""
    squares = (centres**2).sum(1)
    chunks = [x[i : i + CHUNK_ROWS] for i in range(0, len(x), CHUNK_ROWS)]
    return np.concatenate([(squares - 2 * chunk @ centres.T).argmin(1) for chunk in chunks])


def _spread_rows(
    rng: np.random.RandomState,
    x: Float[np.ndarray, "n f"],
    weight: Float[np.ndarray, "n"],
    count: int,
) -> Float[np.ndarray, "k f"]:
    """Rows, each the best of a few drawn in proportion to squared distance from those before."""
    trials = 2 + int(np.log(count))
    chosen = [rng.choice(len(x), p=weight / weight.sum())]
    distance = _squared_distances(x[chosen], x)[0]
    for _ in range(1, count):
        u = rng.uniform(size=trials) * (distance @ weight)
        candidates = np.searchsorted(np.cumsum(weight * distance), u).clip(max=len(x) - 1)
        distances = np.minimum(distance, _squared_distances(x[candidates], x))
        best = (distances @ weight).argmin()
        distance = distances[best]
        chosen.append(candidates[best])
    return x[chosen]


def _squared_distances(
    a: Float[np.ndarray, "m f"], b: Float[np.ndarray, "n f"]
) -> Float[np.ndarray, "m n"]:
    squares = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)
    return np.maximum(squares, 0)


def _means(
    x: Float[np.ndarray, "n f"],
    weight: Float[np.ndarray, "n"],
    labels: Int[np.ndarray, "n"],
    centres: Float[np.ndarray, "k f"],
) -> Float[np.ndarray, "k f"]:
    """The mean of each cluster; an empty one gets a row that is far from its centre."""
    sums = np.stack([np.bincount(labels, weight * v, len(centres)) for v in x.T], 1)
    totals = np.bincount(labels, weight, len(centres))
    empty = np.flatnonzero(totals == 0)
    if len(empty):
        distance = np.where(weight > 0, ((x - centres[labels]) ** 2).sum(1), -1)
        far = distance.argsort()[::-1][: len(empty)]
        np.subtract.at(sums, labels[far], weight[far, None] * x[far])
        np.subtract.at(totals, labels[far], weight[far])
        sums[empty], totals[empty] = weight[far, None] * x[far], weight[far]
    has_rows = totals > 0
    return np.where(has_rows[:, None], sums / np.where(has_rows, totals, 1)[:, None], centres)
