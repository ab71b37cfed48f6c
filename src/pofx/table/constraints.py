"""Rows and cells changed so that drawn cells obey a schema's relations and bijections."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pofx.table.bijections import impose as impose_bijections
from pofx.table.frames.cells import Cells
from pofx.table.relations import Support
from pofx.table.relations import impose as impose_relations
from pofx.table.schema import Schema, Variable


def with_bijections(
    schema: Schema, x: np.ndarray, is_drawn: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Encoded rows, (n, d), changed so that drawn cells obey the schema's bijections.

    `is_drawn` says for each column which of its cells were drawn, (n,).
    """
    if not schema.bijections:
        return x
    names = {n for bijection in schema.bijections for n in bijection.names}
    codes = {n: x[:, schema.slices[n].start] for n in names}
    imposed = x.copy()
    for name, column in impose_bijections(schema.bijections, codes, is_drawn).items():
        imposed[:, schema.slices[name].start] = column
    return imposed


def with_relations(
    schema: Schema, cells: dict[str, Cells], is_drawn: Mapping[str, np.ndarray]
) -> dict[str, Cells]:
    """Cells by column, changed so that drawn ones obey the schema's relations.

    `is_drawn` says for each column which of its cells were drawn, (n,).
    """
    names = {n for relation in schema.relations for n in relation.names}
    if any(cells[n].residual is not None for n in names):
        return cells
    values = {n: _numbers(cells[n], schema.variable(n), is_drawn[n]) for n in names}
    supports = {n: support(schema.variable(n)) for n in names}
    values = impose_relations(schema.relations, values, is_drawn, supports)
    return {**cells, **{n: _with_numbers(cells[n], values[n]) for n in names}}


def support(variable: Variable) -> Support:
    """The numbers that a column may hold."""
    return Support(variable.kind, tuple(map(float, variable.levels)))


def _numbers(cells: Cells, variable: Variable, is_drawn: np.ndarray) -> np.ndarray:
    """The numbers of cells; drawn numbers of a column of integers are rounded."""
    if cells.levels is not None:
        levels = np.array([*map(float, cells.levels), np.nan])
        return levels[np.where(cells.missing, -1, cells.values).astype(int)]
    # Relations hold between the numbers as they are stored.
    integers = "int" in variable.dtype.lower()
    return np.where(is_drawn & integers, np.rint(cells.values), cells.values)


def _with_numbers(cells: Cells, values: np.ndarray) -> Cells:
    if cells.levels is None:
        return replace(cells, values=values)
    codes = {float(level): code for code, level in enumerate(cells.levels)}
    return replace(cells, values=np.array([codes.get(v, np.nan) for v in values.tolist()]))
