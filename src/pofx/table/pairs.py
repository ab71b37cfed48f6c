"""Two distributions beside each other."""

from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.answer import Answer, mean_over_rows
from pofx.core.errors import PofxError
from pofx.queries import information
from pofx.table.joint import Joint
from pofx.table.schema import Variable
from pofx.table.seeds import key_of


def kl(
    p: Joint,
    q: Joint,
    *,
    stderr: float | None = None,
    max_draws: int = information.MAX_DRAWS,
    seed: int = 0,
) -> Answer:
    """KL(p || q) = E_p[log p(x) - log q(x)] in nats, at least 0, and 0 for equals only.

    Exact for Gaussians and for discrete variables that can be enumerated, else an estimate. Both
    must speak of the same variables in the same units: fit one with `schema=` of the other.

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(kl(p, p))
    KL(p || q) = 0 nats   exact, by enumeration
    """
    free = np.array_equal(p.entries.free, q.entries.free)
    if p.schema.variables != q.schema.variables or not free:
        raise PofxError(
            "kl: wanted two distributions of the same variables in the same encoding; "
            f"got {', '.join(p.schema.names)} and {', '.join(q.schema.names)}; "
            "fit the second with schema=p.schema"
        )
    answer = information.kl(
        key_of(seed), p.model, q.model, p.entries.columns, stderr=stderr, max_draws=max_draws
    )
    return replace(answer, what="KL(p || q)")


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
    gains = np.asarray(p.log_prob(data)) - np.asarray(q.log_prob(data))
    return replace(mean_over_rows(gains), what="E[log p(x) - log q(x)]")


def _measure(variable: Variable) -> str:
    """What a column's density is a density with respect to."""
    if variable.discrete:
        return f"one of {len(variable.levels)} levels"
    if variable.kind == "count":
        return "a count"
    spikes = ", ".join(f"{spike:g}" for spike in variable.spikes)
    return f"a number with point masses at {spikes}" if spikes else "a number"
