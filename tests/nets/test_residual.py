"""The residual perceptron: its formula, its start, and that the time reaches every layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.nets.residual import TIME_FREQUENCIES, ResidualMLP

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def net():
    """A net without zero weights."""
    start = ResidualMLP.init(KEY, 3, 2, 5, 2, 2)
    leaves, tree = jax.tree.flatten(start)
    keys = jax.random.split(KEY, len(leaves))
    return jax.tree.unflatten(
        tree, [jax.random.normal(k, a.shape) / 2 for k, a in zip(keys, leaves)]
    )


def by_hand(net, x, t, condition):
    angle = np.pi * t * 2.0 ** np.arange(TIME_FREQUENCIES)
    e = np.concatenate([[1, t], np.sin(angle), np.cos(angle), condition])
    net = jax.tree.map(lambda a: np.asarray(a, np.float64), net)
    h = net.input_weights @ np.append(x, 1)
    for layer in range(2):
        u = (1 + net.scale[layer] @ e) * (net.hidden_weights[layer] @ h) + net.shift[layer] @ e
        h = h + net.update_weights[layer] @ (u / (1 + np.exp(-u)))
    return net.output_weights @ ((1 + net.gain @ e) * h)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_the_formula(net, t):
    x = np.array([0.5, -2.0, 1.0])
    condition = np.array([1.0, -1.0])
    y = net(*map(jnp.asarray, (x, t, condition)))
    np.testing.assert_allclose(y, by_hand(net, x, t, condition), rtol=1e-4)


def test_it_starts_at_zero_and_learns_from_there():
    start = ResidualMLP.init(KEY, 3, 2, 8, 3)
    x, t = jax.random.normal(KEY, (3,)), jnp.asarray(0.4)
    assert start(x, t, jnp.zeros(0)).tolist() == [0, 0]
    slope = eqx.filter_grad(lambda net: (net(x, t, jnp.zeros(0)) - 1).sum())(start)
    assert float(jnp.abs(slope.output_weights).max()) > 0.1


def test_the_time_and_the_condition_reach_every_layer(net):
    slope = jax.jacfwd(lambda t: net(jnp.ones(3), t, jnp.ones(2)))(jnp.asarray(0.3))
    assert float(jnp.abs(slope).min()) > 0
    slope = jax.jacfwd(lambda condition: net(jnp.ones(3), jnp.asarray(0.3), condition))(jnp.ones(2))
    assert float(jnp.abs(slope).min()) > 0
    for name in ("scale", "shift", "gain"):
        slopes = eqx.filter_grad(lambda n: n(jnp.ones(3), jnp.asarray(0.3), jnp.ones(2)).sum())(net)
        assert float(jnp.abs(getattr(slopes, name)).max()) > 0
