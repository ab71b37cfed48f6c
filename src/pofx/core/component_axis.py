"""The axis over which the components of a mixture are stacked."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

COMPONENTS = "components"


def over_components(f: Callable[..., Any], *, shared: int = 0) -> Callable[..., Any]:
    """f of one component, for all of them; its last `shared` arguments are common to all."""

    def stacked(*arguments):
        own = len(arguments) - shared
        axes = (eqx.if_array(0),) * own + (None,) * shared
        return eqx.filter_vmap(f, in_axes=axes, axis_name=COMPONENTS)(*arguments)

    return stacked


def sum_over_components(x: Any) -> Any:
    """The sum of x over the components of the mixture around; alone, x itself."""
    try:
        return jax.lax.psum(x, COMPONENTS)
    except NameError:  # JAX's word for no such axis: no mixture around
        return x


def stack_modules(parts: Any) -> Any:
    """Modules of one structure as one module, its arrays stacked."""
    arrays = [eqx.partition(p, eqx.is_array) for p in parts]
    stacked = jax.tree.map(lambda *a: jax.numpy.stack(a), *(a for a, _ in arrays))
    return eqx.combine(stacked, arrays[0][1])
