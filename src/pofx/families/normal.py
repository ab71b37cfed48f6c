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
from pofx.core.double_double import Double, add, divide, double, square, two_sum
from pofx.core.family import AbstractFamily
from pofx.families.column_moments import variance_floor, weighted_moments
from pofx.families.special_functions import t_minus_log1p, above_floor, normal_cdf
from pofx.families.tail_probabilities import integral, interval

FAR = 1e3
"""Standard deviations from which on the log of a tail has lost digits that ratios of tails need."""
ORDER = 8
"""Terms of the series of log P(Z <= z) far out: enough for float64."""

Moments = tuple[Float[Array, "c"], Float[Array, "c"], Float[Array, "c"]]


class Normal(AbstractFamily):
    """The normal distribution of a real number.

    log p(x) = -(x - centre)^2 / (2 dispersion) - log(2 pi dispersion) / 2

    `centre` is in the units of x; `dispersion`, the variance, and its lower bound `floor` are in
    their square; all have shape (c,). Bishop, Pattern Recognition and Machine Learning (2006),
    section 2.3.

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
        def narrow(low, high):
            return integral(lambda x: jnp.exp(self.log_prob(x)), low, high - low)

        return interval(self, low, high, narrow)

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        sd = jnp.sqrt(self.dispersion)
        a, b = (low - self.centre) / sd, (high - self.centre) / sd
        # Of both tails the law is the same: the one in which the interval lies.
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

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Moments:
        # About the own centre, else float32 loses the variance of a column far from zero.
        d = x - self.centre
        return weight.sum(0), (weight * d).sum(0), (weight * d * d).sum(0)

    def expected_statistics(self, other: "Normal") -> Moments:
        d = other.centre - self.centre
        return jnp.ones_like(d), d, other.dispersion + d * d

    def m_step(self, statistics: Moments) -> "Normal":
        total, first, second = statistics
        some = total > 0
        n = jnp.where(some, total, 1)
        d = first / n
        variance = jnp.maximum(second / n - d * d, self.floor)
        return Normal(
            self.centre + jnp.where(some, d, 0),
            jnp.where(some, variance, self.dispersion),
            self.floor,
        )

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Normal":
        seen = weighted_moments(x, weight)
        unit = np.where(seen.mean == 0, 1.0, 0.1 * seen.mean)
        floor = variance_floor(seen, np.array([c.resolution for c in columns]), unit)
        variance = np.maximum(seen.variance, floor)
        return cls(jnp.asarray(seen.mean), jnp.asarray(variance), jnp.asarray(floor))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 2

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Normal":
        own = jax.lax.stop_gradient(self)
        centre = own.centre + jnp.sqrt(own.dispersion) * raw[:, 0]
        return Normal(centre, above_floor(own.dispersion, own.floor, raw[:, 1]), own.floor)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Normal, tuple[Column, ...]]":
        columns = tuple(Column(name, "real", family="normal") for name in ("a", "b"))
        centre = 3 * jax.random.normal(key, (2,))
        return cls(centre, jnp.array([0.5, 4.0]), jnp.full(2, 1e-6)), columns


def log_normal_between(
    a: Float[Array, "c"], b: Float[Array, "c"], width: Float[Array, "c"]
) -> Float[Array, "c"]:
    """log P(a < Z <= b) of a standard normal Z where a < b and a + b <= 0; `width` is b - a."""
    near = width * jnp.maximum(jnp.abs(b), 1) < 0.3
    # About the end of higher density, over which it hardly bends.
    end, w = jnp.where(near, jnp.where(b < 0, b, a), 0), jnp.where(near, width, 0)
    sign = jnp.where(b < 0, -1, 1)
    bent = integral(lambda s: jnp.exp(-(end * sign + s / 2) * s), jnp.zeros_like(w), w)
    narrow = -0.5 * (end * end + np.log(2 * np.pi)) + jnp.log(jnp.where(near, bent, 1))
    top = jnp.where(near, 0, b)
    log_b = log_ndtr(top, ORDER)
    far = (top < -FAR) & jnp.isfinite(a)
    # -a²/2 + b²/2 and the ratio of what is left: far out their difference would have no digits.
    z, w = jnp.where(far, top, -FAR), jnp.where(far, width, 0)
    mills = jnp.log(z / (z - w)) + jnp.log1p(-1 / (z - w) ** 2) - jnp.log1p(-1 / z**2)
    far_ratio = w * (z - w / 2) + mills
    ratio = jnp.where(far, far_ratio, log_ndtr(a, ORDER) - log_b)
    ratio = jnp.where(near, -jnp.inf, jnp.minimum(ratio, 0))
    tail = log_b + jnp.log1p(-jnp.exp(ratio))
    around = jnp.log1p(-(normal_cdf(a) + normal_cdf(-b)))
    return jnp.where(near, narrow, jnp.where((a < -1) & (b > 1), around, tail))


@closed_forms.kl.register(Normal, Normal)
def _kl(p: Normal, q: Normal) -> Float[Array, "c"]:
    wider = (p.dispersion - q.dispersion) / q.dispersion
    off = (p.centre - q.centre) ** 2 / q.dispersion
    return 0.5 * (t_minus_log1p(wider, p.dispersion / q.dispersion) + off)


@closed_forms.fine.register(Normal)
def _fine(p: Normal, x: Float[Array, "c"]) -> Double:
    q = divide(square(two_sum(x, -p.centre)), p.dispersion)
    found = add(q, double(jnp.log(2 * np.pi * p.dispersion)))
    return Double(-0.5 * found.high, -0.5 * found.low)
