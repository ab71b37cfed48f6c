"""A model with another encoding of its columns."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable, Example, Mask, Row
from pofx.models.gaussian import Gaussian


class Recoded(AbstractQueryable):
    """A model q with its columns in another order, in other units, and with other level codes.

    log p(x) = log q(y) + Σ_j log |slope_j|,  y_order[j] = slope_j x_j + offset_j

    Args:
        model: q.
        slope, offset: change of unit of each column of numbers, (d,).
        discrete: which columns are levels, (d,).
        codes: the code of q for each level of a discrete column, (d, levels); a level of code -1
            has probability 0.
        spikes: values of x with a point mass, (d, spikes), padded with NaN.
        model_spikes: the values of y in their place; a point mass has no slope.
        order: the column of q for each column of x.

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
    model_spikes: Float[Array, "d s"]
    order: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return len(self.order)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        log_slope = jnp.log(self.slope)
        smooth = observed & ~self.discrete & ~_matches(x, self.spikes).any(1)
        log_q = self.model.log_prob(self._encode(x), self._in_model_order(observed))
        impossible = (observed & self.discrete & (self._level_code(x) < 0)).any()
        return jnp.where(impossible, -jnp.inf, log_q + jnp.where(smooth, log_slope, 0).sum())

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        y = self.model.sample(key, self._encode(x), self._in_model_order(observed))
        return self._decode(y[np.array(self.order)])

    def _encode(self, x: Row) -> Row:
        """The row y of the model q."""
        y = self.slope * x + self.offset
        y = _replace_spikes(y, _matches(x, self.spikes), self.model_spikes)
        return self._in_model_order(
            jnp.where(self.discrete, jnp.maximum(self._level_code(x), 0), y)
        )

    def _level_code(self, x: Row) -> Int[Array, "d"]:
        level = jnp.clip(x.astype(int), 0, self.codes.shape[1] - 1)
        return jnp.take_along_axis(self.codes, level[:, None], 1)[:, 0]

    def _decode(self, y: Row) -> Row:
        """The row x for a row y whose columns are in the order of x."""
        x = (y - self.offset) / self.slope
        x = _replace_spikes(x, _matches(y, self.model_spikes), self.spikes)
        level = (self.codes == y.astype(int)[:, None]).argmax(1)
        return jnp.where(self.discrete, level, x)

    def _in_model_order(self, row: Array) -> Array:
        return row[np.argsort(self.order)]

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        model, columns = Gaussian.example(key)
        slope, offset = jnp.array([0.5, 1.0, 2.0]), jnp.array([1.0, -1.0, 0.0])
        no_spikes = jnp.zeros((3, 0))
        codes = jnp.zeros((3, 1), int)
        discrete = jnp.zeros(3, bool)
        recoded = cls(model, slope, offset, discrete, codes, no_spikes, no_spikes, (2, 0, 1))
        return Example(recoded, tuple(columns[j] for j in recoded.order))


def _matches(x: Row, spikes: Float[Array, "d s"]) -> Bool[Array, "d s"]:
    # Models store point masses in float32, whatever the float width of a row.
    return x[:, None].astype(jnp.float32) == spikes.astype(jnp.float32)


def _replace_spikes(
    x: Row, matches: Bool[Array, "d s"], values: Float[Array, "d s"]
) -> Float[Array, "d"]:
    """x, with `values` where it matches a spike."""
    spike_value = jnp.where(matches, values, 0).sum(1)
    return jnp.where(matches.any(1), spike_value, x)


@closed_forms.groups.register(Recoded)
def _groups(p: Recoded) -> tuple[int, ...] | None:
    rule = closed_forms.groups.find(p.model)
    groups = rule and rule(p.model)
    return None if groups is None else tuple(groups[j] for j in p.order)


@closed_forms.as_gaussian.register(Recoded)
def _normal(p: Recoded) -> tuple[Row, Float[Array, "d d"]] | None:
    rule = closed_forms.as_gaussian.find(p.model)
    moments = rule(p.model) if rule else None
    if moments is None:
        return None
    mean, covariance = moments
    order = np.array(p.order)
    scale = 1 / p.slope
    scaled_covariance = covariance[np.ix_(order, order)] * jnp.outer(scale, scale)
    return (mean[order] - p.offset) * scale, scaled_covariance
