"""Student's t family."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.compilation import to_device
from pofx.core.family import AbstractFamily
from pofx.families.column_moments import variance_floor, weighted_moments
from pofx.families.gamma import shape_from_log_deficit
from pofx.families.intervals import bisect, integral, interval, log_interval
from pofx.families.special_functions import (
    above_floor,
    bounded_exp,
    log_minus_digamma,
    stirling,
    t_minus_log1p,
)
from pofx.families.tail_probabilities import log_beta_tails

FIRST_DEGREES = 5.0
"""The degrees of freedom from which learning starts."""
MAX_DEGREES = 1e6
"""The most degrees of freedom that are learned; such a distribution is normal to 1e-6."""
_NODES = np.linspace(-5.2, 5.2, 261)
"""Nodes of the trapezoid rule for expectations, in arsinh arsinh z."""

Statistics = tuple[Float[Array, "c"], ...]


class StudentT(AbstractFamily):
    """Student's t distribution of a real number, with heavier tails than the normal.

    log p(x) = -(degrees + 1)/2 log(1 + z^2 / degrees) - log(B(degrees/2, 1/2) sqrt(degrees) scale)

    with z = (x - centre) / scale and scale = sqrt(dispersion).

    It is a normal distribution whose precision is gamma-distributed, which EM takes for missing:
    Lange, Little and Taylor, "Robust statistical modeling using the t distribution" (1989).

    Args:
        degrees: the degrees of freedom, of shape (c,).
        centre: the median, in the units of x.
        dispersion: the square of the scale; the variance is degrees / (degrees - 2) times that.
        floor: the lower bound of the dispersion.

    >>> one = jnp.ones(1)
    >>> print(f"{StudentT(one, 0 * one, one, 0.1 * one).log_prob(0 * one)[0]:.4f}")
    -1.1447
    """

    degrees: Float[Array, "c"]
    centre: Float[Array, "c"]
    dispersion: Float[Array, "c"]
    floor: Float[Array, "c"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"real"})
    support_point: ClassVar[float] = 0.0

    @property
    def scale(self) -> Float[Array, "c"]:
        """The unit of z."""
        return jnp.sqrt(self.dispersion)

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        z = (x - self.centre) / self.scale
        constant = _log_constant(self.degrees) - 0.5 * jnp.log(self.dispersion)
        return constant - (self.degrees + 1) / 2 * _log_excess(z, self.degrees)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        z = jax.random.t(key, self.degrees, self.degrees.shape, self.degrees.dtype)
        return self.centre + self.scale * z

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return jnp.exp(self._log_tails(x)[0])

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return jnp.exp(self._log_tails(x)[1])

    def _log_tails(self, x: Float[Array, "c"]) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
        z = (x - self.centre) / self.scale
        outer = _log_outer_tail(jnp.abs(z), self.degrees)
        inner = jnp.log1p(-jnp.exp(outer))
        return jnp.where(z < 0, outer, inner), jnp.where(z < 0, inner, outer)

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def integrate(low, high):
            return integral(lambda x: jnp.exp(self.log_prob(x)), low, high - low)

        return interval(self, low, high, integrate)

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def log_integrate(low, high):
            top = jnp.maximum(self.log_prob(low), self.log_prob(high))
            ratio = integral(lambda x: jnp.exp(self.log_prob(x) - top), low, high - low)
            return jnp.log(ratio) + top

        return log_interval(self._log_tails, low, high, log_integrate, self.support_point)

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        v = jnp.minimum(u, above)
        within = (v > 0) & (v < 0.5)
        v = jnp.where(within, v, 0.25)
        end = jnp.full_like(u, 0.49 * math.log(jnp.finfo(u.dtype).max))

        def tails(y):
            above = jnp.exp(_log_outer_tail(jnp.exp(y), self.degrees))
            return 1 - above, above

        z = jnp.exp(bisect(tails, 1 - v, v, -end, end))
        z = jnp.where(within, z, jnp.where(jnp.minimum(u, above) > 0, 0, jnp.inf))
        return self.centre + self.scale * jnp.where(u < above, -z, z)

    def mean(self) -> Float[Array, "c"]:
        """The mean; NaN if there are no more than 1 degrees of freedom."""
        return jnp.where(self.degrees > 1, self.centre, jnp.nan)

    def variance(self) -> Float[Array, "c"]:
        """The variance; infinite or NaN if there are no more than 2 or 1 degrees of freedom."""
        excess = jnp.where(self.degrees > 2, self.degrees - 2, 1)
        variance = self.dispersion * self.degrees / excess
        return jnp.where(self.degrees > 2, variance, jnp.where(self.degrees > 1, jnp.inf, jnp.nan))

    def mode(self) -> Float[Array, "c"]:
        return self.centre

    def entropy(self) -> Float[Array, "c"]:
        # E[log(1 + z^2 / degrees)] = psi((degrees + 1) / 2) - psi(degrees / 2)
        h = self.degrees / 2
        mean_excess = jnp.log1p(0.5 / h) - log_minus_digamma(h + 0.5) + log_minus_digamma(h)
        constant = _log_constant(self.degrees) - 0.5 * jnp.log(self.dispersion)
        return (h + 0.5) * mean_excess - constant

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        return tuple((weight * s).sum(0) for s in self._row_statistics(x))

    def _row_statistics(self, x: Float[Array, "... c"]) -> Statistics:
        """1, u, u d, u d^2 and u - 1 - log u, with u the expected precision of a row."""
        d = x - self.centre
        log_u = jnp.log1p(1 / self.degrees) - _log_excess(d / self.scale, self.degrees)
        u = jnp.exp(log_u)
        return jnp.ones_like(d), u, u * d, u * d * d, u - 1 - log_u

    def expected_statistics(self, other: "StudentT") -> Statistics:
        return tuple(_expectation(other, lambda x: jnp.stack(self._row_statistics(x))))

    def m_step(self, statistics: Statistics) -> "StudentT":
        total, weights, first, second, deficit = statistics
        has_rows = total > 0
        n, w = jnp.where(has_rows, total, 1), jnp.where(has_rows, weights, 1)
        d = first / w
        dispersion = jnp.maximum((second - d * first) / n, self.floor)
        # E[log precision] is log u + psi(h) - log h of h = (degrees + 1) / 2.
        log_deficit = deficit / n + log_minus_digamma((self.degrees + 1) / 2)
        degrees = 2 * shape_from_log_deficit(jnp.maximum(log_deficit, 1 / MAX_DEGREES))
        return StudentT(
            jnp.where(has_rows, jnp.minimum(degrees, MAX_DEGREES), self.degrees),
            self.centre + jnp.where(has_rows, d, 0),
            jnp.where(has_rows, dispersion, self.dispersion),
            self.floor,
        )

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "StudentT":
        moments = weighted_moments(x, weight)
        unit = np.where(moments.mean == 0, 1.0, 0.1 * moments.mean)
        floor = variance_floor(moments, np.array([c.resolution for c in columns]), unit)
        dispersion = np.maximum(moments.variance * (FIRST_DEGREES - 2) / FIRST_DEGREES, floor)
        degrees = np.full(len(columns), FIRST_DEGREES)
        return cls(*map(to_device, (degrees, moments.mean, dispersion, floor)))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 3

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "StudentT":
        current = jax.lax.stop_gradient(self)
        return StudentT(
            current.degrees * bounded_exp(raw[:, 2]),
            current.centre + current.scale * raw[:, 0],
            above_floor(current.dispersion, current.floor, raw[:, 1]),
            current.floor,
        )

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[StudentT, tuple[Column, ...]]":
        columns = tuple(Column(name, "real", family="student_t") for name in ("a", "b"))
        centre = 3 * jax.random.normal(key, (2,))
        return cls(jnp.array([3.0, 6.0]), centre, jnp.array([0.5, 4.0]), jnp.full(2, 1e-6)), columns


def _log_constant(degrees: Float[Array, "c"]) -> Float[Array, "c"]:
    """log Gamma((degrees + 1) / 2) - log Gamma(degrees / 2) - log(pi degrees) / 2."""
    h = degrees / 2
    deficits = stirling(h + 0.5) - stirling(h) - h * t_minus_log1p(0.5 / h)
    return deficits - 0.5 * math.log(2 * math.pi)


def _log_excess(z: Float[Array, "..."], degrees: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(1 + z^2 / degrees), also where z^2 would be infinite."""
    ratio = jnp.abs(z) / jnp.sqrt(degrees)
    far = ratio > 1e8
    near = jnp.log1p(jnp.where(far, 1, ratio) ** 2)
    return jnp.where(far, 2 * jnp.log(jnp.where(far, ratio, 1)), near)


