"""Tables over levels: of probabilities, and of whatever is asked under each level of a name."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pofx.ask.error_propagation import stacked
from pofx.ask.evidence import Given, check_levels, each_level
from pofx.ask.moments import summary
from pofx.ask.question import Question
from pofx.ask.results import Mode, Moments, Summary, Table
from pofx.ask.rounding import settled
from pofx.core.answer import Answer
from pofx.notation.terms import Name
from pofx.queries import event_marginals

MOST = 1000
"""The most joint levels under which a question is asked again and again."""


def probabilities(question: Question, own: Given, names: Sequence[Name]) -> Answer:
    """p(names | given) of all joint levels, an array of one axis a name in the names' order."""
    words = [name.text for name in names]
    asked = own.mask(words)

    def with_draws(draws: int, own: Given = own) -> Answer:
        found = event_marginals.levels(
            question.key(2), own.model, own.columns, asked, own.inside, draws
        )
        if found is None:
            raise question.wrong(names[0], "too many joint levels to tell them all; ask for fewer")
        return found

    with question.blamed_on(own.sets[0] if own.sets else names[0]):
        found = question.estimated(with_draws)
        found = settled(found, own, lambda near: with_draws(1, near), 1.0)
    check_levels(question, own, names)
    order = np.argsort(np.argsort([own.place(word) for word in words]))
    axes = [
        np.transpose(a, order) if np.ndim(a) else a for a in (found.value, found.stderr, found.log)
    ]
    return replace(found, value=axes[0], stderr=axes[1], log=axes[2], question=question.label)


def table(
    question: Question, own: Given, names: Sequence[Name], columns: Mapping[str, Answer]
) -> Table:
    """A table whose lines are the joint levels of the names."""
    words = tuple(name.text for name in names)
    levels = tuple(own.p.schema.variable(word).levels for word in words)
    return Table(question.label, words, levels, columns)


def with_number(question: Question, own: Given, names: Sequence[Name], number: Name) -> Table:
    """p(names, number | given): of the number its mean, deviation and median under each level."""

    def columns(inner: Given) -> Table | Summary:
        return summary(question, inner, number, (0.5,))

    under = for_each(question, own, names, columns)
    own_column = {"p": probabilities(question, own, names)}
    return table(question, own, names, {**own_column, **under.columns})


def for_each(
    question: Question, own: Given, names: Sequence[Name], ask: Callable[[Given], object]
) -> Table:
    """What `ask` answers under each joint level of the names; NaN under an impossible one."""
    variables = [question.variable(own.p, name) for name in names]
    for name, variable in zip(names, variables):
        if not variable.discrete:
            raise question.wrong(name, f"{name.text!r} is a number; give it a value or a range")
    many = math.prod(len(v.levels) for v in variables)
    if many > MOST:
        raise question.wrong(names[0], f"{many} joint levels; at most {MOST} are told one by one")
    found = [
        ask(inner) if inner.log_prob > -math.inf else None
        for inner in each_level(question, own, names)
    ]
    some = next(result for result in found if result is not None)
    if isinstance(some, Mode | Moments) or not isinstance(some, Answer | Table | Summary):
        raise question.wrong(names[0], f"{names[0].text!r} has no value; give it one")
    lines = [{} if result is None else _columns(result) for result in found]
    nothing = {k: Answer(np.full(np.shape(a.value), np.nan)) for k, a in _columns(some).items()}
    shape = tuple(len(v.levels) for v in variables)
    whole = {k: stacked([{**nothing, **line}[k] for line in lines], shape) for k in nothing}
    if isinstance(some, Table):
        words = (*(name.text for name in names), *some.names)
        return Table(question.label, words, (*(v.levels for v in variables), *some.levels), whole)
    return table(question, own, names, whole)


def _columns(result: object) -> Mapping[str, Answer]:
    if isinstance(result, Table):
        return result.columns
    if isinstance(result, Summary):
        return {"mean": result.mean, "sd": result.sd, "median": result.median}
    assert isinstance(result, Answer)
    return {result.unit or "value": result}
