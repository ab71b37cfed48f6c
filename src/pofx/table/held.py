"""What a named distribution holds, and how data reaches the model behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pofx.core.answer import Answer
from pofx.core.distribution import Queryable
from pofx.core.errors import PofxError, warn
from pofx.core.importance import trusted
from pofx.core.inexact import Estimated
from pofx.core.printing import names_text
from pofx.core.rows import rows
from pofx.core.width import float64
from pofx.models.conditional import Conditional
from pofx.queries import bayes, guide, missing
from pofx.queries.structure import apart, cut_off
from pofx.table.encode import Unseen, encode
from pofx.table.entries import Entries
from pofx.table.report import Report
from pofx.table.schema import Schema, Variable
from pofx.table.seeds import key_of
from pofx.table.unrelated import HINT, marked

Names = str | Sequence[str]
FEW = 20
"""One row in so many may exceed what its draws can be trusted with before it is told."""
CHECKED = 256
"""The most rows whose weighted draws are looked at before they are used."""
DRAWN = 64
"""Draws of the model that are looked at so where an answer averages over such."""


@dataclass(frozen=True, repr=False, eq=False)
class Held:
    """A model of the free entries of a schema; `fixed` holds the others, NaN where free.

    `unrelated` are the variables that the model holds independent of all that was given; None where
    nothing was.
    """

    model: Queryable
    schema: Schema
    fixed: np.ndarray
    evidence: tuple[str, ...] = ()
    fit: Mapping[str, Any] = field(default_factory=dict)
    unrelated: tuple[str, ...] | None = None

    def __reduce__(self) -> Any:
        """Pickled by numpy arrays: those of JAX would lose their float64 on the way back."""
        model = jax.tree.map(lambda a: np.asarray(a) if eqx.is_array(a) else a, self.model)
        fields = (model, self.schema, self.fixed, self.evidence, dict(self.fit), self.unrelated)
        return _unpickled, (type(self), *fields)

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
        x = self._read(data, unseen, require=inputs, ignore=target)[:, self.entries.free]
        observed = np.asarray(~np.isnan(x).all(0))
        if self._ignores([target], observed):
            warn(
                f"this model holds {target!r} independent of {self._others(observed)}, so every "
                f"row gets the same answer; {HINT}",
            )
        return x

    def _unrelated_to(self, observed: np.ndarray) -> tuple[str, ...] | None:
        """The variables independent of these entries and of all that was given before.

        None where there are no such entries and nothing was given.
        """
        if not observed.any():
            return self.unrelated
        alone, before = apart(self.model, observed), self.unrelated
        names = self.schema.names if before is None else before
        return tuple(n for n in names if alone[self.entries.mask([n])].all())

    def _ignores(self, names: Sequence[str], observed: np.ndarray | None = None) -> bool:
        """Whether there is evidence, these entries or what was given, and none bears on a name."""
        unrelated = self.unrelated if observed is None else self._unrelated_to(observed)
        return unrelated is not None and bool(names) and set(names) <= set(unrelated)

    def _noted(self, answer: Answer, names: Sequence[str], given: Sequence[str] = ()) -> Answer:
        """The answer, which says so if the model cannot relate the names to the evidence."""
        return marked(answer) if self._ignores(names, self.entries.mask(given)) else answer

    def _warn_of_unrelated(self, what: str, free: np.ndarray) -> None:
        """Warns of columns whose missing cells nothing in the table bears on."""
        holes, observed = (np.asarray(cells.any(0)) for cells in (np.isnan(free), ~np.isnan(free)))
        alone, names = cut_off(self.model, holes, observed), []
        # Of a column by itself the marginal is all there is to ask.
        if self.unrelated is None:
            alone &= observed.sum() > observed
        for name in self.schema.names if self.unrelated is None else self.unrelated:
            place = self.entries.mask([name]) & holes
            if place.any() and alone[place].all():
                names.append(name)
        if names:
            warn(
                f"{what}: this model holds {names_text(names)} independent of "
                f"{self._others(observed, 'observed')}, so nothing else bears on what fills it; "
                f"{HINT}",
            )

    def _others(self, observed: np.ndarray, which: str = "other") -> str:
        """What an answer does not depend on, in words."""
        if self.unrelated is None:
            return f"the {which} columns"
        return f"the evidence and the {which} columns" if observed.any() else "the evidence"

    def _check(self, free: np.ndarray, alone: bool = True) -> None:
        """Warns where the weighted draws behind the answers for such rows are worth little."""
        model, x = self._behind(free)
        if not isinstance(model, Estimated):
            return
        missing = np.isnan(x)
        # Given nothing a model draws by itself, and given all there is nothing to draw.
        own = x[missing.any(1) & ~missing.all(1)][:CHECKED]
        if len(own):
            self._doubt(guide.reliability(model, rows(own)), alone)

    def _check_draws(self, *asked: np.ndarray) -> None:
        """The same where log p of these entries is averaged over draws of the model."""
        if not isinstance(self._behind(np.zeros((0, self.model.size)))[0], Estimated):
            return
        nothing = rows(np.full((DRAWN, self.model.size), np.nan))
        drawn = missing.complete(key_of(0), self.model, nothing)
        # Of an average one draw that rests on one weight is no part to speak of.
        self._check(np.vstack([np.where(own, drawn, np.nan) for own in asked]), alone=False)

    def _behind(self, free: np.ndarray) -> tuple[Queryable, np.ndarray]:
        """The model that answers, and its rows: of a conditional the evidence is in them."""
        model = self.model
        while isinstance(model, Conditional):
            given = np.where(model.observed, model.given, np.nan)
            whole = np.tile(given.astype(np.float64), (len(free), 1))
            whole[:, list(model.keep)] = free
            model, free = model.model, whole
        return model, free

    def _doubt(self, own: guide.Reliability, alone: bool = True) -> None:
        lost, worst = own.lost, own.effective[own.lost] * own.draws
        # The shape of a tail has noise of its own: few rows beyond it say nothing.
        if lost.sum() > len(lost) / FEW or (alone and own.alone.any()):
            model, _ = self._behind(np.zeros((0, self.model.size)))
            own_proposal = isinstance(model, Estimated) and not model.model.guided
            what = "bounds on" if own.below else "estimates of"
            hint = "an exact model" if own_proposal else "another guide=, or an exact model"
            warn(
                f"the {what} {lost.sum()} of {len(lost)} rows are of little worth: their "
                f"{own.draws} draws weigh as few as {np.nan_to_num(worst).min():.1f}, with a tail "
                f"of k up to {own.k[lost].max():.2f}, of which {trusted(own.draws):.2f} could be "
                f"trusted; try {hint}",
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
            warn(
                f"{len(lost)} rows (the first is row {lost[0]}, counted from 0) have probability "
                f"zero whatever {target!r} is; their posterior is NaN, their prediction arbitrary",
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


def _unpickled(cls: type[Held], model: Any, *fields: Any) -> Held:
    with float64(True):
        model = jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, model)
    return cls(model, *fields)


def listed(names: Names) -> tuple[str, ...]:
    """Names as a tuple, whether one or more."""
    return (names,) if isinstance(names, str) else tuple(names)


def at_least_one(name: str, number: Any) -> None:
    """Raises PofxError for what is no whole number > 0."""
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
        raise PofxError(f"{name}: wanted a whole number, at least 1; got {number!r}")
