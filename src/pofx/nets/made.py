"""The masked multilayer perceptron: each output sees the inputs that come before it in an order."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.nets.random_weights import normals

GAIN = 30.0
"""How much faster than a weight an output's bias is learned.

It is all that an output has that sees no column, and alone would move by one rate of learning in a
step where others move by that of each of their many weights.
"""
HOT = 32
"""Codes of a column up to which they are inputs, one each; beyond it they are looked up."""


class MADE(eqx.Module):
    """A multilayer perceptron whose outputs about a column see only the columns before it.

    y = (A ∘ N) h_L + b,   h_1 = r((V ∘ M_1) z + c),   h_l = h_(l-1) + r((W_l ∘ M) h_(l-1) + b_l)

    with r(h) = max(h, 0) and masks M, N of zeros and ones. Each hidden unit has a degree: it sees
    the columns up to that place of the `order` and the units of no greater degree, and is seen by
    the columns that come after. Without an order (an empty one) nothing is masked but inputs: each
    output sees all columns `seen`, and which they are. Germain, Gregor, Murray and Larochelle,
    "MADE: masked autoencoder for distribution estimation" (2015).

    >>> net = MADE.init(jax.random.key(0), (1, 1, 1), ((0, 1, 2),), (1,), (2, 0, 1), 8, 1)
    >>> slopes = jax.jit(jax.jacobian(net))(jnp.ones(3), jnp.zeros(3, int))
    >>> (slopes != 0).astype(int).tolist()
    [[0, 0, 1], [1, 0, 1], [0, 0, 0]]
    """

    weights: tuple[Float[Array, "out into"], ...]
    biases: tuple[Float[Array, "out"], ...]
    tables: tuple[Float[Array, "codes width"], ...]
    counts: tuple[int, ...] = eqx.field(static=True)
    places: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    order: tuple[int, ...] = eqx.field(static=True)

    def __call__(
        self,
        numbers: Float[Array, "d"],
        codes: Int[Array, "d"],
        seen: Bool[Array, "d"] | None = None,
    ) -> Float[Array, "out"]:
        owners = _owners(self.places, self.sizes)
        last = self._open(self.weights[-1], self._rank[owners], self._degrees + 1)
        return last @ self.hidden(numbers, codes, seen) + GAIN * self.biases[-1]

    def hidden(
        self,
        numbers: Float[Array, "d"],
        codes: Int[Array, "d"],
        seen: Bool[Array, "d"] | None = None,
    ) -> Float[Array, "width"]:
        """The last hidden layer."""
        owners, level = _hot(self.counts)
        inputs = numbers
        if len(owners):
            inputs = jnp.concatenate([inputs, (codes[owners] == level).astype(numbers.dtype)])
        owners = np.concatenate([np.arange(len(numbers)), owners])
        if seen is not None:
            # What is not seen may be anything but what it is times zero.
            inputs = jnp.concatenate(
                [jnp.where(seen[owners], inputs, 0), seen.astype(numbers.dtype)]
            )
        degrees, rank = self._degrees, self._rank
        first = self._open(self.weights[0], degrees, rank[owners])
        h = first @ inputs + self.biases[0]
        for table, j in zip(self.tables, _looked_up(self.counts)):
            reached = degrees >= rank[j] if seen is None else seen[j]
            h = h + jnp.where(reached, table[codes[j]], 0)
        h = jax.nn.relu(h)
        for weight, bias in zip(self.weights[1:-1], self.biases[1:-1]):
            h = h + jax.nn.relu(self._open(weight, degrees, degrees) @ h + bias)
        return h

    def _open(self, weight: Array, out: np.ndarray, into: np.ndarray) -> Array:
        """The weights where the output's degree is no less than the input's."""
        if not self.order:
            return weight
        return jnp.where(jnp.asarray(out)[:, None] >= jnp.asarray(into), weight, 0)

    @property
    def _rank(self) -> np.ndarray:
        """The place of each column in the order."""
        return np.argsort(self.order or np.zeros(len(self.counts), int)).astype(np.int32)

    @property
    def _degrees(self) -> np.ndarray:
        """Of each hidden unit the last place that it sees, from the first to the last but one."""
        last = max(len(self.counts) - 2, 0)
        return np.rint(np.linspace(0, last, len(self.biases[0]))).astype(np.int32)

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        counts: tuple[int, ...],
        places: tuple[tuple[int, ...], ...],
        sizes: tuple[int, ...],
        order: tuple[int, ...],
        width: int,
        depth: int,
    ) -> "MADE":
        """A net for columns with these `counts` of codes.

        The outputs are grouped as `places`: `sizes` of them about each column of a group. They
        start near zero.
        """
        into = len(counts) * (1 if order else 2) + len(_hot(counts)[0])
        out = len(_owners(places, sizes))
        shapes = [(width, into), *[(width, width)] * (depth - 1), (out, width)]
        lookups = [(counts[j], width) for j in _looked_up(counts)]
        drawn = normals(key, shapes + lookups)
        scales = [np.sqrt(2 / into), *[np.sqrt(1 / width)] * (depth - 1), 0.1 / np.sqrt(width)]
        weights = tuple(float(scale) * a for scale, a in zip(scales, drawn))
        tables = tuple(float(scales[0]) * a for a in drawn[len(shapes) :])
        biases = tuple(jnp.zeros(rows) for rows, _ in shapes)
        return cls(weights, biases, tables, counts, places, sizes, order)


def _owners(places: Sequence[Sequence[int]], sizes: Sequence[int]) -> np.ndarray:
    """The column that each output is about."""
    return np.concatenate([np.repeat(place, size) for place, size in zip(places, sizes)])


def _hot(counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The columns whose codes are inputs, once for each code, and the codes."""
    few = [(j, code) for j, n in enumerate(counts) if 1 < n <= HOT for code in range(n)]
    owners, codes = np.array(few, int).reshape(-1, 2).T
    return owners, codes


def _looked_up(counts: Sequence[int]) -> list[int]:
    return [j for j, n in enumerate(counts) if n > HOT]
