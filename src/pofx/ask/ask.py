"""Answers a query in the notation of `docs/notation.md`."""

from collections.abc import Mapping
from typing import Any

from pofx.ask import information
from pofx.ask.binding import BoundDivergence, BoundQuery, bind, names_before_bar
from pofx.ask.covariance import covariance
from pofx.ask.draws import sample
from pofx.ask.errors import QueryError, errors_at
from pofx.ask.evidence import Evidence
from pofx.ask.mode import mode
from pofx.ask.moments import expectation, quantile
from pofx.ask.probability import probability
from pofx.ask.question import Question
from pofx.ask.rows import answer_rows
from pofx.ask.tables import tabulate
from pofx.core.errors import PofxError
from pofx.core.float_width import in_model_width
from pofx.named.independence import ignores, with_note
from pofx.named.model import NamedModel, check_positive_int
from pofx.named.precision import Precision, to_nats
from pofx.named.seed_averaging import average_over_seeds
from pofx.notation.errors import notation_error
from pofx.notation.parse import parse
from pofx.notation.queries import (
    Entropy,
    Expectation,
    Information,
    Mode,
    Probability,
    Quantile,
    Sample,
    TotalCorrelation,
)

DEFAULT_PRECISION = Precision()


@in_model_width
def ask(
    p: NamedModel,
    text: str,
    others: Mapping[str, NamedModel],
    precision: Precision = DEFAULT_PRECISION,
    rows: Any = None,
) -> Any:
    """Answers a query about p: with an `Answer`, a `Table` or another result.

    Args:
        p: the distribution that the query is about.
        text: the query.
        others: distributions by the names that a divergence uses; p itself is "p".
        precision: the unit of an information, and how long an estimate goes on.
        rows: a frame whose rows give values to the names without one after the bar.

    Raises NotationError, with the text and a caret under the place, if the text cannot be read or
    answered, and PofxError for a wrong argument.

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

    to_nats(precision.stderr, precision.unit)
    check_positive_int("max_draws", precision.max_draws)
    query = parse(text)
    question = Question(str(query), precision)
    try:
        with errors_at(0):
            bound = bind(query, {"p": p, **others}, by_row=rows is not None)

        def compute(*models: NamedModel) -> Any:
            with errors_at(0):
                return _answer(question, bound, dict(zip(["p", *others], models)), rows)

        return average_over_seeds(compute, p, *others.values())
    except QueryError as error:
        raise notation_error(text, error.at, str(error)) from None


def _answer(
    question: Question,
    bound: BoundQuery | BoundDivergence,
    distributions: Mapping[str, NamedModel],
    rows: Any,
) -> Any:
    if isinstance(bound, BoundDivergence):
        if rows is not None:
            raise PofxError("rows: expected a question about p, and this is a divergence")
        return information.divergence(question, bound, distributions)
    evidence = Evidence.from_terms(distributions["p"], bound.evidence)
    if rows is not None:
        return answer_rows(
            question, evidence, rows, lambda inner: _answer_noted(question, bound, inner)
        )
    if bound.is_tabulated:
        return tabulate(
            question, evidence, evidence.free, lambda inner: _answer_noted(question, bound, inner)
        )
    return _answer_noted(question, bound, evidence)


def _answer_noted(question: Question, bound: BoundQuery, evidence: Evidence) -> Any:
    """The answer, with a note if the model cannot relate what is asked to the evidence."""
    answer = _compute(question, bound, evidence)
    asked_names = [name.text for name in names_before_bar(bound.query)]
    free_names = [name.text for name in evidence.free]
    observed = evidence.constrained | evidence.p.entries.mask_free(free_names)
    return with_note(answer) if ignores(evidence.p, asked_names, observed) else answer


def _compute(question: Question, bound: BoundQuery, evidence: Evidence) -> Any:
    query = bound.query
    match query:
        case Probability():
            return probability(question, bound.event, evidence)
        case Information():
            one, other = bound.groups
            return information.information(question, one, other, evidence)
    (names,) = bound.groups
    match query:
        case Expectation(kind="Cov" | "Corr"):
            a, b = names
            return covariance(question, (a, b), evidence, correlation=query.kind == "Corr")
        case Expectation():
            return expectation(question, query.kind, names[0], evidence)
        case Quantile():
            return quantile(question, query.level, names[0], evidence)
        case Mode():
            return mode(question, names, evidence)
        case Sample():
            return sample(question, query.number, names, evidence)
        case Entropy():
            return information.entropy(question, names, evidence)
        case TotalCorrelation():
            return information.total_correlation(question, names, evidence)
