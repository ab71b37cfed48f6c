"""The choice of a family for each column, and families that hold several columns."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pofx.core.column import DEFAULT_FAMILY, Column
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.family import AbstractFamily, AbstractFixedFamily
from pofx.core.registry import class_by_name, discover

_PACKAGE = "pofx.families"
_INFLATED = "inflated"


def base_class(column: Column) -> type[AbstractFamily]:
    """The class for the values of a column that are not spikes.

    >>> base_class(Column("height", "real")).__name__
    'Normal'
    >>> base_class(Column("height", "real", family="poisson"))
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: ...'poisson' is not for real columns; expected beta or normal or ...
    """
    families = {
        name: cls
        for name, cls in discover(_PACKAGE, AbstractFamily).items()
        if name != _INFLATED and not issubclass(cls, AbstractFixedFamily)
    }
    name = column.family or DEFAULT_FAMILY[column.kind]
    suitable = [family_name for family_name, cls in families.items() if column.kind in cls.kinds]
    if name not in families:
        raise unknown_name_error(f"family for {column.variable} ({column.kind}):", name, suitable)
    if name not in suitable:
        raise PofxError(
            f"{column.variable}: family {name!r} is not for {column.kind} columns; "
            f"expected {' or '.join(suitable)}"
        )
    return families[name]


def family_class(column: Column) -> type[AbstractFamily]:
    """The class for a column: its base class, or `Inflated` if the column has spikes.

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
    """Groups of columns that can share an instance, and their class, in order of appearance.

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
    """Families near the data of the columns, each with the indices of its columns.

    Args:
        columns: the d columns.
        x: the entries, of shape (n, d).
        weight: the weight of each cell; zero for missing cells.

    >>> x = np.array([[1.0, 3.0], [2.0, 4.0]])
    >>> columns = [Column("a", "real"), Column("b", "real")]
    >>> [(indices, family)] = families_from_data(columns, x, np.ones((2, 2)))
    >>> indices, family.mean().tolist()
    ((0, 1), [1.5, 3.5])
    """
    x, weight = np.asarray(x), np.asarray(weight)
    families = []
    for indices, cls in group_columns(columns):
        place = list(indices)
        family = cls.from_data([columns[i] for i in place], x[:, place], weight[:, place])
        families.append((indices, family))
    return tuple(families)
