"""Draws of some names under what is given, as a frame of the kind that was learned from."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pofx.ask.binding import BoundName
from pofx.ask.errors import errors_at
from pofx.ask.evidence import Evidence
from pofx.ask.question import DEFAULT_DRAWS, Question
from pofx.core.errors import warn
from pofx.named.completion import sample as sample_rows
from pofx.named.independence import HINT, UNRELATED, ignores
from pofx.named.memory_limits import check_room
from pofx.named.random_keys import generator_of
from pofx.queries import events
from pofx.table.encoding import decode

MAX_DRAWS_PER_ROW = 8
"""Weighted draws from which one row is resampled."""

MIN_ESS_SHARE = 0.1
"""The effective share of the weighted draws below which a warning is due."""


def sample(question: Question, n: int, names: Sequence[BoundName], evidence: Evidence) -> Any:
    """n draws from p(names | evidence), as a frame.

    Given a set, draws are resampled in proportion to their weights.
    """
    with errors_at(names[0]):
        draws_per_row = 1 if not evidence.event else MAX_DRAWS_PER_ROW
        check_room("sample[n]", n, draws_per_row * evidence.p.schema.size)
    q = evidence.marginal({name.text for name in names}, closed=True)
    if not evidence.event:
        return sample_rows(q, n, question.precision.seed)
    if ignores(q, q.schema.names):
        warn(f"sample: what is drawn is {UNRELATED}; {HINT}")
    x = _resampled_rows(question, n, evidence)[:, evidence.mask(q.schema.names)]
    return decode(q.schema, q.entries.with_fixed(x))


def _resampled_rows(question: Question, n: int, evidence: Evidence) -> Float[np.ndarray, "n m"]:
    draws = max(DEFAULT_DRAWS, 2 ** math.ceil(math.log2(MAX_DRAWS_PER_ROW / 2 * n)))
    with errors_at(evidence.set_terms[0].name):
        rows = events.draw_rows_given_event(
            question.key(2), evidence.model, evidence.columns, evidence.event, draws
        )
    ess = 1 / (rows.weights**2).sum()
    if ess < max(MIN_ESS_SHARE * draws, n):
        warn(
            f"draws given {evidence.set_text} are hard to get: {draws} weighted ones count for "
            f"{ess:.0f}, and rows may repeat",
        )
    indices = resample(generator_of(question.precision.seed), rows.weights, n)
    return np.asarray(rows.x, np.float64)[indices]


def resample(
    rng: np.random.Generator, weights: Float[np.ndarray, "m"], n: int
) -> Int[np.ndarray, "n"]:
    """n indices of draws, in proportion to their weights, by systematic resampling.

    They are in random order; each comes n w times, rounded up or down (Kitagawa 1996).

    >>> sorted(resample(np.random.default_rng(0), np.array([0.5, 0.0, 0.5]), 4).tolist())
    [0, 0, 2, 2]
    """
    positions = (np.arange(n) + rng.random()) / n
    total = np.cumsum(weights)
    return rng.permutation(np.searchsorted(total / total[-1], positions, side="right"))
