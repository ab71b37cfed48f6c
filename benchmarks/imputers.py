"""Ways to fill missing cells without a distribution, by scikit-learn, all called alike.

A way takes training rows and other rows with holes, (n, d) each with NaN where a cell is missing,
and `Cells`; it learns from the training rows alone and returns the others without holes. Numbers
are standardised by mean and standard deviation of the training rows, levels are codes. Nothing is
taken to logarithms: what is judged is the squared error of the numbers as they are.
"""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from threadpoolctl import threadpool_limits


class Cells(NamedTuple):
    """The number of levels of each column (0: a number), and whether these are in order."""

    levels: tuple[int, ...]
    ordered: tuple[bool, ...]


def floor(train: np.ndarray, test: np.ndarray, cells: Cells) -> np.ndarray:
    """The mean of a number and the most frequent level."""
    return np.where(np.isnan(test), _centre(train, cells), test)


def nearest(train: np.ndarray, test: np.ndarray, cells: Cells, k: int = 10) -> np.ndarray:
    """KNNImputer: the mean of the k training rows nearest in what both have; levels by vote."""
    imputer = KNNImputer(n_neighbors=k, keep_empty_features=True).fit(_indicators(train, cells))
    return _decided(imputer.transform(_indicators(test, cells)), test, cells)


def linear(train: np.ndarray, test: np.ndarray, cells: Cells, rounds: int = 10) -> np.ndarray:
    """IterativeImputer of BayesianRidge, its defaults, a level by the largest of its indicators."""
    block = np.repeat(np.arange(len(cells.levels)), np.maximum(cells.levels, 1))
    imputer = _ByColumn(max_iter=rounds, keep_empty_features=True, random_state=0)
    imputer.block = block
    # one thread: many small matrices, over which threads would only wait for each other
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # it stops after its rounds
        imputer.fit(_indicators(train, cells))
        return _decided(imputer.transform(_indicators(test, cells)), test, cells)


def forests(
    train: np.ndarray, test: np.ndarray, cells: Cells, trees: int = 100, rounds: int = 4
) -> np.ndarray:
    """Random forests in the manner of MissForest (Stekhoven and Buehlmann 2012).

    From means and most frequent levels, columns are gone through by their number of holes, several
    rounds: a forest for each (of classification for levels) learns from the training rows that have
    it, all other columns filled, and fills its holes in both parts. Each split tries the square
    root of the number of inputs, and the leaves have at least 5 rows, 1 for levels, as there.
    """
    parts = [train, test]
    holes = [np.isnan(part) for part in parts]
    full = [np.where(h, _centre(train, cells), part) for h, part in zip(holes, parts)]
    with_holes = np.flatnonzero(holes[0].any(0) | holes[1].any(0))
    for i in range(rounds):
        for j in sorted(with_holes, key=lambda j: holes[0][:, j].sum()):
            shared = {"max_features": "sqrt", "random_state": i, "n_jobs": -1}
            kind = RandomForestClassifier if cells.levels[j] else RandomForestRegressor
            least = 1 if cells.levels[j] else 5
            forest = kind(trees, min_samples_leaf=least, **shared)
            known = ~holes[0][:, j]
            forest.fit(_inputs(full[0][known], cells, j), full[0][known, j])
            for part, h in zip(full, holes):
                if h[:, j].any():
                    part[h[:, j], j] = forest.predict(_inputs(part[h[:, j]], cells, j))
    return full[1]


class _ByColumn(IterativeImputer):
    """An IterativeImputer that does not predict an indicator from those of its own column.

    Indicators of one column are missing together, and known together they determine each other: an
    imputer would learn that their sum is one, and would never move from where it starts. `block` is
    the column of each indicator.
    """

    def _get_neighbor_feat_idx(self, n_features, feat_idx, abs_corr_mat):
        return np.flatnonzero(self.block != self.block[feat_idx])


def _centre(train: np.ndarray, cells: Cells) -> np.ndarray:
    """The mean or the most frequent level of each column; 0 where training has none."""
    out = np.zeros(train.shape[1])
    for j, k in enumerate(cells.levels):
        known = train[~np.isnan(train[:, j]), j]
        if len(known):
            out[j] = np.bincount(known.astype(int)).argmax() if k else known.mean()
    return out


def _indicators(x: np.ndarray, cells: Cells) -> np.ndarray:
    """Numbers as they are and an indicator for every level, NaN where the cell is missing."""
    blocks = [_block(x[:, j], k) if k else x[:, [j]] for j, k in enumerate(cells.levels)]
    return np.hstack(blocks)


def _block(codes: np.ndarray, k: int) -> np.ndarray:
    hot = (codes[:, None] == np.arange(k)).astype(float)
    return np.where(np.isnan(codes)[:, None], np.nan, hot)


def _inputs(x: np.ndarray, cells: Cells, target: int) -> np.ndarray:
    """The other columns for a forest: indicators of levels, codes of two or of those in order."""
    coded = [k > 2 and not o for k, o in zip(cells.levels, cells.ordered)]
    return np.hstack(
        [
            _block(x[:, j], cells.levels[j]) if hot else x[:, [j]]
            for j, hot in enumerate(coded)
            if j != target
        ]
    )


def _decided(indicators: np.ndarray, test: np.ndarray, cells: Cells) -> np.ndarray:
    """Back from indicators: a level is that of the largest."""
    out, start = test.copy(), 0
    for j, k in enumerate(cells.levels):
        block = indicators[:, start : start + max(k, 1)]
        start += max(k, 1)
        value = block.argmax(1) if k else block[:, 0]
        out[:, j] = np.where(np.isnan(test[:, j]), value, test[:, j])
    return out
