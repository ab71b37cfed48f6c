"""Cells in the unit of the variable that they are cells of, and where a bad one stands."""

import numpy as np

from pofx.core.errors import PofxError
from pofx.table.frames.cells import Cells
from pofx.table.frames.times import TIME_EXAMPLES, TIME_NAMES, TimeKind, local_to_utc, parse, zone_of
from pofx.table.schema import Variable


def convert_time_units(variable: Variable, cells: Cells) -> Cells:
    """Cells of a variable of times as numbers in its unit; PofxError where they are not times."""
    expected, got, name = variable.time_kind, cells.time_kind, variable.name
    if cells.missing.all() or not (expected or got):
        return cells
    if not expected:
        hint = "convert the column to what was learned from, as text with .astype(str)"
        raise PofxError(f"column {name!r}: expected {example_text(variable)}, got times; {hint}")
    if cells.text:
        return _parsed(variable, cells, expected)
    if got and got != expected:
        raise PofxError(f"column {name!r}: expected {TIME_NAMES[expected]}, got {TIME_NAMES[got]}")
    own, zone = zone_of(cells.dtype), zone_of(variable.dtype)
    if own and not zone:
        raise PofxError(
            f"column {name!r}: expected times without a zone, as learned from, got times in {own}; "
            "drop the zone, as by .dt.tz_localize(None)"
        )
    if got == "instant" and zone and not own:
        values = local_to_utc(cells.values.ravel(), zone).reshape(cells.values.shape)
        return Cells(values, None, variable.dtype)
    return cells


def example_text(variable: Variable) -> str:
    """What its cells are, in words: numbers, or text such as its first level."""
    text = variable.discrete and isinstance(variable.levels[0], str)
    return f"text such as {variable.levels[0]!r}" if text else "numbers"


def is_time(variable: Variable, text: str) -> bool:
    """Whether a text tells a time of the variable's sort."""
    try:
        parse(text, variable.dtype)
    except ValueError:
        return False
    return True


def expected_time_text(sort: TimeKind) -> str:
    """What times are called, with an example."""
    return f"{TIME_NAMES[sort]} as {TIME_EXAMPLES[sort]}"


def row_hint(cells: Cells, row: int) -> str:
    """Which row it is, where there are more than one."""
    return f" in row {row} (counted from 0)" if len(cells.values) > 1 else ""


def first_true_row(rows: np.ndarray) -> int:
    """The first row of a mask of cells that has one."""
    return int(np.argwhere(rows)[0, 0])


def _parsed(variable: Variable, cells: Cells, sort: TimeKind) -> Cells:
    found = []
    for code, level in enumerate(cells.levels or ()):
        try:
            found.append(parse(level, variable.dtype))
        except ValueError as error:
            if not (cells.values == code).any():
                found.append(np.nan)  # a category that no row has
                continue
            why = str(error) if "zone" in str(error) else f"got {level!r}"
            raise PofxError(
                f"column {variable.name!r}{row_hint(cells, first_true_row(cells.values == code))}: "
                f"expected {expected_time_text(sort)}, {why}"
            ) from None
    numbers = np.array([*found, np.nan])
    return Cells(numbers[np.where(cells.missing, -1, cells.values).astype(int)], None, "")
