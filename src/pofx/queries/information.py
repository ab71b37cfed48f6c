"""Entropy, mutual information, Kullback-Leibler divergence: exact where closed, else with an error.

Every entropy-like quantity is a signed sum of entropies of sets of columns,

    Σ_s c_s H(x_s) = E[-Σ_s c_s log p(x_s)],

so one function answers all: exactly, if each entropy has a closed form or can be enumerated, else
by drawing rows once for all terms (Cover and Thomas 2006, ch. 2 and 8).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import rules
from pofx.core.answer import Answer
from pofx.core.distribution import Tractable
from pofx.core.errors import PofxError
from pofx.core.variables import Column

Columns: TypeAlias = Bool[np.ndarray, "d"]

ENUMERABLE = 2**16
"""The most joint levels of discrete columns that are summed one by one."""
BLOCK = 2048
"""Rows drawn at a time."""
DRAWS = 8 * BLOCK
MAX_DRAWS = 512 * BLOCK


def entropy(
    key: PRNGKeyArray, model: Tractable, columns: Sequence[Column], a: Columns, **request
) -> Answer:
    """H(a) = -E log p(a); differential for continuous columns."""
    return combination(key, model, columns, [(1.0, a)], **request)


def conditional_entropy(
    key: PRNGKeyArray,
    model: Tractable,
    columns: Sequence[Column],
    a: Columns,
    b: Columns,
    **request,
) -> Answer:
    """H(a | b) = H(a, b) - H(b)."""
    return combination(key, model, columns, [(1.0, a | b), (-1.0, b)], **request)


def mutual_information(
    key: PRNGKeyArray,
    model: Tractable,
    columns: Sequence[Column],
    a: Columns,
    b: Columns,
    c: Columns,
    **request,
) -> Answer:
    """I(a; b | c) = H(a, c) + H(b, c) - H(a, b, c) - H(c)."""
    terms = [(1.0, a | c), (1.0, b | c), (-1.0, a | b | c), (-1.0, c)]
    return _not_below_zero(combination(key, model, columns, terms, **request))


def _not_below_zero(answer: Answer) -> Answer:
    """An exact answer that only rounding took below the least it can be."""
    return replace(answer, value=max(answer.value, 0.0)) if answer.kind == "exact" else answer


def combination(
    key: PRNGKeyArray,
    model: Tractable,
    columns: Sequence[Column],
    terms: Sequence[tuple[float, Columns]],
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
) -> Answer:
    """Σ_s c_s H(x_s) in nats, for pairs (c_s, the mask of columns s)."""
    terms = [(c, s) for c, s in terms if s.any()]
    exact = [exact_entropy(model, columns, s) for _, s in terms]
    known = [e * c for (c, _), e in zip(terms, exact) if e is not None]
    if len(known) == len(terms):
        return reduce(add, known) if known else Answer(0.0, unit="nats")
    signs = jnp.array([-c for c, _ in terms])
    masks = jnp.asarray(np.stack([s for _, s in terms]))
    return monte_carlo(key, _LogRatio(model, signs, masks), stderr=stderr, max_draws=max_draws)


def exact_entropy(model: Tractable, columns: Sequence[Column], asked: Columns) -> Answer | None:
    """H of the asked columns where a rule or an enumeration gives it, else None."""
    rule = rules.entropy.find(model)
    value = rule(model, asked) if rule else None
    if value is not None:
        return Answer(float(value), how="closed form", unit="nats")
    cells = enumerate_levels(columns, asked)
    if cells is None:
        return None
    log_prob = _log_probs(model, jnp.asarray(cells), jnp.asarray(asked))
    value = -float(jnp.where(log_prob > -jnp.inf, jnp.exp(log_prob) * log_prob, 0).sum())
    return _not_below_zero(Answer(value, how="by enumeration", unit="nats"))


def kl(
    key: PRNGKeyArray,
    p: Tractable,
    q: Tractable,
    columns: Sequence[Column],
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
) -> Answer:
    """KL(p || q) = E_p[log p(x) - log q(x)] over all columns, in nats."""
    asked = np.ones(len(columns), bool)
    if rule := rules.kl.find(p, q):
        return _not_below_zero(Answer(float(rule(p, q, asked)), how="closed form", unit="nats"))
    cells = enumerate_levels(columns, asked)
    if cells is None:
        return monte_carlo(key, _LogRatioOfTwo(p, q), stderr=stderr, max_draws=max_draws)
    log_p = _log_probs(p, jnp.asarray(cells), jnp.asarray(asked))
    log_q = _log_probs(q, jnp.asarray(cells), jnp.asarray(asked))
    terms = jnp.where(log_p > -jnp.inf, jnp.exp(log_p) * (log_p - log_q), 0)
    return _not_below_zero(Answer(float(terms.sum()), how="by enumeration", unit="nats"))


def enumerate_levels(columns: Sequence[Column], asked: Columns) -> Float[np.ndarray, "n d"] | None:
    """One row for each joint level of the asked columns, or None where they are too many."""
    own = [c for c, seen in zip(columns, asked) if seen]
    if not all(c.discrete for c in own) or math.prod(c.levels for c in own) > ENUMERABLE:
        return None
    grids = np.meshgrid(*(np.arange(c.levels) for c in own), indexing="ij")
    rows = np.zeros((grids[0].size, len(columns)))
    rows[:, asked] = np.stack([g.ravel() for g in grids], axis=1)
    return rows


class _LogRatio(eqx.Module):
    """One draw of Σ_s -c_s log p(x_s)."""

    model: Tractable
    signs: Float[Array, "s"]
    masks: Bool[Array, "s d"]

    def __call__(self, key: PRNGKeyArray) -> Float[Array, ""]:
        x = self.model.sample(key)
        return self.signs @ jax.vmap(self.model.log_prob, (None, 0))(x, self.masks)


class _LogRatioOfTwo(eqx.Module):
    """One draw of log p(x) - log q(x), x from p."""

    p: Tractable
    q: Tractable

    def __call__(self, key: PRNGKeyArray) -> Float[Array, ""]:
        x = self.p.sample(key)
        return self.p.log_prob(x) - self.q.log_prob(x)


def monte_carlo(
    key: PRNGKeyArray, draw: eqx.Module, *, stderr: float | None, max_draws: int
) -> Answer:
    """The mean of `draw(key)`, to the standard error asked for or to the end of the budget.

    Without a request, after a fixed number of draws. A request that the budget did not meet is
    answered with what was reached, and marked.
    """
    if max_draws < 2:
        raise PofxError(f"max_draws: wanted at least 2, got {max_draws}")
    if stderr is not None and not stderr > 0:
        raise PofxError(f"stderr: wanted a number > 0, in nats; got {stderr}")
    least = min(DRAWS, max_draws)
    count, mean, square = 0, 0.0, 0.0
    error = math.inf
    while count < least or (stderr is not None and error > stderr and count < max_draws):
        key, own = jax.random.split(key)
        values = np.asarray(_draw_block(draw, own), np.float64)
        if not np.isfinite(values).all():
            # Of infinity the mean is infinite; of what is no number nothing is known.
            how = "infinite at a draw" if not np.isnan(values).any() else "undefined at a draw"
            return Answer(float(values.mean()), math.nan, "estimate", count + BLOCK, how, "nats")
        # Chan, Golub and LeVeque (1983): means and squared deviations of two samples as one.
        total, shift = count + len(values), values.mean() - mean
        square += values.var() * len(values) + shift**2 * count * len(values) / total
        mean, count = mean + shift * len(values) / total, total
        error = math.sqrt(square / (count - 1) / count)
    missed = stderr is not None and error > stderr
    how = f"asked for ± {stderr:g}, budget spent" if missed else ""
    return Answer(mean, error, "estimate", count, how, "nats")


@eqx.filter_jit
def _draw_block(draw, key):
    return jax.vmap(draw)(jax.random.split(key, BLOCK))


@eqx.filter_jit
def _log_probs(model, x, asked):
    # All levels there are: what their sum differs from one is rounding.
    return jax.nn.log_softmax(jax.vmap(model.log_prob, (0, None))(x, asked))
