"""Entropies and divergences of explicit mixtures, by enumeration and quadrature."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from .explicit import LOG_2PI, Explicit, Grid, Law, Part, Real, cholesky, forward, grid, logsumexp


def entropy(e: Explicit, columns: Sequence[int], levels: dict[int, int]) -> Any:
    """H of the columns in entry units; None if it is neither a sum nor one integral."""
    return _expected(e, None, columns, levels)


def kl(p: Explicit, q: Explicit, columns: Sequence[int], levels: dict[int, int]) -> Any:
    """KL(p || q) over the columns; None if it is neither a sum nor one integral."""
    return _expected(p, q, columns, levels)


def _expected(
    p: Explicit, q: Explicit | None, columns: Sequence[int], levels: dict[int, int]
) -> Any:
    """E_p[-log p], or E_p[log p - log q]: over joint levels, then over the other columns."""
    discrete = [j for j in columns if j in levels]
    others = [j for j in columns if j not in levels]
    seen = np.zeros(p.size, bool)
    seen[discrete] = True
    total = Real(0)
    for codes in product(*(range(levels[j]) for j in discrete)):
        x = np.zeros((1, p.size), Real)
        x[0, discrete] = codes
        one = p.joint(x, seen)[0]
        log_p = logsumexp(one)
        if log_p < -1000:
            continue
        inner, log_q = Real(0), None
        if q is not None:
            other = q.joint(x, seen)[0]
            log_q = logsumexp(other)
        if others:
            first = _merged(p, one - log_p, others)
            second = _merged(q, other - log_q, others) if q is not None else None
            inner = _inner(first, second, others)
            if inner is None:
                return None
        outer = -log_p if q is None else log_p - log_q
        total = total + np.exp(log_p) * (outer + inner)
    return total


Merged = list[tuple[Part, Any]]


def _merged(e: Explicit, log_weights: np.ndarray, others: Sequence[int]) -> Merged:
    """The parts that differ in these columns, with their summed weights."""
    groups: dict[tuple, tuple[Part, Any]] = {}
    for part, w in zip(e.parts, log_weights):
        if w < -200:
            continue
        normal = any(j in part.place for j in others)
        key = (*(id(part.laws.get(j)) for j in others), id(part.mean) if normal else 0)
        before = groups.get(key, (part, -np.inf))[1]
        groups[key] = part, np.logaddexp(before, w)
    return list(groups.values())


def _inner(p: Merged, q: Merged | None, others: Sequence[int]) -> Any:
    if len(others) == 1:
        return _on_a_line(p, q, others[0])
    if len(p) > 1 or (q is not None and len(q) > 1):
        return None
    one, other = p[0][0], q[0][0] if q is not None else None
    total = Real(0)
    for j in others:
        if j in one.laws:
            second = None if other is None else [(other, Real(0))]
            total = total + _on_a_line([(one, Real(0))], second, j)
    block = [j for j in others if j in one.place]
    return total + _normal(one, other, block) if block else total


def _on_a_line(p: Merged, q: Merged | None, j: int) -> Any:
    first = _grid(p, j)
    if q is None:
        return first.entropy()
    laws, shares = _laws(q, j)
    each = np.stack([law.log_value(first.x) for law in laws])
    log_q = logsumexp(shares[:, None] + each, 0)
    positive = first.p > 0
    return first.p[positive] @ (first.log_density[positive] - log_q[positive])


def _laws(parts: Merged, j: int) -> tuple[list[Law], np.ndarray]:
    size = 1 + max(j, *(k for part, _ in parts for k in (*part.laws, *part.place, 0)))
    nothing = np.zeros(size, bool)
    laws = [part.law(j, np.zeros(size, Real), nothing) for part, _ in parts]
    return laws, np.array([w for _, w in parts], Real)


def _grid(parts: Merged, j: int) -> Grid:
    laws, shares = _laws(parts, j)
    return grid(laws, list(shares))


def _normal(one: Part, other: Part | None, columns: Sequence[int]) -> Any:
    """H of a normal block in units of x, or the KL of two blocks, by traces and determinants."""
    i = [one.place.index(j) for j in columns]
    lower_of_one = cholesky(one.covariance[np.ix_(i, i)])
    half = np.log(np.diag(lower_of_one)).sum()
    if other is None:
        volume = sum((one.mean[k] for k in i if one.logs[k]), Real(0))
        return len(i) * (1 + LOG_2PI) / 2 + half + volume
    k = [other.place.index(j) for j in columns]
    lower = cholesky(other.covariance[np.ix_(k, k)])
    ratio = forward(lower, lower_of_one)
    move = forward(lower, one.mean[i] - other.mean[k])
    quadratic = (ratio**2).sum() + move @ move - len(i)
    return quadratic / 2 + np.log(np.diag(lower)).sum() - half
