"""Two distributions beside each other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.answer import Answer, mean_over_rows
from pofx.core.errors import PofxError
from pofx.core.width import in_model_width
from pofx.queries import divergence
from pofx.queries.monte_carlo import MAX_DRAWS
from pofx.table.informs import in_nats, in_unit
from pofx.table.joint import Joint
from pofx.table.replicates import replicated
from pofx.table.schema import Variable
from pofx.table.seeds import key_of


def kl(
    p: Joint,
    q: Joint,
    *names: str,
    unit: str = "nats",
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
    seed: int = 0,
) -> Answer:
    """KL(p || q) = E_p[log p(x) - log q(x)], at least 0, and 0 for equals only.

    Over the variables named, all of them where none is. Exact where a closed form is known for the
    pair (Gaussians and what is Gaussian by another name, independent columns of families that have
    one, chains of such) and for levels that can be enumerated, else an estimate. Both must speak of
    the same variables in the same units: fit one with `schema=` of the other (Kullback and Leibler
    1951).

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(kl(p, p))
    KL(p || q) = 0 nats   exact, closed form
    """
    request = {"unit": unit, "stderr": stderr, "max_draws": max_draws, "seed": seed}
    return _between("KL", divergence.kl, p, q, names, **request)


def jensen_shannon(
    p: Joint,
    q: Joint,
    *names: str,
    unit: str = "nats",
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
    seed: int = 0,
) -> Answer:
    """JS(p || q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2, from 0 to log 2.

    Symmetric, and finite where KL is not (Lin 1991). Arguments as for `kl`.

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(jensen_shannon(p, p, unit="bits"))
    JS(p || q) = 0 bits   exact, by enumeration
    """
    request = {"unit": unit, "stderr": stderr, "max_draws": max_draws, "seed": seed}
    return _between("JS", divergence.jensen_shannon, p, q, names, **request)


@in_model_width
def cross_entropy(
    p: Joint,
    q: Joint,
    *names: str,
    unit: str = "nats",
    stderr: float | None = None,
    max_draws: int = MAX_DRAWS,
    seed: int = 0,
) -> Answer:
    """CE(p || q) = -E_p[log q(x)] = H(p) + KL(p || q): what q pays on average for rows of p.

    Of continuous variables it is in the data's units, as an entropy is. Arguments as for `kl`.

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(cross_entropy(p, p, unit="bits"))
    CE(p || q) = 1 bits   exact, closed form
    """
    request = {"unit": unit, "stderr": stderr, "max_draws": max_draws, "seed": seed}
    answer = _between("CE", divergence.cross_entropy, p, q, names, **request)
    units = p.entries.entropy_units(p.model, p.entries.mask(names or p.schema.names))
    return replace(answer, value=answer.value + float(units) / in_nats(1.0, unit))


@in_model_width
def _between(
    what: str,
    query: Callable[..., Answer],
    p: Joint,
    q: Joint,
    names: tuple[str, ...],
    *,
    unit: str,
    stderr: float | None,
    max_draws: int,
    seed: int,
) -> Answer:
    """The answer of a query that takes both models, in the unit asked for."""
    for other in (p, q):
        if not isinstance(other, Joint):
            got = type(other).__name__
            raise PofxError(f"{query.__name__}: wanted two distributions, got {got}")
    free = np.array_equal(p.entries.free, q.entries.free)
    if p.schema.variables != q.schema.variables or not free:
        raise PofxError(
            f"{query.__name__}: wanted two distributions of the same variables in the same "
            f"encoding; got {', '.join(p.schema.names)} and {', '.join(q.schema.names)}; "
            "fit the second with schema=p.schema"
        )
    asked = p.entries.mask(names or p.schema.names)
    request = {"stderr": in_nats(stderr, unit), "max_draws": max_draws}

    def put(p: Joint, q: Joint) -> Answer:
        return query(key_of(seed), p.model, q.model, p.entries.columns, asked, **request)

    answer = replicated(put, p, q)
    over = f"({', '.join(names)})" if names else ""
    return in_unit(answer, unit, f"{what}(p{over} || q{over})")


@in_model_width
def compare(p: Joint, q: Joint, data: Any) -> Answer:
    """The mean of log p(x) - log q(x) over rows, a paired difference with its standard error.

    Positive where p gives the rows more probability; nats a row. On rows that neither learned
    from, it says which model is better and how surely. Raises PofxError where the two give a
    column densities with respect to different measures (counts, levels, point masses, lengths).

    >>> import pofx
    >>> data = {"a": [0, 1] * 10}
    >>> p = pofx.fit(data, "independent")
    >>> float(compare(p, p, data))
    0.0
    """
    for name in p.schema.names:
        one, other = _measure(p.schema.variable(name)), _measure(q.schema.variable(name))
        if one != other:
            raise PofxError(
                f"compare: column {name!r} is {one} to the first and {other} to the second, whose "
                "densities do not compare; fit one with schema= of the other"
            )
    gains = p.log_prob(data) - q.log_prob(data)
    return replace(mean_over_rows(gains), what="E[log p(x) - log q(x)]")


def _measure(variable: Variable) -> str:
    """What a column's density is a density with respect to."""
    if variable.discrete:
        return f"one of {len(variable.levels)} levels"
    if variable.kind == "count":
        return "a count"
    spikes = ", ".join(f"{spike:g}" for spike in variable.spikes)
    return f"a number with point masses at {spikes}" if spikes else "a number"
