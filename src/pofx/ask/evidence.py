"""What is given: points, which condition the model, and sets, which are an event beside it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from pofx.ask.intervals import entry, everything, intersection, pieces, spike
from pofx.ask.question import Question
from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable
from pofx.core.abstract_approximate import has_estimates
from pofx.core.column import Column
from pofx.core.log_ratios import log_conditional
from pofx.models.conditional import Conditional, condition
from pofx.named.independence import unrelated_to
from pofx.named.model import NamedModel
from pofx.named.rows import entry_index
from pofx.named.weight_warnings import warn_if_unreliable
from pofx.notation.terms import Free, Interval, Members, Name, Point, Term, Unknown, Value
from pofx.queries.events import Event, Pieces
from pofx.table.encoding import in_data_units, log_scale
from pofx.table.frames.times import to_python
from pofx.table.schema import Variable

SHOWS = 1e-5
"""A relative error of an exact answer from which on it is told."""
NUDGE = 4
"""Roundings by which numbers move to see what follows."""


@dataclass(frozen=True, eq=False)
class Given:
    """p under what is given: `x` holds the points, NaN elsewhere, `event` the sets.

    Both go by the free entries of p. `sets` are the terms behind the event, and `free` the names
    that are given without a value.
    """

    p: NamedModel
    x: Float[np.ndarray, "d"]
    event: Event
    sets: tuple[Term, ...] = ()
    free: tuple[Name, ...] = ()

    @property
    def observed(self) -> Bool[np.ndarray, "d"]:
        """Which entries are points."""
        return ~np.isnan(self.x)

    @property
    def evidence(self) -> Bool[np.ndarray, "d"]:
        """Which entries are points, or in a set."""
        return self.observed | np.isin(np.arange(len(self.x)), list(self.event))

    @cached_property
    def model(self) -> AbstractQueryable:
        """p(the other entries | points): not in closed form, but without a computation."""
        if not self.observed.any():
            return self.p.model
        return _unclosed(self.p.model, np.nan_to_num(self.x), self.observed, ~self.observed)

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of that model."""
        return [c for c, seen in zip(self.p.entries.columns, self.observed) if not seen]

    @property
    def inside(self) -> Event:
        """The event by the entries of that model."""
        return {self._number(j): own for j, own in self.event.items()}

    @cached_property
    def log_prob(self) -> float:
        """The log-probability of the points in nats, in the units of entries."""
        if not self.observed.any():
            return 0.0
        warn_if_unreliable(self.p, self.x[None])
        x, observed = jnp.asarray(np.nan_to_num(self.x)), jnp.asarray(self.observed)
        return float(_log_prob(self.p.model, x, observed))

    def log_ratio(self, other: "Given") -> float:
        """log p(these points | those of `other`), which are among them, in the units of entries."""
        closed = closed_forms.log_prob_box.find(self.p.model) and not has_estimates(self.p.model)
        if not closed or not other.observed.any():
            return self.log_prob - other.log_prob
        x, seen = (
            jnp.asarray(np.nan_to_num(self.x)),
            map(jnp.asarray, (self.observed, other.observed)),
        )
        return float(_log_conditional(self.p.model, x, *seen))

    @property
    def eps(self) -> float:
        """The relative error of the float type of the model."""
        arrays = [a.dtype for a in jax.tree.leaves(self.p.model) if eqx.is_inexact_array(a)]
        return float(jnp.finfo(jnp.result_type(*arrays, float)).eps)

    @property
    def far(self) -> bool:
        """Whether the points are so improbable that a rounding of log p may show in a ratio."""
        return self.eps * abs(self.log_prob) > SHOWS

    def nudged(self, other: "Given") -> "Given":
        """With the numbers among the points of `other` a few roundings further.

        Where an answer moves with it, the float type does not tell the answer.
        """
        numbers = other.observed & [
            not c.discrete and c.kind != "count" for c in self.p.entries.columns
        ]
        return replace(self, x=np.where(numbers, self.x * (1 + NUDGE * self.eps), self.x))

    @property
    def log_scale(self) -> float:
        """What a log-density of the points in the data's units is smaller by."""
        whole = self.p.entries.whole(self.x[None])
        scales = log_scale(self.p.schema, whole)[0][self.p.entries.free]
        return float(scales[self.observed].sum())

    @property
    def told(self) -> str:
        """The sets as they are written."""
        return ", ".join(map(str, self.sets))

    def mask(self, names: Sequence[str]) -> Bool[np.ndarray, "m"]:
        """Which columns of the model the names fill."""
        return self.p.entries.mask(names)[~self.observed]

    def place(self, name: str) -> int:
        """The number of a plain column among those of the model."""
        return int(np.flatnonzero(self.mask([name]))[0])

    def at(self, points: Mapping[str, float]) -> "Given":
        """With more points, entries by name."""
        x = self.x.copy()
        for name, value in points.items():
            x[entry_index(self.p, name)] = value
        return replace(self, x=x)

    def within(self, sets: Mapping[str, Pieces]) -> "Given":
        """With more sets, each together with what its name is in already."""
        event = dict(self.event)
        for name, own in sets.items():
            j = entry_index(self.p, name)
            event[j] = intersection(event[j], own) if j in event else own
        return replace(self, event=event)

    def marginal(self, names: Collection[str], *, closed: bool) -> NamedModel:
        """p(names | points): in closed form where there is one, or at no cost."""
        p = self.p
        some = [n for n in p.schema.names if n in names]
        keep = p.entries.mask(some)
        if keep.all():
            return p
        make = _closed if closed else _unclosed
        model = make(p.model, np.nan_to_num(self.x), self.observed, keep)
        unrelated = unrelated_to(p, self.evidence)
        return replace(
            p,
            model=model,
            schema=p.schema.select(some),
            fixed=p.fixed[p.entries.of(some)],
            unrelated=None if unrelated is None else tuple(n for n in some if n in unrelated),
        )

    def _number(self, j: int) -> int:
        return int((~self.observed[:j]).sum())


