"""The normal family."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, ndtri
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.compilation import to_device
from pofx.core.double_double import Double, add, divide, double, square, two_sum
from pofx.core.family import AbstractFamily
from pofx.families.column_moments import variance_floor, weighted_moments
from pofx.families.intervals import integral, interval
from pofx.families.special_functions import above_floor, normal_cdf, t_minus_log1p

MAX_LOG_TAIL_SDS = 1e3
"""Standard deviations up to which the log of a tail has the digits that ratios of tails need."""
TAIL_SERIES_TERMS = 8
"""Terms of the series of log P(Z <= z) in the far tail: enough for float64."""

Statistics = tuple[Float[Array, "c"], Float[Array, "c"], Float[Array, "c"]]


class Normal(AbstractFamily):
    """The normal distribution of a real number.

    log p(x) = -(x - centre)^2 / (2 dispersion) - log(2 pi dispersion) / 2

    Bishop, Pattern Recognition and Machine Learning (2006), section 2.3.

    Args:
        centre: the mean in the units of x, of shape (c,).
        dispersion: the variance.
        floor: the lower bound of the variance.

    >>> one = jnp.ones(1)
    >>> print(f"{Normal(2 * one, dispersion=4 * one, floor=0.1 * one).log_prob(2 * one)[0]:.4f}")
    -1.6121
    """

    centre: Float[Array, "c"]
    dispersion: Float[Array, "c"]
    floor: Float[Array, "c"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"real"})
    support_point: ClassVar[float] = 0.0

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        z = (x - self.centre) / jnp.sqrt(self.dispersion)
        return -0.5 * (z * z + jnp.log(2 * np.pi * self.dispersion))

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        z = jax.random.normal(key, self.centre.shape, self.centre.dtype)
        return self.centre + jnp.sqrt(self.dispersion) * z

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return normal_cdf((x - self.centre) / jnp.sqrt(self.dispersion))

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return normal_cdf((self.centre - x) / jnp.sqrt(self.dispersion))

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def integrate(low, high):
            return integral(lambda x: jnp.exp(self.log_prob(x)), low, high - low)

        return interval(self, low, high, integrate)

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        sd = jnp.sqrt(self.dispersion)
        a, b = (low - self.centre) / sd, (high - self.centre) / sd
        # By symmetry, the interval is moved to the lower tail.
        a, b = jnp.where(a > -b, -b, a), jnp.where(a > -b, -a, b)
        width = jnp.where(jnp.isfinite(low) & jnp.isfinite(high), (high - low) / sd, jnp.inf)
        return log_normal_between(a, b, width)

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        z = jnp.where(u <= above, ndtri(u), -ndtri(above))
        return self.centre + jnp.sqrt(self.dispersion) * z

    def mean(self) -> Float[Array, "c"]:
        return self.centre

    def variance(self) -> Float[Array, "c"]:
        return self.dispersion

    def mode(self) -> Float[Array, "c"]:
        return self.centre

    def entropy(self) -> Float[Array, "c"]:
        return 0.5 * jnp.log(2 * np.pi * np.e * self.dispersion)

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        # Relative to the centre, because float32 loses the variance of a column far from zero.
        d = x - self.centre
        return weight.sum(0), (weight * d).sum(0), (weight * d * d).sum(0)

    def expected_statistics(self, other: "Normal") -> Statistics:
        d = other.centre - self.centre
        return jnp.ones_like(d), d, other.dispersion + d * d

    def m_step(self, statistics: Statistics) -> "Normal":
        total, first, second = statistics
        has_rows = total > 0
        n = jnp.where(has_rows, total, 1)
        d = first / n
        variance = jnp.maximum(second / n - d * d, self.floor)
        return Normal(
            self.centre + jnp.where(has_rows, d, 0),
            jnp.where(has_rows, variance, self.dispersion),
            self.floor,
        )

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Normal":
        moments = weighted_moments(x, weight)
        unit = np.where(moments.mean == 0, 1.0, 0.1 * moments.mean)
        floor = variance_floor(moments, np.array([c.resolution for c in columns]), unit)
        variance = np.maximum(moments.variance, floor)
        return cls(to_device(moments.mean), to_device(variance), to_device(floor))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 2

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Normal":
        current = jax.lax.stop_gradient(self)
        centre = current.centre + jnp.sqrt(current.dispersion) * raw[:, 0]
        dispersion = above_floor(current.dispersion, current.floor, raw[:, 1])
        return Normal(centre, dispersion, current.floor)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Normal, tuple[Column, ...]]":
        columns = tuple(Column(name, "real", family="normal") for name in ("a", "b"))
        centre = 3 * jax.random.normal(key, (2,))
        return cls(centre, jnp.array([0.5, 4.0]), jnp.full(2, 1e-6)), columns


def log_normal_between(
    a: Float[Array, "c"], b: Float[Array, "c"], width: Float[Array, "c"]
) -> Float[Array, "c"]:
    """log P(a < Z <= b) of a standard normal Z, for a < b and a + b <= 0; `width` is b - a."""
    is_narrow = width * jnp.maximum(jnp.abs(b), 1) < 0.3
    # The integral from the end of higher density, over which the integrand is nearly a polynomial.
    end = jnp.where(is_narrow, jnp.where(b < 0, b, a), 0)
    w = jnp.where(is_narrow, width, 0)
    sign = jnp.where(b < 0, -1, 1)
    ratio_integral = integral(lambda s: jnp.exp(-(end * sign + s / 2) * s), jnp.zeros_like(w), w)
    log_density = -0.5 * (end * end + np.log(2 * np.pi))
    narrow = log_density + jnp.log(jnp.where(is_narrow, ratio_integral, 1))
    top = jnp.where(is_narrow, 0, b)
    log_a, log_b = log_ndtr(jnp.stack([a, top]), TAIL_SERIES_TERMS)
    far = (top < -MAX_LOG_TAIL_SDS) & jnp.isfinite(a)
    # In the far tail the log tails are -a²/2 and -b²/2 plus small terms. Their difference is taken
    # term by term, because that of the sums would have no digits.
    z = jnp.where(far, top, -MAX_LOG_TAIL_SDS)
    w = jnp.where(far, width, 0)
    mills = jnp.log(z / (z - w)) + jnp.log1p(-1 / (z - w) ** 2) - jnp.log1p(-1 / z**2)
    far_ratio = w * (z - w / 2) + mills
    ratio = jnp.where(far, far_ratio, log_a - log_b)
    ratio = jnp.where(is_narrow, -jnp.inf, jnp.minimum(ratio, 0))
    tail = log_b + jnp.log1p(-jnp.exp(ratio))
    central = jnp.log1p(-(normal_cdf(a) + normal_cdf(-b)))
    return jnp.where(is_narrow, narrow, jnp.where((a < -1) & (b > 1), central, tail))


@closed_forms.kl.register(Normal, Normal)
def _kl(p: Normal, q: Normal) -> Float[Array, "c"]:
    relative_change = (p.dispersion - q.dispersion) / q.dispersion
    distance = (p.centre - q.centre) ** 2 / q.dispersion
    return 0.5 * (t_minus_log1p(relative_change, p.dispersion / q.dispersion) + distance)


@closed_forms.log_prob_double.register(Normal)
def _log_prob_double(p: Normal, x: Float[Array, "c"]) -> Double:
    distance = divide(square(two_sum(x, -p.centre)), p.dispersion)
    deviance = add(distance, double(jnp.log(2 * np.pi * p.dispersion)))
    return Double(-0.5 * deviance.high, -0.5 * deviance.low)
