"""One distribution in the columns and units of another."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from pofx.core.abstract import AbstractQueryable
from pofx.core.printing import names_text
from pofx.models.recoded import Recoded
from pofx.named.model import NamedModel, P
from pofx.table.schema import Variable


def difference(p: NamedModel, q: NamedModel, *, levels: bool = True) -> str:
    """Why densities of the two cannot be compared, in words; empty if they can.

    The order, shift and scale of variables and the order of levels may differ. Variables, point
    masses and the given entries of arrays may not, nor may levels unless `levels` is False.
    """
    for one, other, which in ((p, q, "first"), (q, p, "second")):
        alone = [name for name in one.schema.names if name not in other.schema.names]
        if alone:
            return f"only the {which} has {names_text(alone)}"
    for variable in p.schema.variables:
        other = q.schema.variable(variable.name)
        free = variable.discrete and other.discrete and not levels
        if measure(variable, free) != measure(other, free):
            first, second = measure(variable), measure(other)
            return f"{variable.name!r} is {first} in the first and {second} in the second"
        for one, two, which in ((variable, other, "first"), (other, variable, "second")):
            if (alone := lacking(one, two)) and levels:
                return f"only the {which} has the level {names_text(alone)} of {variable.name!r}"
        if not np.array_equal(_free(p, variable.name), _free(q, variable.name)):
            return f"other entries of {variable.name!r} are given in the first than in the second"
    return ""


def lacking(one: Variable, other: Variable) -> list[Any]:
    """The levels of one variable that the other does not have."""
    return [level for level in one.levels if level not in other.levels]


def with_levels_of(p: P, q: NamedModel) -> P:
    """`p` in a schema that also has the levels of `q`; its model stays as it is."""

    def merge_levels(variable: Variable) -> Variable:
        new_levels = lacking(q.schema.variable(variable.name), variable)
        if not new_levels:
            return variable
        kind = "ordinal" if variable.kind == "ordinal" else "categorical"
        return replace(variable, kind=kind, family="", levels=(*variable.levels, *new_levels))

    variables = tuple(map(merge_levels, p.schema.variables))
    return replace(p, schema=replace(p.schema, variables=variables))


def measure(variable: Variable, any_levels: bool = False) -> str:
    """The measure that a column's density refers to, in words."""
    shape = f"an array of shape {variable.shape} of " if variable.shape else ""
    if variable.discrete:
        return f"{shape}one of {'' if any_levels else f'{len(variable.levels)} '}levels"
    if variable.kind == "count":
        return f"{shape}a count"
    what = f"a number in {variable.unit}" if variable.time_kind else "a number"
    spikes = ", ".join(f"{spike:.12g}" for spike in variable.spikes)
    return f"{shape}{what} with point masses at {spikes}" if spikes else f"{shape}{what}"


def recoded(model: AbstractQueryable, q: NamedModel, p: NamedModel) -> AbstractQueryable:
    """The model of `q`, which has no `difference` from `p`, over the free entries of `p`.

    A level of `p` that `q` lacks has probability 0. If the two encode alike it is the model itself,
    so that closed forms still apply.
    """
    if _alike(p, q):
        return model
    variables = [(v, q.schema.variable(v.name)) for v in p.schema.variables for _ in range(v.size)]
    pairs = [pair for pair, free in zip(variables, p.entries.free) if free]
    num_spikes = max((len(v.spikes) for v, _ in pairs), default=0)
    num_levels = max((len(v.levels) for v, _ in pairs), default=0)
    spikes, others = np.full((2, len(pairs), num_spikes), np.nan)
    codes = np.tile(np.arange(max(num_levels, 1)), (len(pairs), 1))
    for j, (one, other) in enumerate(pairs):
        spikes[j, : len(one.spikes)] = one.column.spikes
        others[j, : len(one.spikes)] = other.column.spikes
        known = {level: code for code, level in enumerate(other.levels)}
        codes[j, : len(one.levels)] = [known.get(level, -1) for level in one.levels]
    return Recoded(
        model,
        slope=jnp.asarray([one.scale / other.scale for one, other in pairs]),
        offset=jnp.asarray([(one.shift - other.shift) / other.scale for one, other in pairs]),
        discrete=jnp.asarray([one.discrete for one, _ in pairs]),
        codes=jnp.asarray(codes),
        spikes=jnp.asarray(spikes),
        model_spikes=jnp.asarray(others),
        order=_order(p, q),
    )


def _order(p: NamedModel, q: NamedModel) -> tuple[int, ...]:
    """For each free entry of p, its index among those of q."""
    place = np.cumsum(q.entries.free) - 1
    slices = [q.schema.slices[name] for name in p.schema.names]
    return tuple(np.concatenate([place[s][q.entries.free[s]] for s in slices]).tolist())


def _alike(p: NamedModel, q: NamedModel) -> bool:
    """Whether both encode alike; dtypes and resolutions do not matter."""
    ignored = {"dtype": "", "resolution": 0.0}
    one, other = (
        [replace(variable, **ignored) for variable in side.schema.variables] for side in (p, q)
    )
    return one == other


def _free(p: NamedModel, name: str) -> np.ndarray:
    return p.entries.free[p.schema.slices[name]]
