"""Invertible networks: layers of flowjax's bijections, as arrays and their configuration."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Annotated, Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.compilation import compiled_quickly
from pofx.core.errors import PofxError

LAYERS = ("autoregressive", "coupling")
TRANSFORMS = ("spline", "affine")


class BijectionConfig(eqx.Module):
    """The structure of a bijection.

    Args:
        size: the length of a row.
        context: the number of inputs beside the row.
        kind: of the layers, "autoregressive" or "coupling".
        transform: of one number, "spline" or "affine".
        layers: the number of layers.
        width, depth: units per hidden layer of a layer's network, and the number of those.
        knots: of a spline.
        tail: a spline is the identity outside [-tail, tail].
    """

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
    """An invertible map of rows to rows with the log-determinant of its Jacobian.

    Coupling layers (Dinh, Sohl-Dickstein and Bengio 2017) or masked autoregressive layers
    (Papamakarios, Pavlakou and Murray 2017), made of affine maps or of rational-quadratic splines
    (Durkan, Bekasov, Murray and Papamakarios 2019).
    """

    arrays: tuple[Array, ...]
    config: BijectionConfig

    def __call__(
        self, x: Float[Array, "d"], context: Float[Array, "c"]
    ) -> tuple[Float[Array, "d"], Float[Array, ""]]:
        """z, the row that `inverse` maps to x, and log |dz / dx|."""
        return self._flow().inverse_and_log_det(x, self._condition(context))

    def inverse(self, z: Float[Array, "d"], context: Float[Array, "c"]) -> Float[Array, "d"]:
        """The x that a call maps to z."""
        return self._flow().transform(z, self._condition(context))

    def _condition(self, context: Array) -> Array | None:
        return context if self.config.context else None

    def _flow(self) -> Any:
        import paramax

        treedef, static = _static_parts(self.config)
        return paramax.unwrap(eqx.combine(jax.tree.unflatten(treedef, self.arrays), static))

    @classmethod
    def init(cls, key: PRNGKeyArray, config: BijectionConfig) -> "Bijection":
        """Random networks whose map is near the identity.

        Raises PofxError if flowjax, the extra "flow", is not installed.
        """
        return cls(_random_arrays(key, config), config)


@compiled_quickly
def _random_arrays(key: PRNGKeyArray, config: BijectionConfig) -> tuple[Array, ...]:
    flow = jax.tree.map(_shrink_last_layer, _build_flow(key, config), is_leaf=_is_network)
    return tuple(jax.tree.leaves(eqx.filter(flow, eqx.is_array)))


def _is_network(node: Any) -> bool:
    return isinstance(node, eqx.nn.MLP)


def _shrink_last_layer(node: Any) -> Any:
    """A network with its last layer divided by 100; other nodes as they are.

    If a network's outputs are zero, its flow layer is the identity.
    """
    if not _is_network(node):
        return node
    last = jax.tree.map(lambda a: 0.01 * a if eqx.is_inexact_array(a) else a, node.layers[-1])
    return eqx.tree_at(lambda net: net.layers[-1], node, last)


def _static_parts(config: BijectionConfig) -> tuple[Any, Any]:
    """Everything about the layers except their arrays: their tree, and its other leaves."""
    return _static_parts_at_width(config, bool(jax.config.read("jax_enable_x64")))


@cache
def _static_parts_at_width(config: BijectionConfig, float64: bool) -> tuple[Any, Any]:
    def partition_flow():
        with jax.enable_x64(float64):
            return eqx.partition(_build_flow(jax.random.key(0), config), eqx.is_array)

    # Layers hold functions that hold arrays. Built while the caller is traced, these would be
    # tracers; another thread is not traced.
    with ThreadPoolExecutor(1) as executor:
        arrays, static = executor.submit(partition_flow).result()
    return jax.tree.structure(arrays), static


def _build_flow(key: PRNGKeyArray, config: BijectionConfig) -> Any:
    try:
        from flowjax import flows
        from flowjax.bijections import RationalQuadraticSpline
        from flowjax.distributions import StandardNormal
    except ImportError:
        raise PofxError("flow: expected the extra of flows; try pip install 'pofx[flow]'") from None
    spline = RationalQuadraticSpline(knots=config.knots, interval=config.tail)
    make = {
        "autoregressive": flows.masked_autoregressive_flow,
        "coupling": flows.coupling_flow,
    }[config.kind]
    return make(
        key,
        base_dist=StandardNormal((config.size,)),
        transformer=spline if config.transform == "spline" else None,
        cond_dim=config.context or None,
        flow_layers=config.layers,
        nn_width=config.width,
        nn_depth=config.depth,
    ).bijection
