"""Cells of times in the unit of their variable, and parts of messages about cells."""

import numpy as np

from pofx.core.errors import PofxError
from pofx.table.frames.cells import Cells
from pofx.table.frames.times import (
    TIME_EXAMPLES,
    TIME_NAMES,
    TimeKind,
    local_to_utc,
    parse,
    zone_of,
)
from pofx.table.schema import Variable


def convert_time_units(variable: Variable, cells: Cells) -> Cells:
    """Converts cells of a variable of times to its unit; PofxError unless both hold such times."""
    name = variable.name
    expected, got = variable.time_kind, cells.time_kind
    if cells.missing.all() or not (expected or got):
        return cells
    if not expected:
        hint = "convert the column to what was learned from, as text with .astype(str)"
        raise PofxError(f"column {name!r}: expected {example_text(variable)}, got times; {hint}")
    if cells.text:
        return _parse_cells(variable, cells, expected)
    if got and got != expected:
        raise PofxError(f"column {name!r}: expected {TIME_NAMES[expected]}, got {TIME_NAMES[got]}")
    cell_zone, zone = zone_of(cells.dtype), zone_of(variable.dtype)
    if cell_zone and not zone:
        raise PofxError(
            f"column {name!r}: expected times without a zone, as learned from, "
            f"got times in {cell_zone}; "
            "drop the zone, as by .dt.tz_localize(None)"
        )
    if got == "instant" and zone and not cell_zone:
        values = local_to_utc(cells.values.ravel(), zone).reshape(cells.values.shape)
        return Cells(values, None, variable.dtype)
    return cells


def example_text(variable: Variable) -> str:
    """The cells of a variable in words: numbers, or text such as its first level."""
    text = variable.discrete and isinstance(variable.levels[0], str)
    return f"text such as {variable.levels[0]!r}" if text else "numbers"


def is_time(variable: Variable, text: str) -> bool:
    """Whether a text is a time of the variable's kind."""
    try:
        parse(text, variable.dtype)
    except ValueError:
        return False
    return True


def expected_time_text(kind: TimeKind) -> str:
    """Times of a kind in words, with an example."""
    return f"{TIME_NAMES[kind]} as {TIME_EXAMPLES[kind]}"


def row_hint(cells: Cells, row: int) -> str:
    """The row of a cell in words; empty if there is one row only."""
    return f" in row {row} (counted from 0)" if len(cells.values) > 1 else ""


def first_true_row(mask: np.ndarray) -> int:
    """The first row in which a mask of cells is true."""
    return int(np.argwhere(mask)[0, 0])


def _parse_cells(variable: Variable, cells: Cells, kind: TimeKind) -> Cells:
    """Cells of text as numbers of time."""
    numbers = []
    for code, level in enumerate(cells.levels or ()):
        try:
            numbers.append(parse(level, variable.dtype))
        except ValueError as error:
            if not (cells.values == code).any():
                numbers.append(np.nan)  # a category that no row has
                continue
            problem = str(error) if "zone" in str(error) else f"got {level!r}"
            hint = row_hint(cells, first_true_row(cells.values == code))
            raise PofxError(
                f"column {variable.name!r}{hint}: expected {expected_time_text(kind)}, {problem}"
            ) from None
    by_code = np.array([*numbers, np.nan])
    return Cells(by_code[np.where(cells.missing, -1, cells.values).astype(int)], None, "")
