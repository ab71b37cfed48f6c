"""Columns of levels that determine each other one to one, also in draws of a model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from pofx.core.errors import PofxError

MIN_REPEATED_ROWS = 20
"""Rows beyond the first of each level in which two columns must agree."""
MAX_COLUMNS = 64
"""The most columns among which bijections are looked for."""


@dataclass(frozen=True)
class Bijection:
    """Columns that hold the same level under several names.

    Args:
        names: the columns.
        codes: one joint value per row: the code of each column, in the order of `names`.

    Raises PofxError unless the columns are distinct and each code occurs once in its column.

    >>> same = Bijection(("word", "digit"), ((0, 1), (1, 0)))
    >>> same.given({"digit": 1})
    Bijection(names=('word',), codes=((0,),))
    """

    names: tuple[str, ...]
    codes: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        columns = list(zip(*self.codes))
        valid = (
            all(type(n) is str for n in self.names)
            and len(set(self.names)) == len(self.names) == len(columns)
            and all(len(row) == len(self.names) for row in self.codes)
            and all(type(code) is int and code >= 0 for row in self.codes for code in row)
            and all(len(set(column)) == len(column) for column in columns)
        )
        if not valid:
            raise PofxError(
                "bijection: expected distinct columns and a code of each for every joint value, "
                f"got {str(asdict(self))[:80]}"
            )

    def restricted_to(self, names: Iterable[str]) -> "Bijection | None":
        """The bijection among the columns `names`; None if it does not constrain them."""
        names = set(names)
        indices = [i for i, name in enumerate(self.names) if name in names]
        if not indices or (len(indices) == 1 and len(self.codes) > 1):
            return None
        codes = tuple(tuple(row[i] for i in indices) for row in self.codes)
        return Bijection(tuple(self.names[i] for i in indices), codes)

    def given(self, levels: Mapping[str, int]) -> "Bijection | None":
        """The bijection of the other columns, given the codes of the columns in `levels`."""
        fixed = {self.names.index(name): c for name, c in levels.items() if name in self.names}
        codes = tuple(row for row in self.codes if all(row[i] == c for i, c in fixed.items()))
        if not codes:
            # The evidence names a joint value that no row had.
            return None
        return Bijection(self.names, codes).restricted_to(set(self.names) - set(levels))


def find(names: Sequence[str], codes: Float[np.ndarray, "n d"]) -> tuple[Bijection, ...]:
    """Finds the groups of columns whose codes determine each other in every row.

    Args:
        names: the columns, (d,).
        codes: their codes, (n, d); NaN is a missing cell.

    >>> a = np.arange(40.0) % 3
    >>> [b.names for b in find(["a", "b"], np.stack([a, (a + 1) % 3], 1))]
    [('a', 'b')]
    """
    groups: list[list[int]] = []
    for j in range(min(len(names), MAX_COLUMNS)):
        same = (g for g in groups if _code_map(codes[:, g[0]], codes[:, j]) is not None)
        group = next(same, None)
        if group is None:
            groups.append([j])
        else:
            group.append(j)
    return tuple(_bijection(names, codes, group) for group in groups if len(group) > 1)


def _bijection(
    names: Sequence[str], codes: Float[np.ndarray, "n d"], group: list[int]
) -> Bijection:
    maps = [_code_map(codes[:, group[0]], codes[:, j]) or {} for j in group[1:]]
    common = sorted(set.intersection(*map(set, maps)))
    rows = tuple((code, *(code_map[code] for code_map in maps)) for code in common)
    return Bijection(tuple(names[j] for j in group), rows)


def _code_map(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"]) -> dict[int, int] | None:
    """The code of b for each code of a, if they are one to one and repeated often enough."""
    observed = ~np.isnan(a) & ~np.isnan(b)
    joint = np.unique(np.stack([a[observed], b[observed]]).astype(int), axis=1)
    count = joint.shape[1]
    one_to_one = all(len(np.unique(codes)) == count for codes in joint)
    if count < 2 or not one_to_one or observed.sum() - count < MIN_REPEATED_ROWS:
        return None
    return dict(zip(*joint.tolist()))


def impose(
    bijections: Sequence[Bijection],
    codes: Mapping[str, Float[np.ndarray, "n"]],
    is_drawn: Mapping[str, Bool[np.ndarray, "n"]],
) -> dict[str, Float[np.ndarray, "n"]]:
    """Changes drawn cells so that they obey the bijections; other cells stay.

    In each row the first observed column determines the others, or the first column if none is.

    Args:
        bijections: the bijections.
        codes: the codes of each column, (n,).
        is_drawn: which of them were drawn, (n,).
    """
    imposed = dict(codes)
    for bijection in bijections:
        columns = np.stack([imposed[name] for name in bijection.names])
        free = np.stack([is_drawn[name] for name in bijection.names])
        table = np.array(bijection.codes, float).T
        if len(bijection.codes) == 1:
            value = np.zeros(columns.shape[1], int)
        else:
            leader = np.argmin(free, axis=0)
            leading_code = columns[leader, np.arange(columns.shape[1])]
            matches = table[leader] == leading_code[:, None]
            value = np.where(matches.any(1), matches.argmax(1), -1)
        for i, name in enumerate(bijection.names):
            imposed[name] = np.where(free[i] & (value >= 0), table[i][value], columns[i])
    return imposed


def read(data: Any) -> tuple[Bijection, ...]:
    """Reads bijections from a file's header; PofxError for anything else."""
    if not isinstance(data, list | tuple) or not all(map(_is_record, data)):
        raise PofxError("bijections: expected a list of names and codes")
    return tuple(Bijection(tuple(b["names"]), tuple(map(tuple, b["codes"]))) for b in data)


def _is_record(data: Any) -> bool:
    return (
        type(data) is dict
        and set(data) == {"names", "codes"}
        and all(isinstance(value, list | tuple) for value in (*data.values(), *data["codes"]))
    )
