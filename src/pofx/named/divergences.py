"""Divergences between two distributions, and which of two is better on data."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.answer import Answer
from pofx.core.errors import PofxError
from pofx.core.float_width import in_model_width
from pofx.core.row_means import mean_over_rows
from pofx.core.rows import make_rows
from pofx.named.conditioning import marginal
from pofx.named.densities import log_prob
from pofx.named.independence import UNRELATED, ignores, with_note
from pofx.named.model import NamedModel
from pofx.named.precision import Precision, to_nats
from pofx.named.recoding import difference, lacking, recoded, with_levels_of
from pofx.named.seed_averaging import average_over_seeds
from pofx.queries import density, divergence
from pofx.queries.monte_carlo import MAX_DRAWS


def kl(
    p: NamedModel,
    q: NamedModel,
    *names: str,
    unit: str = "nats",
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
    seed: int = 0,
) -> Answer:
    """KL(p || q) = E_p[log p(x) - log q(x)], at least 0, and 0 only if p and q are equal.

    Args:
        p, q: distributions of the same variables and point masses.
        names: the variables that are compared; all of them if none are listed.
        unit: "nats" or "bits".
        stderr: the standard error that an estimate should reach, in that unit.
        max_draws: draws after which an estimate ends in any case.
        seed: of these draws.

    Returns an `Answer`. It is exact if the pair has a closed form (Gaussians and models that are
    Gaussian under another name, independent columns of families with a closed form, chains of such
    models) or levels that can be enumerated, else an estimate. A level that one of the two lacks
    has probability 0 there; if only p has it the divergence is infinite. If the two encode numbers
    or levels differently, as fits to different rows do, q is re-expressed in the units of p, and
    only Gaussians keep their closed form; to keep the others' fit one with `schema=` of the other.
    Kullback and Leibler, "On information and sufficiency" (1951).

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(kl(p, p))
    KL(p || q) = 0 nats   exact, of equals
    """
    precision = Precision(unit, stderr, max_draws, seed)
    return _between("KL", divergence.kl, p, q, names, precision)


def jensen_shannon(
    p: NamedModel,
    q: NamedModel,
    *names: str,
    unit: str = "nats",
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
    seed: int = 0,
) -> Answer:
    """JS(p || q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2, from 0 to log 2.

    Unlike KL, the divergence is symmetric, and finite even if KL is not (Lin 1991).

    Args:
        p, q: fitted distributions of the same variables.
        names: the variables, all by default; the others are integrated out.
        unit: "nats" or "bits".
        stderr: the standard error that an estimate should reach, in that unit.
        max_draws: draws after which an estimate ends in any case.
        seed: of the draws.

    Raises PofxError if the variables or their measures differ.

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(jensen_shannon(p, p, unit="bits"))
    JS(p || q) = 0 bits   exact, of equals
    """
    precision = Precision(unit, stderr, max_draws, seed)
    return _between("JS", divergence.jensen_shannon, p, q, names, precision)


@in_model_width
def cross_entropy(
    p: NamedModel,
    q: NamedModel,
    *names: str,
    unit: str = "nats",
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
    seed: int = 0,
) -> Answer:
    """CE(p || q) = -E_p[log q(x)] = H(p) + KL(p || q): the mean cost of rows of p under q.

    For continuous variables it is in the units of the data, as an entropy is.

    Args:
        p, q: fitted distributions of the same variables.
        names: the variables, all by default; the others are integrated out.
        unit: "nats" or "bits".
        stderr: the standard error that an estimate should reach, in that unit.
        max_draws: draws after which an estimate ends in any case.
        seed: of the draws.

    Raises PofxError if the variables or their measures differ.

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(cross_entropy(p, p, unit="bits"))
    CE(p || q) = 1 bits   exact, closed form
    """
    precision = Precision(unit, stderr, max_draws, seed)
    answer = _between("CE", divergence.cross_entropy, p, q, names, precision)
    units = p.entries.entropy_unit_offset(p.model, p.entries.mask_free(names or p.schema.names))
    return replace(answer, value=answer.value + float(units) / to_nats(1.0, unit))


@in_model_width
def _between(
    symbol: str,
    query: Callable[..., Answer],
    p: NamedModel,
    q: NamedModel,
    names: tuple[str, ...],
    precision: Precision,
) -> Answer:
    """The answer to a query of both models, in the unit of `precision`."""
    for side in (p, q):
        if not isinstance(side, NamedModel):
            got = type(side).__name__
            raise PofxError(f"{query.__name__}: expected two distributions, got {got}")
    if names and set(p.schema.names) != set(q.schema.names):
        p, q = marginal(p, names), marginal(q, names)
    if reason := difference(p, q, levels=False):
        raise PofxError(
            f"{query.__name__}: expected two distributions of the same variables and point masses; "
            f"{reason}"
        )
    names_in_question = names
    names = names or p.schema.names
    all_levels = with_levels_of(p, q)
    mask = p.entries.mask_free(names)

    def compute(p: NamedModel, q: NamedModel) -> Answer:
        one, other = (recoded(side.model, side, all_levels) for side in (p, q))
        columns = all_levels.entries.columns
        return query(precision.key, one, other, columns, mask, **precision.limits)

    answer = None if symbol == "JS" else _infinite_divergence(p, q, names)
    if answer is None:
        answer = average_over_seeds(compute, p, q)
    over = f"({', '.join(names_in_question)})" if names_in_question else ""
    answer = precision.labelled(answer, f"{symbol}(p{over} || q{over})")
    return _with_note_if_ignored(answer, p, q, names)


def _infinite_divergence(p: NamedModel, q: NamedModel, names: Sequence[str]) -> Answer | None:
    """An infinite answer if p gives probability to a level that q does not have."""
    for name in names:
        for level in lacking(p.schema.variable(name), q.schema.variable(name)):
            code = p.schema.variable(name).levels.index(level)
            x = np.full((int(p.entries.mask_free([name]).sum()), p.model.size), np.nan)
            x[np.arange(len(x)), p.entries.mask_free([name])] = code
            if (density.log_prob(p.model, make_rows(x)) > -np.inf).any():
                method = f"the second has no level {level!r} of {name!r}"
                return Answer(np.inf, method=method, unit="nats")
    return None


def _with_note_if_ignored(
    answer: Answer, p: NamedModel, q: NamedModel, names: Sequence[str]
) -> Answer:
    """The answer, with a note if the evidence of p or q does not affect it."""
    sides = {"first": p, "second": q}
    conditional = [word for word, side in sides.items() if side.unrelated is not None]
    ignoring = [word for word in conditional if ignores(sides[word], names)]
    if not ignoring:
        return answer
    both = len(ignoring) == len(conditional)
    return with_note(answer, UNRELATED if both else f"the {ignoring[0]} {UNRELATED}")


@in_model_width
def compare(p: NamedModel, q: NamedModel, data: Any) -> Answer:
    """The mean of log p(x) - log q(x) over rows, a paired difference with its standard error.

    The difference is in nats per row, and positive if p gives the rows more probability. On rows
    from which neither was learned it shows which model is better and how surely.

    Args:
        p, q: fitted distributions of the same columns.
        data: rows, a table as `fit` takes it.

    Raises PofxError if the two give a column densities with respect to different measures (counts,
    levels, point masses, lengths).

    >>> import pofx
    >>> data = {"a": [0, 1] * 10}
    >>> p = pofx.fit(data, "independent")
    >>> float(compare(p, p, data))
    0.0
    """
    if reason := difference(p, q):
        raise PofxError(
            f"compare: expected two distributions whose densities compare; {reason}; "
            "fit one with schema= of the other"
        )
    gains = log_prob(p, data, "error") - log_prob(q, data, "error")
    return replace(mean_over_rows(gains), question="E[log p(x) - log q(x)]")
