"""Rows of a table as rows of numbers for models, and back."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from pofx.core.errors import PofxError, unknown_name_error
from pofx.table.constraints import with_bijections, with_relations
from pofx.table.frames.cells import Cells, add_exactly, as_numbers, fill_missing
from pofx.table.frames.dtypes import arrow_type
from pofx.table.frames.exact import is_large_integer, split
from pofx.table.frames.reading import read_frame
from pofx.table.frames.writing import loses_values, merge_into_original, to_arrow, to_native
from pofx.table.schema import Schema, Variable
from pofx.table.time_units import (
    convert_time_units,
    example_text,
    expected_time_text,
    first_true_row,
    is_time,
    row_hint,
)

Unseen = Literal["error", "missing"]

FRAMES = ("pandas", "polars", "pyarrow")
UNSEEN_HINT = (
    "such cells are integrated out with unseen='missing' (--unseen missing) if a call accepts it"
)
MISSING = ("", "?", "NA", "NaN", "nan", "null")
"""Texts that mean a missing value on the command line."""
INTEGER = re.compile(r"[+-]?[0-9]+")


def encode(
    schema: Schema,
    data: Any,
    *,
    unseen: Unseen = "error",
    require: Collection[str] | None = None,
    ignore: str | None = None,
) -> np.ndarray:
    """The rows of `data` as (n, d) float64; NaN is a missing cell.

    Continuous entries are `(value - shift) / scale`, discrete ones level codes, counts themselves.
    Times may be times, numbers in the units of `times.py`, or text in ISO 8601.

    Args:
        schema: the columns; further columns of `data` are ignored.
        unseen: whether levels never seen and numbers outside the support are "missing".
        require: the variables that `data` must have, None for all; others are missing if absent.
        ignore: a variable whose cells count as missing whatever they are.

    Raises PofxError for an absent column, text instead of numbers or the reverse, and an array of
    another shape.

    >>> schema = Schema((Variable("sex", "binary", levels=("f", "m")),), "pandas")
    >>> encode(schema, {"sex": ["m", None, "f"]})
    array([[ 1.],
           [nan],
           [ 0.]])
    """
    if unseen not in ("error", "missing"):
        raise PofxError(f"unseen: expected 'error' or 'missing', got {unseen!r}")
    frame = read_frame(data, schema.names)
    needed = schema.names if require is None else [schema.variable(n).name for n in require]
    for name in needed:
        if name not in frame.cells:
            raise PofxError(f"data: {unknown_name_error('column', name, frame.names)}")
    x = np.full((frame.rows, schema.size), np.nan)
    for name, cells in frame.cells.items():
        if name == ignore:
            continue
        variable = schema.variable(name)
        if cells.values.shape[1:] != variable.shape:
            raise PofxError(
                f"column {name!r}: expected cells of shape {variable.shape}, "
                f"got {cells.values.shape[1:]}"
            )
        cells = convert_time_units(variable, cells)
        entries = (_codes if variable.discrete else _scaled)(variable, cells, unseen)
        x[:, schema.slices[name]] = entries.reshape(frame.rows, variable.size)
    return x


def encode_values(
    schema: Schema, values: Mapping[str, Any], *, unseen: Unseen = "error"
) -> np.ndarray:
    """One row of evidence, (d,) float64; NaN for values that are absent, None or NaN.

    Raises PofxError for an unknown name and for values that `encode` rejects.

    >>> sex = Variable("sex", "binary", levels=("f", "m"))
    >>> schema = Schema((sex, Variable("a", "real")), "numpy")
    >>> encode_values(schema, {"sex": "m"})
    array([ 1., nan])
    """
    for name in values:
        schema.variable(name)
    row = {name: [value] for name, value in values.items()}
    return (
        encode(schema, row, unseen=unseen, require=())[0] if row else np.full(schema.size, np.nan)
    )


def parse_value(variable: Variable, text: str) -> str | int | float | bool | None:
    """The value that a text means, None for a missing value; a time stays text.

    Raises PofxError for text that is no number, no time or no level of the variable.

    >>> parse_value(Variable("year", "ordinal", levels=(2007, 2008)), "2008")
    2008
    >>> parse_value(Variable("mass", "real"), "?") is None
    True
    """
    if variable.shape:
        raise PofxError(f"column {variable.name!r}: an array cannot be given as text")
    stripped = text.strip()
    names = {level_text(level): level for level in variable.levels}
    boolean = variable.discrete and isinstance(variable.levels[0], bool)
    if stripped in names or (boolean and stripped.lower() in names):
        return names.get(stripped, names.get(stripped.lower()))
    if stripped in MISSING:
        return None
    if variable.discrete and isinstance(variable.levels[0], str):
        raise unknown_name_error(f"level of {variable.name!r}", stripped, names)
    if variable.time_kind and is_time(variable, stripped):
        return stripped
    try:
        number = int(stripped) if INTEGER.fullmatch(stripped) else float(stripped)
    except ValueError:
        expected = expected_time_text(variable.time_kind) if variable.time_kind else "a number"
        raise PofxError(
            f"column {variable.name!r}: expected {expected}, got {stripped!r}"
        ) from None
    if variable.discrete and number not in variable.levels:
        raise unknown_name_error(f"level of {variable.name!r}", stripped, names)
    if variable.discrete:
        return variable.levels[variable.levels.index(number)]
    return number if is_large_integer(number) and abs(number) < 2**63 else float(number)


def decode(schema: Schema, x: np.ndarray, *, like: Any = None, index: Any = None) -> Any:
    """The inverse of `encode`: data that hold the rows `x`, in the schema's container.

    Dtypes, level names and column order are those of the data that the schema came from. Integers
    are rounded, into the range of their dtype.

    Args:
        x: encoded rows, (n, d); NaN is a missing cell.
        like: data of n rows, whose observed cells (levels never seen, too), further columns, column
            order and pandas index are kept; a frame stays one of its library.
        index: data whose pandas index is kept.

    Raises PofxError unless x has d columns.

    >>> schema = Schema((Variable("a", "real", shift=5, scale=2, dtype="int64"),), "mapping")
    >>> decode(schema, np.array([[0.0], [1.1]]))
    {'a': array([5, 7])}
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != schema.size:
        raise PofxError(f"x: expected shape (rows, {schema.size}), got {x.shape}")
    frame = None if like is None else read_frame(like, schema.names)
    is_drawn = {name: np.ones(len(x), bool) for name in schema.names}
    if frame is not None:
        is_drawn |= {name: cells.missing for name, cells in frame.cells.items()}
    x = with_bijections(schema, x, is_drawn)
    cells = {v.name: _cells(v, x[:, schema.slices[v.name]]) for v in schema.variables}
    if frame is None:
        return to_native(schema.container, with_relations(schema, cells, is_drawn), index)
    original_names = []
    container = frame.container if frame.container in FRAMES else schema.container
    for name, before in frame.cells.items():
        guess = fill_missing(convert_time_units(schema.variable(name), before), cells[name])
        cells[name] = guess
        if not before.missing.any() and before.dtype == guess.dtype:
            original_names.append(name)
        elif loses_values(before, guess):
            original_names.append(name)
            # In a column of objects, new cells need not have the type of the others.
            objects = before.dtype.startswith("object")
            cells[name] = guess if objects else replace(guess, dtype=before.dtype)
    cells = with_relations(schema, cells, is_drawn)
    return merge_into_original(to_native(container, cells, like), like, original_names)


