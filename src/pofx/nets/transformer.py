"""A small transformer over the columns of a row."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.nets.random_weights import normals


class TransformerBlock(eqx.Module):
    """Attention between tokens, then a perceptron of each, both beside the identity.

    h <- h + attention(n(h)),   h <- h + W_2 gelu(W_1 n(h) + b_1) + b_2,   n: mean 0, scale 1

    Vaswani et al., "Attention is all you need" (2017), normalised first as in Xiong et al. (2020).

    >>> block = TransformerBlock.init(jax.random.key(0), 8, 2, 1.0)
    >>> block(jnp.ones((3, 8)), jnp.ones((3, 3), bool)).shape
    (3, 8)
    """

    inward: Float[Array, "3 heads size width"]
    outward: Float[Array, "width heads size"]
    up: Float[Array, "wide width"]
    down: Float[Array, "width wide"]
    gains: Float[Array, "2 width"]
    biases: tuple[Float[Array, "wide"], Float[Array, "width"]]

    def __call__(
        self, h: Float[Array, "t width"], mask: Bool[Array, "t t"] | None
    ) -> Float[Array, "t width"]:
        q, k, v = jnp.einsum("shcw,tw->shtc", self.inward, normed(h, self.gains[0]))
        score = jnp.einsum("hqc,hkc->hqk", q, k) / math.sqrt(q.shape[-1])
        if mask is not None:
            score = jnp.where(mask, score, -jnp.inf)
        met = jnp.einsum("hqk,hkc->qhc", jax.nn.softmax(score, -1), v)
        h = h + jnp.einsum("whc,thc->tw", self.outward, met)
        inner = jax.nn.gelu(normed(h, self.gains[1]) @ self.up.T + self.biases[0])
        return h + inner @ self.down.T + self.biases[1]

    @classmethod
    def init(cls, key: PRNGKeyArray, width: int, heads: int, share: float) -> "TransformerBlock":
        """Random weights; what goes back into a token is `share` of the usual scale."""
        own, wide = width // heads, 4 * width
        shapes = [(3, heads, own, width), (width, heads, own), (wide, width), (width, wide)]
        inward, outward, up, down = normals(key, shapes)
        one, back = 1 / math.sqrt(width), share / math.sqrt(width)
        gains, biases = jnp.ones((2, width)), (jnp.zeros(wide), jnp.zeros(width))
        return cls(one * inward, back * outward, one * up, back / 2 * down, gains, biases)


class Transformer(eqx.Module):
    """A transformer with a token for each column, and of each token what it says of its column.

    In an `order` a token holds the column before its own, and attends to itself and those before
    it: outputs about a column see the columns before it. Without one (an empty order) a token holds
    its own column, or a `blank` where that is not `seen`, and attends to all.

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
        seen: Bool[Array, "d"] | None = None,
    ) -> Float[Array, "out"]:
        h, mask = numbers[:, None] * self.directions, None
        if max(self.counts) > 1:
            h = h + self.table[np.cumsum([0, *self.counts[:-1]]) + codes]
        if self.order:
            before = h[np.array(self.order[:-1], int)]
            h = jnp.concatenate([self.blank[None], before])
            mask = jnp.tri(len(h), dtype=bool)
        if seen is not None:
            h = jnp.where(seen[:, None], h, self.blank)
        h = h + self.positions
        for block in self.blocks:
            h = block(h, mask)
        h = normed(h, self.gain)
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
        """A net for columns with these `counts` of codes.

        The outputs are grouped as `places`: `sizes` of them about each column of a group. They
        start near zero. The tokens are `width` wide, a multiple of `heads`.
        """
        tokens, inner = jax.random.split(key)
        d, share = len(counts), 1 / math.sqrt(2 * depth)
        outputs = [(len(place), size, width) for place, size in zip(places, sizes)]
        shapes = [(d, width), (sum(counts), width), (d, width), (width,), *outputs]
        directions, table, positions, blank, *last = normals(tokens, shapes)
        keys = jax.random.split(inner, depth)
        blocks = jax.vmap(lambda k: TransformerBlock.init(k, width, heads, share))(keys)
        blocks = tuple(jax.tree.map(lambda a, i=i: a[i], blocks) for i in range(depth))
        weights = tuple(0.1 / math.sqrt(width) * w for w in last)
        biases = tuple(jnp.zeros(w.shape[:2]) for w in weights)
        own = (directions, table, positions, blank, blocks, jnp.ones(width), weights, biases)
        return cls(*own, counts, places, order)


def normed(h: Float[Array, "t width"], gain: Float[Array, "width"]) -> Float[Array, "t width"]:
    """Each token with mean 0 and scale 1, times a gain of each entry."""
    off = h - h.mean(-1, keepdims=True)
    return gain * off * jax.lax.rsqrt((off * off).mean(-1, keepdims=True) + 1e-5)
