"""The mean of one number per row, with its standard error over rows."""

import math
from typing import Any

import numpy as np

from pofx.core.answer import Answer, AnswerKind


def mean_over_rows(values: Any, weight: np.ndarray | None = None) -> Answer:
    """The weighted mean of one number per row, with its standard error over rows, in nats.

    The rows count as independent draws: the error says how far the mean of other such rows may
    lie from this one. For an `Answer`, the error that its rows share (such as that of log Z) is
    added, and a bound stays a bound. If an error is unknown, so is the error of the mean.

    Args:
        values: one number per row, as an array or an `Answer`.
        weight: the weights of the rows, by default equal.

    >>> print(mean_over_rows(np.array([1.0, 2.0, 3.0])))
    2.0 ± 0.6 nats   estimate, over 3 rows
    """
    answer = values if isinstance(values, Answer) else Answer(values)
    kind: AnswerKind = answer.kind if answer.kind in ("lower bound", "upper bound") else "estimate"
    shared_stderr = math.nan if np.isnan(answer.stderr).any() else answer.shared_stderr
    values = np.asarray(values, np.float64)
    method = f"over {len(values)} rows"
    share = np.ones(len(values)) if weight is None else np.asarray(weight, np.float64)
    share = share / share.sum()
    values = np.where(share > 0, values, 0)
    if not np.isfinite(values).all():
        return Answer(float(values.sum()), math.nan, "estimate", method=method, unit="nats")
    mean = float(share @ values)
    effective_rows = 1 / (share**2).sum()
    variance_of_mean = math.nan  # One row does not show how rows vary.
    if effective_rows > 1 + 1e-9:
        variance_of_mean = share @ (values - mean) ** 2 / (effective_rows - 1)
    stderr = math.hypot(math.sqrt(variance_of_mean), shared_stderr)
    return Answer(mean, stderr, kind, method=method, unit="nats")
