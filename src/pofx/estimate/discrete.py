"""Entropy from counts: the plug-in estimate, and corrections of its bias.

The plug-in estimate of H is too low by about (K - 1) / 2n for K cells and n rows, and that of
I = H(x) + H(y) - H(x, y) too high: the joint table has the most cells. An estimator here maps the
positive counts of a table and the number of its possible cells to H in nats.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammaln, polygamma, xlogy

from pofx.estimate.input_samples import joint_level


class Table(NamedTuple):
    """The positive counts of a table, of shape (k,), and the number of its possible cells."""

    counts: np.ndarray
    cells: int


def plug_in(table: Table) -> float:
    """The entropy of the frequencies: the maximum-likelihood estimate."""
    n = table.counts.sum()
    return float(np.log(n) - xlogy(table.counts, table.counts).sum() / n)


def miller_madow(table: Table) -> float:
    """Plug-in + (k - 1) / 2n for k cells seen (Miller 1955): the first term of its bias."""
    return plug_in(table) + (len(table.counts) - 1) / (2 * table.counts.sum())


def grassberger(table: Table) -> float:
    """log n - Σ n_i G(n_i) / n, G that of Grassberger (2003), Entropy estimates from small samples.

    G(n) = ψ(n) + (-1)^n [ψ((n + 1) / 2) - ψ(n / 2)] / 2 stands for log n, with less bias.
    """
    c, n = table.counts, table.counts.sum()
    if len(c) == 1:
        return 0.0
    g = digamma(c) + np.where(c % 2, -0.5, 0.5) * (digamma((c + 1) / 2) - digamma(c / 2))
    return float(np.log(n) - (c * g).sum() / n)


def chao_shen(table: Table) -> float:
    """-Σ p log p / (1 - (1 - p)^n), p shrunk by the share of rows in cells seen once.

    Weighs cells by their probability to be seen at all, and so allows for cells never seen, however
    many (Chao and Shen 2003).
    """
    n = table.counts.sum()
    once = min((table.counts == 1).sum(), n - 1)  # all seen once would leave nothing to go by
    p = (1 - once / n) * table.counts / n
    return float(-(xlogy(p, p) / -np.expm1(n * np.log1p(-p))).sum()) if len(p) > 1 else 0.0


def james_stein(table: Table) -> float:
    """How far to shrink the frequencies to the uniform distribution over all cells, 0 to 1.

    (1 - Σ p²) / ((n - 1) Σ (1/K - p)²), Hausser and Strimmer (2009).
    """
    n, p = table.counts.sum(), table.counts / table.counts.sum()
    squares = (p**2).sum()
    distance = (n - 1) * (squares - 1 / table.cells)
    return 1.0 if distance <= 0 else float(np.clip((1 - squares) / distance, 0, 1))


def shrunk(table: Table, share: float) -> float:
    """The entropy of frequencies of which a share is given to all cells alike."""
    seen = share / table.cells + (1 - share) * table.counts / table.counts.sum()
    rest = table.cells - len(table.counts)
    return float(-xlogy(seen, seen).sum() - rest * xlogy(share / table.cells, share / table.cells))


def nsb(table: Table) -> float:
    """The posterior mean of H under a mixture of Dirichlet priors, nearly uniform in H.

    The Dirichlet's parameter β is integrated out with dξ(β), ξ = ψ(Kβ + 1) - ψ(β + 1) its prior
    mean of H (Nemenman, Shafee and Bialek 2002, Entropy and inference, revisited).
    """
    cells, n = table.cells, table.counts.sum()
    if cells == 1:
        return 0.0
    # Cells of one count share their terms; those never seen count 0.
    count, times = np.unique(table.counts, return_counts=True)
    count, times = np.append(count, 0), np.append(times, cells - len(table.counts))
    beta = np.geomspace(1e-3 / cells, 1e6, 2000)
    one = count + beta[:, None]
    whole = n + cells * beta
    evidence = (gammaln(one) - gammaln(beta)[:, None]) @ times
    evidence += gammaln(cells * beta) - gammaln(whole)
    density = (cells * polygamma(1, cells * beta + 1) - polygamma(1, beta + 1)) * beta
    weight = np.exp(evidence - evidence.max()) * density
    mean = digamma(whole + 1) - (one * digamma(one + 1)) @ times / whole
    return float(weight @ mean / weight.sum())


METHODS: dict[str, Callable[[Table], float]] = {
    "plug-in": plug_in,
    "miller-madow": miller_madow,
    "grassberger": grassberger,
    "chao-shen": chao_shen,
    "shrinkage": lambda table: shrunk(table, james_stein(table)),
    "nsb": nsb,
}


def entropy(level: np.ndarray, method: str) -> tuple[float, float]:
    """H of levels in nats, and its standard error, that of the mean over rows of -log p."""
    table = Table(np.bincount(level), level.max() + 1)
    return METHODS[method](table), _error(-_log_counts(level), table.cells - 1)


def mutual_information(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, method: str
) -> tuple[float, float]:
    """I(x; y | z) of levels in nats, and its standard error.

    I = H(x, z) + H(y, z) - H(x, y, z) - H(z), shrinkage that of the joint table for all. The
    standard error is that of the mean over rows of log p(x, y | z) / p(x | z) p(y | z).
    """
    sizes = [level.max() + 1 for level in (x, y, z)]
    joint = [joint_level(x, z), joint_level(y, z), joint_level(x, y, z), z]
    cells = [sizes[0] * sizes[2], sizes[1] * sizes[2], sizes[0] * sizes[1] * sizes[2], sizes[2]]
    tables = [Table(np.bincount(level), int(k)) for level, k in zip(joint, cells)]
    estimator = METHODS[method]
    if method == "shrinkage":
        estimator = partial(shrunk, share=james_stein(tables[2]))
    signs = (1, 1, -1, -1)
    value = sum(sign * estimator(table) for sign, table in zip(signs, tables))
    terms = [-sign * _log_counts(level) for sign, level in zip(signs, joint)]
    freedom = sum(-sign * len(table.counts) for sign, table in zip(signs, tables))
    return value, _error(np.sum(terms, axis=0), freedom)


def _log_counts(level: np.ndarray) -> np.ndarray:
    return np.log(np.bincount(level)[level])


def _error(terms: np.ndarray, freedom: int) -> float:
    """The standard error of a mean over rows of log-frequencies: by the delta method.

    But at least that of χ² / 2n, the limit where the terms are all equal: of uniform levels, and
    under independence (Wilks 1938).
    """
    n = len(terms)
    return float(np.sqrt(max(terms.var(ddof=1) / n, abs(freedom) / (2 * n**2))))
