"""The rows that a distribution expects least, and the cells that make them so."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pofx.core.float_width import in_model_width
from pofx.core.rows import make_rows
from pofx.joint.joint import Joint
from pofx.named.completion import MEAN_DRAWS, conditional_means
from pofx.named.random_keys import generator_of
from pofx.queries import density
from pofx.table.encoding import decode, encode
from pofx.table.schema import Variable

AMONG = 256
"""The most rows over which is averaged how unexpected a cell of a column usually is."""
ARRAY = "(array)"


class Cell(NamedTuple):
    """One cell: its value and that expected from the others, in words; `excess` in nats."""

    name: str
    value: str
    expected: str
    excess: float


class Row(NamedTuple):
    """One row by its number from 0; `log_prob` in nats, `tail` P(log p(X) <= log p(row))."""

    number: int
    log_prob: float
    tail: float
    cells: tuple[Cell, ...]


@in_model_width
def least_expected(
    p: Joint, x: np.ndarray, *, many: int = 8, cells: int = 3, seed: int = 0
) -> list[Row]:
    """The `many` rows of `x`, (n, d) entries, of the least tail probability, the least first.

    The excess of cell j is -log p(x_j | the others) less its mean over the rows, both in the units
    of entries: how many nats less expected the cell is than one of its column usually is, given
    the row. Of each row the `cells` of the largest excess are told, if it is positive.
    """
    data = decode(p.schema, x)
    log_prob = np.asarray(p.log_prob(data).value)
    tail = np.asarray(p.tail_probability(data, seed=seed).value)
    worst = np.lexsort((log_prob, tail))[:many]
    own = excess(p, x, worst, seed)
    told = [[j for j in np.argsort(-e)[:cells] if e[j] > 0] for e in np.nan_to_num(own)]
    expected = _expected(p, x[worst], told, seed)
    found = []
    for i, (row, places) in enumerate(zip(worst, told)):
        some = []
        for j in places:
            variable = p.schema.variables[j]
            value = _told(variable, x[row, p.schema.slices[variable.name]])
            some.append(Cell(variable.name, value, expected[i, j], float(own[i, j])))
        found.append(Row(int(row), float(log_prob[row]), float(tail[row]), tuple(some)))
    return found


@in_model_width
def excess(p: Joint, x: np.ndarray, which: np.ndarray, seed: int = 0) -> np.ndarray:
    """The excess of each variable's cells in the rows `which`, (rows, variables); NaN if missing.

    log p(x_j | the others) = log p(x) - log p(the others).
    """
    among = generator_of(seed).permutation(len(x))[:AMONG]
    some = x[np.concatenate([which, among])]
    whole = density.log_prob(p.model, make_rows(some))
    own = np.full((len(some), len(p.schema.variables)), np.nan)
    for j, variable in enumerate(p.schema.variables):
        part = p.schema.slices[variable.name]
        known = ~np.isnan(some[:, part]).all(1)
        if known.any():
            others = some[known].copy()
            others[:, part] = np.nan
            own[known, j] = density.log_prob(p.model, make_rows(others)) - whole[known]
    known = ~np.isnan(own[len(which) :])
    usual = np.where(known, own[len(which) :], 0).sum(0) / np.maximum(known.sum(0), 1)
    return own[: len(which)] - usual


def _expected(
    p: Joint, x: np.ndarray, told: Sequence[Sequence[int]], seed: int
) -> dict[tuple[int, int], str]:
    """In words what `impute` guesses in place of each cell from the others of its row."""
    places = [(i, int(j)) for i, own in enumerate(told) for j in own]
    if not places:
        return {}
    holes = x[[i for i, _ in places]].copy()
    parts = [p.schema.slices[p.schema.variables[j].name] for _, j in places]
    for row, part in zip(holes, parts):
        row[part] = np.nan
    free = conditional_means(p, holes[:, p.entries.free], MEAN_DRAWS, seed)
    guess = encode(p.schema, decode(p.schema, p.entries.whole(free)))
    variables = [p.schema.variables[j] for _, j in places]
    return {
        place: _told(variable, row[part])
        for place, variable, row, part in zip(places, variables, guess, parts)
    }


def _told(variable: Variable, entries: np.ndarray) -> str:
    if variable.shape:
        return ARRAY
    if variable.discrete:
        return variable.format_value(variable.levels[int(entries[0])])
    value = float(entries[0] * variable.scale + variable.shift)
    return variable.format_value(value)
