"""P(event | given) and p(a, b = 1 | given): a number, or what it is for all that names may be."""

import math
from dataclasses import dataclass, replace

import numpy as np

from pofx.ask.covariance import moments
from pofx.ask.densities import mass
from pofx.ask.error_propagation import product
from pofx.ask.evidence import Given, single
from pofx.ask.intervals import entry, pieces
from pofx.ask.moments import summary
from pofx.ask.question import Question
from pofx.ask.results import Moments, Summary, Table
from pofx.ask.tables import probabilities, table, with_number
from pofx.core.answer import Answer
from pofx.notation.queries import Probability
from pofx.notation.terms import Free, Interval, Members, Name, Point
from pofx.queries.events import Pieces

NO_MASS = "a density has no mass at a point; ask p(...) or a range"
OUTSIDE = "outside of what can occur"


@dataclass(frozen=True)
class Conditions:
    """What an event says of its names; `never` tells why it cannot happen."""

    points: dict[str, float]
    sets: dict[str, Pieces]
    free: tuple[Name, ...]
    never: str = ""


def answer(
    question: Question, query: Probability, own: Given
) -> Answer | Table | Summary | Moments:
    """p(event | given)."""
    asked = _conditions(question, query, own)
    if not asked.free:
        return _mass(question, own, asked)
    numbers = [n for n in asked.free if not own.p.schema.variable(n.text).discrete]
    levels = [n for n in asked.free if n not in numbers]
    if not numbers:
        return _levels(question, own, asked)
    conditions = ", ".join(str(t) for t in query.event if not isinstance(t, Free))
    if conditions:
        raise question.wrong(
            numbers[0],
            f"{numbers[0].text!r} is a number, and p({conditions}, {numbers[0]}) a curve; give it "
            f"a value or a range, or ask p({numbers[0]} | {conditions})",
        )
    if not levels:
        if len(numbers) == 1:
            return summary(question, own, numbers[0])
        return moments(question, own, numbers)
    if len(numbers) > 1:
        raise question.wrong(
            numbers[1],
            f"{numbers[0].text!r} and {numbers[1].text!r} are numbers; beside levels one number "
            "may be free",
        )
    return with_number(question, own, levels, numbers[0])


def _conditions(question: Question, query: Probability, own: Given) -> Conditions:
    points, sets, free, never = {}, {}, [], ""
    for term in map(single, query.event):
        variable = question.variable(own.p, term.name)
        smooth = variable.kind in ("real", "positive")
        if isinstance(term, Free):
            free.append(term.name)
        elif isinstance(term, Point):
            points[variable.name] = entry(question.text, variable, term.value)
            if math.isnan(points[variable.name]):
                never = never or OUTSIDE
            elif query.letter == "P" and smooth and not pieces(question.text, variable, term):
                never = never or NO_MASS
        elif isinstance(term, Interval | Members):
            sets[variable.name] = pieces(question.text, variable, term)
            if not sets[variable.name]:
                never = never or (NO_MASS if smooth and isinstance(term, Members) else OUTSIDE)
    return Conditions(points, sets, tuple(free), never)


def _mass(question: Question, own: Given, asked: Conditions) -> Answer:
    if asked.never:
        return question.named(Answer(0.0, method=asked.never))
    return mass(question, own, asked.points, asked.sets)


def _levels(question: Question, own: Given, asked: Conditions) -> Table:
    """p(free, conditions | given) = p(conditions | given) p(free | conditions, given)."""
    if not (asked.points or asked.sets or asked.never):
        return table(question, own, asked.free, {"p": probabilities(question, own, asked.free)})
    whole = _mass(question, own, asked)
    if whole:
        inner = own.at(asked.points).within(asked.sets)
        found = product(probabilities(question, inner, asked.free), whole)
    else:
        shape = [len(own.p.schema.variable(name.text).levels) for name in asked.free]
        found = replace(whole, value=np.zeros(shape), log=None)
    return table(question, own, asked.free, {"p": replace(found, unit=whole.unit)})
