"""Marginals and conditionals of any tractable model, as models."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Example, Mask, Row
from pofx.core.column_mixture import ColumnMixture
from pofx.core.log_ratios import log_conditional
from pofx.models.gaussian import Gaussian


class Conditional(AbstractQueryable):
    """p(x_K | x_O): the columns K of a model given those of O, the rest integrated out.

    log p(x_K | x_O) = log p(x_K, x_O) - log p(x_O)

    The product rule for a model that has no closed form of its own; `given` is x_O in a row of the
    model, `observed` says where.

    >>> import jax
    >>> p = Conditional.example(jax.random.key(0)).model
    >>> p.size
    1
    """

    model: AbstractQueryable
    given: Float[Array, "d"]
    observed: Bool[Array, "d"]
    keep: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return len(self.keep)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return log_conditional(self.model, *self._row(x, observed), self.observed)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        return self.model.sample(key, *self._row(x, observed))[np.array(self.keep)]

    def _row(self, x: Row, observed: Mask) -> tuple[Row, Mask]:
        keep = np.array(self.keep)
        return self.given.at[keep].set(x), self.observed.at[keep].set(observed)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        model, columns = Gaussian.example(key)
        given, observed = jnp.array([0.5, 0.0, 0.0]), jnp.array([True, False, False])
        return Example(cls(model, given, observed, (2,)), columns[2:])


def condition(
    model: AbstractQueryable,
    x: Float[np.ndarray, "d"],
    observed: Bool[np.ndarray, "d"],
    keep: Bool[np.ndarray, "d"],
) -> AbstractQueryable:
    """p(x_K | x_O) as a model of its own: in closed form where a rule knows one.

    Nothing observed, it is the marginal of K.

    >>> import jax
    >>> p = Gaussian.example(jax.random.key(0)).model
    >>> q = condition(p, np.zeros(3), np.array([1, 0, 0], bool), np.array([0, 1, 1], bool))
    >>> type(q).__name__, q.size
    ('Gaussian', 2)
    """
    given = jnp.where(observed, jnp.asarray(x), 0)
    rule = closed_forms.condition.find(model)
    closed = rule(model, given, observed, keep) if rule else None
    if closed is not None:
        return closed
    return Conditional(model, given, jnp.asarray(observed), tuple(np.flatnonzero(keep).tolist()))


@closed_forms.conditional_column.register(Conditional)
def _column(p: Conditional, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    rule = closed_forms.conditional_column.find(p.model)
    return rule and rule(p.model, *p._row(x, observed), p.keep[j])


@closed_forms.log_prob_box.register(Conditional)
def _box(
    p: Conditional,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    rule = closed_forms.log_prob_box.find(p.model)
    inside = tuple(p.keep[j] for j in place)
    before = p.observed if given is None else p._row(x, given)[1]
    return rule and rule(p.model, *p._row(x, observed), inside, low, high, before)


@closed_forms.groups.register(Conditional)
def _groups(p: Conditional) -> tuple[int, ...] | None:
    rule = closed_forms.groups.find(p.model)
    groups = rule and rule(p.model)
    return None if groups is None else tuple(groups[j] for j in p.keep)


@closed_forms.expectation.register(Conditional)
def _expectation(p: Conditional, x: Row, observed: Mask) -> Row | None:
    rule = closed_forms.expectation.find(p.model)
    whole = rule and rule(p.model, *p._row(x, observed))
    return None if whole is None else whole[np.array(p.keep)]
