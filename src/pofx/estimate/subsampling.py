"""Standard errors from subsamples, for statistics that a bootstrap would distort."""

from collections.abc import Callable

import numpy as np

NUM_SUBSAMPLES = 32
"""Number of subsamples; the standard error itself has a relative error of one in eight."""
MAX_SUBSAMPLE_ROWS = 1000


def standard_error(
    statistic: Callable[[np.ndarray], float], rows: int, *, seed: int, min_rows: int = 2
) -> float:
    """The standard error of a statistic of all rows.

    The sd over subsamples of m of the n rows, drawn without replacement, is multiplied by
    sqrt(m / (n - m)), because the sd falls as 1 / sqrt(n) and subsamples of one table share rows. m
    is n / 2, at most 1000. A bootstrap would repeat rows, each its own nearest neighbour at
    distance 0.

    Args:
        statistic: maps indices of rows to a number.
        rows: number of rows.
        seed: seed of the subsamples.
        min_rows: smallest subsample for which the statistic is defined; NaN is returned for less.

    References: Politis and Romano 1994; Shao and Wu 1989 for m in proportion to n.

    >>> x = np.random.default_rng(0).normal(size=400)
    >>> print(f"{standard_error(lambda i: x[i].mean(), 400, seed=0):.3f}, true 0.050")
    0.041, true 0.050
    """
    m = min(rows // 2, MAX_SUBSAMPLE_ROWS)
    if m < min_rows:
        return float("nan")
    rng = np.random.default_rng(seed)
    values = [statistic(rng.choice(rows, m, replace=False)) for _ in range(NUM_SUBSAMPLES)]
    return float(np.std(values, ddof=1) * np.sqrt(m / (rows - m)))
