"""The answer to a question: a number, its kind and its standard error."""

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Literal, Self

import numpy as np

from pofx.core.errors import PofxError
from pofx.core.escaping import escaped
from pofx.core.printing import array_text, number_text
from pofx.core.result import AbstractResult
from pofx.core.unrepresentable import (
    exp_or_inf,
    is_beyond_floats,
    log_multiple,
    log_sum,
    lost_digits,
    power_of_ten,
    unrepresentable_error,
)

AnswerKind = Literal["exact", "lower bound", "upper bound", "estimate"]

MAX_PRINTED_NUMBERS = 8
"""Numbers of an array that are printed one by one if floats do not hold all of them."""

_FLIPPED: dict[AnswerKind, AnswerKind] = {
    "lower bound": "upper bound",
    "upper bound": "lower bound",
}


@dataclass(frozen=True, eq=False)
class Answer(AbstractResult):
    """A number, or an array of numbers, with its kind and the standard error of its sampling.

    Sums, differences, multiples and comparisons work as for the value, and keep the kind and the
    error: independent errors add in quadrature, and the difference of two lower bounds is an
    estimate of unknown error, because it is no bound. Other numpy functions of an Answer raise
    PofxError, because they would drop both. `answer.value`, `float(answer)` and
    `numpy.asarray(answer)` give the numbers alone; so does numpy for a list of Answers.

    Args:
        value: a float, or an array.
        stderr: the standard error of its Monte Carlo draws; it does not include that of the fit.
        kind: "exact", "lower bound", "upper bound" or "estimate".
        draws: the number of Monte Carlo draws.
        method: how it was computed, in a few words.
        unit: "nats", "bits" or a unit of the data.
        question: the question that it answers.
        shared_stderr: the part of the error that all entries of an array share. The mean over
            them has at least this error.
        spread: the scale on which such values differ; exact values are printed to its digits.
        log: the natural logarithm of a probability or density that a float may not hold. Then
            sums, multiples and comparisons use it, or raise PofxError if they cannot.

    >>> a = Answer(0.5, unit="nats", question="H(sex)")
    >>> b = Answer(0.2, 0.003, "estimate", draws=1000, unit="nats")
    >>> print(a)
    H(sex) = 0.5 nats   exact
    >>> print(a - b)
    0.300 ± 0.003 nats   estimate, 1000 draws
    >>> round(float(a) + 1, 3)
    1.5
    """

    value: Any
    stderr: Any = 0.0
    kind: AnswerKind = "exact"
    draws: int = 0
    method: str = ""
    unit: str = ""
    question: str = ""
    shared_stderr: float = 0.0
    spread: float = 0.0
    log: Any = None

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "__call__" and not options and function in _ARITHMETIC:
            return _ARITHMETIC[function](*inputs)
        raise _dropped_error(function.__name__)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if function is np.mean and inputs == (self,) and not options:
            return self.mean()
        if function in (np.shape, np.ndim, np.size):
            return function(np.asarray(self.value), *inputs[1:], **options)
        raise _dropped_error(function.__name__)

    def map_answers(self, function: Callable[..., Any], *others: Any) -> Self:
        return function(self, *others)

    def with_note(self, note: str) -> "Answer":
        if self.method.endswith(note):
            return self
        return replace(self, method=f"{self.method}, {note}" if self.method else note)

    def __bool__(self) -> bool:
        return bool(self.value) or bool(self._beyond)

    def __float__(self) -> float:
        if np.ndim(self.value):
            raise PofxError(
                f"float(answer): expected one number, got {np.size(self.value)}; use answer.value"
            )
        return float(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype, copy=copy)

    @property
    def ndim(self) -> int:
        """The number of axes of the value, by which pandas distinguishes a number from a column."""
        return np.ndim(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> "Answer":
        stderr = self.stderr[index] if np.ndim(self.stderr) else self.stderr
        log = None if self.log is None else self.log[index]
        return self._with(self.value[index], stderr, log)

    @property
    def _beyond(self) -> Any:
        return is_beyond_floats(self.value, self.log)

    def mean(self) -> "Answer":
        """The mean of an array, whose errors are independent except for `shared_stderr`.

        Raises PofxError for an infinite value of which only the logarithm is known.
        """
        if np.any(self._beyond & np.isinf(self.value)):
            raise unrepresentable_error("mean")
        error = np.broadcast_to(self.stderr, np.shape(self.value))
        # In units of the largest error, because its square may underflow or overflow.
        unit = float(np.max(np.abs(error), initial=0)) or 1.0
        shared = self.shared_stderr / unit
        independent = np.maximum((error / unit) ** 2 - shared**2, 0).sum() / error.size**2
        return self._with(float(np.mean(self.value)), unit * math.sqrt(independent + shared**2))

    def _with(self, value: Any, stderr: Any, log: Any = None, **changes: Any) -> "Answer":
        return replace(self, value=value, stderr=stderr, question="", log=log, **changes)

    def __iter__(self) -> Iterator["Answer"]:
        return (self[i] for i in range(len(self)))

    def __pos__(self) -> "Answer":
        return self

    def __neg__(self) -> "Answer":
        if np.any(self._beyond):
            raise unrepresentable_error("negative")
        return self._with(-self.value, self.stderr, kind=_FLIPPED.get(self.kind, self.kind))

    def __add__(self, other: Any) -> "Answer":
        return self._plus(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Answer":
        return self._plus(other, -1)

    def __rsub__(self, other: Any) -> "Answer":
        return Answer(other, unit=self.unit)._plus(self, -1)

    def _plus(self, other: Any, sign: int) -> "Answer":
        other = other if isinstance(other, Answer) else Answer(other, unit=self.unit)
        signed_kind = other.kind if sign > 0 else _FLIPPED.get(other.kind, other.kind)
        kind, stderr = _sum_kind(self, replace(other, kind=signed_kind))
        value = self.value + sign * other.value
        log = log_sum((self.value, self.log), (other.value, other.log), sign, value)
        if log is None and np.any(lost_digits(value, self.value, other.value) & np.isinf(value)):
            return self._unknown(value)
        return self._with(
            value if log is None else exp_or_inf(log),
            stderr,
            log=log,
            kind=kind,
            draws=max(self.draws, other.draws),
            method=_common_text(self.method, other.method),
            shared_stderr=math.hypot(self.shared_stderr, other.shared_stderr),
            spread=max(self.spread, other.spread),
        )

    def _unknown(self, value: Any) -> "Answer":
        """A number that no float holds, and no logarithm, because it may be negative."""
        return self._with(value, math.nan, kind="estimate", method="beyond floats")

    def __mul__(self, factor: float) -> "Answer":
        if isinstance(factor, Answer):
            return NotImplemented
        negative = np.less(factor, 0)
        flipped = _FLIPPED.get(self.kind, self.kind)
        log = None
        with np.errstate(over="ignore", under="ignore"):
            value, stderr = self.value * factor, self.stderr * np.abs(factor)
        if np.any(self._beyond):
            log = log_multiple(self.value, self.log, factor)
            value = exp_or_inf(log)
        elif np.any(lost_digits(value, self.value, factor)):
            if not negative.any() and not np.any(np.less(self.value, 0)):
                log = log_multiple(self.value, self.log, factor)
                stderr = stderr if np.all(np.equal(self.stderr, 0)) else math.nan
            elif np.any(np.isinf(value)):
                return self._unknown(value)
        # If factors differ, the largest one: rather too large an error than too small a one.
        largest = float(np.max(np.abs(factor)))
        scaled = {"shared_stderr": self.shared_stderr * largest, "spread": self.spread * largest}
        if flipped != self.kind and negative.any() and not negative.all():
            return self._with(value, math.nan, kind="estimate", **scaled)
        kind = flipped if negative.all() else self.kind
        return self._with(value, stderr, log, kind=kind, **scaled)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> "Answer":
        return NotImplemented if isinstance(divisor, Answer) else self * (1 / divisor)

    def _pair(self, other: Any) -> tuple[Any, Any]:
        """Both values, or both logarithms if floats hold neither."""
        if isinstance(other, Answer) and np.any(self._beyond) and np.any(other._beyond):
            return self.log, other.log
        return self.value, _value(other)

    def __eq__(self, other: object) -> Any:
        return operator.eq(*self._pair(other))

    def __ne__(self, other: object) -> Any:
        return operator.ne(*self._pair(other))

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: Any) -> Any:
        return operator.lt(*self._pair(other))

    def __le__(self, other: Any) -> Any:
        return operator.le(*self._pair(other))

    def __gt__(self, other: Any) -> Any:
        return operator.gt(*self._pair(other))

    def __ge__(self, other: Any) -> Any:
        return operator.ge(*self._pair(other))

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)

    def __str__(self) -> str:
        unit = f" {escaped(self.unit)}" if self.unit else ""
        question = f"{escaped(self.question)} = " if self.question else ""
        remark = self.kind + (f", {self.draws} draws" if self.draws else "")
        remark += f", {self.method}" if self.method else ""
        return f"{question}{self._number()}{unit}   {escaped(remark)}"

    def _number(self) -> str:
        if np.ndim(self.value) == 0:
            return self.cell()
        if np.any(self._beyond) and np.size(self.value) <= MAX_PRINTED_NUMBERS:
            cells = (self[place].cell(5) for place in np.ndindex(np.shape(self.value)))
            return f"[{'  '.join(cells)}]"
        return array_text(self.value, self.stderr, spread=self.spread)

    def cell(self, digits: int = 6) -> str:
        """The number and its error as they are printed, without question, unit and kind."""
        if self._beyond:
            return power_of_ten(float(self.log), self.stderr)
        return number_text(self.value, self.stderr, spread=self.spread, digits=digits)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        number, _, remark = str(self).rpartition("   ")
        return (
            f'<span style="white-space:pre-wrap">{escape(number)}</span>&emsp;'
            f'<small style="opacity:0.7">{escape(remark)}</small>'
        )


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Answer) else x


