"""Samples of variables, as arrays: which columns are numbers and which levels, and whole rows."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from pofx.core.errors import PofxError, unknown_name_error

ROWS_A_LEVEL = 5
"""Rows a distinct value, on average, from which whole numbers are taken for levels."""


@dataclass(frozen=True)
class Sample:
    """Rows of one variable: its continuous columns, and the joint level of its discrete ones.

    `numbers` has shape (n, c); `level` has shape (n,), whole numbers from 0 without gaps, all of
    them 0 where no column is discrete. `columns` holds all columns in their order: float64 if
    continuous, int64 codes of levels if discrete.
    """

    numbers: np.ndarray
    level: np.ndarray
    columns: tuple[np.ndarray, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.level)

    @property
    def discrete(self) -> bool:
        """Whether there is no continuous column."""
        return not self.numbers.shape[1]

    @property
    def smooth(self) -> bool:
        """Whether there is neither a discrete column nor a value twice in the same column."""
        columns = (np.unique(column) for column in self.numbers.T)
        return not self.level.any() and all(len(known) == self.rows for known in columns)


@dataclass(frozen=True)
class _Column:
    """Cells in float64, NaN where missing: numbers, or codes of levels."""

    values: np.ndarray
    levels: bool
    text: bool = False


def read(variables: Mapping[str, Any], discrete: Any = None) -> tuple[dict[str, Sample], int]:
    """The samples of some variables, row by row of the same cases; and how many rows were dropped.

    A variable is an array, a list, a column or a frame of any library, of shape (n,) or (n, d);
    `given` may be None, which has no columns. Text, bool and categories are discrete, and so are
    whole numbers of at most two values, or of five rows a value on average; other numbers are
    continuous. `discrete` overrides it: a bool, a bool a column, or a mapping from variables to
    these. Rows with a missing cell (None, NaN) in any variable are dropped. Raises PofxError for
    lengths that differ, for fewer than two rows, and for cells that are neither numbers nor levels.

    >>> samples, dropped = read({"x": [0.1, 0.7, None], "y": ["a", "b", "b"]})
    >>> samples["x"].numbers.ravel(), samples["y"].level, dropped
    (array([0.1, 0.7]), array([0, 1]), 1)
    """
    columns = {
        name: [] if name == "given" and value is None else _columns(name, value)
        for name, value in variables.items()
    }
    rows = {name: len(own[0].values) for name, own in columns.items() if own}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{name} has {n}" for name, n in rows.items())
        raise PofxError(f"{told} rows: expected as many of each; columns go side by side, (n, d)")
    missing = [np.isnan(c.values) for own in columns.values() for c in own]
    whole = ~np.logical_or.reduce(missing)
    if whole.sum() < 2:
        raise PofxError(
            f"{', '.join(rows)}: expected at least two rows without missing cells, got "
            f"{whole.sum()} of {len(whole)}"
        )
    asked = _asked(discrete, list(variables))
    samples = {name: _sample(name, own, whole, asked.get(name)) for name, own in columns.items()}
    return samples, int((~whole).sum())


def _asked(discrete: Any, names: list[str]) -> Mapping[str, Any]:
    if not isinstance(discrete, Mapping):
        return dict.fromkeys(names, discrete)
    for name in discrete:
        if name not in names:
            raise unknown_name_error("variable", name, names)
    return discrete


def joint_level(*levels: np.ndarray) -> np.ndarray:
    """The level of several at once, of shape (n,): whole numbers from 0 without gaps.

    >>> joint_level(np.array([0, 0, 2]), np.array([1, 1, 0]))
    array([0, 0, 1])
    """
    joint = np.zeros(len(levels[0]), np.int64)
    for level in levels:
        joint = np.unique(joint * (level.max() + 1) + level, return_inverse=True)[1]
    return joint


def _sample(name: str, columns: list[_Column], whole: np.ndarray, asked: Any) -> Sample:
    flags = list(asked) if np.ndim(asked) else [asked] * len(columns)
    fine = all(flag is None or isinstance(flag, bool | np.bool_) for flag in flags)
    if len(flags) != len(columns) or not fine:
        raise PofxError(
            f"discrete: expected True, False or None for {name}, or one for each of its "
            f"{len(columns)} columns; got {asked!r}"
        )
    cells: list[np.ndarray] = []
    for column, flag in zip(columns, flags):
        values = column.values[whole]
        if flag if flag is not None else column.levels or _few(values):
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
    none = np.zeros((whole.sum(), 0))
    continuous = np.stack(numbers, axis=1) if numbers else none
    level = joint_level(np.zeros(whole.sum(), np.int64), *levels)
    return Sample(continuous, level, tuple(cells))


def _few(values: np.ndarray) -> bool:
    distinct = len(np.unique(values))
    few = distinct <= 2 or len(values) >= ROWS_A_LEVEL * distinct
    return few and bool((values == np.rint(values)).all())


def _columns(name: str, value: Any) -> list[_Column]:
    if hasattr(value, "columns"):
        # A frame's columns one by one: as one array they would lose their types.
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
        # numpy makes text of what stands beside text, of NaN too
        array = np.asarray(value, dtype=object)
    if array.ndim == 0:
        raise PofxError(f"{name}: expected one value a row, got the single value {value!r}")
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
        got = next(type(v).__name__ for v in present if not isinstance(v, Hashable))
        raise PofxError(f"{name}: expected numbers or levels, got {got}") from None
    text = any(isinstance(level, str | bytes) for level in codes)
    return _Column(np.array(list(_coded(values, codes))), True, text)


def _coded(values: list[Any], codes: dict[Any, float]) -> Iterator[float]:
    return (np.nan if v is None else codes[v] for v in values)


def _is_missing(cell: Any) -> bool:
    # pandas' NA has no truth value
    return cell is None or type(cell).__name__ == "NAType" or bool(cell != cell)
