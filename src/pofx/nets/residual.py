"""A residual multilayer perceptron conditioned on a time and other numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.compilation import compiled_quickly

TIME_FREQUENCIES = 5
"""Number of frequencies in the encoding of a time between 0 and 1: π, 2π, 4π, ..."""


class ResidualMLP(eqx.Module):
    """A residual multilayer perceptron whose layers are scaled and shifted by a time t.

    h_0 = A x + a,  h_{l+1} = h_l + C_l r((1 + S_l e) B_l h_l + T_l e),  y = D ((1 + G e) h_L)

    with r(u) = u / (1 + exp(-u)) and e = (1, t, sin 2^i π t, cos 2^i π t, condition). S_l, G and D
    start at zero, so y does too. He, Zhang, Ren and Sun, "Deep residual learning" (2016); Perez et
    al., "FiLM" (2018).

    Args of a call:
        x: the input.
        t: the time, from 0 to 1.
        condition: other known numbers; may be empty.

    >>> net = ResidualMLP.init(jax.random.key(0), 3, 2, 8, 2)
    >>> net(jnp.ones(3), jnp.zeros(()), jnp.zeros(0)).tolist()
    [0.0, 0.0]
    """

    input_weights: Float[Array, "width into+1"]
    hidden_weights: Float[Array, "depth width width"]
    scale: Float[Array, "depth width e"]
    shift: Float[Array, "depth width e"]
    update_weights: Float[Array, "depth width width"]
    gain: Float[Array, "width e"]
    output_weights: Float[Array, "out width"]

    def __call__(
        self, x: Float[Array, "into"], t: Float[Array, ""], condition: Float[Array, "y"]
    ) -> Float[Array, "out"]:
        angle = jnp.pi * t * 2.0 ** jnp.arange(TIME_FREQUENCIES)
        e = jnp.concatenate([jnp.stack([1 + 0 * t, t]), jnp.sin(angle), jnp.cos(angle), condition])
        e = e.astype(x.dtype)
        h = self.input_weights[:, :-1] @ x + self.input_weights[:, -1]
        layers = zip(self.hidden_weights, self.scale, self.shift, self.update_weights)
        for hidden, scale, shift, update in layers:
            h = h + update @ jax.nn.silu((1 + scale @ e) * (hidden @ h) + shift @ e)
        return self.output_weights @ ((1 + self.gain @ e) * h)

    @classmethod
    def init(
        cls, key: PRNGKeyArray, into: int, out: int, width: int, depth: int, condition_size: int = 0
    ) -> "ResidualMLP":
        """A net of output zero with `depth` hidden layers of `width` units."""
        return _init(key, into, out, width, depth, 2 + 2 * TIME_FREQUENCIES + condition_size)


@compiled_quickly
def _init(
    key: PRNGKeyArray, into: int, out: int, width: int, depth: int, size_of_e: int
) -> ResidualMLP:
    keys = jax.random.split(key, 4)

    def draw_weights(key, *shape):
        return jax.random.normal(key, shape) / jnp.sqrt(shape[-1])

    return ResidualMLP(
        input_weights=draw_weights(keys[0], width, into + 1),
        hidden_weights=draw_weights(keys[1], depth, width, width),
        scale=jnp.zeros((depth, width, size_of_e)),
        shift=draw_weights(keys[2], depth, width, size_of_e),
        update_weights=draw_weights(keys[3], depth, width, width) / max(depth, 1),
        gain=jnp.zeros((width, size_of_e)),
        output_weights=jnp.zeros((out, width)),
    )
