"""Entropy and mutual information: exact if they are closed, else estimates with an error.

Every such quantity is a signed sum of entropies of sets of columns,

    Σ_s c_s H(x_s) = E[-Σ_s c_s log p(x_s)],

so one function computes all of them (Cover and Thomas 2006, ch. 2 and 8). The sum is exact if each
entropy has a closed form or can be enumerated, else it is a mean over draws that all terms share.
Two methods make the error smaller: a closed H(x_s) makes log p(x_s) + H(x_s) a control variate, and
discrete columns with few levels are summed over p(level | the other columns) (Rao-Blackwell).
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
from pofx.core.compilation import to_device
from pofx.core.float_width import float64, widened
from pofx.queries.enumeration import (
    MAX_ENUMERATED_LEVELS,
    ColumnMask,
    enumerate_levels,
    log_probs,
)
from pofx.queries.monte_carlo import MAX_DRAWS, monte_carlo
from pofx.queries.structure import may_depend

MAX_INNER_LEVELS = 16
"""Largest number of joint levels that are summed within a draw."""


def entropy(
    key: PRNGKeyArray, model: AbstractQueryable, columns: Sequence[Column], a: ColumnMask, **request
) -> Answer:
    """H(a) = -E log p(a); differential for continuous columns.

    Here and below, a, b and c are masks of columns, and `request` holds the arguments `stderr` and
    `max_draws` of `monte_carlo`.
    """
    return signed_entropy_sum(key, model, columns, [(1.0, a)], **request)


def conditional_entropy(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    a: ColumnMask,
    b: ColumnMask,
    **request,
) -> Answer:
    """H(a | b) = H(a, b) - H(b)."""
    return signed_entropy_sum(key, model, columns, [(1.0, a | b), (-1.0, b)], **request)


def mutual_information(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    a: ColumnMask,
    b: ColumnMask,
    c: ColumnMask,
    **request,
) -> Answer:
    """I(a; b | c) = H(a, c) + H(b, c) - H(a, b, c) - H(c)."""
    if not may_depend(model, a & ~c, b & ~c):
        return Answer(0.0, method="closed form", unit="nats")
    terms = [(1.0, a | c), (1.0, b | c), (-1.0, a | b | c), (-1.0, c)]
    return clip_exact(signed_entropy_sum(key, model, columns, terms, **request))


def total_correlation(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    groups: Sequence[ColumnMask],
    c: ColumnMask,
    **request,
) -> Answer:
    """TC(a_1; ...; a_m | c) = Σ_i H(a_i | c) - H(a_1, ..., a_m | c) (Watanabe 1960)."""
    others = [np.any([c, *(b for b in groups if b is not a)], axis=0) & ~c for a in groups]
    if not any(may_depend(model, a & ~c, b) for a, b in zip(groups, others)):
        return Answer(0.0, method="closed form", unit="nats")
    terms = [(1.0, a | c) for a in groups]
    terms += [(-1.0, np.any([*groups, c], axis=0)), (1.0 - len(groups), c)]
    return clip_exact(signed_entropy_sum(key, model, columns, terms, **request))


def clip_exact(answer: Answer) -> Answer:
    """The answer, or 0 for an exact answer that rounding made negative."""
    return replace(answer, value=max(answer.value, 0.0)) if answer.kind == "exact" else answer


def signed_entropy_sum(
    key: PRNGKeyArray,
    model: AbstractQueryable,
    columns: Sequence[Column],
    terms: Sequence[tuple[float, ColumnMask]],
    *,
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
) -> Answer:
    """Σ_s c_s H(x_s) in nats.

    Args:
        key: seed of the draws.
        model: the model.
        columns: the columns of the model.
        terms: pairs (c_s, the mask of the columns s).
        stderr: standard error to reach, in nats.
        max_draws: largest number of draws.
    """
    terms = _collect_terms(terms)
    entropies = [exact_entropy(model, columns, mask) for _, mask in terms]
    exact_terms = [e * c for (c, _), e in zip(terms, entropies) if e is not None]
    if len(exact_terms) == len(terms):
        if exact_terms:
            return reduce(add, exact_terms)
        return Answer(0.0, method="closed form", unit="nats")
    signs = np.array([-c for c, _ in terms])
    masks = np.stack([mask for _, mask in terms])
    known_entropies = {i: e.value for i, e in enumerate(entropies) if e is not None}
    draw = LogRatio.from_terms(model, columns, signs, masks, known_entropies)
    return monte_carlo(key, draw, stderr=stderr, max_draws=max_draws)


def _collect_terms(terms: Sequence[tuple[float, ColumnMask]]) -> list[tuple[float, ColumnMask]]:
    """The terms, with those of equal columns added up, and without H of no columns, which is 0."""
    total: dict[bytes, tuple[float, ColumnMask]] = {}
    for c, mask in terms:
        c_before = total.get(mask.tobytes(), (0.0, mask))[0]
        total[mask.tobytes()] = (c_before + c, mask)
    return [(c, mask) for c, mask in total.values() if c and mask.any()]


def exact_entropy(
    model: AbstractQueryable, columns: Sequence[Column], mask: ColumnMask
) -> Answer | None:
    """H of the columns of the mask, by a rule or an enumeration; None if there is neither."""
    rule = closed_forms.entropy.find(model)
    value = closed_form(rule, model)(mask) if rule else None
    if value is not None:
        return Answer(value, method="closed form", unit="nats")
    return enumerated_entropy(model, columns, mask)


def closed_form(rule: Callable[..., Any], *models: Any) -> Callable[..., float | None]:
    """A function that applies a rule to the models in float64, and returns a number or None.

    In float32 the log-determinant of a nearly singular matrix has no correct digits.
    """

    def value(*arguments: Any) -> float | None:
        with float64(True):
            number = rule(*map(widened, models), *arguments)
        return None if number is None or np.isnan(number) else float(number)

    return value


def enumerated_entropy(
    model: AbstractQueryable,
    columns: Sequence[Column],
    mask: ColumnMask,
    max_levels: int = MAX_ENUMERATED_LEVELS,
) -> Answer | None:
    """H of the columns of the mask, a sum over their joint levels; None if there are too many."""
    cells = enumerate_levels(columns, mask, max_levels)
    if cells is None:
        return None
    log_prob = log_probs(model, cells, mask)
    value = -float(np.exp(log_prob) @ np.where(log_prob > -np.inf, log_prob, 0))
    return clip_exact(Answer(value, method="by enumeration", unit="nats"))


class LogRatio(eqx.Module):
    """One draw of Σ_s c_s log p(x_s), and of a control variate for each known H(x_s).

    `levels` holds the joint levels of the columns `inner`, which are summed over in each draw.
    `union` is the number of the mask of all columns of the terms; their log-probabilities weight
    the levels.
    """

    model: AbstractQueryable
    signs: Float[Array, "s"]
    masks: Bool[Array, "t d"]
    inner: Bool[Array, "d"]
    levels: Float[Array, "l d"]
    known_entropies: Float[Array, "c"]
    controls: tuple[int, ...] = eqx.field(static=True)
    union: int = eqx.field(static=True)

    @classmethod
    def from_terms(
        cls,
        model: AbstractQueryable,
        columns: Sequence[Column],
        signs: np.ndarray,
        masks: np.ndarray,
        known_entropies: dict[int, float],
    ) -> "LogRatio":
        """The draw for terms with these signs and masks.

        `known_entropies` maps the number of a term to its entropy in nats.
        """
        union_mask = np.asarray(masks.any(0))
        inner = enumerable_columns(columns, union_mask)
        levels = enumerate_levels(columns, inner)
        assert levels is not None
        entropies = to_device(np.array([*known_entropies.values()], jnp.result_type(float)))
        # The log-probability of all columns is computed once, and not at all for one level.
        union_terms = np.flatnonzero((masks == union_mask).all(1))
        needs_no_mask = len(levels) == 1 or len(union_terms) > 0
        all_masks = to_device(masks if needs_no_mask else np.vstack([masks, union_mask]))
        union = int(union_terms[0]) if len(union_terms) else len(all_masks) - 1
        return cls(
            model,
            to_device(signs),
            all_masks,
            to_device(inner),
            to_device(levels),
            entropies,
            tuple(known_entropies),
            union,
        )

    def __call__(self, key: PRNGKeyArray) -> Float[Array, "c+1"]:
        x = self.model.sample(key)
        rows = jnp.where(self.inner, self.levels.astype(x.dtype), x)

        def log_probs_of(mask):
            return jax.vmap(self.model.log_prob, (0, None))(rows, mask)

        # Mask by mask, so that all draws share the factorisation of a mask and its branch.
        log_prob = jax.lax.map(log_probs_of, self.masks)
        terms = log_prob[: len(self.signs), 0]
        if len(rows) > 1:
            weight = jax.nn.softmax(log_prob[self.union])
            # An impossible level counts for nothing, although its log-probability is -inf.
            terms = jnp.where(weight > 0, log_prob[: len(self.signs)], 0) @ weight
        controls = terms[np.array(self.controls, int)] + self.known_entropies
        return jnp.concatenate([(self.signs.astype(terms.dtype) @ terms)[None], controls])


def enumerable_columns(columns: Sequence[Column], mask: ColumnMask) -> ColumnMask:
    """Discrete columns of the mask, as many as have at most MAX_INNER_LEVELS joint levels."""
    inner = np.zeros(len(columns), bool)
    total = 1
    for j in np.flatnonzero(mask).tolist():
        if columns[j].discrete and total * columns[j].levels <= MAX_INNER_LEVELS:
            inner[j] = True
            total *= columns[j].levels
    return inner
