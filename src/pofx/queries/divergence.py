"""Divergences of two distributions of the same columns, in nats.

    KL(p || q) = E_p[log p - log q],  CE(p || q) = -E_p[log q],
    JS(p || q) = KL(p || m) / 2 + KL(q || m) / 2,  m = (p + q) / 2

(Kullback and Leibler 1951; Lin 1991). A rule or an enumeration gives an exact answer, else draws
give an estimate.
"""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms, extended_precision, host_keys
from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.float_width import float64, widened
from pofx.core.linalg import normal_kl
from pofx.queries.enumeration import ColumnMask, enumerate_levels, log_probs
from pofx.queries.information import clip_exact, closed_form, enumerable_columns, exact_entropy
from pofx.queries.monte_carlo import monte_carlo


def kl(
    key: PRNGKeyArray,
    p: AbstractQueryable,
    q: AbstractQueryable,
    columns: Sequence[Column],
    mask: ColumnMask,
    **request,
) -> Answer:
    """KL(p || q) over the columns of the mask: at least 0, and 0 only if p and q are equal.

    `request` holds the arguments `stderr` and `max_draws` of `monte_carlo`.
    """
    if eqx.tree_equal(p, q):
        return Answer(0.0, method="of equals", unit="nats")
    value = _closed_kl(p, q, mask)
    if value is not None:
        return clip_exact(Answer(value, method="closed form", unit="nats"))

    def integrand(log_p, log_q):
        return log_p - log_q

    answer = _enumerated(p, q, columns, mask, integrand)
    if answer is not None:
        return answer
    draw = _LogRatioDraw.from_columns(p, q, columns, mask, (1.0, -1.0))
    return monte_carlo(key, draw, **request)


def cross_entropy(
    key: PRNGKeyArray,
    p: AbstractQueryable,
    q: AbstractQueryable,
    columns: Sequence[Column],
    mask: ColumnMask,
    **request,
) -> Answer:
    """CE(p || q) = H(p) + KL(p || q), the mean of -log q(x) over rows of p.

    `request` holds the arguments `stderr` and `max_draws` of `monte_carlo`.
    """
    divergence = _closed_kl(p, q, mask)
    entropy = exact_entropy(p, columns, mask)
    if divergence is not None and entropy is not None:
        return entropy + divergence
    answer = _enumerated(p, q, columns, mask, lambda log_p, log_q: -log_q)
    if answer is not None:
        return answer
    draw = _LogRatioDraw.from_columns(p, q, columns, mask, (0.0, -1.0))
    return monte_carlo(key, draw, **request)


def jensen_shannon(
    key: PRNGKeyArray,
    p: AbstractQueryable,
    q: AbstractQueryable,
    columns: Sequence[Column],
    mask: ColumnMask,
    **request,
) -> Answer:
    """JS(p || q), which is symmetric and between 0 and log 2.

    `request` holds the arguments `stderr` and `max_draws` of `monte_carlo`.
    """
    if eqx.tree_equal(p, q):
        return Answer(0.0, method="of equals", unit="nats")

    def integrand(log_p, log_q):
        return log_p - np.logaddexp(log_p, log_q) + math.log(2)

    from_p = _enumerated(p, q, columns, mask, integrand)
    from_q = _enumerated(q, p, columns, mask, integrand)
    if from_p is not None and from_q is not None:
        return clip_exact((from_p + from_q) / 2)
    draw_p = _LogRatioDraw.from_columns(p, q, columns, mask, None)
    draw_q = _LogRatioDraw.from_columns(q, p, columns, mask, None)
    return monte_carlo(key, _MeanOfDraws(draw_p, draw_q), **request)


def _closed_kl(p: AbstractQueryable, q: AbstractQueryable, mask: ColumnMask) -> float | None:
    """KL by a rule for the pair, or between two Gaussians; None if there is neither."""
    rule = closed_forms.kl.find(p, q)
    value = closed_form(rule, p, q)(mask) if rule else None
    return _normal_kl(p, q, mask) if value is None else value


