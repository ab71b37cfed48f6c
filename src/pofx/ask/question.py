"""A question and the distribution that it is put to: what is known, and how well to answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from pofx.core.answer import Answer
from pofx.core.errors import PofxError, unknown_name_error
from pofx.named.model import NamedModel
from pofx.named.precision import Precision
from pofx.named.random_keys import key_of
from pofx.notation.errors import NotationError, mistake
from pofx.notation.terms import Name
from pofx.table.schema import Variable

DRAWS = 4096
"""Weighted draws behind an estimate for which no standard error is asked."""


@dataclass(frozen=True)
class Question:
    """The text of a question, its canonical form `label`, and how precise its answer is to be."""

    text: str
    label: str
    precision: Precision

    def key(self, *more: int) -> PRNGKeyArray:
        """A key of its own for each part of the answer."""
        return key_of(self.precision.seed, *more)

    def wrong(self, place: Any, message: str) -> NotationError:
        """The error with a caret under a name, a value or a term."""
        return mistake(self.text, _at(place), message)

    @contextmanager
    def blamed_on(self, place: Any) -> Iterator[None]:
        """Has errors within point at a place in the text."""
        try:
            yield
        except NotationError:
            raise
        except PofxError as error:
            raise self.wrong(place, str(error)) from None

    def variable(self, p: NamedModel, name: Name, *, array: bool = False) -> Variable:
        """The variable of that name; NotationError for none, and for an array unless allowed."""
        if name.text not in p.schema.names:
            known = [e for e in p.evidence if e.startswith(f"{name.text} = ")]
            if known:
                raise self.wrong(name, f"{name.text!r} is given already: {known[0]}")
            raise self.wrong(name, str(unknown_name_error("column", name.text, p.schema.names)))
        variable = p.schema.variable(name.text)
        if variable.shape and not array:
            raise self.wrong(
                name,
                f"{name.text!r} is an array; H, I, TC, KL, JS, CE and sample take it, and to "
                "give it or parts of it there is p.given",
            )
        return variable

    def told(self, answer: Answer) -> Answer:
        """The answer to this question."""
        return replace(answer, question=self.label)

    def named(self, answer: Answer, unit: str = "") -> Answer:
        """The answer to this question, in that unit."""
        return replace(answer, question=self.label, unit=unit)

    def estimated(self, ask: Callable[[int], Answer]) -> Answer:
        """`ask(draws)` with as many draws as the standard error that is wished for takes."""
        draws = min(DRAWS, self.precision.max_draws)
        answer = ask(draws)
        if self.precision.stderr is None:
            return answer
        while answer.kind != "exact" and np.max(answer.stderr) > self.precision.stderr:
            if 2 * draws > self.precision.max_draws:
                return replace(
                    answer, method=f"asked for ± {self.precision.stderr:g}, budget spent"
                )
            # Errors fall with the root of the draws; powers of two, for each number is compiled.
            ratio = (float(np.max(answer.stderr)) / self.precision.stderr) ** 2
            while ratio > 1 and 2 * draws <= self.precision.max_draws:
                draws, ratio = 2 * draws, ratio / 2
            answer = ask(draws)
        return answer


def _at(place: Any) -> int:
    """At which character a name, a value, or the name of a term stands."""
    if isinstance(place, int):
        return place
    return place.at if hasattr(place, "at") else place.name.at
