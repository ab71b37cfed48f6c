"""The residual multilayer perceptron that is told a time, and what else is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

WAVES = 5
"""Frequencies at which a time between 0 and 1 is told: π, 2π, 4π, ..."""


class ResidualMLP(eqx.Module):
    """A residual multilayer perceptron whose layers are scaled and shifted by a time t.

    h_0 = A x + a,  h_{l+1} = h_l + C_l r((1 + S_l e) B_l h_l + T_l e),  y = D ((1 + G e) h_L)

    with r(u) = u / (1 + exp(-u)) and e = (1, t, sin 2^i π t, cos 2^i π t, told), where `told` are
    other numbers, if there are any. S_l, G and D start at zero, and so does y. He, Zhang, Ren and
    Sun, "Deep residual learning" (2016); Perez et al., "FiLM" (2018).

    >>> net = ResidualMLP.init(jax.random.key(0), 3, 2, 8, 2)
    >>> net(jnp.ones(3), jnp.zeros(()), jnp.zeros(0)).tolist()
    [0.0, 0.0]
    """

    inlet: Float[Array, "width into+1"]
    turn: Float[Array, "depth width width"]
    scale: Float[Array, "depth width e"]
    shift: Float[Array, "depth width e"]
    add: Float[Array, "depth width width"]
    gain: Float[Array, "width e"]
    outlet: Float[Array, "out width"]

    def __call__(
        self, x: Float[Array, "into"], t: Float[Array, ""], told: Float[Array, "told"]
    ) -> Float[Array, "out"]:
        angle = jnp.pi * t * 2.0 ** jnp.arange(WAVES)
        e = jnp.concatenate([jnp.stack([1 + 0 * t, t]), jnp.sin(angle), jnp.cos(angle), told])
        e = e.astype(x.dtype)
        h = self.inlet[:, :-1] @ x + self.inlet[:, -1]
        for turn, scale, shift, add in zip(self.turn, self.scale, self.shift, self.add):
            h = h + add @ jax.nn.silu((1 + scale @ e) * (turn @ h) + shift @ e)
        return self.outlet @ ((1 + self.gain @ e) * h)

    @classmethod
    def init(
        cls, key: PRNGKeyArray, into: int, out: int, width: int, depth: int, told: int = 0
    ) -> "ResidualMLP":
        """A net of `depth` layers of this width: zero, whatever it is told."""
        keys, e = jax.random.split(key, 4), 2 + 2 * WAVES + told

        def normal(key, *shape):
            return jax.random.normal(key, shape) / jnp.sqrt(shape[-1])

        return cls(
            inlet=normal(keys[0], width, into + 1),
            turn=normal(keys[1], depth, width, width),
            scale=jnp.zeros((depth, width, e)),
            shift=normal(keys[2], depth, width, e),
            add=normal(keys[3], depth, width, width) / max(depth, 1),
            gain=jnp.zeros((width, e)),
            outlet=jnp.zeros((out, width)),
        )
