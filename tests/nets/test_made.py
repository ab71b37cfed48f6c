"""Which outputs of a masked perceptron depend on which inputs."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.nets.made import MADE, MAX_ONE_HOT_CODES
from pofx.nets.transformer import Transformer

pytestmark = pytest.mark.slow  # each compiles for seconds; tests/laws runs some models quickly

TABLE_CODES = MAX_ONE_HOT_CODES + 9
COUNTS = (1, 3, TABLE_CODES, 1, 2)
PLACES, SIZES = ((0, 3, 4), (1, 2)), (2, 3)
OWNERS = np.array([0, 0, 3, 3, 4, 4, 1, 1, 1, 2, 2, 2])
ORDERS = [(0, 1, 2, 3, 4), (3, 1, 4, 0, 2)]
KEY = jax.random.key(0)


@cache
def nets(order):
    """Nets of both kinds without zero weights."""
    made = [
        MADE.init(KEY, COUNTS, PLACES, SIZES, order, width, depth)
        for width, depth in ((64, 3), (3, 1))
    ]
    made.append(Transformer.init(KEY, COUNTS, PLACES, SIZES, order, 8, 2, 2))
    leaves, tree = jax.tree.flatten(made)
    rng = np.random.default_rng(0)
    return jax.tree.unflatten(tree, [a + 0.3 * rng.normal(size=a.shape) for a in leaves])


@eqx.filter_jit
def answers(net, numbers, codes, seen):
    return jax.vmap(lambda n, c: net(n, c, seen))(numbers, codes)


@eqx.filter_jit
def slopes(net, numbers, codes):
    return jax.jacobian(net)(numbers, codes)


def influence(net, seen=None):
    """Whether each output changes with the input of each column, (outputs, columns)."""
    rng, d = np.random.default_rng(0), len(COUNTS)
    changed = np.zeros((len(OWNERS), d), bool)
    for _ in range(4):
        numbers, codes = np.tile(rng.normal(size=d), (d + 1, 1)), rng.integers(COUNTS)
        codes = np.tile(codes, (d + 1, 1))
        # The last row is the original; each other row has one column changed.
        numbers[np.arange(d), np.arange(d)] += 1
        codes[np.arange(d), np.arange(d)] = (codes[-1] + 1) % COUNTS
        out = np.asarray(answers(net, jnp.asarray(numbers, jnp.float32), jnp.asarray(codes), seen))
        changed |= (out[:-1] != out[-1]).T
    return changed


def wide(net):
    """Whether a net has hidden units for every position in an order."""
    return not isinstance(net, MADE) or len(net.biases[0]) > len(COUNTS)


@pytest.mark.parametrize("order", ORDERS)
def test_outputs_see_the_columns_before_their_own_and_no_others(order):
    rank = np.argsort(order)
    allowed = rank[OWNERS][:, None] > rank
    for net in nets(order):
        seen = influence(net)
        assert not (seen & ~allowed).any()
        if wide(net):
            np.testing.assert_array_equal(seen, allowed)


def test_jacobians_are_strictly_triangular_in_the_order():
    order, rng = ORDERS[1], np.random.default_rng(1)
    numbers, codes = jnp.asarray(rng.normal(size=5)), jnp.asarray(rng.integers(COUNTS))
    rank = np.argsort(order)[OWNERS]
    for net in nets(order):
        by_place = np.asarray(slopes(net, numbers, codes))[:, list(order)]
        assert not by_place[np.arange(5) >= rank[:, None]].any()
        assert by_place[np.arange(5) < rank[:, None]].any()


def test_without_an_order_outputs_see_what_is_seen():
    mask = jnp.array([True, False, True, False, True])
    for net in nets(()):
        partial = influence(net, mask)
        assert not partial[:, ~np.asarray(mask)].any()
        complete = influence(net, jnp.ones(5, bool))
        if wide(net):
            assert partial[:, np.asarray(mask)].all()
            assert complete.all()


def test_unseen_columns_may_hold_anything_and_are_marked_as_unseen():
    mask = jnp.array([True, False, True, False, True])
    numbers = jnp.stack([jnp.zeros(5), jnp.zeros(5).at[1].set(jnp.nan)])
    for net in nets(()):
        one, other = np.asarray(answers(net, numbers, jnp.zeros((2, 5), int), mask))
        np.testing.assert_array_equal(one, other)
        # A column seen at zero differs from an unseen column.
        more = answers(net, numbers, jnp.zeros((2, 5), int), mask.at[3].set(True))
        assert (np.asarray(more[0]) != one).any()


def test_few_codes_are_inputs_and_many_are_looked_up():
    """Both multiply a matrix by the one-hot vector of the code."""
    few = MADE.init(KEY, (1, MAX_ONE_HOT_CODES), ((0, 1),), (1,), (1, 0), 16, 1)
    more = MADE.init(KEY, (1, MAX_ONE_HOT_CODES + 1), ((0, 1),), (1,), (1, 0), 16, 1)
    assert few.tables == ()
    assert few.weights[0].shape == (16, 2 + MAX_ONE_HOT_CODES)
    assert [t.shape for t in more.tables] == [(MAX_ONE_HOT_CODES + 1, 16)]
    table = few.weights[0].T[2:]
    moved = MADE(
        (few.weights[0][:, :2], few.weights[1]),
        few.biases,
        (jnp.pad(table, ((0, 1), (0, 0))),),
        more.counts,
        more.places,
        more.sizes,
        more.order,
    )
    for code in (0, 5, MAX_ONE_HOT_CODES - 1):
        at = (jnp.ones(2), jnp.array([0, code]))
        np.testing.assert_allclose(few(*at), moved(*at), rtol=1e-5)


def test_thousands_of_codes_take_the_memory_of_their_table():
    net = MADE.init(KEY, (5000, 1), ((0, 1),), (1,), (0, 1), 16, 1)
    assert sum(a.size for a in jax.tree.leaves(net)) < 5000 * 16 + 200

    def total(net, numbers, codes):
        return jax.vmap(net)(numbers, codes).sum()

    rows = (jnp.ones((256, 2)), jnp.full((256, 2), 7))
    memory = jax.jit(jax.grad(total)).lower(net, *rows).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 2**20, "a vector of 5000 for each row would be 5 MB"
    slope = jax.jit(jax.grad(total))(net, *rows).tables[0]
    assert np.flatnonzero(np.asarray(slope).any(1)).tolist() == [7]


def test_a_single_column_has_no_input():
    net = MADE.init(KEY, (1,), ((0,),), (2,), (0,), 8, 2)
    assert not np.asarray(jax.jacobian(net)(jnp.ones(1), jnp.zeros(1, int))).any()
