"""One number under what is given: mean, variance, deviation, quantiles, and a summary of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from pofx.ask.binding import BoundName
from pofx.ask.densities import probability_or_density
from pofx.ask.error_propagation import sqrt
from pofx.ask.errors import Place, errors_at
from pofx.ask.evidence import Evidence
from pofx.ask.intervals import level_number, previous_float
from pofx.ask.question import Question
from pofx.ask.results import Summary
from pofx.ask.rounding import with_evidence_rounding
from pofx.core.answer import Answer
from pofx.queries import event_marginals, events
from pofx.queries.event_marginals import AbstractMarginal
from pofx.table.frames.exact import is_large_integer
from pofx.table.frames.times import TIME_DIFFERENCE_UNITS
from pofx.table.schema import Variable

SUMMARY_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

MODE_DRAWS = 512
"""Fewer weighted draws than elsewhere, because the search looks at the density of each."""


def expectation(question: Question, kind: str, name: BoundName, evidence: Evidence) -> Answer:
    """E, Var or SD of one name, in the data's units or their square."""
    number = NumericVariable(question, evidence, name.variable)
    if kind == "E":
        return number.as_value(number.mean())
    if kind == "Var":
        unit = f"squared {number.unit}" if number.unit else ""
        return question.labelled_with_unit(number.variance(), unit)
    return question.labelled_with_unit(number.sd(), number.unit)


def quantile(question: Question, level: float, name: BoundName, evidence: Evidence) -> Answer:
    """Q[level] of one name."""
    number = NumericVariable(question, evidence, name.variable)
    return number.as_value(number.quantile(level))


def summary(
    question: Question,
    name: BoundName,
    evidence: Evidence,
    quantile_levels: tuple[float, ...] = SUMMARY_QUANTILES,
) -> Summary:
    """p(name | evidence) of a number: mean, deviation, quantiles, and probabilities of spikes."""
    variable = name.variable
    number = NumericVariable(question, evidence, variable)
    spikes = {}
    for spike, entry in zip(variable.spikes, variable.column.spikes):
        is_count = variable.kind == "count"
        interval = (entry - 0.5, entry + 0.5) if is_count else (previous_float(entry), entry)
        spikes[spike] = probability_or_density(question, evidence, {}, {name: (interval,)})
    quantiles = {u: number.quantile(u) for u in quantile_levels}
    return Summary(
        question.label,
        name.text,
        number.mean(),
        number.sd(),
        quantiles,
        spikes,
        variable.dtype,
    )