def _log_outer_tail(z: Float[Array, "c"], degrees: Float[Array, "c"]) -> Float[Array, "c"]:
    """log P(T > z) for z >= 0: half of the tail of a beta variate."""
    limits = jnp.finfo(z.dtype)
    m = jnp.square(jnp.clip(z, limits.tiny**0.45, limits.max**0.45)) / 2
    below, _ = log_beta_tails(degrees / 2, jnp.full_like(z, 0.5), m)
    return jnp.where(z == jnp.inf, -jnp.inf, below - math.log(2))


def _expectation(p: StudentT, f: Callable) -> Float[Array, "c"]:
    """E[f(x)] for a smooth f that grows slowly, by the trapezoid rule in arsinh arsinh z.

    f maps points of shape (nodes, c) to values of shape (..., nodes, c).
    """
    nodes = jnp.asarray(_NODES, p.centre.dtype)[:, None]
    reach = jnp.maximum(1, 2 / p.degrees)
    y = reach * jnp.sinh(nodes)
    end = math.log(jnp.finfo(nodes.dtype).max) * 0.4
    y = jnp.clip(y, -end, end)
    x = p.centre + p.scale * jnp.sinh(y)
    weight = p.scale * jnp.cosh(y) * reach * jnp.cosh(nodes) * jnp.exp(p.log_prob(x))
    weight = weight / weight.sum(0)
    return (weight * f(x)).sum(-2)


@closed_forms.kl.register(StudentT, StudentT)
def _kl(p: StudentT, q: StudentT) -> Float[Array, "c"]:
    equal = (p.degrees == q.degrees) & (p.centre == q.centre) & (p.dispersion == q.dispersion)
    mean_ratio = _expectation(p, lambda x: p.log_prob(x) - q.log_prob(x))
    return jnp.where(equal, 0, jnp.maximum(mean_ratio, 0))
