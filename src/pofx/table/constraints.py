"""Rows and cells in which what was drawn obeys a schema's relations and bijections."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pofx.table.bijections import impose as impose_bijections
from pofx.table.frames.cells import Cells
from pofx.table.relations import Support
from pofx.table.relations import impose as impose_relations
from pofx.table.schema import Schema, Variable


def with_bijections(schema: Schema, x: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
    """The rows, the drawn cells of which obey the schema's bijections."""
    if not schema.bijections:
        return x
    names = {n for bijection in schema.bijections for n in bijection.names}
    codes = {n: x[:, schema.slices[n].start] for n in names}
    agreeing = x.copy()
    for name, column in impose_bijections(schema.bijections, codes, drawn).items():
        agreeing[:, schema.slices[name].start] = column
    return agreeing


def with_relations(
    schema: Schema, cells: dict[str, Cells], drawn: Mapping[str, np.ndarray]
) -> dict[str, Cells]:
    """The cells, the drawn ones of which obey the schema's relations."""
    names = {n for relation in schema.relations for n in relation.names}
    if any(cells[n].residual is not None for n in names):
        return cells
    values = {n: _numbers(cells[n], schema.variable(n), drawn[n]) for n in names}
    supports = {n: support(schema.variable(n)) for n in names}
    values = impose_relations(schema.relations, values, drawn, supports)
    return {**cells, **{n: _with_numbers(cells[n], values[n]) for n in names}}


def support(variable: Variable) -> Support:
    """The numbers that a column may hold."""
    return Support(variable.kind, tuple(map(float, variable.levels)))


def _numbers(cells: Cells, variable: Variable, drawn: np.ndarray) -> np.ndarray:
    if cells.levels is not None:
        levels = np.array([*map(float, cells.levels), np.nan])
        return levels[np.where(cells.missing, -1, cells.values).astype(int)]
    # Relations hold among numbers as they are stored.
    integers = "int" in variable.dtype.lower()
    return np.where(drawn & integers, np.rint(cells.values), cells.values)


def _with_numbers(cells: Cells, values: np.ndarray) -> Cells:
    if cells.levels is None:
        return replace(cells, values=values)
    codes = {float(level): code for code, level in enumerate(cells.levels)}
    return replace(cells, values=np.array([codes.get(v, np.nan) for v in values.tolist()]))
