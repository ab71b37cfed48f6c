"""The numbers and codes of columns of each kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.column import Column
from pofx.nets.tokens import MAX_LINEAR_SDS, RowTokens

REAL = Column("x", "real")


def make_tokens(columns, x, weight=None):
    x = np.asarray(x, np.float32)
    return RowTokens.from_data(columns, x, np.ones(x.shape) if weight is None else weight)


def seen(tokens, x):
    """Numbers and codes of many rows."""
    return map(np.asarray, jax.jit(jax.vmap(tokens))(jnp.asarray(x, jnp.float32)))


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_numbers_have_mean_zero_and_scale_one_in_any_unit(unit):
    x = unit * (3 + np.random.default_rng(0).normal(size=(500, 1)))
    numbers, codes = seen(make_tokens([REAL], x), x)
    assert numbers.mean() == pytest.approx(0, abs=1e-3)
    assert numbers.std() == pytest.approx(1, abs=1e-3)
    assert not codes.any()


def test_numbers_far_from_the_mean_grow_as_logarithms():
    x = np.array([[-1.0], [1.0]])
    grid = np.linspace(-2 * MAX_LINEAR_SDS, 2 * MAX_LINEAR_SDS, 201)
    at = np.concatenate([grid, [1e6, 1e30]])[:, None]
    numbers, _ = seen(make_tokens([REAL], x), at)
    inside = np.abs(at) <= MAX_LINEAR_SDS
    np.testing.assert_allclose(numbers[inside], at[inside], rtol=1e-5)
    assert (np.diff(numbers[:, 0]) > 0).all()
    np.testing.assert_allclose(numbers[-2:, 0], MAX_LINEAR_SDS + np.log1p([1e6, 1e30]), rtol=1e-3)
    tokens = make_tokens([REAL], x)
    slope = jax.vmap(jax.grad(lambda v: tokens(v[None])[0][0]))(jnp.asarray(at[:, 0]))
    assert np.isfinite(slope).all()
    assert (np.asarray(slope[:-1]) > 0).all()


def test_positive_numbers_and_counts_lose_their_tails():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.exp(3 * rng.normal(size=800)), rng.negative_binomial(1, 1e-3, 800)])
    numbers, _ = seen(make_tokens([Column("a", "positive"), Column("b", "count")], x), x)
    for column, expected in zip(numbers.T, (np.log(x[:, 0]), np.log1p(x[:, 1]))):
        expected = (expected - expected.mean()) / expected.std()
        small = np.abs(expected) < MAX_LINEAR_SDS
        np.testing.assert_allclose(column[small], expected[small], atol=1e-3)
    # Masked entries are zero and must give finite numbers.
    assert np.isfinite(
        np.concatenate([a.ravel() for a in seen(make_tokens([REAL], x[:, :1]), x[:2, :1] * 0)])
    ).all()


def test_spikes_are_codes_and_do_not_count_as_numbers():
    column = Column("x", "positive", spikes=(0.0, 0.1))
    x = np.array([[0.0], [0.1], [1.0], [np.e**2], [0.0]])
    numbers, codes = seen(make_tokens([column], x), x)
    assert codes[:, 0].tolist() == [1, 2, 0, 0, 1]
    np.testing.assert_allclose(numbers[:, 0], [0, 0, -1, 1, 0], atol=1e-6)


def test_levels_are_codes_and_binary_columns_numbers():
    columns = [Column("a", "ordinal", levels=4), Column("b", "binary", levels=2)]
    x = np.array([[3, 0], [1, 1], [0, 1], [2, 1]])
    numbers, codes = seen(make_tokens(columns, x), x)
    np.testing.assert_array_equal(codes[:, 0], x[:, 0])
    np.testing.assert_allclose(numbers, np.column_stack([np.zeros(4), x[:, 1] - 0.75]), atol=1e-6)
    assert make_tokens(columns, x).counts == (4, 1)


def test_cells_without_weight_count_for_nothing():
    x = np.array([[1.0], [3.0], [np.nan], [100.0]])
    tokens = make_tokens([REAL], x, np.array([[1.0], [1.0], [0.0], [0.0]]))
    assert (float(tokens.centre[0]), float(tokens.scale[0])) == (2.0, 1.0)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_column_keeps_its_scale(value):
    x = np.full((3, 1), value)
    assert float(make_tokens([REAL], x).scale[0]) == 1
    assert float(make_tokens([REAL], x, np.zeros((3, 1))).scale[0]) == 1