def _normal_kl(p: AbstractQueryable, q: AbstractQueryable, mask: ColumnMask) -> float | None:
    normal_p = _as_normal(p, mask)
    normal_q = _as_normal(q, mask)
    if normal_p and normal_q:
        value = extended_precision.normal_kl(normal_p, normal_q)
    else:
        value = closed_form(_large_normal_kl, p, q)(mask)
    return None if value is None or math.isnan(value) else value


def _as_normal(model: AbstractQueryable, mask: ColumnMask) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and covariance, in float64, of the columns of the mask; None if they are not normal."""
    rule = closed_forms.as_gaussian.find(model)
    place = np.flatnonzero(mask)
    if rule is None or len(place) > extended_precision.MAX_COLUMNS:
        return None
    with float64(True):
        moments = rule(widened(model))
    if moments is None:
        return None
    mean, covariance = (np.asarray(a, np.float64) for a in moments)
    return mean[place], covariance[np.ix_(place, place)]


def _large_normal_kl(p: AbstractQueryable, q: AbstractQueryable, mask: ColumnMask) -> Array | None:
    rule_p, rule_q = (closed_forms.as_gaussian.find(m) for m in (p, q))
    normal_p = rule_p and rule_p(p)
    normal_q = rule_q and rule_q(q)
    return normal_kl(normal_p, normal_q, mask) if normal_p and normal_q else None


def _enumerated(
    p: AbstractQueryable,
    q: AbstractQueryable,
    columns: Sequence[Column],
    mask: ColumnMask,
    integrand: Callable,
) -> Answer | None:
    """E_p[integrand(log p, log q)] over all joint levels; None if they are too many."""
    cells = enumerate_levels(columns, mask)
    if cells is None:
        return None
    log_p = log_probs(p, cells, mask)
    log_q = log_probs(q, cells, mask)
    possible = log_p > -np.inf
    value = float(np.exp(log_p[possible]) @ integrand(log_p[possible], log_q[possible]))
    return clip_exact(Answer(value, method="by enumeration", unit="nats"))


class _LogRatioDraw(eqx.Module):
    """One draw of c_p log p(x) + c_q log q(x), with x from p.

    `signs` is (c_p, c_q), or None for a draw of log p(x) - log m(x). The columns `inner` are summed
    over their `levels`, with weights p(level | the other columns).
    """

    p: AbstractQueryable
    q: AbstractQueryable
    mask: Bool[Array, "d"]
    inner: Bool[Array, "d"]
    levels: Float[Array, "l d"]
    signs: tuple[float, float] | None = eqx.field(static=True)

    @classmethod
    def from_columns(
        cls, p, q, columns: Sequence[Column], mask: ColumnMask, signs
    ) -> "_LogRatioDraw":
        inner = enumerable_columns(columns, mask)
        levels = enumerate_levels(columns, inner)
        assert levels is not None
        return cls(p, q, jnp.asarray(mask), jnp.asarray(inner), jnp.asarray(levels), signs)

    def __call__(self, key: PRNGKeyArray) -> Float[Array, ""]:
        x = self.p.sample(key)

        def log_probs_at(level):
            row = jnp.where(self.inner, level, x)
            return self.p.log_prob(row, self.mask), self.q.log_prob(row, self.mask)

        log_p, log_q = jax.vmap(log_probs_at)(self.levels.astype(x.dtype))
        weight = jax.nn.softmax(log_p)
        log_p = jnp.where(weight > 0, log_p, 0)
        log_q = jnp.where(weight > 0, log_q, 0)
        if self.signs is None:
            return weight @ (log_p - jnp.logaddexp(log_p, log_q) + math.log(2))
        sign_p, sign_q = self.signs
        return weight @ (sign_p * log_p + sign_q * log_q)


class _MeanOfDraws(eqx.Module):
    one: _LogRatioDraw
    other: _LogRatioDraw

    def __call__(self, key: PRNGKeyArray) -> Float[Array, ""]:
        first_key, second_key = host_keys.split(key)
        return (self.one(first_key) + self.other(second_key)) / 2
