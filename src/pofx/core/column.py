"""The description of one entry of a row: its kind, levels, resolution and family."""

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
"""The family of a column that does not name one, by its kind."""


@dataclass(frozen=True)
class Column:
    """One entry of a row, in the units that models use.

    Args:
        variable: the variable that the entry belongs to; an image is one variable of many entries.
        kind: the kind of its values.
        levels: the number of level codes of a discrete kind, else 0.
        resolution: the smallest gap between distinct values, 0 if unknown; it bounds how narrow a
            density may get.
        spikes: values repeated so often that they have point masses.
        family: the name of the one-column distribution; by default that of the kind.

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
    """Raises PofxError for a column of another kind or with point masses; it names the model."""
    for column in columns:
        if column.spikes or column.kind not in kinds:
            kind = f"{column.kind} with point masses" if column.spikes else column.kind
            raise PofxError(
                f"column {column.variable!r} is {kind}, and {model} supports {' and '.join(kinds)} "
                "columns only; use model='mixture', or if it holds numbers "
                f"schema={{{column.variable!r}: {{'kind': 'real', 'spikes': []}}}}"
            )
