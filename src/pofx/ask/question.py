"""What a query asks for besides its names: the label of its answer, and how precise it is."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import PRNGKeyArray

from pofx.core.answer import Answer
from pofx.named.precision import Precision
from pofx.named.random_keys import key_of

DEFAULT_DRAWS = 4096
"""Weighted draws behind an estimate if no standard error is asked for."""


@dataclass(frozen=True)
class Question:
    """The canonical text of a query, which labels its answer, and the precision of the answer."""

    label: str
    precision: Precision

    def key(self, *part: int) -> PRNGKeyArray:
        """The random key of a part of the answer."""
        return key_of(self.precision.seed, *part)

    def labelled(self, answer: Answer) -> Answer:
        """The answer, labelled with this question."""
        return replace(answer, question=self.label)

    def labelled_with_unit(self, answer: Answer, unit: str = "") -> Answer:
        """The answer, labelled with this question and a unit."""
        return replace(answer, question=self.label, unit=unit)

    def to_precision(self, estimate: Callable[[int], Answer]) -> Answer:
        """`estimate(draws)` with as many draws as the standard error that is asked for takes."""
        max_stderr = self.precision.stderr
        draws = min(DEFAULT_DRAWS, self.precision.max_draws)
        answer = estimate(draws)
        if max_stderr is None:
            return answer
        while answer.kind != "exact" and np.max(answer.stderr) > max_stderr:
            if 2 * draws > self.precision.max_draws:
                return replace(answer, method=f"asked for ± {max_stderr:g}, budget spent")
            # Errors fall with the root of the draws. Only powers of two, because each number of
            # draws is compiled.
            ratio = (float(np.max(answer.stderr)) / max_stderr) ** 2
            while ratio > 1 and 2 * draws <= self.precision.max_draws:
                draws *= 2
                ratio /= 2
            answer = estimate(draws)
        return answer
