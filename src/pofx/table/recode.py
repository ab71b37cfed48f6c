"""One distribution in the columns and units of another."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from pofx.core.distribution import Queryable
from pofx.core.printing import names_text
from pofx.models.recoded import Recoded
from pofx.table.joint import Joint
from pofx.table.schema import Variable


def difference(p: Joint, q: Joint) -> str:
    """Why densities of the two do not compare, in words; empty if they do.

    Order, shift, scale and the order of levels may differ. Variables, levels, point masses and
    what is given of an array may not.
    """
    for one, other, which in ((p, q, "first"), (q, p, "second")):
        alone = [name for name in one.schema.names if name not in other.schema.names]
        if alone:
            return f"only the {which} has {names_text(alone)}"
    for variable in p.schema.variables:
        other = q.schema.variable(variable.name)
        if measure(variable) != measure(other):
            first, second = measure(variable), measure(other)
            return f"{variable.name!r} is {first} in the first and {second} in the second"
        for one, two, which in ((variable, other, "first"), (other, variable, "second")):
            alone = [level for level in one.levels if level not in two.levels]
            if alone:
                return f"only the {which} has the level {names_text(alone)} of {variable.name!r}"
        if not np.array_equal(_free(p, variable.name), _free(q, variable.name)):
            return f"other entries of {variable.name!r} are given in the first than in the second"
    return ""


def measure(variable: Variable) -> str:
    """What a column's density is a density with respect to."""
    shape = f"an array of shape {variable.shape} of " if variable.shape else ""
    if variable.discrete:
        return f"{shape}one of {len(variable.levels)} levels"
    if variable.kind == "count":
        return f"{shape}a count"
    what = f"a number in {variable.unit}" if variable.time else "a number"
    spikes = ", ".join(f"{spike:.12g}" for spike in variable.spikes)
    return f"{shape}{what} with point masses at {spikes}" if spikes else f"{shape}{what}"


def recoded(model: Queryable, q: Joint, p: Joint) -> Queryable:
    """The model of `q`, which has no `difference` from `p`, over the free entries of `p`.

    The model itself if the two encode alike, so that rules for closed forms find it.
    """
    if _alike(p, q):
        return model
    variables = [(v, q.schema.variable(v.name)) for v in p.schema.variables for _ in range(v.size)]
    own = [pair for pair, free in zip(variables, p.entries.free) if free]
    many_spikes = max((len(v.spikes) for v, _ in own), default=0)
    many_levels = max((len(v.levels) for v, _ in own), default=0)
    spikes, others = np.full((2, len(own), many_spikes), np.nan)
    codes = np.tile(np.arange(max(many_levels, 1)), (len(own), 1))
    for j, (one, other) in enumerate(own):
        spikes[j, : len(one.spikes)] = one.column.spikes
        others[j, : len(one.spikes)] = other.column.spikes
        codes[j, : len(one.levels)] = [other.levels.index(level) for level in one.levels]
    return Recoded(
        model,
        slope=jnp.asarray([one.scale / other.scale for one, other in own]),
        offset=jnp.asarray([(one.shift - other.shift) / other.scale for one, other in own]),
        discrete=jnp.asarray([one.discrete for one, _ in own]),
        codes=jnp.asarray(codes),
        spikes=jnp.asarray(spikes),
        others=jnp.asarray(others),
        order=_order(p, q),
    )


def _order(p: Joint, q: Joint) -> tuple[int, ...]:
    """For each free entry of p its number among those of q."""
    place = np.cumsum(q.entries.free) - 1
    slices = [q.schema.slices[name] for name in p.schema.names]
    return tuple(np.concatenate([place[s][q.entries.free[s]] for s in slices]).tolist())


def _alike(p: Joint, q: Joint) -> bool:
    """Whether both encode alike; dtypes and resolutions have no part in it."""
    unseen = {"dtype": "", "resolution": 0.0}
    one, other = (
        [replace(variable, **unseen) for variable in joint.schema.variables] for joint in (p, q)
    )
    return one == other


def _free(p: Joint, name: str) -> np.ndarray:
    return p.entries.free[p.schema.slices[name]]
