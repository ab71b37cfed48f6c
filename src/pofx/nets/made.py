"""The masked multilayer perceptron: each output sees the inputs that come before it in an order."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.nets.random_weights import draw_normals

BIAS_RATE_GAIN = 30.0
"""How much faster than a weight an output's bias is learned.

An output that sees no column has only its bias. Without the gain, that would move by one learning
rate per step, while other outputs move by one learning rate for each of their many weights.
"""
MAX_ONE_HOT_CODES = 32
"""Columns with more codes are looked up in a table instead of being one input per code."""


class MADE(eqx.Module):
    """A multilayer perceptron whose outputs about a column see only the columns before it.

    y = (A ∘ N) h_L + b,   h_1 = r((V ∘ M_1) z + c),   h_l = h_(l-1) + r((W_l ∘ M) h_(l-1) + b_l)

    with r(h) = max(h, 0) and masks M, N of zeros and ones. Each hidden unit has a degree. A unit
    sees the columns up to that position of the `order` and the units of no greater degree, and is
    seen by the columns that come later. Without an order (an empty one) only inputs are masked:
    each output sees all columns in `seen_mask`, and the mask itself. Germain, Gregor, Murray and
    Larochelle, "MADE: masked autoencoder for distribution estimation" (2015).

    Args of a call:
        numbers, codes: the columns of a row (`RowTokens`), (d,) each.
        seen_mask: which columns the outputs may see; None for all.

    Returns the outputs, group by group of `places`.

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
        seen_mask: Bool[Array, "d"] | None = None,
    ) -> Float[Array, "out"]:
        owners = _columns_of_outputs(self.places, self.sizes)
        last = self._mask_weights(self.weights[-1], self._rank[owners], self._degrees + 1)
        return last @ self.hidden(numbers, codes, seen_mask) + BIAS_RATE_GAIN * self.biases[-1]

    def hidden(
        self,
        numbers: Float[Array, "d"],
        codes: Int[Array, "d"],
        seen_mask: Bool[Array, "d"] | None = None,
    ) -> Float[Array, "width"]:
        """The last hidden layer."""
        owners, level = _one_hot_codes(self.counts)
        inputs = numbers
        if len(owners):
            inputs = jnp.concatenate([inputs, (codes[owners] == level).astype(numbers.dtype)])
        owners = np.concatenate([np.arange(len(numbers)), owners])
        if seen_mask is not None:
            # Replaced, not multiplied by zero, because an unseen entry may be NaN.
            inputs = jnp.concatenate(
                [jnp.where(seen_mask[owners], inputs, 0), seen_mask.astype(numbers.dtype)]
            )
        degrees, rank = self._degrees, self._rank
        first = self._mask_weights(self.weights[0], degrees, rank[owners])
        h = first @ inputs + self.biases[0]
        for table, j in zip(self.tables, _table_columns(self.counts)):
            visible = degrees >= rank[j] if seen_mask is None else seen_mask[j]
            h = h + jnp.where(visible, table[codes[j]], 0)
        h = jax.nn.relu(h)
        for weight, bias in zip(self.weights[1:-1], self.biases[1:-1]):
            h = h + jax.nn.relu(self._mask_weights(weight, degrees, degrees) @ h + bias)
        return h

    def _mask_weights(self, weight: Array, out_degree: np.ndarray, in_degree: np.ndarray) -> Array:
        """The weights, zero where the output's degree is less than the input's."""
        if not self.order:
            return weight
        allowed = jnp.asarray(out_degree)[:, None] >= jnp.asarray(in_degree)
        return jnp.where(allowed, weight, 0)

    @property
    def _rank(self) -> np.ndarray:
        """The position of each column in the order."""
        return np.argsort(self.order or np.zeros(len(self.counts), int)).astype(np.int32)

    @property
    def _degrees(self) -> np.ndarray:
        """For each hidden unit the last position that it sees, spread over all but the last."""
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
        """A random net whose outputs start near zero.

        Args:
            key: of the random weights.
            counts: the number of codes of each column; 1 for a column that is only a number.
            places: the columns of each group of outputs.
            sizes: for each group the number of outputs per column.
            order: a permutation of the columns, or empty.
            width: units per hidden layer.
            depth: the number of hidden layers.
        """
        into = len(counts) * (1 if order else 2) + len(_one_hot_codes(counts)[0])
        out = len(_columns_of_outputs(places, sizes))
        shapes = [(width, into), *[(width, width)] * (depth - 1), (out, width)]
        table_shapes = [(counts[j], width) for j in _table_columns(counts)]
        normals = draw_normals(key, shapes + table_shapes)
        scales = [np.sqrt(2 / into), *[np.sqrt(1 / width)] * (depth - 1), 0.1 / np.sqrt(width)]
        weights = tuple(float(scale) * a for scale, a in zip(scales, normals))
        tables = tuple(float(scales[0]) * a for a in normals[len(shapes) :])
        biases = tuple(jnp.zeros(units) for units, _ in shapes)
        return cls(weights, biases, tables, counts, places, sizes, order)


def _columns_of_outputs(places: Sequence[Sequence[int]], sizes: Sequence[int]) -> np.ndarray:
    """The column that each output is about."""
    return np.concatenate([np.repeat(place, size) for place, size in zip(places, sizes)])


def _one_hot_codes(counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The columns whose codes are inputs, once for each code, and the codes."""
    pairs = [
        (j, code)
        for j, count in enumerate(counts)
        if 1 < count <= MAX_ONE_HOT_CODES
        for code in range(count)
    ]
    owners, codes = np.array(pairs, int).reshape(-1, 2).T
    return owners, codes


def _table_columns(counts: Sequence[int]) -> list[int]:
    """The columns whose codes are looked up."""
    return [j for j, count in enumerate(counts) if count > MAX_ONE_HOT_CODES]