def log_scale(schema: Schema, x: np.ndarray) -> np.ndarray:
    """log |d value / d entry| of each entry of `x`, (n, d).

    The log-density of a row in the data's units is that of its entries minus the sum of these
    logarithms: log(scale) for continuous kinds, and 0 for discrete kinds, at point masses and at
    NaN.

    >>> schema = Schema((Variable("a", "positive", spikes=(0.0,), scale=np.e),), "numpy")
    >>> log_scale(schema, np.array([[1.0], [0.0], [np.nan]]))
    array([[1.],
           [0.],
           [0.]])
    """
    logs = np.zeros(x.shape)
    for variable in schema.variables:
        if variable.scale != 1:
            entries = x[..., schema.slices[variable.name]]
            smooth = (_spike(variable, entries) < 0) & ~np.isnan(entries)
            logs[..., schema.slices[variable.name]] = np.where(smooth, np.log(variable.scale), 0)
    return logs


def in_data_units(variable: Variable, entries: Any) -> np.ndarray:
    """Entries of a column of numbers as values in the data's units, computed in float64.

    The values are int64 (or uint64) if the column holds whole numbers that no float64 holds.

    >>> in_data_units(Variable("a", "real", shift=1e9, scale=2.0), np.float32([0.25])).tolist()
    [1000000000.5]
    >>> variable = Variable("id", "real", shift=2**60 + 3, scale=2.0, dtype="int64")
    >>> in_data_units(variable, np.array([0.5])) - 2**60
    array([4])
    """
    values = np.asarray(entries, np.float64) * variable.scale
    cells = add_exactly(variable.shift, values, exact_dtype(variable) or "float64")
    if cells.dtype == "float64" or cells.missing.any():
        return cells.values
    return to_arrow(cells).to_numpy().reshape(values.shape)


def exact_dtype(variable: Variable) -> str:
    """The integer dtype of a variable whose whole numbers no float64 holds, else empty."""
    if not is_large_integer(variable.shift) or not pa.types.is_integer(arrow_type(variable.dtype)):
        return ""
    return "uint64" if variable.shift > np.iinfo(np.int64).max else "int64"


