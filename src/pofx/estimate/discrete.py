"""Entropy from counts: the plug-in estimate, and corrections of its bias.

The plug-in estimate of H is too low by about (K - 1) / 2n for K cells and n rows. The plug-in
estimate of I = H(x) + H(y) - H(x, y) is too high, because the joint table has the most cells. Each
estimator here maps the positive counts of a table and the number of its possible cells to H in
nats.
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
    """The entropy of the frequencies, which is the maximum likelihood estimate."""
    n = table.counts.sum()
    return float(np.log(n) - xlogy(table.counts, table.counts).sum() / n)


def miller_madow(table: Table) -> float:
    """Plug-in + (k - 1) / 2n for k cells seen, the first term of its bias (Miller 1955)."""
    return plug_in(table) + (len(table.counts) - 1) / (2 * table.counts.sum())


def grassberger(table: Table) -> float:
    """log n - Σ n_i G(n_i) / n, with G(n) = ψ(n) + (-1)^n [ψ((n + 1) / 2) - ψ(n / 2)] / 2.

    G(n) estimates log n with less bias (Grassberger 2003, Entropy estimates from small samples).
    """
    c = table.counts
    n = table.counts.sum()
    if len(c) == 1:
        return 0.0
    g = digamma(c) + np.where(c % 2, -0.5, 0.5) * (digamma((c + 1) / 2) - digamma(c / 2))
    return float(np.log(n) - (c * g).sum() / n)


def chao_shen(table: Table) -> float:
    """-Σ p log p / (1 - (1 - p)^n), with p shrunk by the share of rows in cells seen once.

    The estimate weights cells by their probability to be seen at all, and so allows for cells never
    seen, however many (Chao and Shen 2003).
    """
    n = table.counts.sum()
    singletons = min((table.counts == 1).sum(), n - 1)  # if all cells were seen once, p would be 0
    p = (1 - singletons / n) * table.counts / n
    return float(-(xlogy(p, p) / -np.expm1(n * np.log1p(-p))).sum()) if len(p) > 1 else 0.0


def james_stein(table: Table) -> float:
    """How far to shrink frequencies to the uniform distribution over all cells, 0 to 1.

    (1 - Σ p²) / ((n - 1) Σ (1/K - p)²) (Hausser and Strimmer 2009).
    """
    n = table.counts.sum()
    p = table.counts / table.counts.sum()
    squares = (p**2).sum()
    distance = (n - 1) * (squares - 1 / table.cells)
    return 1.0 if distance <= 0 else float(np.clip((1 - squares) / distance, 0, 1))


def shrinkage(table: Table, share: float) -> float:
    """The entropy of frequencies after a share of them is spread evenly over all cells."""
    p = share / table.cells + (1 - share) * table.counts / table.counts.sum()
    empty_cells = table.cells - len(table.counts)
    p_empty = share / table.cells
    return float(-xlogy(p, p).sum() - empty_cells * xlogy(p_empty, p_empty))


def nsb(table: Table) -> float:
    """The posterior mean of H under a mixture of Dirichlet priors that is nearly uniform in H.

    The parameter β of the Dirichlet is integrated out with dξ(β), where ξ = ψ(Kβ + 1) - ψ(β + 1) is
    its prior mean of H (Nemenman, Shafee and Bialek 2002, Entropy and inference, revisited).
    """
    cells = table.cells
    n = table.counts.sum()
    if cells == 1:
        return 0.0
    # Cells with the same count share their terms; cells never seen have count 0.
    count, times = np.unique(table.counts, return_counts=True)
    count = np.append(count, 0)
    times = np.append(times, cells - len(table.counts))
    beta = np.geomspace(1e-3 / cells, 1e6, 2000)
    alpha = count + beta[:, None]
    total = n + cells * beta
    evidence = (gammaln(alpha) - gammaln(beta)[:, None]) @ times
    evidence += gammaln(cells * beta) - gammaln(total)
    density = (cells * polygamma(1, cells * beta + 1) - polygamma(1, beta + 1)) * beta
    weight = np.exp(evidence - evidence.max()) * density
    mean = digamma(total + 1) - (alpha * digamma(alpha + 1)) @ times / total
    return float(weight @ mean / weight.sum())


METHODS: dict[str, Callable[[Table], float]] = {
    "plug-in": plug_in,
    "miller-madow": miller_madow,
    "grassberger": grassberger,
    "chao-shen": chao_shen,
    "shrinkage": lambda table: shrinkage(table, james_stein(table)),
    "nsb": nsb,
}


def entropy(level: np.ndarray, method: str) -> tuple[float, float]:
    """H of levels in nats, and its standard error: that of the mean over rows of -log p.

    Args:
        level: whole numbers from 0 without gaps, of shape (n,).
        method: a key of METHODS.
    """
    table = Table(np.bincount(level), level.max() + 1)
    return METHODS[method](table), _stderr(-_log_counts(level), table.cells - 1)


def mutual_information(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, method: str
) -> tuple[float, float]:
    """I(x; y | z) = H(x, z) + H(y, z) - H(x, y, z) - H(z) of levels in nats, and its stderr.

    Shrinkage uses the share of the joint table for all tables. The standard error is that of the
    mean over rows of log p(x, y | z) / p(x | z) p(y | z).

    Args:
        x, y, z: levels, whole numbers from 0 without gaps, of shape (n,).
        method: a key of METHODS.
    """
    sizes = [level.max() + 1 for level in (x, y, z)]
    joint = [joint_level(x, z), joint_level(y, z), joint_level(x, y, z), z]
    cells = [sizes[0] * sizes[2], sizes[1] * sizes[2], sizes[0] * sizes[1] * sizes[2], sizes[2]]
    tables = [Table(np.bincount(level), int(k)) for level, k in zip(joint, cells)]
    estimator = METHODS[method]
    if method == "shrinkage":
        estimator = partial(shrinkage, share=james_stein(tables[2]))
    signs = (1, 1, -1, -1)
    value = sum(sign * estimator(table) for sign, table in zip(signs, tables))
    terms = [-sign * _log_counts(level) for sign, level in zip(signs, joint)]
    degrees = sum(-sign * len(table.counts) for sign, table in zip(signs, tables))
    return value, _stderr(np.sum(terms, axis=0), degrees)


def _log_counts(level: np.ndarray) -> np.ndarray:
    return np.log(np.bincount(level)[level])


def _stderr(terms: np.ndarray, degrees: int) -> float:
    """The standard error of a mean over rows of log-frequencies, by the delta method.

    The standard error is at least that of χ² / 2n, the limit if all terms are equal: for uniform
    levels, and under independence (Wilks 1938).
    """
    n = len(terms)
    return float(np.sqrt(max(terms.var(ddof=1) / n, abs(degrees) / (2 * n**2))))
