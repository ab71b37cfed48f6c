"""A small transformer over the columns of a row."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.nets.random_weights import draw_normals


class TransformerBlock(eqx.Module):
    """Attention between tokens, then a perceptron per token, each added to its input.

    h <- h + attention(n(h)),   h <- h + W_2 gelu(W_1 n(h) + b_1) + b_2,   n: mean 0, scale 1

    Vaswani et al., "Attention is all you need" (2017), normalised first as in Xiong et al. (2020).

    >>> block = TransformerBlock.init(jax.random.key(0), 8, 2, 1.0)
    >>> block(jnp.ones((3, 8)), jnp.ones((3, 3), bool)).shape
    (3, 8)
    """

    qkv_weights: Float[Array, "3 heads size width"]
    attention_output: Float[Array, "width heads size"]
    up: Float[Array, "wide width"]
    down: Float[Array, "width wide"]
    gains: Float[Array, "2 width"]
    biases: tuple[Float[Array, "wide"], Float[Array, "width"]]

    def __call__(
        self, h: Float[Array, "t width"], mask: Bool[Array, "t t"] | None
    ) -> Float[Array, "t width"]:
        """New tokens; token i attends to token j if `mask[i, j]`, to all tokens without a mask."""
        q, k, v = jnp.einsum("shcw,tw->shtc", self.qkv_weights, normalise(h, self.gains[0]))
        score = jnp.einsum("hqc,hkc->hqk", q, k) / math.sqrt(q.shape[-1])
        if mask is not None:
            score = jnp.where(mask, score, -jnp.inf)
        attention = jnp.einsum("hqk,hkc->qhc", jax.nn.softmax(score, -1), v)
        h = h + jnp.einsum("whc,thc->tw", self.attention_output, attention)
        inner = jax.nn.gelu(normalise(h, self.gains[1]) @ self.up.T + self.biases[0])
        return h + inner @ self.down.T + self.biases[1]

    @classmethod
    def init(
        cls, key: PRNGKeyArray, width: int, heads: int, output_scale: float
    ) -> "TransformerBlock":
        """Random weights; those added to a token have `output_scale` times the usual scale."""
        size = width // heads
        hidden_width = 4 * width
        shapes = [
            (3, heads, size, width),
            (width, heads, size),
            (hidden_width, width),
            (width, hidden_width),
        ]
        qkv, attention_output, up, down = draw_normals(key, shapes)
        usual = 1 / math.sqrt(width)
        back = output_scale / math.sqrt(width)
        gains = jnp.ones((2, width))
        biases = (jnp.zeros(hidden_width), jnp.zeros(width))
        return cls(usual * qkv, back * attention_output, usual * up, back / 2 * down, gains, biases)


class Transformer(eqx.Module):
    """A transformer with one token per column; each token gives the outputs about its column.

    - With an `order` a token holds the column before its own, and attends to itself and the tokens
      before it. So the outputs about a column depend only on the columns before it.
    - Without an order (an empty one) a token holds its own column, or a `blank` if that column is
      not in `seen_mask`, and attends to all tokens.

    Args of a call:
        numbers, codes: the columns of a row (`RowTokens`), (d,) each.
        seen_mask: which columns the outputs may see; None for all.

    Returns the outputs, group by group of `places`.

    >>> net = Transformer.init(jax.random.key(0), (1, 1, 1), ((0, 1, 2),), (1,), (2, 0, 1), 8, 1, 2)
    >>> slopes = jax.jit(jax.jacobian(net))(jnp.ones(3), jnp.zeros(3, int))
    >>> (slopes != 0).astype(int).tolist()
    [[0, 0, 1], [1, 0, 1], [0, 0, 0]]
    """

    directions: Float[Array, "d width"]
    table: Float[Array, "codes width"]
    positions: Float[Array, "d width"]
    blank: Float[Array, "width"]
    blocks: tuple[TransformerBlock, ...]
    gain: Float[Array, "width"]
    weights: tuple[Float[Array, "c size width"], ...]
    biases: tuple[Float[Array, "c size"], ...]
    counts: tuple[int, ...] = eqx.field(static=True)
    places: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    order: tuple[int, ...] = eqx.field(static=True)

    def __call__(
        self,
        numbers: Float[Array, "d"],
        codes: Int[Array, "d"],
        seen_mask: Bool[Array, "d"] | None = None,
    ) -> Float[Array, "out"]:
        h = numbers[:, None] * self.directions
        mask = None
        if max(self.counts) > 1:
            h = h + self.table[np.cumsum([0, *self.counts[:-1]]) + codes]
        if self.order:
            previous = h[np.array(self.order[:-1], int)]
            h = jnp.concatenate([self.blank[None], previous])
            mask = jnp.tri(len(h), dtype=bool)
        if seen_mask is not None:
            h = jnp.where(seen_mask[:, None], h, self.blank)
        h = h + self.positions
        for block in self.blocks:
            h = block(h, mask)
        h = normalise(h, self.gain)
        rank = np.argsort(self.order or np.arange(len(h)))
        out = [
            jnp.einsum("cw,csw->cs", h[rank[np.array(place)]], weight) + bias
            for place, weight, bias in zip(self.places, self.weights, self.biases)
        ]
        return jnp.concatenate([o.ravel() for o in out])

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
        heads: int,
    ) -> "Transformer":
        """A random net whose outputs start near zero.

        Args:
            key: of the random weights.
            counts: the number of codes of each column; 1 for a column that is only a number.
            places: the columns of each group of outputs.
            sizes: for each group the number of outputs per column.
            order: a permutation of the columns, or empty.
            width: the size of a token, a multiple of `heads`.
            depth: the number of blocks.
            heads: attention heads per block.
        """
        token_key, block_key = jax.random.split(key)
        d = len(counts)
        output_scale = 1 / math.sqrt(2 * depth)
        outputs = [(len(place), size, width) for place, size in zip(places, sizes)]
        shapes = [(d, width), (sum(counts), width), (d, width), (width,), *outputs]
        directions, table, positions, blank, *last = draw_normals(token_key, shapes)
        keys = jax.random.split(block_key, depth)
        blocks = jax.vmap(lambda k: TransformerBlock.init(k, width, heads, output_scale))(keys)
        weights = tuple(0.1 / math.sqrt(width) * w for w in last)
        return cls(
            directions=directions,
            table=table,
            positions=positions,
            blank=blank,
            blocks=tuple(jax.tree.map(lambda a, i=i: a[i], blocks) for i in range(depth)),
            gain=jnp.ones(width),
            weights=weights,
            biases=tuple(jnp.zeros(w.shape[:2]) for w in weights),
            counts=counts,
            places=places,
            order=order,
        )


def normalise(h: Float[Array, "t width"], gain: Float[Array, "width"]) -> Float[Array, "t width"]:
    """Each token standardised to mean 0 and scale 1, times a gain per entry."""
    deviation = h - h.mean(-1, keepdims=True)
    return gain * deviation * jax.lax.rsqrt((deviation * deviation).mean(-1, keepdims=True) + 1e-5)
