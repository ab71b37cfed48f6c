"""Conditionals (and marginals) of a model as models of their own."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Example, Mask, Row
from pofx.core.column_mixture import ColumnMixture
from pofx.core.compilation import compiled_quickly, to_device
from pofx.core.log_ratios import log_conditional
from pofx.models.gaussian import Gaussian


class Conditional(AbstractQueryable):
    """The conditional p(x_K | x_O): columns K of a model given the observed columns O.

    log p(x_K | x_O) = log p(x_K, x_O) - log p(x_O); all other columns are integrated out.

    Columns: those of the model. This class serves models without a closed form for conditionals.

    Args:
        model: the joint distribution of d columns.
        given: a row of the model, of shape (d,), that holds x_O.
        observed: mask of O, of shape (d,).
        keep: indices of K, in order. A column of O among them stays as it is given, so that one
            program serves any O if K are all columns.

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
        return log_conditional(self.model, *self._joint_row(x, observed), self.observed)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        return self.model.sample(key, *self._joint_row(x, observed))[np.array(self.keep)]

    def _joint_row(self, x: Row, observed: Mask) -> tuple[Row, Mask]:
        """The row of the model, and its mask, that also holds x_K."""
        keep = np.array(self.keep)
        row = jnp.where(self.observed, self.given, self.given.at[keep].set(x))
        return row, self.observed | self.observed.at[keep].set(observed)

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
    """p(x_K | x_O) as a model of its own, in closed form if the model has a rule for it.

    With nothing observed it is the marginal p(x_K).

    Args:
        model: the joint distribution of d columns.
        x: a row of the model, of shape (d,); missing entries may hold anything.
        observed: mask of O, of shape (d,).
        keep: mask of K, of shape (d,).

    >>> import jax
    >>> p = Gaussian.example(jax.random.key(0)).model
    >>> q = condition(p, np.zeros(3), np.array([1, 0, 0], bool), np.array([0, 1, 1], bool))
    >>> type(q).__name__, q.size
    ('Gaussian', 2)
    """
    given = np.where(observed, x, 0).astype(jnp.result_type(float))
    observed, keep = np.asarray(observed, bool), np.asarray(keep, bool)
    if closed_forms.condition.find(model):
        conditional = _by_rule(model, given, *(tuple(mask.tolist()) for mask in (observed, keep)))
        if conditional is not None:
            return conditional
    return condition_lazily(model, given, observed, keep)


def condition_lazily(
    model: AbstractQueryable,
    x: Float[np.ndarray, "d"],
    observed: Bool[np.ndarray, "d"],
    keep: Bool[np.ndarray, "d"],
) -> Conditional:
    """p(x_K | x_O) without a computation; a conditional of a conditional is one of the same model.

    >>> import jax
    >>> p = Gaussian.example(jax.random.key(0)).model
    >>> a, all_kept = np.array([1, 0, 0], bool), np.ones(3, bool)
    >>> q = condition_lazily(condition_lazily(p, np.zeros(3), a, all_kept), np.ones(3), ~a, ~a)
    >>> type(q.model).__name__, q.given.tolist(), q.keep
    ('Gaussian', [0.0, 1.0, 1.0], (1, 2))
    """
    kept = np.flatnonzero(keep)
    if isinstance(model, Conditional):
        place = np.array(model.keep)
        given, mask = np.array(model.given), np.array(model.observed)
        new = np.zeros_like(mask)
        new[place] = observed
        given[place] = np.where(mask[place], given[place], x)
        model, x, observed, kept = model.model, given, mask | new, place[kept]
    row = np.where(observed, x, 0).astype(np.asarray(x).dtype)
    return Conditional(model, to_device(row), to_device(observed), tuple(kept.tolist()))


@compiled_quickly
def _by_rule(
    model: AbstractQueryable, x: Row, observed: tuple[bool, ...], keep: tuple[bool, ...]
) -> AbstractQueryable | None:
    rule = closed_forms.condition.find(model)
    return rule and rule(model, x, np.array(observed), np.array(keep))


@closed_forms.conditional_column.register(Conditional)
def _column(p: Conditional, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    rule = closed_forms.conditional_column.find(p.model)
    return rule and rule(p.model, *p._joint_row(x, observed), p.keep[j])


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
    kept_place = tuple(p.keep[j] for j in place)
    model_given = p.observed if given is None else p._joint_row(x, given)[1]
    return rule and rule(p.model, *p._joint_row(x, observed), kept_place, low, high, model_given)


@closed_forms.groups.register(Conditional)
def _groups(p: Conditional) -> tuple[int, ...] | None:
    rule = closed_forms.groups.find(p.model)
    groups = rule and rule(p.model)
    return None if groups is None else tuple(groups[j] for j in p.keep)


@closed_forms.expectation.register(Conditional)
def _expectation(p: Conditional, x: Row, observed: Mask) -> Row | None:
    rule = closed_forms.expectation.find(p.model)
    means = rule and rule(p.model, *p._joint_row(x, observed))
    return None if means is None else means[np.array(p.keep)]


@closed_forms.for_masks.register(Conditional)
def _for_masks(p: Conditional, masks: Bool[np.ndarray, "n d"]) -> Conditional:
    # The evidence itself too, because log p(x_O) is a part of each answer.
    joint = np.tile(np.asarray(p.observed), (len(masks) + 1, 1))
    joint[:-1, np.array(p.keep)] |= masks
    return replace(p, model=closed_forms.with_masks(p.model, joint))
