"""Embeddings of rows: the codes of each kind of column, and decoded numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.column import Column
from pofx.nets.row_embedding import Embedding

COLUMNS = (
    Column("real", "real"),
    Column("positive", "positive"),
    Column("count", "count"),
    Column("binary", "binary", levels=2),
    Column("category", "categorical", levels=3),
    Column("order", "ordinal", levels=5),
    Column("rain", "positive", spikes=(0.0, 7.0)),
)


def table(n=200):
    rng = np.random.default_rng(0)
    rain = np.where(rng.random(n) < 0.3, 0.0, np.exp(rng.normal(size=n)))
    return np.column_stack(
        [
            5 + 2 * rng.normal(size=n),
            np.exp(3 + 2 * rng.normal(size=n)),
            rng.poisson(6, n),
            rng.random(n) < 0.1,
            rng.integers(0, 3, n),
            rng.integers(0, 5, n),
            np.where(rng.random(n) < 0.2, 7.0, rain),
        ]
    ).astype(np.float32)


@pytest.fixture(scope="module")
def embedding():
    x = table()
    return Embedding.from_data(COLUMNS, x, np.ones(x.shape))


def seen(embedding, x, observed=None):
    observed = np.ones(len(COLUMNS), bool) if observed is None else observed
    return np.asarray(embedding(jnp.asarray(x), jnp.asarray(observed)))


def test_numbers_are_standardised(embedding):
    x = table()
    u = np.array([seen(embedding, row) for row in x])
    assert u.shape == (200, embedding.size) == (200, 6 + 3 + 2)
    smooth = [0, 1, 2, 4]
    np.testing.assert_allclose(u[:, smooth].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(u[:, smooth].std(0), 1, rtol=1e-4)
    np.testing.assert_array_equal(u[:, 3], 2 * x[:, 3] - 1)
    # For rain the values that are no spikes are standardised.
    wet = ~np.isin(x[:, 6], [0, 7])
    np.testing.assert_allclose([u[wet, 5].mean(), u[wet, 5].std()], [0, 1], atol=1e-4)
    assert (u[~wet, 5] == 0).all()


def test_marks_are_of_levels_and_spikes(embedding):
    x = table()
    u = np.array([seen(embedding, row) for row in x])
    np.testing.assert_array_equal(u[:, 6:9], 2 * (x[:, [4]] == [0, 1, 2]) - 1)
    np.testing.assert_array_equal(u[:, 9:], 2 * (x[:, [6]] == [0, 7]) - 1)


def test_missing_entries_are_zero_whatever_they_hold(embedding):
    row = table()[0]
    for j in range(len(COLUMNS)):
        observed = np.arange(len(COLUMNS)) != j
        complete = seen(embedding, row)
        partial = seen(embedding, row, observed)
        spoiled = seen(embedding, np.where(observed, row, np.nan), observed)
        np.testing.assert_array_equal(partial, spoiled)
        codes = [i for i, k in enumerate((*embedding.numbers, *embedding.mark_columns)) if k == j]
        assert (partial[codes] == 0).all()
        assert np.abs(complete[codes]).max() > 0
        np.testing.assert_array_equal(np.delete(partial, codes), np.delete(complete, codes))


def test_numbers_come_back(embedding):
    x = table()
    for row in x[~np.isin(x[:, 6], [0, 7])][:20]:
        numbers = jnp.asarray(row[list(embedding.numbers)])
        decoded = embedding.decode_numbers(embedding.encode_numbers(numbers))
        np.testing.assert_allclose(decoded, numbers, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1e6, -1e-6])
def test_a_constant_column_is_finite(value):
    x = np.full((5, 1), value, np.float32)
    u = seen_one(Embedding.from_data((Column("a", "real"),), x, np.ones((5, 1))), x[0])
    assert u.tolist() == [0]


def seen_one(embedding, row):
    return np.asarray(embedding(jnp.asarray(row), jnp.ones(1, bool)))


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_the_unit_does_not_matter(scale):
    x = np.random.default_rng(0).normal(size=(50, 1)).astype(np.float32)
    one = Embedding.from_data((Column("a", "real"),), x, np.ones(x.shape))
    other = Embedding.from_data((Column("a", "real"),), x * np.float32(scale), np.ones(x.shape))
    for row in x[:5]:
        np.testing.assert_allclose(
            seen_one(one, row), seen_one(other, row * np.float32(scale)), rtol=1e-4, atol=1e-5
        )
