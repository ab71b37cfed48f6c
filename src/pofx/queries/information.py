"""Entropy and mutual information: exact where closed, else with an error.

Every entropy-like quantity is a signed sum of entropies of sets of columns,

    Σ_s c_s H(x_s) = E[-Σ_s c_s log p(x_s)],

so one function answers all: exactly, if each entropy has a closed form or can be enumerated, else
by drawing rows once for all terms (Cover and Thomas 2006, ch. 2 and 8). Then what is known helps
what is not: a closed H(x_s) makes log p(x_s) + H(x_s) a control variate, and of discrete columns
with few levels the sum over p(level | the rest) stands for one draw of them (Rao-Blackwell).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.float_width import float64, widened
from pofx.queries.enumeration import ENUMERABLE, Columns, enumerate_levels, log_probs
from pofx.queries.monte_carlo import MAX_DRAWS, monte_carlo

INNER = 16
"""The most joint levels summed within a draw."""


def entropy(
    key: PRNGKeyArray, model: AbstractQueryable, columns: Sequence[Column], a: Columns, **request
) -> Answer:
    """H(a) = -E log p(a); differential for continuous columns."""
    return signed_entropy_sum(key, model, columns, [(1.0, a)], **request)


def conditional_entropy(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    a: Columns,
    b: Columns,
    **request,
) -> Answer:
    """H(a | b) = H(a, b) - H(b)."""
    return signed_entropy_sum(key, model, columns, [(1.0, a | b), (-1.0, b)], **request)


def mutual_information(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    a: Columns,
    b: Columns,
    c: Columns,
    **request,
) -> Answer:
    """I(a; b | c) = H(a, c) + H(b, c) - H(a, b, c) - H(c)."""
    terms = [(1.0, a | c), (1.0, b | c), (-1.0, a | b | c), (-1.0, c)]
    return clip_exact(signed_entropy_sum(key, model, columns, terms, **request))


def total_correlation(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    groups: Sequence[Columns],
    c: Columns,
    **request,
) -> Answer:
    """TC(a_1; ...; a_m | c) = Σ_i H(a_i | c) - H(a_1, ..., a_m | c) (Watanabe 1960)."""
    terms = [(1.0, a | c) for a in groups]
    terms += [(-1.0, np.any([*groups, c], axis=0)), (1.0 - len(groups), c)]
    return clip_exact(signed_entropy_sum(key, model, columns, terms, **request))


def clip_exact(answer: Answer) -> Answer:
    """An exact answer that only rounding took below the least it can be."""
    return replace(answer, value=max(answer.value, 0.0)) if answer.kind == "exact" else answer


def signed_entropy_sum(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    terms: Sequence[tuple[float, Columns]],
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
) -> Answer:
    """Σ_s c_s H(x_s) in nats, for pairs (c_s, the mask of columns s)."""
    terms = _collected(terms)
    exact = [exact_entropy(model, columns, s) for _, s in terms]
    known = [e * c for (c, _), e in zip(terms, exact) if e is not None]
    if len(known) == len(terms):
        return reduce(add, known) if known else Answer(0.0, method="closed form", unit="nats")
    signs = np.array([-c for c, _ in terms])
    masks = np.stack([s for _, s in terms])
    entropies = [(i, e.value) for i, e in enumerate(exact) if e is not None]
    draw = LogRatio.of(model, columns, signs, masks, dict(entropies))
    return monte_carlo(key, draw, stderr=stderr, max_draws=max_draws)


def _collected(terms: Sequence[tuple[float, Columns]]) -> list[tuple[float, Columns]]:
    """The terms with those of equal columns added up; H of nothing is zero."""
    total: dict[bytes, tuple[float, Columns]] = {}
    for c, s in terms:
        before = total.get(s.tobytes(), (0.0, s))[0]
        total[s.tobytes()] = before + c, s
    return [(c, s) for c, s in total.values() if c and s.any()]


def exact_entropy(
    model: AbstractQueryable, columns: Sequence[Column], asked: Columns
) -> Answer | None:
    """H of the asked columns where a rule or an enumeration gives it, else None."""
    rule = closed_forms.entropy.find(model)
    value = closed_form(rule, model)(asked) if rule else None
    if value is not None:
        return Answer(value, method="closed form", unit="nats")
    return enumerated_entropy(model, columns, asked)


def closed_form(rule: Callable[..., Any], *models: Any) -> Callable[..., float | None]:
    """A rule for one number of some models, computed in float64; None where it knows none.

    The log-determinant of a nearly singular matrix has no digits in float32.
    """

    def value(*arguments: Any) -> float | None:
        with float64(True):
            number = rule(*map(widened, models), *arguments)
        return None if number is None or np.isnan(number) else float(number)

    return value


def enumerated_entropy(
    model: AbstractQueryable, columns: Sequence[Column], asked: Columns, most: int = ENUMERABLE
) -> Answer | None:
    """H of the asked columns as a sum over their joint levels; None where these are too many."""
    cells = enumerate_levels(columns, asked, most)
    if cells is None:
        return None
    log_prob = log_probs(model, cells, asked)
    value = -float(np.exp(log_prob) @ np.where(log_prob > -np.inf, log_prob, 0))
    return clip_exact(Answer(value, method="by enumeration", unit="nats"))


class LogRatio(eqx.Module):
    """One draw of Σ_s c_s log p(x_s), and of a control variate for each H(x_s) that is known.

    `levels` holds the joint levels of the columns `inner`, summed over at each draw; the mask of
    number `union` is of all columns in play, whose log-probability weighs those levels.
    """

    model: AbstractQueryable
    signs: Float[Array, "s"]
    masks: Bool[Array, "t d"]
    inner: Bool[Array, "d"]
    levels: Float[Array, "l d"]
    known: Float[Array, "c"]
    controls: tuple[int, ...] = eqx.field(static=True)
    union: int = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        model: AbstractQueryable,
        columns: Sequence[Column],
        signs: np.ndarray,
        masks: np.ndarray,
        known: dict[int, float],
    ) -> "LogRatio":
        """`known` maps a term's number to its entropy in nats."""
        union = np.asarray(masks.any(0))
        inner = enumerable_columns(columns, union)
        levels = enumerate_levels(columns, inner)
        assert levels is not None
        entropies = jnp.asarray(list(known.values()), float)
        # The log-probability of all columns is asked for once, and of one level not at all.
        here = np.flatnonzero((masks == union).all(1))
        alone = len(levels) == 1 or len(here) > 0
        both = jnp.asarray(masks if alone else np.vstack([masks, union]))
        place = int(here[0]) if len(here) else len(both) - 1
        inside, cells = jnp.asarray(inner), jnp.asarray(levels)
        return cls(model, jnp.asarray(signs), both, inside, cells, entropies, tuple(known), place)

    def __call__(self, key: PRNGKeyArray) -> Float[Array, "c+1"]:
        x = self.model.sample(key)
        rows = jnp.where(self.inner, self.levels.astype(x.dtype), x)

        def at(mask):
            return jax.vmap(self.model.log_prob, (0, None))(rows, mask)

        # Mask by mask: all draws share what a model makes of it, and the branch it takes.
        log_prob = jax.lax.map(at, self.masks)
        own = log_prob[: len(self.signs), 0]
        if len(rows) > 1:
            weight = jax.nn.softmax(log_prob[self.union])
            # A level that is impossible counts for nothing, minus infinity though its log is.
            own = jnp.where(weight > 0, log_prob[: len(self.signs)], 0) @ weight
        controls = own[np.array(self.controls, int)] + self.known
        return jnp.concatenate([(self.signs.astype(own.dtype) @ own)[None], controls])


def enumerable_columns(columns: Sequence[Column], asked: Columns) -> Columns:
    """Discrete columns among the asked ones, as many as have few joint levels together."""
    inner, total = np.zeros(len(columns), bool), 1
    for j in np.flatnonzero(asked).tolist():
        if columns[j].discrete and total * columns[j].levels <= INNER:
            inner[j], total = True, total * columns[j].levels
    return inner
