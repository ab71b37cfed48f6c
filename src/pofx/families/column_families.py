"""Which family carries which column."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pofx.core.column import DEFAULT_FAMILY, Column
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.family import AbstractFamily
from pofx.core.registry import class_by_name, discover

_PACKAGE = "pofx.families"
_INFLATED = "inflated"


def base_class(column: Column) -> type[AbstractFamily]:
    """The class that carries the values of a column that are not spikes.

    >>> base_class(Column("height", "real")).__name__
    'Normal'
    >>> base_class(Column("height", "real", family="poisson"))
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: height: family 'poisson' does not carry real; these do: normal
    """
    families = {k: v for k, v in discover(_PACKAGE, AbstractFamily).items() if k != _INFLATED}
    name = column.family or DEFAULT_FAMILY[column.kind]
    able = [known for known, cls in families.items() if column.kind in cls.kinds]
    if name not in families:
        raise unknown_name_error(f"family for {column.variable} ({column.kind}):", name, able)
    if name not in able:
        raise PofxError(
            f"{column.variable}: family {name!r} does not carry {column.kind}; "
            f"these do: {', '.join(able)}"
        )
    return families[name]


def family_class(column: Column) -> type[AbstractFamily]:
    """The class that carries the column: its base, inflated where the column has spikes.

    >>> family_class(Column("rain", "positive", spikes=(0.0,))).__name__
    'Inflated'
    """
    base = base_class(column)
    if not column.spikes:
        return base
    inflated = class_by_name(_PACKAGE, AbstractFamily, "family", _INFLATED)
    if column.kind not in inflated.kinds:
        raise PofxError(f"{column.variable}: expected no spikes for {column.kind} values")
    return inflated


def group_columns(columns: Sequence[Column]) -> list[tuple[tuple[int, ...], type[AbstractFamily]]]:
    """Columns by the instance that can hold them together, in order of first appearance.

    >>> group_columns([Column("a", "real"), Column("b", "count"), Column("c", "real")])[0][0]
    (0, 2)
    """
    groups: dict[tuple, list[int]] = {}
    for index, column in enumerate(columns):
        cls = family_class(column)
        groups.setdefault((cls, cls.stack_key(column)), []).append(index)
    return [(tuple(indices), cls) for (cls, _), indices in groups.items()]


def families_from_data(
    columns: Sequence[Column],
    x: Float[np.ndarray, "n c"],
    weight: Float[np.ndarray, "n c"],
) -> tuple[tuple[tuple[int, ...], AbstractFamily], ...]:
    """Families near the data of the columns, each with the indices of the columns it holds.

    >>> x = np.array([[1.0, 3.0], [2.0, 4.0]])
    >>> [(indices, family)] = families_from_data([Column("a", "real"), Column("b", "real")], x, np.ones((2, 2)))
    >>> indices, family.mean().tolist()
    ((0, 1), [1.5, 3.5])
    """
    x, weight = np.asarray(x), np.asarray(weight)
    families = []
    for indices, cls in group_columns(columns):
        places = list(indices)
        family = cls.from_data([columns[i] for i in places], x[:, places], weight[:, places])
        families.append((indices, family))
    return tuple(families)
