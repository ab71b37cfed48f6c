"""Bucket elimination: sums and maxima over the variables of a product of tables.

A factor is a table of log-values with a scope, the variables of its axes in order. Variables are
eliminated one after the other: all factors that hold the variable become one, in which it is summed
out. The order depends on the graph only, never on numbers. Dechter, "Bucket elimination: a unifying
framework for reasoning" (1999).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

Scope = tuple[int, ...]


class Factor(NamedTuple):
    """A table of log-values, with one axis for each variable of its scope."""

    scope: Scope
    log_values: Array


class Plan(NamedTuple):
    """An order of elimination, and the most cells of a table on the way."""

    order: Scope
    max_cells: int


@cache
def plan(scopes: tuple[Scope, ...], levels: tuple[int, ...], keep: Scope = ()) -> Plan:
    """An order in which the variables can be summed out, each time the cheapest next.

    Args:
        scopes: of the factors.
        levels: the number of levels of each variable.
        keep: the variables that stay.

    >>> plan(((0,), (0, 1), (1, 2)), (2, 2, 2)).order
    (0, 1, 2)
    """
    sets = [frozenset(scope) for scope in scopes]
    left = {v for scope in sets for v in scope} - set(keep)
    order, most = [], _cells(keep, levels)
    while left:
        bucket_of = {v: frozenset().union(*(s for s in sets if v in s)) for v in left}
        v = min(left, key=lambda v: (_cells(bucket_of[v], levels), v))
        most = max(most, _cells(bucket_of[v], levels))
        sets = [s for s in sets if v not in s] + [bucket_of[v] - {v}]
        order.append(v)
        left.remove(v)
    return Plan(tuple(order), most)


def _cells(variables: Iterable[int], levels: Sequence[int]) -> int:
    return math.prod(levels[v] for v in variables)


def add(factors: Sequence[Factor], scope: Scope) -> Array:
    """The product of factors as one table of log-values over a scope that holds theirs."""
    return sum((_spread(factor, scope) for factor in factors), jnp.zeros((1,) * len(scope)))


def _spread(factor: Factor, scope: Scope) -> Array:
    """The table of a factor with axes in the order of a larger scope."""
    inner = [v for v in scope if v in factor.scope]
    table = jnp.transpose(factor.log_values, [factor.scope.index(v) for v in inner])
    sizes = iter(table.shape)
    return table.reshape([next(sizes) if v in factor.scope else 1 for v in scope])


def log_sum(table: Array) -> Array:
    """log Σ exp over the last axis; -inf, with gradient zero, if all terms are -inf."""
    top = jax.lax.stop_gradient(table.max(-1, keepdims=True))
    top = jnp.where(top > -jnp.inf, top, 0)
    total = jnp.exp(table - top).sum(-1)
    positive = total > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, total, 1)), -jnp.inf) + top[..., 0]


def eliminate(
    factors: Sequence[Factor],
    order: Scope,
    keep: Scope = (),
    reduce: Callable[[Array], Array] = log_sum,
) -> tuple[Array, list[Factor]]:
    """The factors with the variables of the order reduced away, over `keep`; and each bucket.

    Args:
        factors: the factors.
        order: the variables to eliminate, in this order.
        keep: the scope of the answer.
        reduce: what happens to the last axis, a sum or a maximum.

    >>> p = Factor((0,), jnp.log(jnp.array([0.2, 0.8])))
    >>> q = Factor((0, 1), jnp.log(jnp.array([[0.5, 0.5], [0.1, 0.9]])))
    >>> [f"{v:.2f}" for v in jnp.exp(eliminate([p, q], (0,), (1,))[0])]
    ['0.18', '0.82']
    """
    factors = list(factors)
    buckets = []
    for v in order:
        inside = [f for f in factors if v in f.scope]
        others = sorted({w for f in inside for w in f.scope} - {v})
        bucket = Factor((*others, v), add(inside, (*others, v)))
        buckets.append(bucket)
        factors = [f for f in factors if v not in f.scope]
        factors.append(Factor(tuple(others), reduce(bucket.log_values)))
    return add(factors, keep), buckets


def trace_back(
    buckets: Sequence[Factor],
    choose: Callable[[Float[Array, "l"], PRNGKeyArray | None], Int[Array, ""]],
    keys: Sequence[PRNGKeyArray | None],
) -> dict[int, Int[Array, ""]]:
    """Values of all variables, the last eliminated first, each given those before it.

    Args:
        buckets: of `eliminate`, in its order.
        choose: choose(log_values, key) picks a level.
        keys: one random key per bucket.
    """
    values: dict[int, Int[Array, ""]] = {}
    for bucket, key in zip(reversed(buckets), keys):
        *others, v = bucket.scope
        values[v] = choose(bucket.log_values[tuple(values[w] for w in others)], key)
    return values


def connected(parents: Sequence[Scope]) -> Scope:
    """A number for each variable; those of different numbers have no path between them.

    >>> connected([(), (0,), ()])
    (1, 1, 2)
    """
    groups = list(range(len(parents)))
    for j, of_j in enumerate(parents):
        for i in of_j:
            merged, kept = groups[i], groups[j]
            groups = [kept if g == merged else g for g in groups]
    return tuple(groups)
