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

MAX_REFERENCE_ROWS = 256
"""The most rows over which the usual surprise of a column's cells is averaged."""
ARRAY_TEXT = "(array)"


class UnexpectedCell(NamedTuple):
    """A cell that is less expected than others of its column.

    Args:
        name: of its column.
        value: as text.
        expected: the value expected from the other cells of the row, as text.
        excess: its excess surprise in nats (`excess_surprise`).
    """

    name: str
    value: str
    expected: str
    excess: float


class UnexpectedRow(NamedTuple):
    """A row of small tail probability.

    Args:
        number: of the row, from 0.
        log_prob: log p(row) in nats.
        tail: P(log p(X) <= log p(row)) for a draw X.
        cells: those of the largest excess surprise.
    """

    number: int
    log_prob: float
    tail: float
    cells: tuple[UnexpectedCell, ...]


@in_model_width
def least_expected(
    p: Joint, x: np.ndarray, *, max_rows: int = 8, max_cells: int = 3, seed: int = 0
) -> list[UnexpectedRow]:
    """The rows of the least tail probability, the least first.

    Args:
        p: the distribution.
        x: entries of rows, (n, d).
        max_rows: how many rows are returned at most.
        max_cells: the most cells per row: those of the largest excess surprise, if positive.
        seed: of the draws behind it.
    """
    data = decode(p.schema, x)
    log_prob = np.asarray(p.log_prob(data).value)
    tail = np.asarray(p.tail_probability(data, seed=seed).value)
    worst = np.lexsort((log_prob, tail))[:max_rows]
    surprise = excess_surprise(p, x, worst, seed)
    columns = [[j for j in np.argsort(-e)[:max_cells] if e[j] > 0] for e in np.nan_to_num(surprise)]
    expected = _expected_texts(p, x[worst], columns, seed)
    rows = []
    for i, number in enumerate(worst):
        unexpected = []
        for j in columns[i]:
            variable = p.schema.variables[j]
            value = _value_text(variable, x[number, p.schema.slices[variable.name]])
            cell = UnexpectedCell(variable.name, value, expected[i, j], float(surprise[i, j]))
            unexpected.append(cell)
        row = (int(number), float(log_prob[number]), float(tail[number]), tuple(unexpected))
        rows.append(UnexpectedRow(*row))
    return rows


@in_model_width
def excess_surprise(p: Joint, x: np.ndarray, index: np.ndarray, seed: int = 0) -> np.ndarray:
    """How much less expected cells are than those of their column usually are, in nats.

    -log p(x_j | the others), less its mean over rows, both in the units of entries, where
    log p(x_j | the others) = log p(x) - log p(the others).

    Args:
        p: the distribution.
        x: entries of rows, (n, d).
        index: of the rows whose cells are returned.
        seed: of the choice of rows for the mean.

    Returns an array (rows, variables), NaN for a missing cell.
    """
    reference = generator_of(seed).permutation(len(x))[:MAX_REFERENCE_ROWS]
    rows = x[np.concatenate([index, reference])]
    log_prob = density.log_prob(p.model, make_rows(rows))
    surprise = np.full((len(rows), len(p.schema.variables)), np.nan)
    for j, variable in enumerate(p.schema.variables):
        part = p.schema.slices[variable.name]
        known = ~np.isnan(rows[:, part]).all(1)
        if known.any():
            others = rows[known].copy()
            others[:, part] = np.nan
            surprise[known, j] = density.log_prob(p.model, make_rows(others)) - log_prob[known]
    reference_surprise = surprise[len(index) :]
    known = ~np.isnan(reference_surprise)
    mean = np.where(known, reference_surprise, 0).sum(0) / np.maximum(known.sum(0), 1)
    return surprise[: len(index)] - mean


def _expected_texts(
    p: Joint, x: np.ndarray, columns: Sequence[Sequence[int]], seed: int
) -> dict[tuple[int, int], str]:
    """The value that `impute` puts into each of these cells, as text, by row and column."""
    places = [(i, int(j)) for i, js in enumerate(columns) for j in js]
    if not places:
        return {}
    rows = x[[i for i, _ in places]].copy()
    variables = [p.schema.variables[j] for _, j in places]
    parts = [p.schema.slices[variable.name] for variable in variables]
    for row, part in zip(rows, parts):
        row[part] = np.nan
    free = conditional_means(p, rows[:, p.entries.free], MEAN_DRAWS, seed)
    imputed = encode(p.schema, decode(p.schema, p.entries.with_fixed(free)))
    return {
        place: _value_text(variable, row[part])
        for place, variable, row, part in zip(places, variables, imputed, parts)
    }


def _value_text(variable: Variable, entries: np.ndarray) -> str:
    if variable.shape:
        return ARRAY_TEXT
    if variable.discrete:
        return variable.format_value(variable.levels[int(entries[0])])
    value = float(entries[0] * variable.scale + variable.shift)
    return variable.format_value(value)
