"""Distributions made of others: products of independent ones, and mixtures."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from pofx.core.abstract import AbstractQueryable
from pofx.core.errors import PofxError
from pofx.core.float_width import float64, widened
from pofx.core.written_numbers import as_probabilities, log_in_float64
from pofx.models.product import Product
from pofx.models.stack import Stack
from pofx.named.model import NamedModel, P
from pofx.named.recoding import difference, recoded, with_levels_of
from pofx.table.schema import Schema


def product(p: P, q: NamedModel) -> P:
    """p(x) q(y): the columns of both, independent of each other. `p * q` is the same.

    Args:
        p, q: distributions of different columns.

    Returns a `Joint`. Raises PofxError for a column that both have.

    >>> import pofx
    >>> p = pofx.product(pofx.bernoulli(0.5, name="coin"), pofx.normal(0, 1, name="x"))
    >>> print(p.mutual_information("coin", "x"))
    I(coin; x) = 0 nats   exact, closed form
    """
    _check_distributions("q", [p, q])
    both = sorted(set(p.schema.names) & set(q.schema.names))
    if both:
        raise PofxError(f"expected different columns, both have {both[0]!r}")
    with float64(True):
        blocks = [*_blocks(p.model), *_blocks(q.model, p.model.size)]
        model = Product(tuple(widened(part) for part, _ in blocks), tuple(at for _, at in blocks))
    variables = (*p.schema.variables, *q.schema.variables)
    container = p.schema.container if p.schema.container == q.schema.container else "mapping"
    fixed = np.concatenate([p.fixed, q.fixed])
    return type(p)(model, Schema(variables, container), fixed, (*p.evidence, *q.evidence))


def _check_distributions(argument: str, parts: Sequence[object]) -> None:
    for part in parts:
        if not isinstance(part, NamedModel):
            raise PofxError(f"{argument}: expected a distribution, got {part!r}")


def _blocks(
    model: AbstractQueryable, begin: int = 0
) -> list[tuple[AbstractQueryable, tuple[int, ...]]]:
    """The independent blocks of a model, and their entries if its first entry is `begin`."""
    if isinstance(model, Product):
        return [(p, tuple(begin + j for j in at)) for p, at in zip(model.parts, model.places)]
    return [(model, tuple(range(begin, begin + model.size)))]


def mixture(parts: Sequence[P], weights: Sequence[float] | None = None) -> P:
    """The mixture Σ_k w_k p_k(x) of distributions of the same columns.

    Args:
        parts: the distributions, written or learned. Levels that one lacks have probability 0
            there.
        weights: their probabilities, equal by default.

    Returns a `Joint`. Raises PofxError for parts of different columns.

    >>> import pofx
    >>> p = pofx.mixture([pofx.normal(-1, 1), pofx.normal(1, 1)], [0.25, 0.75])
    >>> print(p.ask("E[x]"))
    E[x] = 0.5 units of x   exact, closed form
    """
    if not parts:
        raise PofxError("parts: expected at least one distribution, got none")
    _check_distributions("parts", parts)
    even = np.full(len(parts), 1 / len(parts))
    shares = as_probabilities("weights", even if weights is None else weights)
    if len(shares) != len(parts):
        raise PofxError(f"weights: expected {len(parts)}, one per part, got {len(shares)}")
    first = reduce(_with_all_levels, parts)
    with float64(True):
        models = tuple(recoded(widened(part.model), part, first) for part in parts)
        model = Stack(log_in_float64(shares), models)
    return type(first)(model, first.schema, first.fixed, first.evidence)


def _with_all_levels(p: P, q: P) -> P:
    """`p` in a schema that also has the levels of `q`."""
    reason = difference(p, q, levels=False)
    if reason:
        raise PofxError(f"parts: expected the same columns: {reason}")
    return with_levels_of(p, q)
