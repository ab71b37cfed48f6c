"""Which family carries which column."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pofx.core.column import DEFAULT_FAMILY, Column
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.family import Family
from pofx.core.registry import discover, named

_PACKAGE = "pofx.families"
_INFLATED = "inflated"


def base_class(column: Column) -> type[Family]:
    """The class that carries the values of a column that are not spikes.

    >>> base_class(Column("height", "real")).__name__
    'Normal'
    >>> base_class(Column("height", "real", family="poisson"))
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: height: family 'poisson' does not carry real; these do: normal
    """
    families = {k: v for k, v in discover(_PACKAGE, Family).items() if k != _INFLATED}
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


def family_class(column: Column) -> type[Family]:
    """The class that carries the column: its base, inflated where the column has spikes.

    >>> family_class(Column("rain", "positive", spikes=(0.0,))).__name__
    'Inflated'
    """
    base = base_class(column)
    if not column.spikes:
        return base
    inflated = named(_PACKAGE, Family, "family", _INFLATED)
    if column.kind not in inflated.kinds:
        raise PofxError(f"{column.variable}: expected no spikes for {column.kind} values")
    return inflated


def stack(columns: Sequence[Column]) -> list[tuple[tuple[int, ...], type[Family]]]:
    """Columns by the instance that can hold them together, in order of first appearance.

    >>> stack([Column("a", "real"), Column("b", "count"), Column("c", "real")])[0][0]
    (0, 2)
    """
    groups: dict[tuple, list[int]] = {}
    for index, column in enumerate(columns):
        cls = family_class(column)
        groups.setdefault((cls, cls.group(column)), []).append(index)
    return [(tuple(indices), cls) for (cls, _), indices in groups.items()]


def start(
    columns: Sequence[Column],
    x: Float[np.ndarray, "n c"],
    weight: Float[np.ndarray, "n c"],
) -> tuple[tuple[tuple[int, ...], Family], ...]:
    """Families near the data of the columns, each with the indices of the columns it holds.

    >>> x = np.array([[1.0, 3.0], [2.0, 4.0]])
    >>> [(indices, family)] = start([Column("a", "real"), Column("b", "real")], x, np.ones((2, 2)))
    >>> indices, family.mean().tolist()
    ((0, 1), [1.5, 3.5])
    """
    x, weight = np.asarray(x), np.asarray(weight)
    return tuple(
        (
            indices,
            cls.start([columns[i] for i in indices], x[:, list(indices)], weight[:, list(indices)]),
        )
        for indices, cls in stack(columns)
    )
