"""What a named distribution holds, and how data reaches the model behind it."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np

from pofx.core.distribution import Queryable
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.importance import trusted
from pofx.core.inexact import Estimated
from pofx.core.rows import rows
from pofx.queries import bayes, guide
from pofx.table.encode import Unseen, encode
from pofx.table.entries import Entries
from pofx.table.report import Report
from pofx.table.schema import Schema, Variable

Names = str | Sequence[str]
FEW = 20
"""One row in so many may exceed what its draws can be trusted with before it is told."""
CHECKED = 256
"""The most rows whose weighted draws are looked at before they are used."""


@dataclass(frozen=True, repr=False, eq=False)
class Held:
    """A model of the free entries of a schema; `fixed` holds the others, NaN where free."""

    model: Queryable
    schema: Schema
    fixed: np.ndarray
    evidence: tuple[str, ...] = ()
    fit: Mapping[str, Any] = field(default_factory=dict)

    def report(self) -> Report:
        """How the model was learned, and what it was compared with."""
        return Report(self.fit, self)

    @cached_property
    def entries(self) -> Entries:
        """Where the variables stand in a row, and which entries are random."""
        return Entries(self.schema, self.fixed)

    def _read(self, data: Any, unseen: Unseen, **how: Any) -> np.ndarray:
        """The rows of the data as entries."""
        x = encode(self.schema, data, unseen=unseen, **how)
        if not len(x):
            raise PofxError("data: wanted at least one row, got no rows")
        return x

    def _without(self, data: Any, target: str, unseen: Unseen) -> np.ndarray:
        """The free entries of the data, those of the target missing."""
        inputs = [n for n in self.schema.names if n != target]
        return self._read(data, unseen, require=inputs, ignore=target)[:, self.entries.free]

    def _check(self, free: np.ndarray) -> None:
        """Warns where the weighted draws behind the answers for such rows are worth little."""
        if isinstance(self.model, Estimated) and np.isnan(free).any():
            own = rows(free[np.isnan(free).any(1)][:CHECKED])
            self._doubt(guide.reliability(self.model, own))

    def _doubt(self, own: guide.Reliability) -> None:
        lost = int(own.lost.sum())
        # The shape of a tail has noise of its own: few rows just beyond say nothing.
        if lost > len(own.lost) / FEW or (own.k > trusted(10**6)).any():
            warnings.warn(
                f"the draws of {lost} of {len(own.lost)} rows are of little worth: the tail of "
                f"their weights has k up to {own.k.max():.2f}, and {trusted(own.draws):.2f} could "
                f"be trusted of {own.draws} draws; try another guide=, or an exact model",
                PofxWarning,
                stacklevel=5,
            )

    def _posterior(self, data: Any, target: str, unseen: Unseen) -> np.ndarray:
        """p(target | the other cells) of each row."""
        levels = len(self._discrete(target).levels)
        x = self._without(data, target, unseen)
        # The target is not drawn: each of its levels is asked for.
        self._check(np.where(np.arange(x.shape[1]) == self._place(target), 0, x))
        posterior = bayes.posterior(self.model, rows(x), self._place(target), levels)
        lost = np.flatnonzero(np.isnan(posterior).any(1))
        if len(lost):
            warnings.warn(
                f"{len(lost)} rows (the first is row {lost[0]}, counted from 0) have probability "
                f"zero whatever {target!r} is; their posterior is NaN, their prediction arbitrary",
                PofxWarning,
                stacklevel=4,
            )
        return posterior

    def _place(self, name: str) -> int:
        """The number of the entry of a plain column among the free ones."""
        return int(np.flatnonzero(self.entries.mask([name]))[0])

    def _discrete(self, target: str) -> Variable:
        variable = self.schema.variable(target)
        if not variable.discrete or variable.shape:
            raise PofxError(
                f"target: wanted a column of levels, and {target!r} is {variable.kind}"
                f"{' of shape ' + str(variable.shape) if variable.shape else ''}"
            )
        return variable


def listed(names: Names) -> tuple[str, ...]:
    """Names as a tuple, whether one or more."""
    return (names,) if isinstance(names, str) else tuple(names)


def at_least_one(name: str, number: Any) -> None:
    """Raises PofxError for what is no whole number > 0."""
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
        raise PofxError(f"{name}: wanted a whole number, at least 1; got {number!r}")
