"""What one entry of a row may hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pofx.core.errors import PofxError

Kind = Literal["real", "positive", "count", "binary", "categorical", "ordinal"]

KINDS: tuple[Kind, ...] = ("real", "positive", "count", "binary", "categorical", "ordinal")
DISCRETE: frozenset[Kind] = frozenset({"binary", "categorical", "ordinal"})

DEFAULT_FAMILY: dict[Kind, str] = {
    "real": "normal",
    "positive": "log_normal",
    "count": "negative_binomial",
    "binary": "bernoulli",
    "categorical": "categorical",
    "ordinal": "categorical",
}
"""The family of a column that names none, by its kind."""


@dataclass(frozen=True)
class Column:
    """One entry of a row, in the units that models see.

    `variable` is the name of the variable it belongs to (an image is one variable that fills many
    entries). `levels` is the number of level codes of a discrete kind, else 0. `resolution` is the
    smallest gap between distinct values, 0 where unknown: it bounds how narrow a density may get.
    `spikes` are values repeated so heavily that they carry point masses. `family` names the
    one-column distribution.

    >>> Column("sex", "binary", levels=2, family="bernoulli").discrete
    True
    """

    variable: str
    kind: Kind
    levels: int = 0
    resolution: float = 0.0
    spikes: tuple[float, ...] = ()
    family: str = ""

    @property
    def discrete(self) -> bool:
        """Whether the entry holds one of finitely many level codes 0, 1, ..., levels - 1."""
        return self.kind in DISCRETE


def check_column_kinds(columns: Iterable[Column], model: str, *kinds: Kind) -> None:
    """PofxError for a column of none of these kinds, or with point masses, naming the model."""
    for column in columns:
        if column.spikes or column.kind not in kinds:
            what = f"{column.kind} with point masses" if column.spikes else column.kind
            raise PofxError(
                f"column {column.variable!r} is {what}, and {model} carries {' and '.join(kinds)} "
                "columns only; use model='mixture', or where it holds numbers "
                f"schema={{{column.variable!r}: {{'kind': 'real', 'spikes': []}}}}"
            )
