"""New rows, and rows with their missing cells filled in."""

from typing import Any

import numpy as np

from pofx.core.errors import PofxError, warn
from pofx.core.float_width import in_model_width
from pofx.core.rows import make_rows
from pofx.named.independence import HINT, UNRELATED, ignores, warn_if_cut_off
from pofx.named.memory_limits import check_room
from pofx.named.model import NamedModel, check_positive_int
from pofx.named.random_keys import key_of
from pofx.named.rows import encode_rows
from pofx.named.weight_warnings import warn_if_unreliable
from pofx.queries import imputation
from pofx.table.encoding import Unseen, decode

MEAN_DRAWS = 100
"""Draws behind a conditional mean that has no closed form."""


@in_model_width
def sample(p: NamedModel, n: int, seed: int) -> Any:
    """n new rows, in the kind of data that was learned from."""
    check_positive_int("n", n)
    check_room("n", n, p.schema.size)
    if ignores(p, p.schema.names):
        warn(f"sample: what is drawn is {UNRELATED}; {HINT}")
    draws = _draw_missing(p, np.full((n, p.model.size), np.nan), seed)
    return decode(p.schema, p.entries.with_fixed(draws))


@in_model_width
def impute(p: NamedModel, data: Any, draws: int | None, unseen: Unseen, seed: int) -> Any:
    """The data with missing cells filled in; a list of `draws` tables unless `draws` is None."""
    x = encode_rows(p, data, unseen)[:, p.entries.free]
    warn_if_cut_off(p, "impute", x)
    if draws is None:
        means = conditional_means(p, x, MEAN_DRAWS, seed)
        return decode(p.schema, p.entries.with_fixed(means), like=data)
    check_positive_int("draws", draws)
    check_room("draws", draws, len(x) * p.schema.size)
    return [
        decode(p.schema, p.entries.with_fixed(_draw_missing(p, x, seed, i)), like=data)
        for i in range(draws)
    ]


@in_model_width
def most_probable(p: NamedModel, data: Any, unseen: Unseen) -> Any:
    """The data with missing cells at their jointly most probable values."""
    x = encode_rows(p, data, unseen)[:, p.entries.free]
    completion = imputation.most_probable(p.model, make_rows(x))
    if completion is None:
        raise PofxError(
            f"most_probable: {type(p.model).__name__} has no most probable completion; "
            "pass the evidence as cells to the distribution of all columns, or use impute"
        )
    warn_if_cut_off(p, "most_probable", x)
    return decode(p.schema, p.entries.with_fixed(completion[0]), like=data)


def conditional_means(p: NamedModel, x: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """The free entries of rows, a missing one at E[x_M | x_O] or at its most probable level."""
    warn_if_unreliable(p, x)
    return imputation.conditional_means(
        key_of(seed), p.model, make_rows(x), p.entries.columns, draws
    )


def _draw_missing(p: NamedModel, x: np.ndarray, *seed: int) -> np.ndarray:
    warn_if_unreliable(p, x)
    return imputation.draw_missing(key_of(*seed), p.model, make_rows(x))