def _codes(variable: Variable, cells: Cells, unseen: Unseen) -> np.ndarray:
    """The codes of the levels in cells; NaN for missing cells and levels never seen."""
    if cells.levels is None:
        codes = _nearest_code(variable.levels, cells)
    else:
        code_of = {level: code for code, level in enumerate(variable.levels)}
        table = np.array([*(code_of.get(level, np.nan) for level in cells.levels), np.nan])
        codes = table[np.where(cells.missing, -1, cells.values).astype(int)]
    new = np.isnan(codes) & ~cells.missing
    if new.any():
        row = first_true_row(new)
        unknown_cells = np.where(new, cells.values, np.nan)
        value = Cells(unknown_cells, cells.levels, "", cells.residual).value(row)
        _check_type(variable, cells, value, row)
        if unseen == "error":
            raise PofxError(
                f"column {variable.name!r}{row_hint(cells, row)}: "
                f"{unknown_name_error('level', value, variable.levels)}; {UNSEEN_HINT}"
            )
    return codes


def _nearest_code(levels: tuple[Any, ...], cells: Cells) -> np.ndarray:
    values = cells.paired()
    if isinstance(levels[0], str):
        return np.full(values.shape, np.nan)
    numbers = np.array([complex(*split(level)) for level in levels])
    order = np.argsort(numbers)
    place = np.minimum(np.searchsorted(numbers[order], values), len(levels) - 1)
    return np.where(numbers[order][place] == values, order[place], np.nan)


def _check_type(variable: Variable, cells: Cells, value: object, row: int) -> None:
    text = isinstance(variable.levels[0], str) if variable.discrete else False
    if isinstance(value, str) != text:
        expected = example_text(variable)
        got = f"the text {value!r}" if not text else f"the number {value!r}"
        raise PofxError(
            f"column {variable.name!r}: expected {expected}, got {got}{row_hint(cells, row)}"
        )


def _scaled(variable: Variable, cells: Cells, unseen: Unseen) -> np.ndarray:
    """The entries of cells of numbers; NaN for missing cells and numbers outside the support."""
    values = cells.values
    if cells.text and not cells.missing.all():
        row = first_true_row(~cells.missing)
        _check_type(variable, cells, cells.value(row), row)
    if cells.levels is not None and not cells.text:
        cells = as_numbers(cells)
        values = cells.values
    bad = _outside(variable, values)
    if bad.any() and unseen == "error":
        row = first_true_row(bad)
        expected = "whole numbers >= 0" if variable.kind == "count" else "numbers > 0"
        spike_texts = "".join(f" or {spike:g}" for spike in variable.spikes)
        raise PofxError(
            f"column {variable.name!r}: expected {expected}{spike_texts} (it is of kind "
            f"{variable.kind!r}), got {values[bad].flat[0]:g}{row_hint(cells, row)}; override "
            f"the column's kind and fit again, or {UNSEEN_HINT}"
        )
    with np.errstate(over="ignore", under="ignore"):
        entries = np.where(bad, np.nan, cells.minus(variable.shift)) / variable.scale
    # Models take logarithms, so a positive number that underflows becomes the smallest float.
    positive = (variable.kind == "positive") & (values > 0)
    return np.where(positive, np.clip(entries, np.finfo(float).tiny, np.finfo(float).max), entries)


def _outside(variable: Variable, values: np.ndarray) -> np.ndarray:
    if variable.kind == "positive":
        bad = values <= 0
    elif variable.kind == "count":
        bad = (values < 0) | (values != np.rint(values))
    else:
        return np.zeros(values.shape, dtype=bool)
    return bad & ~np.isin(values, variable.spikes) & ~np.isnan(values)


def _spike(variable: Variable, entries: np.ndarray) -> np.ndarray:
    """The index of the spike that each entry equals, -1 for none; float32 entries match, too."""
    index = np.full(entries.shape, -1)
    with np.errstate(over="ignore", under="ignore"):
        for i, spike in enumerate(variable.column.spikes):
            index[np.isin(entries, (spike, np.float64(np.float32(spike))))] = i
    return index


def _cells(variable: Variable, entries: np.ndarray) -> Cells:
    entries = entries.reshape(-1, *variable.shape)
    if variable.discrete:
        codes = np.clip(np.rint(entries), 0, len(variable.levels) - 1)
        return Cells(codes, variable.levels, variable.dtype)
    scaled = np.asarray(entries, np.float64) * variable.scale
    cells = add_exactly(variable.shift, scaled, variable.dtype)
    values, residual = cells.values, cells.residual
    if variable.kind == "count":
        values = np.maximum(np.rint(values), 0)
    if variable.kind == "positive":
        values = np.maximum(values, 1 if "int" in variable.dtype.lower() else np.finfo(float).tiny)
    if variable.time_kind == "instant" and variable.resolution % 1 == 0 < variable.resolution:
        values = np.rint(values)  # All observed times are midnights.
    for i, spike in enumerate(variable.spikes):
        high, low = split(spike)
        on_spike = _spike(variable, entries) == i
        values = np.where(on_spike, high, values)
        residual = None if residual is None else np.where(on_spike, low, residual)
    return Cells(values, None, variable.dtype, residual)


def level_text(level: object) -> str:
    """A level as text for the command line."""
    return str(level).lower() if isinstance(level, bool) else str(level)
