"""Results that are more than one number; each prints itself and how exact it is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from pofx.table.frames.times import TIME_DIFFERENCE_UNITS, format_time, time_kind_of

MAX_PRINTED_ROWS = 40

Level = str | int | float | bool


@dataclass(frozen=True, eq=False)
class Table(AbstractResult):
    """Numbers for each joint level of some names, in the order of their levels.

    Args:
        question: what it answers.
        names: the names of the axes.
        levels: the levels of each name.
        columns: for each kind of number an `Answer` that holds an array with one axis per name.

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
        """The first column: the probabilities, if the query was p(a | ...)."""
        return next(iter(self.columns.values()))

    @property
    def probabilities(self) -> np.ndarray:
        """The probabilities, one axis per name; PofxError for a table of other numbers."""
        if "p" not in self.columns:
            raise PofxError(f"{self.question}: a table of {', '.join(self.columns)}, not of p")
        return np.asarray(self.columns["p"].value)

    def __getitem__(self, level: Any) -> Answer:
        """The first number of a row, by the level of each name; PofxError for an unknown level."""
        key = level if isinstance(level, tuple) else (level,)
        if len(key) != len(self.names):
            raise PofxError(f"{self.question}: expected a level of each of {', '.join(self.names)}")
        for part, name, levels in zip(key, self.names, self.levels):
            if part not in levels:
                raise unknown_name_error(f"level of {name!r}", part, levels)
        index = tuple(levels.index(part) for part, levels in zip(key, self.levels))
        return replace(self.answer[index], question=self.question)

    def __str__(self) -> str:
        heads = [*self.names, *self.columns]
        rows = [heads] if len(heads) > 2 else []
        shape = [len(levels) for levels in self.levels]
        for level, index in zip(product(*self.levels), np.ndindex(*shape)):
            if len(rows) > MAX_PRINTED_ROWS:
                break
            numbers = [_number_text(a[index], name == "p") for name, a in self.columns.items()]
            rows.append([*map(str, level), *numbers])
        hidden = int(np.prod(shape)) - MAX_PRINTED_ROWS
        tail = [f"  ... {hidden} more"] if hidden > 0 else []
        return "\n".join([_heading(self.question, self.columns.values()), *_aligned(rows), *tail])

    __repr__ = __str__

    def map_answers(self, function: Callable[..., Any], *others: Any) -> Self:
        columns = map_values(function, self.columns, *(other.columns for other in others))
        return replace(self, columns=columns)

    def with_note(self, note: str) -> "Table":
        return replace(self, columns={k: a.with_note(note) for k, a in self.columns.items()})


@dataclass(frozen=True, eq=False)
class Summary(AbstractResult):
    """The distribution of one number: mean, standard deviation, quantiles, point masses.

    Numbers are in the data's units, those of times as `pofx.table.frames.times` says.

    Args:
        question: what it answers.
        name: the name of the number.
        mean: its mean.
        sd: its standard deviation.
        quantiles: by their level.
        spikes: probabilities, by the value that has a point mass.
        dtype: the type of the column; times are printed as dates.

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
        time_kind = time_kind_of(self.dtype)
        unit = f" {TIME_DIFFERENCE_UNITS[time_kind]}" if time_kind else ""
        rows = [["mean", self._value_text(self.mean)], ["sd", _number_text(self.sd) + unit]]
        rows += [[f"Q[{u:.12g}]", self._value_text(q)] for u, q in self.quantiles.items()]
        for x, probability in self.spikes.items():
            spread = float(self.sd.value)
            value = format_time(x, self.dtype) if time_kind else number_text(x, spread=spread)
            rows.append([f"P({self.name} = {value})", _number_text(probability, True)])
        answers = [self.mean, self.sd, *self.quantiles.values(), *self.spikes.values()]
        return "\n".join([_heading(self.question, answers), *_aligned(rows)])

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

    def _value_text(self, answer: Answer) -> str:
        """A value of the variable; a date with its error in days."""
        time_kind = time_kind_of(self.dtype)
        if time_kind is None:
            return _number_text(answer)
        if time_kind == "duration":
            return f"{_number_text(answer)} {TIME_DIFFERENCE_UNITS[time_kind]}"
        error = float(answer.stderr)
        error_text = f" ± {error:.2g} {TIME_DIFFERENCE_UNITS[time_kind]}" if error > 0 else ""
        return format_time(float(answer.value), self.dtype) + error_text


@dataclass(frozen=True, eq=False)
class Moments(AbstractResult):
    """Means, standard deviations and correlations of several numbers, in the data's units.

    Args:
        question: what it answers.
        names: the k names.
        mean: of shape (k,).
        sd: of shape (k,).
        correlation: of shape (k, k).

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
        rows = [["", "mean", "sd", f"Corr: {first}", *others]]
        for i, name in enumerate(self.names):
            correlations = [f"{r:.2f}" for r in np.asarray(self.correlation.value)[i]]
            sd = self.sd[i]
            mean = replace(self.mean[i], spread=float(sd.value))
            rows.append([name, _number_text(mean), _number_text(sd), *correlations])
        answers = (self.mean, self.sd, self.correlation)
        return "\n".join([_heading(self.question, answers), *_aligned(rows)])

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

    Args:
        question: what it answers.
        values: by name.
        probability: the probability or density of the values.
        kind: how exact the values are.
        method: how they were computed, in a few words.
        spreads: the scale on which the values of a number differ, by name.

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
        texts = [_value_text(v, self.spreads.get(name, 0.0)) for name, v in self.values.items()]
        values = texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
        p = _number_text(self.probability)
        unit = self.probability.unit and f" {self.probability.unit}"
        kind = _kind_text([Answer(0.0, kind=self.kind, method=self.method)])
        return f"{escaped(self.question)} = {values}   p = {p}{unit}   {kind}"

    __repr__ = __str__

    def map_answers(self, function: Callable[..., Any], *others: Any) -> Self:
        probability = function(self.probability, *(other.probability for other in others))
        return replace(self, probability=probability)

    def with_note(self, note: str) -> "Mode":
        as_answer = Answer(0.0, method=self.method).with_note(note)
        return replace(self, method=as_answer.method)


def _heading(question: str, answers: Iterable[Answer]) -> str:
    return f"{escaped(question)}   {_kind_text(list(answers))}"


def _kind_text(answers: Sequence[Answer]) -> str:
    """The kind and the method of the answer to trust least."""
    least = next((a for a in answers if a.kind != "exact"), answers[0])
    draws = f", {least.draws} draws" if least.draws else ""
    return f"{least.kind}{draws}{least.method and ', ' + least.method}"


def _number_text(answer: Answer, probability: bool = False) -> str:
    """A number as Answers print it; an exact probability to four places."""
    value, error = float(answer.value), float(answer.stderr)
    if is_beyond_floats(answer.value, answer.log):
        return answer.cell()
    if probability and error == 0:
        text = f"{value:.4f}"
        if value == 0 or (value >= 1e-3 and (value >= 1 or float(text) < 1)):
            return text
    return answer.cell(5)


def _value_text(value: Any, spread: float) -> str:
    """A value of a variable; `spread` is the scale on which its values differ."""
    return number_text(value, spread=spread) if isinstance(value, float) else escaped(str(value))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    escaped_rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*escaped_rows)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in escaped_rows
    ]
