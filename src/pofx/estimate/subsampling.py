"""Standard errors from subsamples, for estimates that a bootstrap would spoil."""

from collections.abc import Callable

import numpy as np

REPLICATES = 32
"""Subsamples: the standard error is itself known to one part in eight."""
LARGEST = 1000
"""The most rows of a subsample."""


def standard_error(
    statistic: Callable[[np.ndarray], float], rows: int, *, seed: int, least: int = 2
) -> float:
    """The standard error of `statistic(indices of rows)` at all rows, NaN below `least` of them.

    sd over subsamples of m of the n rows, drawn without replacement, times sqrt(m / (n - m)): it
    falls as 1 / sqrt(n), and those of one table share m of n rows. m is n / 2, at most 1000. A
    bootstrap would repeat rows, each its own nearest neighbour at distance 0. Politis and Romano
    (1994); Shao and Wu (1989) for m in proportion to n.

    >>> x = np.random.default_rng(0).normal(size=400)
    >>> print(f"{standard_error(lambda i: x[i].mean(), 400, seed=0):.3f}, true 0.050")
    0.041, true 0.050
    """
    m = min(rows // 2, LARGEST)
    if m < least:
        return float("nan")
    rng = np.random.default_rng(seed)
    values = [statistic(rng.choice(rows, m, replace=False)) for _ in range(REPLICATES)]
    return float(np.std(values, ddof=1) * np.sqrt(m / (rows - m)))
