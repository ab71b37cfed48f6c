"""One number under what is given: mean, variance, deviation, quantiles, all of it at a glance."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from pofx.ask.densities import mass
from pofx.ask.error_propagation import root
from pofx.ask.evidence import Given
from pofx.ask.intervals import below, number
from pofx.ask.question import Question
from pofx.ask.results import Summary
from pofx.ask.rounding import settled
from pofx.core.answer import Answer
from pofx.notation.queries import Expectation, Quantile
from pofx.notation.terms import Name
from pofx.queries import event_marginals, events
from pofx.queries.event_marginals import Marginal
from pofx.table.frames.exact import is_large_integer
from pofx.table.frames.times import TIME_DIFFERENCE_UNITS
from pofx.table.schema import Variable

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Those that a summary tells."""
MODE_DRAWS = 512
"""Fewer weighted draws than elsewhere, for each is a density that the search looks at."""


def expectation(question: Question, query: Expectation, own: Given) -> Answer:
    """E, Var or SD of one name, in the data's units or their square."""
    found = Number(question, own, numeric(question, own, query.names[0]))
    if query.kind == "E":
        return found.located(found.mean())
    if query.kind == "Var":
        return question.named(found.variance(), f"squared {found.unit}" if found.unit else "")
    return question.named(found.sd(), found.unit)


def quantile(question: Question, query: Quantile, own: Given) -> Answer:
    """Q[level] of one name."""
    found = Number(question, own, numeric(question, own, query.name))
    return found.located(found.quantile(query.level))


def summary(
    question: Question, own: Given, name: Name, levels: tuple[float, ...] = QUANTILES
) -> Summary:
    """p(name | given) of a number: its mean, deviation, quantiles, and the masses of points."""
    variable = numeric(question, own, name)
    found = Number(question, own, variable)
    spikes = {}
    for spike, entry in zip(variable.spikes, variable.column.spikes):
        point = ((entry - 0.5, entry + 0.5) if variable.kind == "count" else (below(entry), entry),)
        spikes[spike] = mass(question, own, {}, {variable.name: point})
    quantiles = {u: found.quantile(u) for u in levels}
    told = (name.text, found.mean(), found.sd(), quantiles, spikes, variable.dtype)
    return Summary(question.label, *told)


def numeric(question: Question, own: Given, name: Name) -> Variable:
    """The variable of that name; NotationError for levels that are text."""
    variable = question.variable(own.p, name)
    if variable.discrete and number(variable.levels[0]) is None:
        raise question.wrong(
            name,
            f"the levels of {name.text!r} are text, which no number describes; "
            f"p({name}) gives their probabilities",
        )
    return variable


