"""Two distributions beside each other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.answer import Answer, mean_over_rows
from pofx.core.errors import PofxError
from pofx.core.float_width import in_model_width
from pofx.core.rows import rows
from pofx.joint.joint import Joint
from pofx.named.independence import UNRELATED, marked
from pofx.named.information import in_nats, in_unit
from pofx.named.random_keys import key_of
from pofx.named.recoding import difference, lacking, recoded, together
from pofx.named.seed_averaging import replicated
from pofx.queries import density, divergence
from pofx.queries.monte_carlo import MAX_DRAWS


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
    one, chains of such) and for levels that can be enumerated, else an estimate. Both must have the
    same variables and point masses. A level that one of them lacks has probability 0 there; of one
    that only p has the divergence is infinite. If the two encode numbers or levels differently, as
    fits to other rows do, q is re-expressed in p's units, and only Gaussians keep their closed
    form; fit one with `schema=` of the other for the others' (Kullback and Leibler 1951).

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(kl(p, p))
    KL(p || q) = 0 nats   exact, of equals
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
    JS(p || q) = 0 bits   exact, of equals
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
    if names and set(p.schema.names) != set(q.schema.names):
        p, q = p.marginal(*names), q.marginal(*names)
    if apart := difference(p, q, levels=False):
        raise PofxError(
            f"{query.__name__}: wanted two distributions of the same variables and point masses; "
            f"{apart}"
        )
    whose = together(p, q)
    asked = p.entries.mask(names or p.schema.names)
    request = {"stderr": in_nats(stderr, unit), "max_draws": max_draws}

    def put(p: Joint, q: Joint) -> Answer:
        one, other = recoded(p.model, p, whose), recoded(q.model, q, whose)
        return query(key_of(seed), one, other, whose.entries.columns, asked, **request)

    answer = None if what == "JS" else _beyond(p, q, names or p.schema.names)
    if answer is None:
        answer = replicated(put, p, q)
    over = f"({', '.join(names)})" if names else ""
    answer = in_unit(answer, unit, f"{what}(p{over} || q{over})")
    return _noted(answer, p, q, names or p.schema.names)


def _beyond(p: Joint, q: Joint, names: Sequence[str]) -> Answer | None:
    """An infinite answer if p gives probability to a level that q does not have."""
    for name in names:
        for level in lacking(p.schema.variable(name), q.schema.variable(name)):
            code = p.schema.variable(name).levels.index(level)
            x = np.full((int(p.entries.mask([name]).sum()), p.model.size), np.nan)
            x[np.arange(len(x)), p.entries.mask([name])] = code
            if (density.log_prob(p.model, rows(x)) > -np.inf).any():
                how = f"the second has no level {level!r} of {name!r}"
                return Answer(np.inf, how=how, unit="nats")
    return None


def _noted(answer: Answer, p: Joint, q: Joint, names: Sequence[str]) -> Answer:
    """The answer, which says so if what is given of a side has no part in it."""
    sides = [
        (word, side) for word, side in (("first", p), ("second", q)) if side.unrelated is not None
    ]
    deaf = [word for word, side in sides if side._ignores(names)]
    if not deaf:
        return answer
    return marked(answer, UNRELATED if len(deaf) == len(sides) else f"the {deaf[0]} {UNRELATED}")


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
    if apart := difference(p, q):
        raise PofxError(
            f"compare: wanted two distributions whose densities compare; {apart}; "
            "fit one with schema= of the other"
        )
    gains = p.log_prob(data) - q.log_prob(data)
    return replace(mean_over_rows(gains), what="E[log p(x) - log q(x)]")
