"""What answers a question where one number does not; each prints itself and its trust."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Self

import numpy as np

from pofx.core.answer import Answer, AnswerKind
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.escaping import escaped
from pofx.core.printing import number_text
from pofx.core.result import AbstractResult, map_values
from pofx.core.unrepresentable import is_beyond_floats
from pofx.table.frames.times import TIME_DIFFERENCE_UNITS, time_kind_of, format_time

SHOWN = 40
"""Lines of a table that are printed."""

Level = str | int | float | bool


@dataclass(frozen=True, eq=False)
class Table(AbstractResult):
    """A line for each joint level of some names, in the order of their levels.

    Each of the `columns` is an `Answer` that holds an array of one axis a name.

    >>> t = Table("p(a)", ("a",), (("x", "y"),), {"p": Answer(np.array([0.25, 0.75]))})
    >>> print(t)
    p(a)   exact
      x  0.2500
      y  0.7500
    >>> float(t["y"])
    0.75
    """

    question: str
    names: tuple[str, ...]
    levels: tuple[tuple[Level, ...], ...]
    columns: Mapping[str, Answer]

    @property
    def answer(self) -> Answer:
        """The first column: of p(a | ...) the probabilities."""
        return next(iter(self.columns.values()))

    @property
    def probabilities(self) -> np.ndarray:
        """The probabilities, one axis a name. PofxError for a table of other numbers."""
        if "p" not in self.columns:
            raise PofxError(f"{self.question}: a table of {', '.join(self.columns)}, not of p")
        return np.asarray(self.columns["p"].value)

    def __getitem__(self, level: Any) -> Answer:
        """The first number of a line, by the level of each name; PofxError for another level."""
        own = level if isinstance(level, tuple) else (level,)
        if len(own) != len(self.names):
            raise PofxError(f"{self.question}: expected a level of each of {', '.join(self.names)}")
        for one, name, levels in zip(own, self.names, self.levels):
            if one not in levels:
                raise unknown_name_error(f"level of {name!r}", one, levels)
        found = self.answer[tuple(ls.index(one) for one, ls in zip(own, self.levels))]
        return replace(found, question=self.question)

    def __str__(self) -> str:
        heads = [*self.names, *self.columns]
        lines = [heads] if len(heads) > 2 else []
        for level, place in zip(product(*self.levels), np.ndindex(*map(len, self.levels))):
            if len(lines) > SHOWN:
                break
            numbers = [_cell(a[place], name == "p") for name, a in self.columns.items()]
            lines.append([*map(str, level), *numbers])
        more = int(np.prod([len(own) for own in self.levels])) - SHOWN
        tail = [f"  ... {more} more"] if more > 0 else []
        return "\n".join([_head(self.question, self.columns.values()), *_aligned(lines), *tail])

    __repr__ = __str__

    def map_answers(self, function: Callable[..., Any], *others: Any) -> Self:
        columns = map_values(function, self.columns, *(other.columns for other in others))
        return replace(self, columns=columns)

    def with_note(self, note: str) -> "Table":
        return replace(self, columns={k: a.with_note(note) for k, a in self.columns.items()})


@dataclass(frozen=True, eq=False)
class Summary(AbstractResult):
    """The distribution of one number: mean, standard deviation, quantiles, masses of points.

    `quantiles` go by their level, `spikes` by the value that carries a point mass; numbers are in
    the data's units, those of times as `pofx.table.frames.times` says. With a dtype of times they
    are printed as dates.

    >>> numbers = {0.5: Answer(2.0)}
    >>> print(Summary("p(a)", "a", Answer(2.5), Answer(1.5), numbers, {0.0: Answer(0.4)}))
    p(a)   exact
      mean      2.5
      sd        1.5
      Q[0.5]    2
      P(a = 0)  0.4000
    """

    question: str
    name: str
    mean: Answer
    sd: Answer
    quantiles: Mapping[float, Answer]
    spikes: Mapping[float, Answer]
    dtype: str = ""

    @property
    def median(self) -> Answer:
        """The quantile at one half."""
        return self.quantiles[0.5]

    def __str__(self) -> str:
        sort = time_kind_of(self.dtype)
        unit = f" {TIME_DIFFERENCE_UNITS[sort]}" if sort else ""
        lines = [["mean", self._place(self.mean)], ["sd", _cell(self.sd) + unit]]
        lines += [[f"Q[{u:.12g}]", self._place(q)] for u, q in self.quantiles.items()]
        for x, mass in self.spikes.items():
            spread = float(self.sd.value)
            point = format_time(x, self.dtype) if sort else number_text(x, spread=spread)
            lines.append([f"P({self.name} = {point})", _cell(mass, True)])
        answers = [self.mean, self.sd, *self.quantiles.values(), *self.spikes.values()]
        return "\n".join([_head(self.question, answers), *_aligned(lines)])

    __repr__ = __str__

    def map_answers(self, function: Callable[..., Any], *others: Any) -> Self:
        return replace(
            self,
            mean=function(self.mean, *(other.mean for other in others)),
            sd=function(self.sd, *(other.sd for other in others)),
            quantiles=map_values(function, self.quantiles, *(o.quantiles for o in others)),
            spikes=map_values(function, self.spikes, *(o.spikes for o in others)),
        )

    def with_note(self, note: str) -> "Summary":
        return replace(self, mean=self.mean.with_note(note))

    def _place(self, answer: Answer) -> str:
        """A value of the variable; of a date with its error in days."""
        sort = time_kind_of(self.dtype)
        if sort is None or sort == "duration":
            return _cell(answer) + (f" {TIME_DIFFERENCE_UNITS[sort]}" if sort else "")
        error = float(answer.stderr)
        return format_time(float(answer.value), self.dtype) + (
            f" ± {error:.2g} {TIME_DIFFERENCE_UNITS[sort]}" if error > 0 else ""
        )


@dataclass(frozen=True, eq=False)
class Moments(AbstractResult):
    """Means, standard deviations and correlations of several numbers, in the data's units.

    >>> one = Answer(np.ones(2))
    >>> print(Moments("p(a, b)", ("a", "b"), one, one, Answer(np.eye(2))))
    p(a, b)   exact
         mean  sd  Corr: a  b
      a  1     1   1.00     0.00
      b  1     1   0.00     1.00
    """

    question: str
    names: tuple[str, ...]
    mean: Answer
    sd: Answer
    correlation: Answer

    def __str__(self) -> str:
        first, *others = self.names
        lines = [["", "mean", "sd", f"Corr: {first}", *others]]
        for i, name in enumerate(self.names):
            row = np.asarray(self.correlation.value)[i]
            sd = self.sd[i]
            mean = _cell(replace(self.mean[i], spread=float(sd.value)))
            lines.append([name, mean, _cell(sd), *(f"{r:.2f}" for r in row)])
        answers = (self.mean, self.sd, self.correlation)
        return "\n".join([_head(self.question, answers), *_aligned(lines)])

    __repr__ = __str__

    def map_answers(self, function: Callable[..., Any], *others: Any) -> Self:
        return replace(
            self,
            mean=function(self.mean, *(other.mean for other in others)),
            sd=function(self.sd, *(other.sd for other in others)),
            correlation=function(self.correlation, *(other.correlation for other in others)),
        )

    def with_note(self, note: str) -> "Moments":
        return replace(self, mean=self.mean.with_note(note))


@dataclass(frozen=True, eq=False)
class Mode(AbstractResult):
    """The most probable values together, and their probability or density.

    >>> print(Mode("mode(a)", {"a": "x"}, Answer(0.7), method="by enumeration"))
    mode(a) = x   p = 0.7   exact, by enumeration
    """

    question: str
    values: Mapping[str, Any]
    probability: Answer
    kind: AnswerKind = "exact"
    method: str = ""
    spreads: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        own = [_plain(v, self.spreads.get(name, 0.0)) for name, v in self.values.items()]
        cell = own[0] if len(own) == 1 else f"({', '.join(own)})"
        p, unit = self.probability, self.probability.unit and f" {self.probability.unit}"
        trust = _trust([Answer(0.0, kind=self.kind, method=self.method)])
        return f"{escaped(self.question)} = {cell}   p = {_cell(p)}{unit}   {trust}"

    __repr__ = __str__

    def map_answers(self, function: Callable[..., Any], *others: Any) -> Self:
        probability = function(self.probability, *(other.probability for other in others))
        return replace(self, probability=probability)

    def with_note(self, note: str) -> "Mode":
        as_answer = Answer(0.0, method=self.method).with_note(note)
        return replace(self, method=as_answer.method)


def _head(what: str, answers: Any) -> str:
    return f"{escaped(what)}   {_trust(list(answers))}"


def _trust(answers: Sequence[Answer]) -> str:
    """That of the answer to be trusted least."""
    least = next((a for a in answers if a.kind != "exact"), answers[0])
    draws = f", {least.draws} draws" if least.draws else ""
    return f"{least.kind}{draws}{least.method and ', ' + least.method}"


def _cell(answer: Answer, probability: bool = False) -> str:
    """A number as Answers print it; an exact probability to four places."""
    value, error = float(answer.value), float(answer.stderr)
    if is_beyond_floats(answer.value, answer.log):
        return answer.cell()
    if probability and error == 0:
        places = f"{value:.4f}"
        if value == 0 or (value >= 1e-3 and (value >= 1 or float(places) < 1)):
            return places
    return answer.cell(5)


def _plain(value: Any, spread: float) -> str:
    """A value of the variable whose values differ on this scale."""
    return number_text(value, spread=spread) if isinstance(value, float) else escaped(str(value))


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    lines = [[escaped(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in lines
    ]
