"""The multilayer perceptron without corners."""

from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.nets.mlp import MLP


class SmoothMLP(eqx.Module):
    """A multilayer perceptron whose gradient in its input is continuous, as a score must be.

    y = A_L s(... s(A_1 x)), with A_l h = W_l h + b_l and s(h) = h / (1 + exp(-h))

    Its last layer starts at zero, and so does y (Elfwing, Uchibe and Doya 2018 on s).

    >>> net = SmoothMLP.init(jax.random.key(0), (2, 8, 1))
    >>> net(jax.numpy.ones(2)).tolist()
    [0.0]
    """

    weights: tuple[Float[Array, "out into"], ...]
    biases: tuple[Float[Array, "out"], ...]

    def __call__(self, x: Float[Array, "into"]) -> Float[Array, "out"]:
        *before, last = zip(self.weights, self.biases)
        for weight, bias in before:
            x = jax.nn.silu(weight @ x + bias)
        return last[0] @ x + last[1]

    @classmethod
    def init(cls, key: PRNGKeyArray, sizes: Sequence[int]) -> "SmoothMLP":
        """A net of these sizes, from the input to the output."""
        net = MLP.init(key, sizes)
        return cls((*net.weights[:-1], 0 * net.weights[-1]), net.biases)