@dataclass(frozen=True, eq=False)
class Number:
    """The distribution of a variable of numbers, levels too; answers in the data's units."""

    question: Question
    own: Given
    variable: Variable

    @property
    def unit(self) -> str:
        """What differences of its values are in; nothing for true and false."""
        if self.variable.time_kind:
            return TIME_DIFFERENCE_UNITS[self.variable.time_kind]
        boolean = self.variable.discrete and isinstance(self.variable.levels[0], bool)
        return "" if boolean else f"units of {self.variable.name}"

    def located(self, answer: Answer) -> Answer:
        """The answer to the question where it is a value; a time is told as such beside it."""
        if self.variable.time_kind is None:
            return self.question.named(answer, self.unit)
        told = self.variable.format_value(float(answer.value))
        return self.question.named(answer, f"{self.variable.unit} ({told})")

    def mean(self) -> Answer:
        """E[X]."""
        mean = self._ask(Marginal.mean, self.variable.scale, self.variable.shift)
        return replace(_representable(mean), spread=self.spread)

    def variance(self) -> Answer:
        """Var[X]."""
        scale = self.variable.scale
        # The square of the scale alone may be beyond floats.
        return _representable(self._ask(lambda m: m.variance() * scale, scale))

    def sd(self) -> Answer:
        """√Var[X]."""
        return _representable(self._ask(lambda m: root(m.variance()), self.variable.scale))

    def quantile(self, u: float) -> Answer:
        """The smallest x with P(X <= x) >= u."""
        answer = self._ask(lambda m: m.quantile(u), self.variable.scale, self.variable.shift)
        return replace(answer, spread=self.spread)

    @cached_property
    def spread(self) -> float:
        """The scale on which values of the variable differ."""
        if self.variable.kind == "real":
            return self.variable.scale
        # The scale of the other kinds is a typical value, which says nothing of differences.
        return float(self.sd().value)

    def mode(self) -> Answer:
        """Where the density, or the mass of a point, is highest; in the units of entries."""
        with self.question.blamed_on(self._place):
            return self._with(min(MODE_DRAWS, self.question.precision.max_draws)).mode()

    def _ask(self, what: Callable[[Marginal], Answer], scale: float, shift: float = 0.0) -> Answer:
        def near(own: Given) -> Answer:
            return what(replace(self, own=own)._with(1)) * scale

        with self.question.blamed_on(self._place):
            found = self.question.estimated(lambda n: what(self._with(n)) * scale)
            return _plus(settled(found, self.own, near, 0.0), shift)

    @property
    def _place(self) -> object:
        return self.own.sets[0] if self.own.sets else 0

    @cached_property
    def _known(self) -> dict[int, Marginal]:
        return {}

    def _with(self, draws: int) -> Marginal:
        if draws not in self._known:
            j, ask = self.own.place(self.variable.name), event_marginals.marginal
            ask = _of_levels if self.variable.discrete else ask
            key, own = self.question.key(2), self.own
            found = ask(key, own.model, own.columns, j, own.inside, draws)
            if isinstance(found, OfLevels):
                found = replace(found, values=np.array([number(v) for v in self.variable.levels]))
            self._known[draws] = found
        return self._known[draws]


def _representable(moment: Answer) -> Answer:
    """The moment itself; one that is infinite, or larger than floats hold, is no exact answer."""
    if np.isfinite(moment.value) or moment.log is not None:
        return moment
    return replace(moment, value=np.inf, stderr=np.nan, kind="estimate", method="beyond floats")


@dataclass(frozen=True)
class OfLevels(Marginal):
    """Of levels that are numbers, `shares` being their probabilities in each part."""

    shares: Float[np.ndarray, "n l"]
    values: Float[np.ndarray, "l"]

    @property
    def exact(self) -> bool:
        return len(self.weights) == 1

    def _mean(self) -> np.ndarray:
        return self.shares @ self.values

    def _square(self, centre: float) -> np.ndarray:
        return self.shares @ (self.values - centre) ** 2

    def _cdf(self, x: float) -> np.ndarray:
        return self.shares @ (self.values <= x)

    def _quantile(self, u: float) -> float:
        order = np.argsort(self.values)
        total = np.cumsum((self.weights @ self.shares)[order])
        reached = np.searchsorted(total, u * (1 - 1e-6) * total[-1])
        return float(self.values[order[reached]])

    def mode(self) -> Answer:
        """The most probable value."""
        return self._answer(float(self.values[(self.weights @ self.shares).argmax()]), np.nan)


def _of_levels(key, model, columns, j, event, draws) -> OfLevels:
    """p(x_j | event) of an entry of level codes, by a sum over them or by draws."""
    codes = np.arange(columns[j].levels)
    found = event_marginals.levels(key, model, columns, np.arange(len(columns)) == j, event, draws)
    if found is not None and found.kind == "exact":
        return OfLevels(columns[j], np.ones(1), np.asarray(found.value)[None], codes)
    drawn = events.completed(key, model, columns, event, draws)
    return OfLevels(columns[j], drawn.weights, np.asarray(drawn.x)[:, j, None] == codes, codes)


def _plus(answer: Answer, shift: float) -> Answer:
    """The answer plus a shift: a whole number if the shift is one that no float64 holds."""
    if is_large_integer(shift) and math.isfinite(answer.value):
        return replace(answer, value=shift + round(answer.value))
    return answer + shift
