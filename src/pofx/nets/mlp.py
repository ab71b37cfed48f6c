"""The multilayer perceptron."""

from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class MLP(eqx.Module):
    """A multilayer perceptron: affine maps with leaky rectifiers between them.

    y = A_L r(... r(A_1 x)), with A_l h = W_l h + b_l and r(h) = max(h, h / 5)

    Weights start with variance 1 / inputs (LeCun et al. 1998), biases at zero.

    >>> net = MLP.init(jax.random.key(0), (2, 8, 3))
    >>> net(jnp.ones(2)).shape
    (3,)
    """

    weights: tuple[Float[Array, "out into"], ...]
    biases: tuple[Float[Array, "out"], ...]

    def __call__(self, x: Float[Array, "into"]) -> Float[Array, "out"]:
        *before, last = zip(self.weights, self.biases)
        for weight, bias in before:
            x = jax.nn.leaky_relu(weight @ x + bias, 0.2)
        return last[0] @ x + last[1]

    @classmethod
    def init(cls, key: PRNGKeyArray, sizes: Sequence[int]) -> "MLP":
        """A net of these sizes, from the input to the output."""
        pairs = list(pairwise(sizes))
        keys = jax.random.split(key, len(pairs))
        weights = tuple(
            jax.random.normal(k, (out, into)) / jnp.sqrt(into)
            for k, (into, out) in zip(keys, pairs)
        )
        return cls(weights, tuple(jnp.zeros(out) for _, out in pairs))
