"""The beta family."""

import math
from collections.abc import Sequence
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
from pofx.families.intervals import bisect, integral, interval, log_interval
from pofx.families.special_functions import (
    above_floor,
    divergence,
    log_minus_digamma,
    log_negative_binomial,
    stirling,
    t_minus_log1p,
)
from pofx.families.tail_probabilities import beta_tails, log_beta_tails

MAX_SIZE = 1e6
"""The greatest a + b that is learned, so that no density becomes a spike."""
NEWTON_STEPS = 8
"""Newton steps of one M-step; from the fixed point they need about five."""

Statistics = tuple[Float[Array, "c"], Float[Array, "c"], Float[Array, "c"]]


class Beta(AbstractFamily):
    """The beta distribution of a number between 0 and 1.

    p(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b)  for 0 < x < 1

    The statistics are sums of 1, log x and log(1 - x). An M-step is a step of Minka's fixed point,
    which never lowers the likelihood, or the result of Newton steps from there if that is better:
    Minka, "Estimating a Dirichlet distribution" (2000).

    Args:
        a, b: the parameters, of shape (c,).

    >>> print(f"{Beta(2 * jnp.ones(1), jnp.ones(1)).log_prob(0.5 * jnp.ones(1))[0]:.4f}")
    0.0000
    """

    a: Float[Array, "c"]
    b: Float[Array, "c"]

    kinds: ClassVar[frozenset[Kind]] = frozenset({"real"})
    support_point: ClassVar[float] = 0.5

    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        inside = (x > 0) & (x < 1)
        x = jnp.where(inside, x, self.support_point)
        odds = (1 - x) / x
        value = log_negative_binomial(self.b, self.a * odds, self.a)
        value += jnp.log(self.b) - jnp.log(x) - jnp.log1p(-x)
        return jnp.where(inside, value, -jnp.inf)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        first, second = jax.random.split(key)
        # In logarithms, because gamma variates of small shapes fall below all floats.
        log_a = jax.random.loggamma(first, self.a, dtype=self.a.dtype)
        log_b = jax.random.loggamma(second, self.b, dtype=self.b.dtype)
        return _inside(jax.nn.sigmoid(log_a - log_b))

    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return self._tails(beta_tails, x, 0, 1)[0]

    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        return self._tails(beta_tails, x, 0, 1)[1]

    def _tails(self, tails, x, none, all_mass):
        """Both tails at x, which may lie outside (0, 1)."""
        inside = (x > 0) & (x < 1)
        y = jnp.where(inside, x, self.support_point)
        below, above = tails(self.a, self.b, self.a * (1 - y) / y)
        ends = jnp.where(x <= 0, none, all_mass), jnp.where(x <= 0, all_mass, none)
        return jnp.where(inside, below, ends[0]), jnp.where(inside, above, ends[1])

    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def integrate(low, high):
            return integral(
                lambda y: jnp.exp(self._log_prob_of_logit(y)), _logit(low), _rise(low, high)
            )

        return interval(self, low, high, integrate)

    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        def log_integrate(low, high):
            top = jnp.maximum(*(self._log_prob_of_logit(_logit(end)) for end in (low, high)))
            ratio = integral(
                lambda y: jnp.exp(self._log_prob_of_logit(y) - top), _logit(low), _rise(low, high)
            )
            return jnp.log(ratio) + top

        def tails(x):
            return self._tails(log_beta_tails, x, -jnp.inf, 0)

        return log_interval(tails, low, high, log_integrate, self.support_point)

    def _log_prob_of_logit(self, y: Float[Array, "c"]) -> Float[Array, "c"]:
        """The log-density of log x - log(1 - x)."""
        return log_negative_binomial(self.b, self.a * jnp.exp(-y), self.a) + jnp.log(self.b)

    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        within = (u > 0) & (above > 0)
        v, v_above = jnp.where(within, u, 0.5), jnp.where(within, above, 0.5)
        end = jnp.full_like(u, -math.log(jnp.finfo(u.dtype).tiny))
        y = bisect(
            lambda y: beta_tails(self.a, self.b, self.a * jnp.exp(-y)), v, v_above, -end, end
        )
        return jnp.where(within, _inside(jax.nn.sigmoid(y)), jnp.where(u > 0, 1.0, 0.0))

    def mean(self) -> Float[Array, "c"]:
        return self.a / (self.a + self.b)

    def variance(self) -> Float[Array, "c"]:
        n = self.a + self.b
        return (self.a / n) * (self.b / n) / (n + 1)

    def mode(self) -> Float[Array, "c"]:
        """The x of highest density; if the density has no top inside, a float next to an end."""
        a, b = self.a, self.b
        has_top = (a > 1) & (b > 1)
        top = (a - 1) / jnp.where(has_top, a + b - 2, 1)
        return _inside(jnp.where(has_top, top, jnp.where((b < 1) & (a > b), 1, a > 1)))

    def entropy(self) -> Float[Array, "c"]:
        # log B(a, b) - (a - 1) psi(a) - (b - 1) psi(b) + (n - 2) psi(n), without its cancellation.
        a, b, n = self.a, self.b, self.a + self.b
        value = _centred_entropy(a) + _centred_entropy(b) - _centred_entropy(n)
        return value + log_minus_digamma(n) - jnp.log(n) + 0.5 * math.log(2 * math.pi)

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        return weight.sum(0), (weight * jnp.log(x)).sum(0), (weight * jnp.log1p(-x)).sum(0)

    def expected_statistics(self, other: "Beta") -> Statistics:
        psi_n = _digamma(other.a + other.b)
        return jnp.ones_like(psi_n), _digamma(other.a) - psi_n, _digamma(other.b) - psi_n

    def m_step(self, statistics: Statistics) -> "Beta":
        total, first, second = statistics
        has_rows = total > 0
        n = jnp.where(has_rows, total, 1)
        logs = jnp.stack([first / n, second / n])
        start = jnp.stack([self.a, self.b])

        def likelihood(parameters):
            a, b = parameters
            return -_log_beta(a, b) + a * logs[0] + b * logs[1]

        fixed_point = _inverse_digamma(_digamma(start.sum(0)) + logs)
        best = jax.lax.fori_loop(0, NEWTON_STEPS, lambda _, p: _newton(p, logs), fixed_point)
        best = jnp.where(likelihood(best) > likelihood(fixed_point), best, fixed_point)
        size = best.sum(0)
        best = best * jnp.minimum(1, MAX_SIZE / size)
        better = has_rows & (likelihood(best) > likelihood(start))
        return Beta(*jnp.where(better, best, start))

    @classmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "Beta":
        """The parameters that have the mean and the variance of the cells."""
        moments = weighted_moments(x, weight)
        mean = np.clip(np.where(moments.weight > 0, moments.mean, 0.5), 1e-6, 1 - 1e-6)
        resolution = np.array([c.resolution for c in columns])
        floor = variance_floor(moments, resolution, unit=0.1)
        variance = np.maximum(np.where(moments.weight > 0, moments.variance, 1 / 12), floor)
        size = np.clip(mean * (1 - mean) / variance - 1, 0.1, MAX_SIZE)
        return cls(to_device(size * mean), to_device(size * (1 - mean)))

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 2

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "Beta":
        current = jax.lax.stop_gradient(self)
        a, b = (above_floor(v, 0.0, raw[:, i]) for i, v in enumerate((current.a, current.b)))
        return Beta(a, b)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[Beta, tuple[Column, ...]]":
        columns = tuple(Column(name, "real", family="beta") for name in ("a", "b"))
        a = jnp.exp(jax.random.normal(key, (2,)) / 2)
        return cls(a, jnp.array([0.8, 3.0])), columns


