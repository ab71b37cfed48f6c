"""The transformer, compared with its formulas in numpy. Its masks are tested in test_made."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf, softmax

from pofx.nets.transformer import Transformer, TransformerBlock

KEY = jax.random.key(0)


def normalise(h, gain):
    return gain * (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-5)


def reference(block, h, mask):
    block = jax.tree.map(lambda a: np.asarray(a, np.float64), block)
    _, heads, size, _ = block.qkv_weights.shape
    inner = normalise(h, block.gains[0])
    attention = np.zeros_like(h)
    for i in range(heads):
        q, k, v = (inner @ block.qkv_weights[s, i].T for s in range(3))
        score = np.where(mask, q @ k.T / np.sqrt(size), -np.inf)
        attention += softmax(score, 1) @ v @ block.attention_output[:, i].T
    h = h + attention
    inner = normalise(h, block.gains[1]) @ block.up.T + block.biases[0]
    # The approximation of the normal distribution function by tanh, within a thousandth.
    inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
    return h + inner @ block.down.T + block.biases[1]


@pytest.mark.parametrize("causal", [False, True])
def test_a_block_is_its_formula(causal):
    block = TransformerBlock.init(KEY, 12, 3, 1.0)
    h = np.random.default_rng(0).normal(size=(5, 12))
    mask = np.tri(5, dtype=bool) if causal else np.ones((5, 5), bool)
    out = eqx.filter_jit(block)(jnp.asarray(h), jnp.asarray(mask) if causal else None)
    np.testing.assert_allclose(out, reference(block, h, mask), atol=5e-3)


def test_columns_without_an_order_may_be_renamed():
    """Tokens may be permuted together with their positions."""
    net = Transformer.init(KEY, (1, 3, 1), ((0, 1, 2),), (2,), (), 8, 2, 2)
    seen = jnp.array([True, True, False])
    numbers = jnp.array([0.5, 0.0, 1.0])
    out = net(numbers, jnp.array([0, 2, 0]), seen).reshape(3, 2)
    order = np.array([2, 0, 1])
    rows = np.concatenate([np.arange(first, last) for first, last in ((4, 5), (0, 1), (1, 4))])
    other = Transformer(
        net.directions[order],
        net.table[rows],
        net.positions[order],
        net.blank,
        net.blocks,
        net.gain,
        (net.weights[0][order],),
        net.biases,
        (1, 1, 3),
        net.places,
        (),
    )
    moved = other(numbers[order], jnp.array([0, 0, 2]), seen[order]).reshape(3, 2)
    np.testing.assert_allclose(moved, out[order], atol=1e-5)
