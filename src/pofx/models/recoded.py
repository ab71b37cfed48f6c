"""A model in another encoding of its columns."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Example, Mask, Row
from pofx.models.gaussian import Gaussian


class Recoded(AbstractQueryable):
    """p(x) of a row x whose column j is column `order[j]` of another model, in other units.

    log p(x) = log q(y) + Σ_j log |slope_j|,  y_order[j] = slope_j x_j + offset_j

    A level code x_j is looked up in row j of `codes`, and has probability 0 where that is -1. A
    value of `spikes` carries a point mass, and becomes the value of `others` at the same place,
    whose mass has no slope.

    >>> import jax
    >>> p = Recoded.example(jax.random.key(0)).model
    >>> p.order
    (2, 0, 1)
    """

    model: AbstractQueryable
    slope: Float[Array, "d"]
    offset: Float[Array, "d"]
    discrete: Bool[Array, "d"]
    codes: Int[Array, "d l"]
    spikes: Float[Array, "d s"]
    others: Float[Array, "d s"]
    order: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return len(self.order)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        log_slope = jnp.log(self.slope)
        smooth = observed & ~self.discrete & ~_matches(x, self.spikes).any(1)
        inner = self.model.log_prob(self._inner(x), self._placed(observed))
        impossible = (observed & self.discrete & (self._code(x) < 0)).any()
        return jnp.where(impossible, -jnp.inf, inner + jnp.where(smooth, log_slope, 0).sum())

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        y = self.model.sample(key, self._inner(x), self._placed(observed))
        return self._outer(y[np.array(self.order)])

    def _inner(self, x: Row) -> Row:
        """The row as the model has it."""
        y = self.slope * x + self.offset
        y = _replaced(y, _matches(x, self.spikes), self.others)
        return self._placed(jnp.where(self.discrete, jnp.maximum(self._code(x), 0), y))

    def _code(self, x: Row) -> Int[Array, "d"]:
        level = jnp.clip(x.astype(int), 0, self.codes.shape[1] - 1)
        return jnp.take_along_axis(self.codes, level[:, None], 1)[:, 0]

    def _outer(self, y: Row) -> Row:
        """The inverse, of columns that are in order."""
        x = (y - self.offset) / self.slope
        x = _replaced(x, _matches(y, self.others), self.spikes)
        level = (self.codes == y.astype(int)[:, None]).argmax(1)
        return jnp.where(self.discrete, level, x)

    def _placed(self, row: Array) -> Array:
        return row[np.argsort(self.order)]

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        model, columns = Gaussian.example(key)
        slope, offset = jnp.array([0.5, 1.0, 2.0]), jnp.array([1.0, -1.0, 0.0])
        no = jnp.zeros((3, 0))
        codes = jnp.zeros((3, 1), int)
        recoded = cls(model, slope, offset, jnp.zeros(3, bool), codes, no, no, (2, 0, 1))
        return Example(recoded, tuple(columns[j] for j in recoded.order))


def _matches(x: Row, spikes: Float[Array, "d s"]) -> Bool[Array, "d s"]:
    # Models hold their point masses in float32, whatever the width of a row.
    return x[:, None].astype(jnp.float32) == spikes.astype(jnp.float32)


def _replaced(
    x: Row, matches: Bool[Array, "d s"], values: Float[Array, "d s"]
) -> Float[Array, "d"]:
    """x with the values of the spikes that it sits on."""
    on_spike = jnp.where(matches, values, 0).sum(1)
    return jnp.where(matches.any(1), on_spike, x)


@closed_forms.groups.register(Recoded)
def _groups(p: Recoded) -> tuple[int, ...] | None:
    rule = closed_forms.groups.find(p.model)
    groups = rule and rule(p.model)
    return None if groups is None else tuple(groups[j] for j in p.order)


@closed_forms.as_gaussian.register(Recoded)
def _normal(p: Recoded) -> tuple[Row, Float[Array, "d d"]] | None:
    rule = closed_forms.as_gaussian.find(p.model)
    found = rule(p.model) if rule else None
    if found is None:
        return None
    mean, covariance = found
    order = np.array(p.order)
    scale = 1 / p.slope
    shifted = (mean[order] - p.offset) * scale
    return shifted, covariance[np.ix_(order, order)] * jnp.outer(scale, scale)
