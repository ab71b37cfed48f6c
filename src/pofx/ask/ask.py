"""A question in the notation of `docs/notation.md`, and its answer."""

from collections.abc import Mapping
from typing import Any

from pofx.ask import information, probability
from pofx.ask.covariance import covariance
from pofx.ask.draws import sample
from pofx.ask.evidence import Given, given
from pofx.ask.mode import mode
from pofx.ask.moments import expectation, quantile
from pofx.ask.question import Question
from pofx.ask.tables import for_each
from pofx.core.errors import PofxError
from pofx.core.float_width import in_model_width
from pofx.named.independence import ignores, with_note
from pofx.named.model import NamedModel, check_positive_int
from pofx.named.precision import Precision, to_nats
from pofx.named.seed_averaging import average_over_seeds
from pofx.notation.parse import parse
from pofx.notation.queries import (
    Divergence,
    Entropy,
    Expectation,
    Information,
    Mode,
    Probability,
    Quantile,
    Query,
    Sample,
    TotalCorrelation,
)

DEFAULT = Precision()


@in_model_width
def ask(
    p: NamedModel, text: str, others: Mapping[str, NamedModel], precision: Precision = DEFAULT
) -> Any:
    """The answer to a question put to p: an `Answer`, a `Table` or another result.

    Args:
        text: the question.
        others: distributions by the names that a divergence gives them; p itself is "p".
        precision: the unit of an information, and how long an estimate goes on.

    Raises `NotationError`, with the text and a caret under the place, for whatever cannot be read
    or answered, and PofxError for a wrong argument.

    >>> import pofx
    >>> p = pofx.fit({"a": ["x", "y"] * 20, "b": [0, 1] * 20}, "independent")
    >>> print(ask(p, "p(a = x | b = 1)", {}))
    p(a = x | b = 1) = 0.5   exact, closed form, independent of the evidence in this model
    >>> ask(p, "P(a = z)", {})
    Traceback (most recent call last):
    ...
    pofx.notation.errors.NotationError: ask: no level of 'a' 'z'; there are: x, y
      P(a = z)
            ^
    """
    if "p" in others:
        raise PofxError("p: expected another name, p is the distribution that is asked")

    for name, distribution in others.items():
        if not isinstance(distribution, NamedModel):
            got = type(distribution).__name__
            raise PofxError(f"{name}: expected a distribution, got {got}")

    def compute(p: NamedModel, *others_in_order: NamedModel) -> Any:
        distributions = {"p": p, **dict(zip(others, others_in_order))}
        return _ask(distributions, text, precision)

    return average_over_seeds(compute, p, *others.values())


def _ask(distributions: Mapping[str, NamedModel], text: str, precision: Precision) -> Any:
    to_nats(precision.stderr, precision.unit)
    check_positive_int("max_draws", precision.max_draws)
    query = parse(text)
    question = Question(text, str(query), precision)
    with question.blamed_on(0):
        if isinstance(query, Divergence):
            return information.divergence(question, query, distributions)
        own = given(question, distributions["p"], query.given, _asked(query))
        if own.free and not isinstance(query, Entropy | Information | TotalCorrelation):
            return for_each(question, own, own.free, lambda inner: _answer(question, query, inner))
        return _answer(question, query, own)


def _asked(query: Query) -> list[str]:
    """The names before the bar."""
    match query:
        case Probability():
            return [term.name.text for term in query.event]
        case Quantile():
            return [query.name.text]
        case Information():
            return [name.text for group in query.groups for name in group]
        case Divergence():
            return []
        case _:
            return [name.text for name in query.names]


def _answer(question: Question, query: Query, given: Given) -> Any:
    """The answer, which says so if the model cannot relate what is asked to the evidence."""
    answer = _computed(question, query, given)
    names = [name.text for name in given.free]
    observed = given.evidence | given.p.entries.mask(names)
    return with_note(answer) if ignores(given.p, _asked(query), observed) else answer


def _computed(question: Question, query: Query, own: Given) -> Any:
    match query:
        case Probability():
            return probability.answer(question, query, own)
        case Expectation(kind="Cov" | "Corr"):
            return covariance(question, query, own)
        case Expectation():
            return expectation(question, query, own)
        case Quantile():
            return quantile(question, query, own)
        case Mode():
            return mode(question, query, own)
        case Sample():
            return sample(question, query, own)
        case Entropy():
            return information.entropy(question, query, own)
        case Information():
            return information.information(question, query, own)
        case TotalCorrelation():
            return information.total_correlation(question, query, own)
