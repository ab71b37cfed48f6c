"""The probability of points and sets under what is given; of points that are numbers, the density.

    p(x, S | C) = p(x) P(S, C | x) / P(C)

for points x, sets S asked and sets C given, all under the points that are given.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from pofx.core.answer import Answer
from pofx.queries import events
from pofx.queries.events import Pieces
from pofx.table.asking.delta import product, ratio
from pofx.table.asking.given import Given
from pofx.table.asking.question import Question
from pofx.table.asking.terms import everything, spike


def mass(
    question: Question,
    own: Given,
    points: Mapping[str, float],
    sets: Mapping[str, Pieces] | None = None,
) -> Answer:
    """p(points, sets | given), by names and in the units of entries; the answer in the data's."""
    inner = own.at(points).within(sets or {})
    log_prob = inner.log_prob - own.log_prob - (inner.log_scale - own.log_scale)
    density = Answer(math.exp(log_prob), how="closed form")
    unit = _unit(own, points)
    if density.value > 0 and inner.event:
        density = _product(question, density, inner, own)
    if not unit:
        # Logarithms of a probability of one differ by a rounding. A density may be above one, and
        # so may P(S, C | x) / P(C) alone, where C makes x more probable.
        density = replace(density, value=min(density.value, 1.0))
    return question.named(density, unit)


def _unit(own: Given, points: Mapping[str, float]) -> str:
    """What a density is per: the numbers among the points that are no spikes."""
    told, step = "", ""
    for name, entry in points.items():
        variable = own.p.schema.variable(name)
        if variable.kind in ("real", "positive") and spike(variable.column, entry) < 0:
            new = "" if variable.step == step else f"{variable.step} "
            told, step = f"{told}{' and ' if told else 'per '}{new}of {name}", variable.step
    return told


def _product(question: Question, density: Answer, inner: Given, own: Given) -> Answer:
    """density P(inner) / P(own), to the standard error that is wished for."""

    def found(stderr_1: float | None, stderr_2: float | None) -> tuple[Answer, Answer, Answer]:
        one = _event(question, inner, 0, stderr_1)
        other = _event(question, own, 1, stderr_2)
        return one, other, product(ratio(one, other), density)

    one, other, whole = found(None, None)
    if question.stderr is not None and whole.stderr > question.stderr:
        # Both errors less by one factor, and so is that of the whole.
        less = 0.99 * question.stderr / float(whole.stderr)
        *_, whole = found(*(less * a.stderr if a.stderr > 0 else None for a in (one, other)))
    return whole


def _event(question: Question, own: Given, part: int, stderr: float | None) -> Answer:
    """The probability of the sets, given the points."""
    event = {j: s for j, s in own.inside.items() if not everything(own.columns[j], s)}
    if not all(event.values()):
        return Answer(0.0, how="closed form")
    if not event:
        return Answer(1.0, how="closed form")
    found = events.probability(
        question.key(part),
        own.model,
        own.columns,
        event,
        stderr=stderr,
        max_draws=question.max_draws,
    )
    if part == 1 and not found.value > 0:
        none = "has probability zero" if found.kind == "exact" else "was met by no draw"
        raise question.wrong(own.sets[0], f"the evidence {own.told} {none}")
    return found
