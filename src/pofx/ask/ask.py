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
from pofx.joint.joint import Joint
from pofx.named.independence import marked
from pofx.named.information import in_nats
from pofx.named.model import at_least_one
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
from pofx.queries.monte_carlo import MAX_DRAWS


@in_model_width
def ask(
    p: Joint,
    text: str,
    distributions: Mapping[str, Joint],
    *,
    seed: int = 0,
    stderr: float | None = None,
    max_draws: int | None = None,
    unit: str = "nats",
) -> Any:
    """The answer to a question put to p: an `Answer`, a `Table` or another result.

    `distributions` are those that a divergence names, `unit` is what information is told in, nats
    or bits; an estimate goes on to a standard error of `stderr`, in the units of the answer, or to
    `max_draws`. Raises `NotationError`, with the text and a caret under the place, for whatever
    cannot be read or answered, and PofxError for a wrong argument.

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
    in_nats(stderr, unit)
    if stderr is not None and not stderr > 0:
        raise PofxError(f"stderr: wanted a number > 0, got {stderr!r}")
    if max_draws is not None:
        at_least_one("max_draws", max_draws)
    for name, other in distributions.items():
        if not isinstance(other, Joint):
            raise PofxError(f"{name}: wanted a distribution, got {type(other).__name__}")
    query = parse(text)
    question = Question(text, str(query), seed, stderr, max_draws or MAX_DRAWS, unit)
    with question.blamed_on(0):
        if isinstance(query, Divergence):
            return information.divergence(question, query, distributions)
        own = given(question, p, query.given, _asked(query))
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
    ignored = given.p._ignores(_asked(query), given.evidence | given.p.entries.mask(names))
    return marked(answer) if ignored else answer


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
