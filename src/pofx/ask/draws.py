"""Draws of some names under what is given, as a frame of the kind that was learned from."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pofx.ask.evidence import Given
from pofx.ask.question import DRAWS, Question
from pofx.core.errors import warn
from pofx.named.completion import sample as sample_rows
from pofx.named.independence import HINT, UNRELATED, ignores
from pofx.named.memory_limits import check_room
from pofx.named.random_keys import generator_of
from pofx.notation.queries import Sample
from pofx.queries import events
from pofx.table.encoding import decode

DRAWS_PER_ROW = 8
"""The most weighted draws from which one row is resampled."""
FEW = 0.1
"""The share of effective among weighted draws below which a warning is due."""


def sample(question: Question, query: Sample, own: Given) -> Any:
    """n draws from p(names | given).

    Given a set, weighted draws are drawn from in proportion to their weights.
    """
    for name in query.names:
        question.variable(own.p, name, array=True)
    with question.blamed_on(query.names[0]):
        # Weighted draws are several times as many.
        each = 1 if not own.event else DRAWS_PER_ROW
        check_room("sample[n]", query.number, each * own.p.schema.size)
    names = {name.text for name in query.names}
    q = own.marginal(names, closed=True)
    if not own.event:
        return sample_rows(q, query.number, question.precision.seed)
    if ignores(q, q.schema.names):
        warn(f"sample: what is drawn is {UNRELATED}; {HINT}")
    x = _weighted(question, query.number, own)[:, own.mask(q.schema.names)]
    return decode(q.schema, q.entries.whole(x))


def _weighted(question: Question, n: int, own: Given) -> Float[np.ndarray, "n m"]:
    draws = max(DRAWS, 2 ** math.ceil(math.log2(DRAWS_PER_ROW / 2 * n)))
    with question.blamed_on(own.sets[0]):
        found = events.completed(question.key(2), own.model, own.columns, own.inside, draws)
    effective = 1 / (found.weights**2).sum()
    if effective < max(FEW * draws, n):
        warn(
            f"draws given {own.told} are hard to get: {draws} weighted ones count for "
            f"{effective:.0f}, and rows may repeat",
        )
    which = resampled(generator_of(question.precision.seed), found.weights, n)
    return np.asarray(found.x, np.float64)[which]


def resampled(
    rng: np.random.Generator, weights: Float[np.ndarray, "m"], n: int
) -> Int[np.ndarray, "n"]:
    """n numbers of draws, each drawn in proportion to its weight, by systematic resampling.

    In random order; each comes n w times, rounded up or down (Kitagawa 1996).

    >>> sorted(resampled(np.random.default_rng(0), np.array([0.5, 0.0, 0.5]), 4).tolist())
    [0, 0, 2, 2]
    """
    places = (np.arange(n) + rng.random()) / n
    total = np.cumsum(weights)
    return rng.permutation(np.searchsorted(total / total[-1], places, side="right"))
