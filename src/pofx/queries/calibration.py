"""Calibration: of the rows that were said to be right with probability c, is the share c right?"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pofx.core.answer import Answer
from pofx.core.errors import PofxError, unknown_name_error

EQUAL = ("width", "mass")
"""Bins that are equally wide, or that hold equally many rows."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows in bins of confidence, the probability of the most probable level; empty bins left out.

    For each bin `confidence` is the mean, `accuracy` the share of rows whose most probable level is
    true, `stderr` its standard error, `count` the number of rows; `edges` are the ends of all bins.
    `error` is the expected calibration error, Σ (count / n) |accuracy - confidence|, a share:
    0.02 says that confidence is off by 2 % on average. Its standard error is that of the
    accuracies. `by_chance` is the error that perfect confidence is expected to show on so many
    rows, for shares vary: an error that is not above it is no sign of any.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    stderr: np.ndarray
    count: np.ndarray
    error: Answer
    by_chance: float


def calibration(
    probabilities: Any, truth: Any, bins: int = 10, *, equal: str = "width"
) -> Calibration:
    """How far confidences are from the shares that are right (Naeini et al. 2015; Guo et al. 2017).

    `probabilities` has a row for each case and a column for each level, or one number a case for
    the second of two levels; `truth` holds the codes 0, 1, ... of the true levels. The bins of
    confidence are of equal "width" on [0, 1], as in both papers, or of equal "mass" (Nguyen and
    O'Connor 2015). Standard errors of shares are the standard deviations of Beta(right + 1/2,
    wrong + 1/2): near the binomial's, and not zero where all are right. Raises PofxError for
    numbers that are no probabilities, and for codes that are no levels.

    >>> found = calibration([0.9, 0.9, 0.2, 0.2], [1, 1, 0, 1], bins=5)
    >>> found.confidence.round(3).tolist(), found.accuracy.tolist()
    ([0.8, 0.9], [0.5, 1.0])
    >>> print(f"{found.error.value:.2f}")
    0.20
    """
    table, codes = _checked(probabilities, truth)
    if not isinstance(bins, int | np.integer) or isinstance(bins, bool) or bins < 1:
        raise PofxError(f"bins: expected a whole number, at least 1; got {bins!r}")
    if equal not in EQUAL:
        raise unknown_name_error("kind of bins", equal, EQUAL)
    # The softmax of float32 may end a rounding above one.
    top = np.minimum(table.max(1), 1.0)
    right = table.argmax(1) == codes
    edges = np.linspace(0, 1, bins + 1)
    if equal == "mass":
        edges = np.unique(np.quantile(top, edges))
        edges = edges if len(edges) > 1 else np.repeat(edges, 2)
    place = np.searchsorted(edges[1:-1], top, side="left")  # a bin holds its upper end
    return _binned(edges, place, top, right)


def _binned(
    edges: np.ndarray, place: np.ndarray, top: np.ndarray, right: np.ndarray
) -> Calibration:
    used, place, count = np.unique(place, return_inverse=True, return_counts=True)
    confidence, good = np.bincount(place, top) / count, np.bincount(place, right)
    accuracy, share = good / count, count / len(top)
    a, b = good + 0.5, count - good + 0.5
    stderr = np.sqrt(a * b / (a + b + 1)) / (a + b)
    # E|X - np| of a binomial, as if normal.
    noise = np.sqrt(2 / math.pi * confidence * (1 - confidence) / count)
    error = Answer(
        float(share @ np.abs(accuracy - confidence)),
        float(np.sqrt(share**2 @ stderr**2)),
        "estimate",
        method=f"over {len(top)} rows in {len(used)} bins",
        question="ECE",
    )
    return Calibration(edges, confidence, accuracy, stderr, count, error, float(share @ noise))


def _checked(probabilities: Any, truth: Any) -> tuple[np.ndarray, np.ndarray]:
    table, codes = np.asarray(probabilities, np.float64), np.asarray(truth)
    if table.ndim == 1:
        table = np.stack([1 - table, table], axis=1)
    if table.ndim != 2 or not table.size:
        raise PofxError(f"probabilities: expected shape (rows, levels), got {table.shape}")
    sums = table.sum(1)
    bad = ~((table > -1e-6).all(1) & (np.abs(sums - 1) < 1e-3))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise PofxError(
            f"probabilities: expected numbers from 0 to 1 that sum to 1 in each row; row {row} "
            f"(counted from 0) sums to {sums[row]:.4g}"
        )
    if codes.shape != (len(table),):
        raise PofxError(f"truth: expected {len(table)} codes, one a row; got shape {codes.shape}")
    if codes.dtype.kind not in "biuf" or not np.isin(codes, np.arange(table.shape[1])).all():
        raise PofxError(f"truth: expected codes of levels, 0 to {table.shape[1] - 1}")
    return table, codes.astype(int)
