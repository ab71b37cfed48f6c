"""The axis over which the components of a mixture are stacked."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from pofx.core.compilation import to_device

COMPONENTS = "components"


def over_components(f: Callable[..., Any], *, shared: int = 0) -> Callable[..., Any]:
    """f, a function of one component, for all components stacked along the first axis.

    Args:
        f: the function.
        shared: how many of its last arguments are the same for all components.
    """

    def apply(*arguments):
        num_stacked = len(arguments) - shared
        axes = (eqx.if_array(0),) * num_stacked + (None,) * shared
        return eqx.filter_vmap(f, in_axes=axes, axis_name=COMPONENTS)(*arguments)

    return apply


def sum_over_components(x: Any) -> Any:
    """The sum of x over the components inside `over_components`; elsewhere x itself."""
    try:
        return jax.lax.psum(x, COMPONENTS)
    except NameError:  # JAX raises it outside of the axis
        return x


def stack_modules(parts: Any) -> Any:
    """Modules of the same structure as one module with stacked arrays."""
    arrays = [eqx.partition(p, eqx.is_array) for p in parts]
    traced = any(isinstance(a, Tracer) for a in jax.tree.leaves(arrays[0][0]))

    def stack(*leaves):
        return jax.numpy.stack(leaves) if traced else to_device(np.stack(leaves))

    stacked = jax.tree.map(stack, *(a for a, _ in arrays))
    return eqx.combine(stacked, arrays[0][1])
