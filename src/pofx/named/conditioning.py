"""Conditionals and marginals: p(the other columns | evidence) and p(some columns)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.abstract import AbstractQueryable
from pofx.core.errors import PofxError
from pofx.core.float_width import in_model_width
from pofx.core.rows import make_rows
from pofx.models.conditional import condition
from pofx.named.independence import unrelated_to
from pofx.named.model import P
from pofx.queries import density
from pofx.table.encoding import encode_values


@in_model_width
def given(p: P, values: Mapping[str, Any]) -> P:
    """p(the other columns | values); a missing value (None, NaN) is no evidence.

    Raises PofxError for evidence of probability zero, and if nothing is left to be random.
    """
    for name in values:
        earlier = [text for text in p.evidence if text.startswith(f"{name} = ")]
        if earlier and name not in p.schema.names:
            raise PofxError(f"given: {name!r} is given already: {earlier[0]}")
    entries = encode_values(p.schema, values)
    free = p.entries.free
    if (entries != p.fixed)[~np.isnan(entries) & ~free].any():
        raise PofxError(f"given: {_describe(values)} contradicts the evidence given before")
    observed = ~np.isnan(entries) & free
    if not observed.any():
        return p
    keep = (free & ~observed)[free]
    if not keep.any():
        raise PofxError("given: nothing is left to be random; use log_prob for its probability")
    row = make_rows(np.where(observed, entries, np.nan)[None, free])
    if not density.log_prob(p.model, row)[0] > -np.inf:
        raise PofxError(f"given: the evidence {_describe(values)} has probability zero")
    model = condition(p.model, entries[free], observed[free], keep)
    fixed = np.where(observed, entries, p.fixed)
    slices = p.schema.slices
    names = [name for name in p.schema.names if np.isnan(fixed[slices[name]]).any()]
    conditional = replace(
        p,
        fixed=fixed,
        evidence=p.evidence + tuple(_texts(values)),
        unrelated=unrelated_to(p, observed[free]),
    )
    return _restricted(conditional, model, names)


@in_model_width
def marginal(p: P, names: Sequence[str]) -> P:
    """p(names), the other columns integrated out."""
    if not names:
        raise PofxError("marginal: expected at least one column")
    keep = p.entries.mask_free(names)
    size = p.model.size
    model = condition(p.model, np.zeros(size), np.zeros(size, bool), keep)
    return _restricted(p, model, [name for name in p.schema.names if name in names])


def _restricted(p: P, model: AbstractQueryable, names: Sequence[str]) -> P:
    """`p` with this model of the columns `names` alone; schema and evidence follow from `p`."""
    schema, slices = p.schema, p.schema.slices
    first_entries = {v: p.fixed[slices[v.name]][0] for v in schema.variables if not v.shape}
    evidence = {v: entry for v, entry in first_entries.items() if not np.isnan(entry)}
    numbers = {
        v.name: float(v.levels[int(entry)] if v.discrete else entry * v.scale + v.shift)
        for v, entry in evidence.items()
        if v.numeric
    }
    levels = {v.name: int(entry) for v, entry in evidence.items() if v.discrete}
    return replace(
        p,
        model=model,
        schema=schema.select(names, numbers, levels),
        fixed=p.fixed[p.entries.mask_all(names)],
        unrelated=None if p.unrelated is None else tuple(n for n in names if n in p.unrelated),
    )


def _describe(values: Mapping[str, Any]) -> str:
    return ", ".join(_texts(values, "="))


def _texts(values: Mapping[str, Any], equals: str = " = ") -> list[str]:
    return [f"{k}{equals}{_brief(value)}" for k, value in values.items() if value is not None]


def _brief(value: Any) -> str:
    return str(value) if np.ndim(value) == 0 else f"array of shape {np.shape(value)}"