def _dropped_error(function: str) -> PofxError:
    return PofxError(
        f"numpy.{function}: it would drop the kind and the error of an Answer; use answer.value"
    )


# The functions that numpy calls for `array + answer` and the like.
_ARITHMETIC: dict[np.ufunc, Callable[..., Any]] = {
    np.add: lambda a, b: a + b if isinstance(a, Answer) else b + a,
    np.subtract: lambda a, b: a - b if isinstance(a, Answer) else -b + a,
    np.multiply: lambda a, b: a * b if isinstance(a, Answer) else b * a,
    np.divide: lambda a, b: a / b if isinstance(a, Answer) else NotImplemented,
    np.positive: lambda a: a,
    np.negative: lambda a: -a,
    np.equal: lambda a, b: a == b if isinstance(a, Answer) else b == a,
    np.not_equal: lambda a, b: a != b if isinstance(a, Answer) else b != a,
    np.less: lambda a, b: a < b if isinstance(a, Answer) else b > a,
    np.less_equal: lambda a, b: a <= b if isinstance(a, Answer) else b >= a,
    np.greater: lambda a, b: a > b if isinstance(a, Answer) else b < a,
    np.greater_equal: lambda a, b: a >= b if isinstance(a, Answer) else b <= a,
}


def _common_text(one: str, other: str) -> str:
    """The text of both if they agree, or of the one that is not empty."""
    return one or other if one == other or not (one and other) else ""


def _sum_kind(a: Answer, b: Answer) -> tuple[AnswerKind, Any]:
    """The kind and error of a + b."""
    stderr = np.hypot(a.stderr, b.stderr)
    stderr = float(stderr) if np.ndim(stderr) == 0 else stderr
    if "exact" in (a.kind, b.kind) or a.kind == b.kind:
        return (b.kind if a.kind == "exact" else a.kind), stderr
    # Opposite bounds, or a bound and an estimate: nobody knows how far off the sum is.
    return "estimate", math.nan
