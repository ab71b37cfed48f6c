"""Rows in chunks: each row exactly once, for any pattern of missing entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pofx.core import rows
from pofx.core.row_patterns import UNSHARED_CHUNK_ROWS
from pofx.core.rows import CHUNK_ROWS, make_rows, per_row, with_common_shape

run_many = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def tables(draw):
    """Numbers, a mask of few patterns or of as many as rows, and weights."""
    n, d = draw(st.integers(1, 90)), draw(st.integers(1, 9))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    count = draw(st.integers(1, 4))
    patterns = draw(hnp.arrays(bool, (count, d)))
    mask = patterns[rng.integers(0, count, n)]
    if draw(st.booleans()):
        mask = rng.random((n, d)) < 0.5
    return rng.integers(-9, 9, (n, d)).astype(float), mask, rng.integers(0, 4, n).astype(float)


@run_many
@given(tables())
def test_what_goes_in_comes_out_in_order(table):
    x, mask, weight = table
    r = make_rows(np.where(mask, x, np.nan), weight=weight)
    flat, observed, row_weight = r.to_arrays()
    np.testing.assert_array_equal(observed, mask)
    np.testing.assert_array_equal(flat, np.where(mask, x, 0))
    np.testing.assert_array_equal(row_weight, weight)
    assert r.count == len(x)
    assert float(r.total) == weight.sum()
    assert r.x.shape[1] in CHUNK_ROWS
    assert (np.asarray(r.weight)[r.index < 0] == 0).all()
    assert not np.isnan(np.asarray(r.x)).any()
    # Rows of a chunk share its pattern, or each has its own.
    assert r.observed.shape in ((len(r.x), x.shape[1]), r.x.shape)
    number = np.arange(len(x))
    np.testing.assert_array_equal(r.from_chunks(np.asarray(r.to_chunks(number))), number)


@run_many
@given(tables())
def test_a_mask_says_what_nan_says(table):
    x, mask, weight = table
    by_nan, by_mask = (
        make_rows(np.where(mask, x, np.nan), weight=weight),
        make_rows(x, mask, weight),
    )
    for a, b in zip(jax.tree.leaves(by_nan), jax.tree.leaves(by_mask), strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(tables())
def test_the_sum_over_chunks_is_the_sum_over_rows(table):
    x, mask, weight = table
    r = make_rows(x, mask, weight)

    def f(x, observed, weight, factor):
        filled = jnp.where(observed, x, 0)
        return (weight * factor) @ filled, weight.sum()

    factor = np.arange(len(x), dtype=np.float32)
    first, total = r.sum(f, r.to_chunks(factor))
    np.testing.assert_allclose(first, (weight * factor) @ np.where(mask, x, 0), rtol=1e-5)
    assert float(total) == weight.sum()


def row_summary(model, x, observed, *extras):
    total = model * jnp.where(observed, x, 0).sum()
    return {"sum": total, "extras": extras, "observed": observed}


@pytest.mark.parametrize("share", [0.0, 0.3], ids=["patterns", "batched"])
def test_per_row_answers_in_order(share):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 12))
    x[:, 3] = np.where(np.arange(600) % 3, x[:, 3], np.nan)
    x[rng.random(x.shape) < share] = np.nan
    r = make_rows(x)
    assert (r.observed.ndim == 3) == (share > 0)
    number = np.arange(600)
    out = per_row(row_summary, jnp.asarray(2.0), r, r.to_chunks(number))
    np.testing.assert_allclose(out["sum"], 2 * np.nansum(x, 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(out["extras"][0], number)
    np.testing.assert_array_equal(out["observed"], ~np.isnan(x))


@pytest.mark.parametrize("share", [0.0, 0.3], ids=["patterns", "batched"])
def test_rows_of_a_large_model_go_a_few_at_a_time(share, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(603, 7))
    x[:, 3] = np.where(np.arange(603) % 3, x[:, 3], np.nan)
    x[rng.random(x.shape) < share] = np.nan
    r = make_rows(x)
    number = np.arange(603)
    model = jnp.ones(10)
    expected = per_row(_at_a_time, model, r, r.to_chunks(number))
    # With ten numbers per row, three rows at once; the last batch of a chunk is smaller.
    monkeypatch.setattr("pofx.core.rows.MAX_NUMBERS_SHARED", 39)
    monkeypatch.setattr("pofx.core.rows.MAX_NUMBERS_UNSHARED", 39)
    answers = per_row(_a_few_at_a_time, model, r, r.to_chunks(number))
    np.testing.assert_array_equal(answers[0], expected[0])
    np.testing.assert_array_equal(answers[1], ~np.isnan(x))
    np.testing.assert_array_equal(answers[2], number)


def _at_a_time(model, x, observed, number):
    return model[0] * jnp.where(observed, x, 0)[0], observed, number


def _a_few_at_a_time(*arguments):  # compiled anew
    return _at_a_time(*arguments)


def test_rows_of_much_work_have_a_program_that_is_compiled_fully(monkeypatch):
    table = make_rows(np.random.default_rng(0).normal(size=(40, 3)))
    calls, plain = [], per_row(_row_sum, np.ones(3), table)
    long_block = rows._long_block
    monkeypatch.setattr(rows, "MIN_LONG_NUMBERS", 40 * 3)
    monkeypatch.setattr(rows, "_long_block", lambda *a: calls.append(1) or long_block(*a))
    np.testing.assert_allclose(per_row(_row_sum, np.ones(3), table), plain, rtol=1e-6)
    assert calls


def _row_sum(model, x, observed):
    return jnp.where(observed, model * x, 0).sum()


def test_few_patterns_share_a_chunk_and_many_do_not():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5000, 20))
    patterns = rng.random((5, 20)) < 0.7
    shared = make_rows(x, patterns[rng.integers(0, 5, 5000)])
    assert shared.observed.shape == (len(shared.x), 20)
    # Five patterns take little more memory than one.
    assert shared.x.shape[0] * shared.x.shape[1] < 1.3 * 5000
    assert len(np.unique(np.asarray(shared.observed), axis=0)) == 5
    unshared = make_rows(x, rng.random(x.shape) < 0.7)
    assert unshared.observed.shape == (len(unshared.x), UNSHARED_CHUNK_ROWS, 20)


@pytest.mark.parametrize("n", [1, 16, 17, 64, 1000, 1025, 5000])
def test_padding_is_bounded(n):
    r = make_rows(np.ones((n, 3)))
    size = r.x.shape[0] * r.x.shape[1]
    assert r.x.shape[1] in CHUNK_ROWS
    assert size <= 4 * max(n, min(CHUNK_ROWS))
    assert (r.index >= 0).sum() == n


def test_edges():
    one = make_rows(np.array([1.0, np.nan]))
    assert one.count == 1
    assert one.to_arrays()[1].tolist() == [[True, False]]
    blank = make_rows(np.full((3, 2), np.nan))
    assert float(blank.x.sum()) == 0
    assert not blank.to_arrays()[1].any()
    empty = make_rows(np.zeros((4, 3)), np.array([[True, False, True]] * 4))
    assert empty.to_arrays()[1].sum(0).tolist() == [4, 0, 4]
    assert make_rows(np.ones((2, 1)), weight=np.array([0.0, 0.0])).total == 0
    none = make_rows(np.zeros((0, 3)))
    assert none.count == 0
    assert none.to_arrays()[0].shape == (0, 3)


def test_rows_without_columns():
    r = make_rows(np.zeros((5, 0)), weight=np.arange(5.0))
    assert r.count == 5
    assert r.to_arrays()[0].shape == (5, 0)
    np.testing.assert_array_equal(r.to_arrays()[2], np.arange(5.0))


def test_rows_take_the_float_type_of_the_day():
    x = np.array([[9999.123456789]])
    assert make_rows(x).x.dtype == jnp.float32
    with jax.enable_x64(True):
        assert float(make_rows(x).x[0, 0, 0]) == x[0, 0]


def test_rows_made_alike_are_the_same_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    x[::7, 1] = np.nan
    parts = [make_rows(x[:n], weight=rng.random(n)) for n in (150, 300, 400)]
    for one, other in zip(parts, with_common_shape(parts), strict=True):
        for array, other_array in zip(one.to_arrays(), other.to_arrays(), strict=True):
            np.testing.assert_array_equal(array, other_array)
        assert other.count == one.count
        assert float(other.total) == float(one.total)
        number = np.arange(one.count)
        np.testing.assert_array_equal(
            other.from_chunks(np.asarray(other.to_chunks(number))), number
        )
    assert len({p.x.shape for p in parts}) > 1
    assert len({p.x.shape for p in with_common_shape(parts)}) == 1