def given(
    question: Question, p: NamedModel, terms: Sequence[Term], asked: Collection[str] = ()
) -> Given:
    """What the terms after a bar say. NotationError for evidence of probability zero.

    A set of one value is a point, unless its name is `asked` as well: P(a > 1 | a in {1, 2}).
    """
    free, sets = [], {}
    points: dict[str, float] = {}
    nothing = Given(p, np.full(p.model.size, np.nan), {})
    for term in terms:
        term = term if term.name.text in asked else single(term)
        variable = question.variable(p, term.name, array=isinstance(term, Unknown | Free))
        if isinstance(term, Free):
            free.append(term.name)
        elif isinstance(term, Point):
            points[term.name.text] = entry(question.text, variable, term.value)
            if math.isnan(points[term.name.text]):
                raise question.wrong(term.value, _impossible([term], variable))
        elif isinstance(term, Interval | Members):
            own = pieces(question.text, variable, term)
            if not own:
                raise question.wrong(term.name, _impossible([term], variable))
            if everything(variable.column, own):
                continue
            if variable.discrete and len(own) == 1 and variable.name not in asked:
                points[term.name.text] = sum(own[0]) / 2
            else:
                sets[term.name.text] = own
    ranges = tuple(t for t in terms if t.name.text in sets)
    found = replace(nothing.at(points).within(sets), sets=ranges, free=tuple(free))
    if not found.log_prob > -math.inf:
        some = [t for t in terms if t.name.text in points]
        raise question.wrong(some[0], _impossible(some))
    return found


def single(term: Term) -> Term:
    """A set of one value as the point that it is."""
    if isinstance(term, Members) and term.inside and len(term.values) == 1:
        return Point(term.name, term.values[0])
    if isinstance(term, Interval) and term.low is not None and term.low == term.high:
        return Point(term.name, Value(term.low, term.name.at))
    return term


def value(variable: Variable, entry: float) -> Any:
    """What an entry stands for in the data: a level, a number in its units, or a time."""
    if variable.discrete:
        return variable.levels[round(entry)]
    which = spike(variable.column, entry)
    own = variable.spikes[which] if which >= 0 else in_data_units(variable, entry).item()
    return to_python(own, variable.dtype) if variable.time_kind else own


def each_level(question: Question, own: Given, names: Sequence[Name]) -> "list[Given]":
    """What is given and a joint level of the names besides, for each of their levels in order."""
    variables = [question.variable(own.p, name) for name in names]
    codes = product(*(range(len(v.levels)) for v in variables))
    return [own.at({v.name: float(c) for v, c in zip(variables, code)}) for code in codes]


def check_levels(question: Question, own: Given, names: Sequence[Name]) -> None:
    """Warns where the weighted draws behind such levels are worth little."""
    if has_estimates(own.p.model):
        warn_if_unreliable(own.p, np.stack([g.x for g in each_level(question, own, names)]))


def _impossible(terms: Sequence[Term], variable: Variable | None = None) -> str:
    told = ", ".join(str(term) for term in terms)
    why = ""
    if variable is not None and not variable.discrete:
        kind = {"positive": "a positive number", "count": "a count", "real": "a number"}
        why = f"; {variable.name!r} is {kind[variable.kind]}"
    return f"the evidence {told} has probability zero{why}"


def _unclosed(model, x, observed, keep) -> AbstractQueryable:
    place = tuple(np.flatnonzero(keep).tolist())
    return Conditional(model, jnp.asarray(x), jnp.asarray(observed), place)


def _closed(model, x, observed, keep) -> AbstractQueryable:
    try:
        # One compilation, which takes a fraction of those of its operations one by one.
        return _compiled(model, jnp.asarray(x), tuple(observed.tolist()), tuple(keep.tolist()))
    except jax.errors.ConcretizationTypeError:
        # A rule that chooses a part by the value of a level has to know it.
        return condition(model, x, observed, keep)


@eqx.filter_jit
def _compiled(model, x, observed, keep):
    return condition(model, x, np.array(observed), np.array(keep))


@eqx.filter_jit
def _log_conditional(model, x, observed, given):
    return log_conditional(model, x, observed, given)


@eqx.filter_jit
def _log_prob(model, x, observed):
    return model.log_prob(x, observed)
