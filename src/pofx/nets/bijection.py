"""Invertible networks: layers of flowjax's bijections, as arrays and the plan they follow."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Annotated, Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.errors import PofxError

LAYERS = ("autoregressive", "coupling")
TRANSFORMS = ("spline", "affine")


class BijectionConfig(eqx.Module):
    """What a bijection is made of; `context` is the number of inputs beside the row."""

    size: int = eqx.field(static=True)
    context: int = eqx.field(static=True)
    kind: Annotated[str, LAYERS] = eqx.field(static=True)
    transform: Annotated[str, TRANSFORMS] = eqx.field(static=True)
    layers: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    knots: int = eqx.field(static=True)
    tail: float = eqx.field(static=True)


class Bijection(eqx.Module):
    """A map of rows to rows with its inverse, and the logarithm of its Jacobian's determinant.

    Coupling layers (Dinh, Sohl-Dickstein and Bengio 2017) or masked autoregressive ones
    (Papamakarios, Pavlakou and Murray 2017) of affine maps or rational-quadratic splines (Durkan,
    Bekasov, Murray and Papamakarios 2019), which go on as the identity beyond `tail`.
    """

    arrays: tuple[Array, ...]
    plan: BijectionConfig

    def __call__(
        self, x: Float[Array, "d"], context: Float[Array, "c"]
    ) -> tuple[Float[Array, "d"], Float[Array, ""]]:
        """The row that x comes from, and log |dz / dx|."""
        return self._flow().inverse_and_log_det(x, self._given(context))

    def inverse(self, z: Float[Array, "d"], context: Float[Array, "c"]) -> Float[Array, "d"]:
        """The x that goes to z."""
        return self._flow().transform(z, self._given(context))

    def _given(self, context: Array) -> Array | None:
        return context if self.plan.context else None

    def _flow(self) -> Any:
        import paramax

        treedef, rest = _skeleton(self.plan)
        return paramax.unwrap(eqx.combine(jax.tree.unflatten(treedef, self.arrays), rest))

    @classmethod
    def init(cls, key: PRNGKeyArray, plan: BijectionConfig) -> "Bijection":
        """Random networks whose map is near the identity. PofxError without the extra."""
        built = jax.tree.map(_quiet, _built(key, plan), is_leaf=_is_network)
        return cls(tuple(jax.tree.leaves(eqx.filter(built, eqx.is_array))), plan)


def _is_network(node: Any) -> bool:
    return isinstance(node, eqx.nn.MLP)


def _quiet(node: Any) -> Any:
    """A network with a last layer of a hundredth: to outputs of zero a layer is the identity."""
    if not _is_network(node):
        return node
    small = jax.tree.map(lambda a: 0.01 * a if eqx.is_inexact_array(a) else a, node.layers[-1])
    return eqx.tree_at(lambda net: net.layers[-1], node, small)


def _skeleton(plan: BijectionConfig) -> tuple[Any, Any]:
    """Everything about the layers but their arrays."""
    return _skeleton_in(plan, bool(jax.config.read("jax_enable_x64")))


@cache
def _skeleton_in(plan: BijectionConfig, wide: bool) -> tuple[Any, Any]:
    def build():
        with jax.enable_x64(wide):
            return eqx.partition(_built(jax.random.key(0), plan), eqx.is_array)

    # Layers hold functions that hold arrays: tracers, were they built under a trace of the caller.
    # Traces are a thread's own.
    with ThreadPoolExecutor(1) as other:
        arrays, rest = other.submit(build).result()
    return jax.tree.structure(arrays), rest


def _built(key: PRNGKeyArray, plan: BijectionConfig) -> Any:
    try:
        from flowjax import flows
        from flowjax.bijections import RationalQuadraticSpline
        from flowjax.distributions import StandardNormal
    except ImportError:
        raise PofxError("flow: expected the extra of flows; try pip install 'pofx[flow]'") from None
    spline = RationalQuadraticSpline(knots=plan.knots, interval=plan.tail)
    make = {
        "autoregressive": flows.masked_autoregressive_flow,
        "coupling": flows.coupling_flow,
    }[plan.kind]
    return make(
        key,
        base_dist=StandardNormal((plan.size,)),
        transformer=spline if plan.transform == "spline" else None,
        cond_dim=plan.context or None,
        flow_layers=plan.layers,
        nn_width=plan.width,
        nn_depth=plan.depth,
    ).bijection