@dataclass(frozen=True, eq=False)
class NumericVariable:
    """The distribution of a variable of numbers, or of levels that are numbers, given evidence.

    Answers are in the data's units.
    """

    question: Question
    evidence: Evidence
    variable: Variable

    @property
    def unit(self) -> str:
        """The unit of differences of its values; none for true and false."""
        if self.variable.time_kind:
            return TIME_DIFFERENCE_UNITS[self.variable.time_kind]
        boolean = self.variable.discrete and isinstance(self.variable.levels[0], bool)
        return "" if boolean else f"units of {self.variable.name}"

    def as_value(self, answer: Answer) -> Answer:
        """The labelled answer, which is a value of the variable; a time is shown beside it."""
        if self.variable.time_kind is None:
            return self.question.labelled_with_unit(answer, self.unit)
        time_text = self.variable.format_value(float(answer.value))
        return self.question.labelled_with_unit(answer, f"{self.variable.unit} ({time_text})")

    def mean(self) -> Answer:
        """E[X]."""
        mean = self._answer(AbstractMarginal.mean, self.variable.scale, self.variable.shift)
        return replace(_representable(mean), spread=self.spread)

    def variance(self) -> Answer:
        """Var[X]."""
        scale = self.variable.scale
        # The square of the scale alone may be beyond floats.
        return _representable(self._answer(lambda m: m.variance() * scale, scale))

    def sd(self) -> Answer:
        """√Var[X]."""
        return _representable(self._answer(lambda m: sqrt(m.variance()), self.variable.scale))

    def quantile(self, u: float) -> Answer:
        """The smallest x with P(X <= x) >= u."""
        answer = self._answer(lambda m: m.quantile(u), self.variable.scale, self.variable.shift)
        return replace(answer, spread=self.spread)

    @cached_property
    def spread(self) -> float:
        """The scale on which values of the variable differ."""
        if self.variable.kind == "real":
            return self.variable.scale
        # The scale of the other kinds is a typical value, which says nothing about differences.
        return float(self.sd().value)

    def mode(self) -> Answer:
        """The point of highest density, or the heaviest point mass; in the units of entries."""
        with errors_at(self._place):
            return self._marginal(min(MODE_DRAWS, self.question.precision.max_draws)).mode()

    def _answer(
        self, statistic: Callable[[AbstractMarginal], Answer], scale: float, shift: float = 0.0
    ) -> Answer:
        def given_nudged(evidence: Evidence) -> Answer:
            return statistic(replace(self, evidence=evidence)._marginal(1)) * scale

        with errors_at(self._place):
            answer = self.question.to_precision(lambda n: statistic(self._marginal(n)) * scale)
            answer = with_evidence_rounding(answer, self.evidence, given_nudged, 0.0)
            return _add_shift(answer, shift)

    @property
    def _place(self) -> Place:
        return self.evidence.set_terms[0].name if self.evidence.set_terms else 0

    @cached_property
    def _marginal_cache(self) -> dict[int, AbstractMarginal]:
        return {}

    def _marginal(self, draws: int) -> AbstractMarginal:
        if draws not in self._marginal_cache:
            evidence = self.evidence
            j = evidence.index(self.variable.name)
            key, event = self.question.key(2), evidence.event
            compute = event_marginals.marginal
            if self.variable.discrete:
                compute = _level_marginal
            marginal = compute(key, evidence.model, evidence.columns, j, event, draws)
            if isinstance(marginal, LevelMarginal):
                values = np.array([level_number(level) for level in self.variable.levels])
                marginal = replace(marginal, values=values)
            self._marginal_cache[draws] = marginal
        return self._marginal_cache[draws]


def _representable(moment: Answer) -> Answer:
    """The moment itself; one that is infinite, or larger than floats hold, is no exact answer."""
    if np.isfinite(moment.value) or moment.log is not None:
        return moment
    return replace(moment, value=np.inf, stderr=np.nan, kind="estimate", method="beyond floats")


@dataclass(frozen=True)
class LevelMarginal(AbstractMarginal):
    """Levels that are numbers: `values` of each level, `shares` their probabilities per part."""

    shares: Float[np.ndarray, "n l"]
    values: Float[np.ndarray, "l"]

    @property
    def exact(self) -> bool:
        return len(self.weights) == 1

    def _mean(self) -> np.ndarray:
        return self.shares @ self.values

    def _second_moment(self, centre: float) -> np.ndarray:
        return self.shares @ (self.values - centre) ** 2

    def _cdf(self, x: float) -> np.ndarray:
        return self.shares @ (self.values <= x)

    def _quantile(self, u: float) -> float:
        order = np.argsort(self.values)
        total = np.cumsum((self.weights @ self.shares)[order])
        index = np.searchsorted(total, u * (1 - 1e-6) * total[-1])
        return float(self.values[order[index]])

    def mode(self) -> Answer:
        """The most probable value."""
        return self._answer(float(self.values[(self.weights @ self.shares).argmax()]), np.nan)


def _level_marginal(key, model, columns, j, event, draws) -> LevelMarginal:
    """p(x_j | event) of an entry of level codes, by a sum over them or by draws."""
    codes = np.arange(columns[j].levels)
    target_mask = np.arange(len(columns)) == j
    levels = event_marginals.level_probabilities(key, model, columns, target_mask, event, draws)
    if levels is not None and levels.kind == "exact":
        return LevelMarginal(columns[j], np.ones(1), np.asarray(levels.value)[None], codes)
    rows = events.draw_rows_given_event(key, model, columns, event, draws)
    return LevelMarginal(columns[j], rows.weights, np.asarray(rows.x)[:, j, None] == codes, codes)


def _add_shift(answer: Answer, shift: float) -> Answer:
    """The answer plus a shift: a whole number if the shift is one that no float64 holds."""
    if is_large_integer(shift) and math.isfinite(answer.value):
        return replace(answer, value=shift + round(answer.value))
    return answer + shift
