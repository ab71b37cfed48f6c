"""Multilayer perceptrons: `MLP`, and `SmoothMLP` with a continuous gradient."""

from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.compilation import compiled_quickly, to_device


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
        *hidden_layers, last = zip(self.weights, self.biases)
        for weight, bias in hidden_layers:
            x = jax.nn.leaky_relu(weight @ x + bias, 0.2)
        return last[0] @ x + last[1]

    @classmethod
    def init(cls, key: PRNGKeyArray, sizes: Sequence[int]) -> "MLP":
        """A random net; `sizes` are the numbers of units of its layers, from input to output."""
        return cls(*_random_layers(key, tuple(sizes)))


@compiled_quickly
def _random_layers(
    key: PRNGKeyArray, sizes: tuple[int, ...]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The weights and the biases of each layer."""
    pairs = list(pairwise(sizes))
    keys = jax.random.split(key, len(pairs))
    weights = tuple(
        jax.random.normal(k, (out, into)) / jnp.sqrt(into) for k, (into, out) in zip(keys, pairs)
    )
    return weights, tuple(jnp.zeros(out) for _, out in pairs)


class SmoothMLP(eqx.Module):
    """A multilayer perceptron whose gradient in its input is continuous, as a score must be.

    y = A_L s(... s(A_1 x)), with A_l h = W_l h + b_l and s(h) = h / (1 + exp(-h))

    The last layer starts at zero, so y starts at zero too. Elfwing, Uchibe and Doya, "Sigmoid-
    weighted linear units" (2018).

    >>> net = SmoothMLP.init(jax.random.key(0), (2, 8, 1))
    >>> net(jnp.ones(2)).tolist()
    [0.0]
    """

    weights: tuple[Float[Array, "out into"], ...]
    biases: tuple[Float[Array, "out"], ...]

    def __call__(self, x: Float[Array, "into"]) -> Float[Array, "out"]:
        *hidden_layers, last = zip(self.weights, self.biases)
        for weight, bias in hidden_layers:
            x = jax.nn.silu(weight @ x + bias)
        return last[0] @ x + last[1]

    @classmethod
    def init(cls, key: PRNGKeyArray, sizes: Sequence[int]) -> "SmoothMLP":
        """A net of output zero; `sizes` are the numbers of units, from input to output."""
        weights, biases = _random_layers(key, tuple(sizes))
        return cls((*weights[:-1], to_device(np.zeros(weights[-1].shape))), biases)
