"""Inference of numbers and levels, dropped rows, and error messages."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pofx import PofxError
from pofx.estimate import entropy, independence_test, mutual_information
from pofx.estimate.input_samples import joint_level, read

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=60)
TEXT = ["a", "b", "c"] * 20


def one(value, discrete=None):
    samples, dropped = read({"x": value}, discrete)
    assert dropped == 0
    return samples["x"]


@pytest.mark.parametrize(
    ("value", "discrete"),
    [
        (NUMBERS, False),
        (TEXT, True),
        (NUMBERS > 0, True),
        (np.arange(60) % 12, True),
        (np.arange(60.0) % 12, True),
        (np.arange(60) % 13, False),
        ([0, 1, 0], True),
        (np.arange(60), False),
        (pd.Series(np.arange(60)).astype("category"), True),
        (pd.Series(TEXT, dtype="string"), True),
        (pd.array([1, 2] * 30, dtype="Int64"), True),
        (pl.Series(TEXT), True),
        (pl.Series(TEXT).cast(pl.Categorical), True),
        (np.array(TEXT, dtype=object), True),
        (list(NUMBERS), False),
    ],
)
def test_a_column_is_continuous_or_discrete(value, discrete):
    assert one(value).discrete == discrete
    assert one(value, True).discrete


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_keeps_the_types_of_its_columns(frame):
    sample = one(frame({"a": NUMBERS, "b": TEXT, "c": [True, False] * 30}))
    assert sample.numbers[:, 0].tolist() == NUMBERS.tolist()
    assert sample.level.max() == 5


def test_discrete_overrides_a_variable_or_a_column():
    both = np.column_stack([np.arange(60) % 3, NUMBERS])
    assert one(both).numbers.shape == (60, 1)
    assert one(both, False).numbers.shape == (60, 2)
    assert one(both, [False, True]).numbers[:, 0].max() == 2
    samples, _ = read({"x": both, "y": both}, {"y": True})
    assert [s.numbers.shape[1] for s in samples.values()] == [1, 0]


@pytest.mark.parametrize("hole", [None, np.nan, pd.NA, float("nan")])
def test_rows_with_missing_cells_are_dropped_of_all(hole):
    x = [0.5, hole, 1.5, 2.5, 3.25, 4.0]
    y = ["a", "b", hole, "b", "a", "b"]
    samples, dropped = read({"x": x, "y": y, "given": None})
    assert dropped == 2
    assert samples["x"].numbers[:, 0].tolist() == [0.5, 2.5, 3.25, 4.0]
    assert samples["y"].level.tolist() == [0, 1, 0, 1]
    assert samples["given"].numbers.shape == (4, 0)
    x = [*NUMBERS, hole]
    told = mutual_information(x, [*TEXT, "a"])
    assert told.method.endswith("60 rows, 1 dropped for missing cells")
    assert told.value == mutual_information(NUMBERS, TEXT).value


def test_masked_cells_are_missing():
    samples, dropped = read({"x": np.ma.masked_array([1.5, 2.5, 3.25, 9.0], [0, 0, 0, 1])})
    assert (samples["x"].numbers.tolist(), dropped) == ([[1.5], [2.5], [3.25]], 1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_joint_levels_tell_pairs_apart(pairs):
    a, b = np.array(pairs).T
    level = joint_level(a, b)
    assert len(set(level.tolist())) == len(set(pairs)) == level.max() + 1
    assert len(set(zip(level.tolist(), pairs))) == len(set(pairs))


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(10, 40))
def test_any_shape_gives_a_number(dx, dy, dz, n):
    rng = np.random.default_rng(n)
    x, y, z = (rng.normal(size=(n, d)) for d in (dx, dy, dz))
    answer = mutual_information(x, y, given=z if dz else None)
    assert np.isfinite([answer.value, answer.stderr]).all()
    assert answer.kind == "estimate"
    assert np.isfinite(entropy(x, stderr=False).value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mutual_information(NUMBERS, TEXT[:5]), "x has 60, y has 5 rows"),
        (lambda: mutual_information(NUMBERS, None), "y: expected one value per row"),
        (lambda: mutual_information(NUMBERS, NUMBERS, given=[]), "given: expected rows, got none"),
        (lambda: mutual_information([0.5, None], [None, 2]), "at least two rows.*got 0 of 2"),
        (lambda: mutual_information(NUMBERS, NUMBERS, method="kgs"), "did you mean 'ksg'"),
        (lambda: mutual_information(NUMBERS, NUMBERS, method="nsb"), "'nsb' is not for numbers"),
        (lambda: mutual_information(NUMBERS, TEXT, method="ksg"), "expected mixed"),
        (lambda: mutual_information(TEXT, TEXT, method="ksg"), "not for levels"),
        (lambda: mutual_information(TEXT, TEXT, unit="bit"), "did you mean 'bits'"),
        (lambda: mutual_information(TEXT, TEXT, neighbours=0), "neighbours: expected a whole"),
        (lambda: mutual_information(TEXT, TEXT, seed=-1), "seed: expected a whole number"),
        (lambda: mutual_information(TEXT, TEXT, discrete={"z": True}), "no variable 'z'"),
        (lambda: mutual_information(NUMBERS[:4], NUMBERS[1:5]), "at most 2 for 4 rows, got 3"),
        (lambda: entropy(TEXT, discrete=False), "x holds text"),
        (lambda: entropy(TEXT, discrete="no"), "discrete: expected True, False or None"),
        (lambda: entropy(NUMBERS, discrete=[True, True]), "its 1 columns"),
        (lambda: entropy(np.append(NUMBERS, -np.inf)), "x: expected finite numbers, got -inf"),
        (lambda: entropy(NUMBERS, method="chao-shen"), "expected kozachenko-leonenko"),
        (lambda: entropy(np.full(20, 0.5)), "got 20 rows that equal 3 other rows"),
        (lambda: entropy(["a", {}]), "expected numbers or levels, got dict"),
        (lambda: entropy([[1.5], [2.5, 3.5]]), "expected rows of one length"),
        (lambda: entropy("abc"), "expected one value per row"),
        (lambda: entropy(np.arange("2020", "2022", dtype="M8[M]")), "got dtype datetime64"),
        (lambda: entropy(pd.DataFrame(index=range(3))), "at least one column"),
        (lambda: independence_test(TEXT, TEXT, permutations=0), "permutations: expected"),
    ],
)
def test_mistakes_are_told_in_one_line(call, message):
    with pytest.raises(PofxError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
