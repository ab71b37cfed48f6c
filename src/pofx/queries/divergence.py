"""How far two distributions of the same columns lie apart, in nats.

    KL(p || q) = E_p[log p - log q],  CE(p || q) = -E_p[log q],
    JS(p || q) = KL(p || m) / 2 + KL(q || m) / 2,  m = (p + q) / 2

(Kullback and Leibler 1951; Lin 1991). Exact by a rule or an enumeration, else by drawing.
"""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms, extended_precision
from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.float_width import float64, widened
from pofx.core.linalg import normal_kl
from pofx.queries.enumeration import Columns, enumerate_levels, log_probs
from pofx.queries.information import clip_exact, closed_form, enumerable_columns, exact_entropy
from pofx.queries.monte_carlo import monte_carlo


def kl(
    key: PRNGKeyArray,
    p: AbstractQueryable,
    q: AbstractQueryable,
    columns: Sequence[Column],
    asked: Columns,
    **request,
) -> Answer:
    """KL(p || q) over the asked columns, at least 0, and 0 for equals only."""
    if eqx.tree_equal(p, q):
        return Answer(0.0, method="of equals", unit="nats")
    value = _closed_kl(p, q, asked)
    if value is not None:
        return clip_exact(Answer(value, method="closed form", unit="nats"))

    def each(log_p, log_q):
        return log_p - log_q

    found = _enumerated(p, q, columns, asked, each)
    if found is not None:
        return found
    return monte_carlo(key, _Draw.of(p, q, columns, asked, (1.0, -1.0)), **request)


def cross_entropy(
    key: PRNGKeyArray,
    p: AbstractQueryable,
    q: AbstractQueryable,
    columns: Sequence[Column],
    asked: Columns,
    **request,
) -> Answer:
    """CE(p || q) = H(p) + KL(p || q): what q pays on average for the rows of p."""
    value, own = _closed_kl(p, q, asked), exact_entropy(p, columns, asked)
    if value is not None and own is not None:
        return own + value
    found = _enumerated(p, q, columns, asked, lambda log_p, log_q: -log_q)
    if found is not None:
        return found
    return monte_carlo(key, _Draw.of(p, q, columns, asked, (0.0, -1.0)), **request)


def jensen_shannon(
    key: PRNGKeyArray,
    p: AbstractQueryable,
    q: AbstractQueryable,
    columns: Sequence[Column],
    asked: Columns,
    **request,
) -> Answer:
    """JS(p || q), symmetric, between 0 and log 2."""
    if eqx.tree_equal(p, q):
        return Answer(0.0, method="of equals", unit="nats")

    def each(log_p, log_q):
        return log_p - np.logaddexp(log_p, log_q) + math.log(2)

    one = _enumerated(p, q, columns, asked, each)
    other = _enumerated(q, p, columns, asked, each)
    if one is not None and other is not None:
        return clip_exact((one + other) / 2)
    pair = _Pair(_Draw.of(p, q, columns, asked, None), _Draw.of(q, p, columns, asked, None))
    return monte_carlo(key, pair, **request)


def _closed_kl(p: AbstractQueryable, q: AbstractQueryable, asked: Columns) -> float | None:
    """KL by a rule for the pair, or as that of two Gaussians; None where neither is there."""
    rule = closed_forms.kl.find(p, q)
    value = closed_form(rule, p, q)(asked) if rule else None
    return _normal_kl(p, q, asked) if value is None else value


def _normal_kl(p: AbstractQueryable, q: AbstractQueryable, asked: Columns) -> float | None:
    one, other = _normal_of(p, asked), _normal_of(q, asked)
    if one and other:
        value = extended_precision.normal_kl(one, other)
    else:
        value = closed_form(_large_normal_kl, p, q)(asked)
    return None if value is None or math.isnan(value) else value


def _normal_of(model: AbstractQueryable, asked: Columns) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and covariance of the asked columns of a Gaussian, under whatever name, in float64."""
    rule, place = closed_forms.as_gaussian.find(model), np.flatnonzero(asked)
    if rule is None or len(place) > extended_precision.MAX_COLUMNS:
        return None
    with float64(True):
        moments = rule(widened(model))
    if moments is None:
        return None
    mean, covariance = (np.asarray(a, np.float64) for a in moments)
    return mean[place], covariance[np.ix_(place, place)]


def _large_normal_kl(p: AbstractQueryable, q: AbstractQueryable, asked: Columns) -> Array | None:
    one, other = (closed_forms.as_gaussian.find(m) for m in (p, q))
    first, second = one and one(p), other and other(q)
    return normal_kl(first, second, asked) if first and second else None


def _enumerated(
    p: AbstractQueryable,
    q: AbstractQueryable,
    columns: Sequence[Column],
    asked: Columns,
    each: Callable,
) -> Answer | None:
    """E_p[each(log p, log q)] over all joint levels, None where they are too many."""
    cells = enumerate_levels(columns, asked)
    if cells is None:
        return None
    log_p, log_q = log_probs(p, cells, asked), log_probs(q, cells, asked)
    some = log_p > -np.inf
    value = float(np.exp(log_p[some]) @ each(log_p[some], log_q[some]))
    return clip_exact(Answer(value, method="by enumeration", unit="nats"))


class _Draw(eqx.Module):
    """One draw of c_p log p(x) + c_q log q(x), x from p; without signs of log p(x) - log m(x).

    The columns `inner` are summed over their `levels`, weighed by p(level | the rest).
    """

    p: AbstractQueryable
    q: AbstractQueryable
    asked: Bool[Array, "d"]
    inner: Bool[Array, "d"]
    levels: Float[Array, "l d"]
    signs: tuple[float, float] | None = eqx.field(static=True)

    @classmethod
    def of(cls, p, q, columns: Sequence[Column], asked: Columns, signs) -> "_Draw":
        inner = enumerable_columns(columns, asked)
        levels = enumerate_levels(columns, inner)
        assert levels is not None
        return cls(p, q, jnp.asarray(asked), jnp.asarray(inner), jnp.asarray(levels), signs)

    def __call__(self, key: PRNGKeyArray) -> Float[Array, ""]:
        x = self.p.sample(key)

        def at(level):
            row = jnp.where(self.inner, level, x)
            return self.p.log_prob(row, self.asked), self.q.log_prob(row, self.asked)

        log_p, log_q = jax.vmap(at)(self.levels.astype(x.dtype))
        weight = jax.nn.softmax(log_p)
        log_p = jnp.where(weight > 0, log_p, 0)
        log_q = jnp.where(weight > 0, log_q, 0)
        if self.signs is None:
            return weight @ (log_p - jnp.logaddexp(log_p, log_q) + math.log(2))
        one, other = self.signs
        return weight @ (one * log_p + other * log_q)


class _Pair(eqx.Module):
    one: _Draw
    other: _Draw

    def __call__(self, key: PRNGKeyArray) -> Float[Array, ""]:
        first, second = jax.random.split(key)
        return (self.one(first) + self.other(second)) / 2
