"""Samples as arrays: numbers or levels in each column, without rows that have missing cells."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from pofx.core.errors import PofxError, unknown_name_error

MIN_ROWS_PER_LEVEL = 5
"""Rows per distinct value, on average, from which whole numbers count as levels."""


@dataclass(frozen=True)
class Sample:
    """Rows of one variable: its continuous columns, and the joint level of its discrete ones.

    numbers: the continuous columns, of shape (n, c).
    level: whole numbers from 0 without gaps, of shape (n,); all 0 if no column is discrete.
    columns: all columns in order, float64 if continuous, int64 codes of levels if discrete.
    """

    numbers: np.ndarray
    level: np.ndarray
    columns: tuple[np.ndarray, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.level)

    @property
    def discrete(self) -> bool:
        """Whether there is no continuous column."""
        return not self.numbers.shape[1]

    @property
    def smooth(self) -> bool:
        """Whether all columns are continuous and without ties."""
        distinct_values = (np.unique(column) for column in self.numbers.T)
        return not self.level.any() and all(len(v) == self.rows for v in distinct_values)


@dataclass(frozen=True)
class _Column:
    """Cells in float64, numbers or codes of levels; NaN for missing ones."""

    values: np.ndarray
    levels: bool
    text: bool = False


def read(variables: Mapping[str, Any], discrete: Any = None) -> tuple[dict[str, Sample], int]:
    """Read samples of variables for the same rows, and drop rows with missing cells.

    Text, bool and categories are discrete. So are whole numbers with at most two distinct values,
    or with at least five rows per distinct value on average. Other numbers are continuous.

    Args:
        variables: an array, a list, a column or a frame of any library, of shape (n,) or (n, d),
            for each variable. "given" may be None, which has no columns.
        discrete: which columns are discrete, instead of the above: a bool, a bool per column, or a
            mapping from variables to these.

    Returns the sample of each variable, and the number of dropped rows, which have a missing cell
    (None, NaN) in any variable.

    Raises:
        PofxError: lengths that differ, fewer than two rows, or cells that are neither numbers nor
            levels.

    >>> samples, dropped = read({"x": [0.1, 0.7, None], "y": ["a", "b", "b"]})
    >>> samples["x"].numbers.ravel(), samples["y"].level, dropped
    (array([0.1, 0.7]), array([0, 1]), 1)
    """
    columns = {
        name: [] if name == "given" and value is None else _columns(name, value)
        for name, value in variables.items()
    }
    rows = {name: len(block[0].values) for name, block in columns.items() if block}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} has {n}" for name, n in rows.items())
        raise PofxError(
            f"{counts} rows: expected equal numbers of rows; columns go side by side, (n, d)"
        )
    missing = [np.isnan(column.values) for block in columns.values() for column in block]
    is_complete = ~np.logical_or.reduce(missing)
    if is_complete.sum() < 2:
        raise PofxError(
            f"{', '.join(rows)}: expected at least two rows without missing cells, got "
            f"{is_complete.sum()} of {len(is_complete)}"
        )
    flags = _discrete_flags(discrete, list(variables))
    samples = {
        name: _sample(name, block, is_complete, flags.get(name)) for name, block in columns.items()
    }
    return samples, int((~is_complete).sum())


def _discrete_flags(discrete: Any, names: list[str]) -> Mapping[str, Any]:
    """The value of `discrete` for each variable; PofxError for one that does not exist."""
    if not isinstance(discrete, Mapping):
        return dict.fromkeys(names, discrete)
    for name in discrete:
        if name not in names:
            raise unknown_name_error("variable", name, names)
    return discrete


def joint_level(*levels: np.ndarray) -> np.ndarray:
    """The joint level of several variables, of shape (n,): whole numbers from 0 without gaps.

    >>> joint_level(np.array([0, 0, 2]), np.array([1, 1, 0]))
    array([0, 0, 1])
    """
    joint = np.zeros(len(levels[0]), np.int64)
    for level in levels:
        joint = np.unique(joint * (level.max() + 1) + level, return_inverse=True)[1]
    return joint


def _sample(name: str, columns: list[_Column], is_complete: np.ndarray, discrete: Any) -> Sample:
    flags = list(discrete) if np.ndim(discrete) else [discrete] * len(columns)
    are_valid = all(flag is None or isinstance(flag, bool | np.bool_) for flag in flags)
    if len(flags) != len(columns) or not are_valid:
        raise PofxError(
            f"discrete: expected True, False or None for {name}, or one for each of its "
            f"{len(columns)} columns; got {discrete!r}"
        )
    cells: list[np.ndarray] = []
    for column, flag in zip(columns, flags):
        values = column.values[is_complete]
        if flag if flag is not None else column.levels or _are_few_integers(values):
            cells.append(np.unique(values, return_inverse=True)[1].astype(np.int64))
        elif column.text:
            raise PofxError(f"discrete: {name} holds text, which is not continuous; leave it out")
        elif not np.isfinite(values).all():
            raise PofxError(
                f"{name}: expected finite numbers, got {values[~np.isfinite(values)][0]}"
            )
        else:
            cells.append(values)
    numbers = [values for values in cells if values.dtype == np.float64]
    levels = [values for values in cells if values.dtype == np.int64]
    no_columns = np.zeros((is_complete.sum(), 0))
    continuous = np.stack(numbers, axis=1) if numbers else no_columns
    level = joint_level(np.zeros(is_complete.sum(), np.int64), *levels)
    return Sample(continuous, level, tuple(cells))


def _are_few_integers(values: np.ndarray) -> bool:
    distinct = len(np.unique(values))
    are_few = distinct <= 2 or len(values) >= MIN_ROWS_PER_LEVEL * distinct
    return are_few and bool((values == np.rint(values)).all())


def _columns(name: str, value: Any) -> list[_Column]:
    if hasattr(value, "columns"):
        # Columns of a frame are read one by one, because one array would lose their types.
        names = getattr(value, "column_names", value.columns)
        columns = [c for key in names for c in _columns(name, value[key])]
    else:
        array = _array(name, value)
        columns = [_column(name, cells) for cells in array.reshape(len(array), -1).T]
    if not columns:
        raise PofxError(f"{name}: expected at least one column, got none")
    if str(getattr(value, "dtype", "")) == "category":
        columns = [_Column(c.values, True, c.text) for c in columns]
    return columns


def _array(name: str, value: Any) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray):
        cells = np.ma.getdata(value).astype(object)
        cells[np.ma.getmaskarray(value)] = None
        return cells
    try:
        array = np.asarray(value)
    except ValueError:
        raise PofxError(f"{name}: expected rows of one length, got lists that differ") from None
    if array.dtype.kind in "US" and not isinstance(value, np.ndarray):
        # In a list with text numpy turns all cells into text, NaN too.
        array = np.asarray(value, dtype=object)
    if array.ndim == 0:
        raise PofxError(f"{name}: expected one value per row, got the single value {value!r}")
    if not len(array):
        raise PofxError(f"{name}: expected rows, got none")
    return array


def _column(name: str, cells: np.ndarray) -> _Column:
    if cells.dtype.kind in "biuf":
        return _Column(cells.astype(np.float64), cells.dtype.kind == "b")
    if cells.dtype.kind not in "OUST":
        raise PofxError(
            f"{name}: expected numbers or levels, got dtype {cells.dtype}; try .astype(float)"
        )
    values = [None if _is_missing(cell) else cell for cell in cells.tolist()]
    present = [v for v in values if v is not None]
    if all(isinstance(v, Real) and not isinstance(v, bool | np.bool_) for v in present):
        return _Column(np.array(values, np.float64), False)
    try:
        codes = {level: float(code) for code, level in enumerate(dict.fromkeys(present))}
    except TypeError:
        kind = next(type(v).__name__ for v in present if not isinstance(v, Hashable))
        raise PofxError(f"{name}: expected numbers or levels, got {kind}") from None
    text = any(isinstance(level, str | bytes) for level in codes)
    return _Column(np.array(list(_encode(values, codes))), True, text)


def _encode(values: list[Any], codes: dict[Any, float]) -> Iterator[float]:
    return (np.nan if v is None else codes[v] for v in values)


def _is_missing(cell: Any) -> bool:
    # pandas' NA has no truth value.
    return cell is None or type(cell).__name__ == "NAType" or bool(cell != cell)
