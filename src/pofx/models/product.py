"""The product of models of different columns: independence, written down."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractEMSteps, AbstractQueryable, Example, Mask, Row
from pofx.core.column_mixture import ColumnMixture
from pofx.core.double_double import Double
from pofx.core.log_ratios import log_conditional
from pofx.models.components.log_prob_terms import terms
from pofx.models.components.operations import check_em_steps
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent


class Product(AbstractEMSteps):
    """Blocks of columns that are independent of each other, each with a model of its own.

    log p(x_O) = Σ_b log p_b(x_O of block b)

    Columns: those of the parts. Bishop, Pattern Recognition and Machine Learning (2006), section
    1.2.

    Args:
        parts: one model per block.
        places: the columns of each block, in the order of its model.

    >>> p = Product.example(jax.random.key(0)).model
    >>> [type(part).__name__ for part in p.parts], p.places
    (['Gaussian', 'Independent'], ((0, 2, 4), (1, 3, 5, 6)))
    """

    parts: tuple[AbstractQueryable, ...]
    places: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return sum(map(len, self.places))

    def of_blocks(self, f: Callable, *rows: Array) -> list[Any]:
        """f(part, rows of its columns) for each block."""
        return [
            f(part, *(row[..., np.array(place)] for row in rows))
            for part, place in zip(self.parts, self.places)
        ]

    def join(self, values: list[Array]) -> Array:
        """The values of all blocks, in the order of the columns."""
        return jnp.concatenate(values, -1)[..., np.argsort(np.concatenate(self.places))]

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        log_probs = self.of_blocks(lambda part, *row: part.log_prob(*row), x, observed)
        return jnp.stack(log_probs).sum()

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        keys = iter(jax.random.split(key, len(self.parts)))
        return self.join(
            self.of_blocks(lambda part, *row: part.sample(next(keys), *row), x, observed)
        )

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        check_em_steps(self.parts)
        sums = self.of_blocks(
            lambda part, x, o: part.expected_statistics(x, o, weight), x, observed
        )
        statistics, log_prob = zip(*sums)
        return statistics, jnp.stack(log_prob).sum()

    def m_step(self, statistics: Any) -> "Product":
        parts = check_em_steps(self.parts)
        return Product(tuple(p.m_step(s) for p, s in zip(parts, statistics)), self.places)

    def log_prior_density(self) -> Float[Array, ""]:
        return jnp.stack([p.log_prior_density() for p in check_em_steps(self.parts)]).sum()

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        (gaussian, a), (independent, b) = Gaussian.example(key), Independent.example(key)
        # Places interleave, so that code which assumes an order fails its tests.
        places = (0, 2, 4), (1, 3, 5, 6)
        columns = dict(zip((*places[0], *places[1]), (*a, *b)))
        model = cls((gaussian, independent), places)
        return Example(model, tuple(columns[j] for j in range(model.size)))


def _by_rule(p: Product, rule: closed_forms.Rule, *rows: Array) -> list[Any] | None:
    """The closed form of each block, or None if one block has none."""
    rules = [of_part for part in p.parts if (of_part := rule.find(part))]
    if len(rules) < len(p.parts):
        return None
    remaining = iter(rules)
    answers = p.of_blocks(lambda part, *row: next(remaining)(part, *row), *rows)
    return None if any(a is None for a in answers) else answers


@closed_forms.condition.register(Product)
def _condition(
    p: Product, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> AbstractQueryable | None:
    new_index = np.cumsum(keep) - 1
    parts, places = [], []
    for part, place in zip(p.parts, map(list, p.places)):
        if not keep[place].any():
            continue
        rule = closed_forms.condition.find(part)
        is_same = keep[place].all() and not observed[place].any()
        conditional = (
            part
            if is_same
            else rule and rule(part, x[np.array(place)], observed[place], keep[place])
        )
        if conditional is None:
            return None
        parts.append(conditional)
        places.append(tuple(int(new_index[j]) for j in place if keep[j]))
    if len(parts) == 1 and places[0] == tuple(range(len(places[0]))):
        return parts[0]
    return Product(tuple(parts), tuple(places))


@closed_forms.entropy.register(Product)
def _entropy(p: Product, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    total = jnp.zeros(())
    for part, place in zip(p.parts, map(list, p.places)):
        if target_mask[place].any():
            rule = closed_forms.entropy.find(part)
            entropy = rule and rule(part, target_mask[place])
            if entropy is None:
                return None
            total += entropy
    return total


@closed_forms.kl.register(Product, Product)
def _kl(p: Product, q: Product, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    if p.places != q.places:
        return None
    total = jnp.zeros(())
    for one, other, place in zip(p.parts, q.parts, map(list, p.places)):
        if target_mask[place].any():
            rule = closed_forms.kl.find(one, other)
            kl = rule and rule(one, other, target_mask[place])
            if kl is None:
                return None
            total += kl
    return total


@closed_forms.moments.register(Product)
def _moments(p: Product) -> tuple[Row, Float[Array, "d d"]] | None:
    return _block_moments(p, closed_forms.moments)


@closed_forms.as_gaussian.register(Product)
def _normal(p: Product) -> tuple[Row, Float[Array, "d d"]] | None:
    return _block_moments(p, closed_forms.as_gaussian)


def _block_moments(p: Product, rule: closed_forms.Rule) -> tuple[Row, Float[Array, "d d"]] | None:
    moments = _by_rule(p, rule)
    if moments is None:
        return None
    means, covariances = zip(*moments)
    order = np.argsort(np.concatenate(p.places))
    return p.join(list(means)), jax.scipy.linalg.block_diag(*covariances)[np.ix_(order, order)]


@closed_forms.conditional_column.register(Product)
def _column(p: Product, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    part, place = _block_of(p, j)
    rule = closed_forms.conditional_column.find(part)
    rows = x[np.array(place)], observed[np.array(place)]
    return rule and rule(part, *rows, place.index(j))


def _block_of(p: Product, j: int) -> tuple[AbstractQueryable, tuple[int, ...]]:
    return next(pair for pair in zip(p.parts, p.places) if j in pair[1])


@closed_forms.log_prob_box.register(Product)
def _box(
    p: Product,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    total = jnp.zeros(())
    for part, columns in zip(p.parts, p.places):
        index = np.array(columns)
        rows = x[index], observed[index]
        known = None if given is None else given[index]
        inside = [i for i, j in enumerate(place) if j in columns]
        rule = closed_forms.log_prob_box.find(part)
        if inside:
            ends = (a[np.array(inside)] for a in (low, high))
            local = tuple(columns.index(place[i]) for i in inside)
            log_p = rule and rule(part, *rows, local, *ends, known)
        elif known is None:
            log_p = part.log_prob(*rows)
        else:
            log_p = log_conditional(part, rows[0], rows[1], known)
        if log_p is None:
            return None
        total += log_p
    return total


@closed_forms.terms.register(Product)
def _terms(p: Product, x: Row, observed: Mask, fine: bool) -> Double:
    blocks = p.of_blocks(lambda part, x, observed: terms(part, x, observed, fine), x, observed)

    def joined(values: list[Array]) -> Array:
        return jnp.append(p.join([v[:-1] for v in values]), sum(v[-1] for v in values))

    return Double(*(joined([block[i] for block in blocks]) for i in (0, 1)))


@closed_forms.expectation.register(Product)
def _expectation(p: Product, x: Row, observed: Mask) -> Row | None:
    means = _by_rule(p, closed_forms.expectation, x, observed)
    return None if means is None else p.join(means)


@closed_forms.most_probable.register(Product)
def _completion(p: Product, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]] | None:
    completions = _by_rule(p, closed_forms.most_probable, x, observed)
    if completions is None:
        return None
    rows, log_probs = zip(*completions)
    return p.join(list(rows)), jnp.stack(log_probs).sum()


@closed_forms.groups.register(Product)
def _groups(p: Product) -> tuple[int, ...]:
    groups = np.zeros(p.size, int)
    for i, (part, place) in enumerate(zip(p.parts, p.places)):
        rule = closed_forms.groups.find(part)
        of_part = rule and rule(part)
        groups[list(place)] = i * p.size + np.array(of_part or (0,) * len(place))
    return tuple(int(g) for g in groups)
