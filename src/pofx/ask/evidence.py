"""What is given: points, which condition the model, and sets, which are an event beside it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from pofx.ask.binding import BoundName, BoundTerms, zero_evidence_text
from pofx.ask.errors import error_at
from pofx.ask.intervals import intersection
from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable
from pofx.core.abstract_approximate import has_estimates
from pofx.core.column import Column
from pofx.core.compilation import compiled_quickly
from pofx.core.log_ratios import log_conditional
from pofx.models.conditional import condition, condition_lazily
from pofx.named.independence import unrelated_to
from pofx.named.model import NamedModel
from pofx.named.rows import entry_index
from pofx.named.weight_warnings import warn_if_unreliable
from pofx.notation.terms import Terms
from pofx.queries.events import Event, Intervals
from pofx.table.encoding import log_scale

MIN_REPORTED_ERROR = 1e-5
"""The relative rounding error from which on an exact answer is reported as an estimate."""

NUDGE_ROUNDINGS = 4
"""Roundings by which numbers move to see what follows."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """A named model and what is given of its free entries.

    Args:
        p: the model.
        x: the points, NaN elsewhere.
        event: the sets, by the index of the entry.
        set_terms: the terms behind the event, as they were written.
        free: the names that are given without a value.
    """

    p: NamedModel
    x: Float[np.ndarray, "d"]
    event: Event
    set_terms: Terms = ()
    free: tuple[BoundName, ...] = ()

    @classmethod
    def from_terms(cls, p: NamedModel, bound: BoundTerms) -> "Evidence":
        """What the terms after a bar say; QueryError if they have probability zero."""
        no_evidence = cls(p, np.full(p.model.size, np.nan), {})
        evidence = replace(
            no_evidence.with_points(bound.points).with_sets(bound.sets),
            set_terms=bound.terms_of(bound.sets),
            free=bound.free,
        )
        if not evidence.log_prob > -math.inf:
            point_terms = bound.terms_of(bound.points)
            raise error_at(point_terms[0].name, zero_evidence_text(point_terms))
        return evidence

    @property
    def observed(self) -> Bool[np.ndarray, "d"]:
        """Which entries are points."""
        return ~np.isnan(self.x)

    @property
    def constrained(self) -> Bool[np.ndarray, "d"]:
        """Which entries are points, or in a set."""
        return self.observed | np.isin(np.arange(len(self.x)), list(self.event))

    @cached_property
    def model(self) -> AbstractQueryable:
        """p(all entries | points), so that one program serves any points.

        It is not in closed form, but costs no computation.
        """
        if not self.observed.any():
            return self.p.model
        everything = np.ones(len(self.x), bool)
        return condition_lazily(self.p.model, np.nan_to_num(self.x), self.observed, everything)

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of `model`."""
        return self.p.entries.columns

    @cached_property
    def log_prob(self) -> float:
        """The log-probability of the points in nats, in the units of entries."""
        if not self.observed.any():
            return 0.0
        warn_if_unreliable(self.p, self.x[None])
        return float(_log_prob(self.p.model, np.nan_to_num(self.x), self.observed))

    def log_ratio(self, other: "Evidence") -> float:
        """log p(these points | those of `other`), which are among them, in the units of entries."""
        closed = closed_forms.log_prob_box.find(self.p.model) and not has_estimates(self.p.model)
        if not closed or not other.observed.any():
            return self.log_prob - other.log_prob
        row = np.nan_to_num(self.x), self.observed, other.observed
        return float(_log_conditional(self.p.model, *row))

    @property
    def eps(self) -> float:
        """The relative error of the float type of the model."""
        arrays = [a.dtype for a in jax.tree.leaves(self.p.model) if eqx.is_inexact_array(a)]
        return float(jnp.finfo(jnp.result_type(*arrays, float)).eps)

    @property
    def is_far(self) -> bool:
        """Whether the points are so improbable that a rounding of log p may show in a ratio."""
        return self.eps * abs(self.log_prob) > MIN_REPORTED_ERROR

    def nudged(self, other: "Evidence") -> "Evidence":
        """With the numbers among the points of `other` a few roundings further.

        If an answer moves with them, the float type is too coarse for it.
        """
        numbers = other.observed & [
            not c.discrete and c.kind != "count" for c in self.p.entries.columns
        ]
        return replace(self, x=np.where(numbers, self.x * (1 + NUDGE_ROUNDINGS * self.eps), self.x))

    @property
    def log_scale(self) -> float:
        """log p(points) in the units of entries, less log p(points) in the data's units."""
        row = self.p.entries.with_fixed(self.x[None])
        scales = log_scale(self.p.schema, row)[0][self.p.entries.free]
        return float(scales[self.observed].sum())

    @property
    def set_text(self) -> str:
        """The sets as they were written."""
        return ", ".join(map(str, self.set_terms))

    def mask(self, names: Sequence[str]) -> Bool[np.ndarray, "m"]:
        """Which of `columns` belong to the names."""
        return self.p.entries.mask_free(names)

    def index(self, name: str) -> int:
        """The index of a plain column among `columns`."""
        return int(np.flatnonzero(self.mask([name]))[0])

    def with_points(self, points: Mapping[BoundName, float]) -> "Evidence":
        """With more points, in the units of entries."""
        x = self.x.copy()
        for name, entry in points.items():
            x[entry_index(self.p, name.text)] = entry
        return replace(self, x=x)

    def with_sets(self, sets: Mapping[BoundName, Intervals]) -> "Evidence":
        """With more sets, each intersected with the set that its name has already."""
        event = dict(self.event)
        for name, intervals in sets.items():
            j = entry_index(self.p, name.text)
            event[j] = intersection(event[j], intervals) if j in event else intervals
        return replace(self, event=event)

    def at_each_level(self, names: Sequence[BoundName]) -> "list[Evidence]":
        """With a joint level of the names as more points, for each of their levels in order."""
        codes = product(*(range(len(name.variable.levels)) for name in names))
        return [
            self.with_points({name: float(c) for name, c in zip(names, code)}) for code in codes
        ]

    def warn_if_levels_unreliable(self, names: Sequence[BoundName]) -> None:
        """Warns if the weighted draws behind the joint levels of the names are worth little."""
        if has_estimates(self.p.model):
            levels = self.at_each_level(names)
            warn_if_unreliable(self.p, np.stack([evidence.x for evidence in levels]))

    def marginal(self, names: Collection[str], *, closed: bool) -> NamedModel:
        """p(names | points).

        Args:
            names: the columns to keep.
            closed: whether to compute it in closed form if there is one; else it costs nothing.
        """
        p = self.p
        ordered_names = [n for n in p.schema.names if n in names]
        keep = p.entries.mask_free(ordered_names)
        if keep.all():
            return p
        make = condition if closed else condition_lazily
        model = make(p.model, np.nan_to_num(self.x), self.observed, keep)
        unrelated = unrelated_to(p, self.constrained)
        if unrelated is not None:
            unrelated = tuple(n for n in ordered_names if n in unrelated)
        return replace(
            p,
            model=model,
            schema=p.schema.select(ordered_names),
            fixed=p.fixed[p.entries.mask_all(ordered_names)],
            unrelated=unrelated,
        )


@compiled_quickly
def _log_conditional(model, x, observed, given):
    return log_conditional(model, x, observed, given)


@compiled_quickly
def _log_prob(model, x, observed):
    return model.log_prob(x, observed)