def _inside(x: Float[Array, "c"]) -> Float[Array, "c"]:
    """The nearest float between 0 and 1, because the ends are not in the support."""
    limits = jnp.finfo(x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.float32)
    return jnp.clip(x, limits.tiny, 1 - limits.epsneg)


def _logit(x: Float[Array, "c"]) -> Float[Array, "c"]:
    x = _inside(x)
    return jnp.log(x) - jnp.log1p(-x)


def _rise(low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
    """logit(high) - logit(low), with all digits if the two are close."""
    low, high = _inside(low), _inside(high)
    return jnp.log1p((high - low) / low) - jnp.log1p((low - high) / (1 - low))


def _centred_entropy(z: Float[Array, "c"]) -> Float[Array, "c"]:
    """log Gamma(z) - (z - 1) psi(z) + z - log(2 pi) / 2."""
    return stirling(z) + 0.5 * jnp.log(z) + (z - 1) * log_minus_digamma(z)


def _digamma(z: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.log(z) - log_minus_digamma(z)


def _trigamma(z: Float[Array, "..."]) -> Float[Array, "..."]:
    return jax.jvp(_digamma, (z,), (jnp.ones_like(z),))[1]


def _inverse_digamma(y: Float[Array, "..."]) -> Float[Array, "..."]:
    """The z with psi(z) = y, by Newton steps (Minka 2000, appendix C)."""
    start = jnp.where(y >= -2.22, jnp.exp(y) + 0.5, -1 / (jnp.minimum(y, -2.22) + 0.5772))
    return jax.lax.fori_loop(0, 5, lambda _, z: z - (_digamma(z) - y) / _trigamma(z), start)


def _log_beta(a: Float[Array, "c"], b: Float[Array, "c"]) -> Float[Array, "c"]:
    """log B(a, b)."""
    n = a + b
    deficits = stirling(a) + stirling(b) - stirling(n) + 0.5 * math.log(2 * math.pi)
    halves = 0.5 * (jnp.log(n) - jnp.log(a) - jnp.log(b))
    return deficits + halves - a * jnp.log1p(b / a) - b * jnp.log1p(a / b)


def _newton(parameters: Float[Array, "2 c"], logs: Float[Array, "2 c"]) -> Float[Array, "2 c"]:
    """A Newton step of the mean log-likelihood, whose Hessian is diagonal plus a constant."""
    size = parameters.sum(0)
    slope = _digamma(size) - _digamma(parameters) + logs
    diagonal, constant = -_trigamma(parameters), _trigamma(size)
    shared = (slope / diagonal).sum(0) / (1 / constant + (1 / diagonal).sum(0))
    moved = parameters - (slope - shared) / diagonal
    return jnp.where(moved > 0, moved, parameters / 2)


@closed_forms.kl.register(Beta, Beta)
def _kl(p: Beta, q: Beta) -> Float[Array, "c"]:
    sizes = p.a + p.b, q.a + q.b
    value = _log_gamma_divergence(p.a, q.a) + _log_gamma_divergence(p.b, q.b)
    return jnp.maximum(value - _log_gamma_divergence(*sizes), 0)


def _log_gamma_divergence(z: Float[Array, "c"], w: Float[Array, "c"]) -> Float[Array, "c"]:
    """log Gamma(w) - log Gamma(z) - (w - z) psi(z), with all digits if z and w are close."""
    smooth = stirling(w) - stirling(z) + (w - z) * (log_minus_digamma(z) - 0.5 / z)
    return smooth + divergence(w, z) + 0.5 * t_minus_log1p((w - z) / z, w / z)
