"""Calibration of class probabilities: confidence compared with the share of correct predictions."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pofx.core.answer import Answer
from pofx.core.errors import PofxError, unknown_name_error

BINNINGS = ("width", "mass")
"""Bins of equal width, or with equal numbers of rows."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows in bins of confidence, the probability of the most probable level.

    Fields with one entry per bin that is not empty:
        confidence: mean confidence.
        accuracy: share of rows whose most probable level is true.
        stderr: standard error of the accuracy.
        count: number of rows.

    Other fields:
        edges: the ends of all bins, empty ones included.
        error: the expected calibration error, Σ (count / n) |accuracy - confidence|. 0.02 means
            that confidence is off by 2 % on average. Its standard error is that of the accuracies.
        by_chance: the error expected for perfect confidence on as many rows, because shares vary.
            An error at or below this value is no sign of bad calibration.
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
    """Compare confidences with shares of correct predictions.

    Standard errors of shares are the standard deviations of Beta(right + 1/2, wrong + 1/2). They
    are close to the binomial's, and not zero if all rows are right.

    Args:
        probabilities: shape (rows, levels), or (rows,) for the second of two levels.
        truth: codes 0, 1, ... of the true levels, of shape (rows,).
        bins: number of bins.
        equal: "width" for bins of equal width on [0, 1], as in both references, or "mass" for
            bins with equal numbers of rows (Nguyen and O'Connor 2015).

    Raises:
        PofxError: numbers that are not probabilities, or codes that are not levels.

    References: Naeini et al. 2015; Guo et al. 2017.

    >>> result = calibration([0.9, 0.9, 0.2, 0.2], [1, 1, 0, 1], bins=5)
    >>> result.confidence.round(3).tolist(), result.accuracy.tolist()
    ([0.8, 0.9], [0.5, 1.0])
    >>> print(f"{result.error.value:.2f}")
    0.20
    """
    table, codes = _checked_arrays(probabilities, truth)
    if not isinstance(bins, int | np.integer) or isinstance(bins, bool) or bins < 1:
        raise PofxError(f"bins: expected a whole number, at least 1; got {bins!r}")
    if equal not in BINNINGS:
        raise unknown_name_error("kind of bins", equal, BINNINGS)
    # A softmax in float32 may exceed one by rounding.
    confidence = np.minimum(table.max(1), 1.0)
    is_right = table.argmax(1) == codes
    edges = np.linspace(0, 1, bins + 1)
    if equal == "mass":
        edges = np.unique(np.quantile(confidence, edges))
        edges = edges if len(edges) > 1 else np.repeat(edges, 2)
    bin_index = np.searchsorted(edges[1:-1], confidence, side="left")  # a bin holds its upper end
    return _summarise_bins(edges, bin_index, confidence, is_right)


def _summarise_bins(
    edges: np.ndarray, bin_index: np.ndarray, row_confidence: np.ndarray, is_right: np.ndarray
) -> Calibration:
    used_bins, place, count = np.unique(bin_index, return_inverse=True, return_counts=True)
    confidence = np.bincount(place, row_confidence) / count
    right = np.bincount(place, is_right)
    accuracy = right / count
    share = count / len(row_confidence)
    a = right + 0.5
    b = count - right + 0.5
    stderr = np.sqrt(a * b / (a + b + 1)) / (a + b)
    # E|X - np| of a binomial X, by its normal approximation.
    noise = np.sqrt(2 / math.pi * confidence * (1 - confidence) / count)
    error = Answer(
        float(share @ np.abs(accuracy - confidence)),
        float(np.sqrt(share**2 @ stderr**2)),
        "estimate",
        method=f"over {len(row_confidence)} rows in {len(used_bins)} bins",
        question="ECE",
    )
    return Calibration(edges, confidence, accuracy, stderr, count, error, float(share @ noise))


def _checked_arrays(probabilities: Any, truth: Any) -> tuple[np.ndarray, np.ndarray]:
    table = np.asarray(probabilities, np.float64)
    codes = np.asarray(truth)
    if table.ndim == 1:
        table = np.stack([1 - table, table], axis=1)
    if table.ndim != 2 or not table.size:
        raise PofxError(f"probabilities: expected shape (rows, levels), got {table.shape}")
    sums = table.sum(1)
    is_bad = ~((table > -1e-6).all(1) & (np.abs(sums - 1) < 1e-3))
    if is_bad.any():
        row = int(np.flatnonzero(is_bad)[0])
        raise PofxError(
            f"probabilities: expected numbers from 0 to 1 that sum to 1 in each row; row {row} "
            f"(counted from 0) sums to {sums[row]:.4g}"
        )
    if codes.shape != (len(table),):
        raise PofxError(f"truth: expected {len(table)} codes, one per row; got shape {codes.shape}")
    if codes.dtype.kind not in "biuf" or not np.isin(codes, np.arange(table.shape[1])).all():
        raise PofxError(f"truth: expected codes of levels, 0 to {table.shape[1] - 1}")
    return table, codes.astype(int)
