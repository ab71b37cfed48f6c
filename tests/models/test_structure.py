"""Mutual information and spanning trees, against scikit-learn, by hand and on known trees."""

import time

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path
from sklearn.metrics import mutual_info_score

from pofx.core.column import Column
from pofx.models.trees import structure


def discrete(*levels):
    return tuple(Column(f"x{j}", "categorical", levels=k) for j, k in enumerate(levels))


def real(d):
    return tuple(Column(f"x{j}", "real") for j in range(d))


def informations(x, columns, weight=None, smoothing=0.0):
    """The mutual informations of a table; NaN marks missing cells."""
    seen = (~np.isnan(x)).astype(np.float32)
    cell_weight = seen if weight is None else seen * weight[:, None].astype(np.float32)
    filled = np.nan_to_num(x)
    return structure.mutual_informations(
        structure.bin_codes(columns, filled, cell_weight), cell_weight, smoothing
    )[0]


def tree_of(x, columns, smoothing=1.0):
    seen = (~np.isnan(x)).astype(np.float32)
    return structure.chow_liu(columns, np.nan_to_num(x), seen, smoothing)


def edges(parents):
    return {frozenset((j, p)) for j, p in enumerate(parents) if p >= 0}


def from_tree(parents, n, levels=3, noise=0.3, seed=0):
    """Rows from a tree: the parent's level, or with probability `noise` a random one."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, len(parents)))
    for j, parent in enumerate(parents):
        new = rng.integers(0, levels, n)
        x[:, j] = new if parent < 0 else np.where(rng.random(n) < noise, new, x[:, parent])
    return x


@pytest.fixture
def table():
    """Related columns of 2 to 5 levels."""
    x = from_tree((-1, 0, 1, 1), 300)
    x[:, 2] = np.where(np.arange(300) % 3, x[:, 2], 4)
    x[:, 3] = x[:, 3] > 0
    return x


COLUMNS = discrete(3, 3, 5, 2)


def off_diagonal(a):
    return a[~np.eye(len(a), dtype=bool)]


def by_sklearn(x, weight=None):
    """Mutual informations by scikit-learn, each pair from the rows that have both.

    An integral weight repeats its row.
    """
    x = x if weight is None else np.repeat(x, weight.astype(int), 0)
    out = np.zeros((x.shape[1],) * 2)
    for i in range(len(out)):
        for j in range(len(out)):
            both = ~np.isnan(x[:, [i, j]]).any(1)
            out[i, j] = mutual_info_score(x[both, i], x[both, j])
    return out


def test_mutual_informations_are_those_of_scikit_learn(table):
    values = informations(table, COLUMNS)
    np.testing.assert_allclose(off_diagonal(values), off_diagonal(by_sklearn(table)), atol=2e-6)
    np.testing.assert_allclose(values, values.T, atol=1e-6)


def test_weights_repeat_rows(table):
    weight = np.random.default_rng(0).integers(0, 4, len(table)).astype(float)
    values = informations(table, COLUMNS, weight)
    expected = by_sklearn(table, weight)
    np.testing.assert_allclose(off_diagonal(values), off_diagonal(expected), atol=2e-6)


def test_pairs_are_judged_by_the_rows_that_have_both(table):
    rng = np.random.default_rng(1)
    x = np.where(rng.random(table.shape) < 0.4, np.nan, table)
    weight = rng.integers(0, 3, len(x)).astype(float)
    values, expected = informations(x, COLUMNS, weight), by_sklearn(x, weight)
    np.testing.assert_allclose(off_diagonal(values), off_diagonal(expected), atol=2e-6)
    assert abs(off_diagonal(expected) - off_diagonal(by_sklearn(table))).max() > 0.01


def test_smoothing_adds_rows_spread_evenly(table):
    values = informations(table, COLUMNS, smoothing=5.0)
    joint = np.zeros((3, 5))
    np.add.at(joint, (table[:, 1].astype(int), table[:, 2].astype(int)), 1)
    joint = (joint + 5 / 15) / (len(table) + 5)
    even = joint.sum(1, keepdims=True) * joint.sum(0)
    assert values[1, 2] == pytest.approx((joint * np.log(joint / even)).sum(), abs=2e-6)


def test_rows_in_several_blocks_are_added(monkeypatch, table):
    expected = informations(table, COLUMNS)
    monkeypatch.setattr(structure, "BLOCK_ROWS", 64)
    np.testing.assert_allclose(informations(table, COLUMNS), expected, atol=1e-6)


@pytest.mark.parametrize(
    "parents",
    [(-1, 0, 1, 2, 3, 4), (-1, 0, 0, 0, 0, 0), (-1, 0, 0, 1, 1, 2)],
    ids=["class_conditional", "star", "binary"],
)
def test_the_tree_that_rows_come_from_is_found(parents):
    x = from_tree(parents, 3000)
    assert edges(tree_of(x, discrete(*[3] * 6))) == edges(parents)
    holed = np.where(np.random.default_rng(2).random(x.shape) < 0.3, np.nan, x)
    assert edges(tree_of(holed, discrete(*[3] * 6))) == edges(parents)


def test_numbers_enter_by_bins():
    rng, n = np.random.default_rng(3), 2000
    z = rng.normal(size=(n, 4))
    # A relation without correlation: d depends on the size of c, not on its sign.
    x = np.stack([z[:, 0], np.exp(z[:, 0] + 0.3 * z[:, 1]), z[:, 2], abs(z[:, 2]) + 0.2 * z[:, 3]])
    pairs = edges(tree_of(x.T, real(4)))
    assert {frozenset((0, 1)), frozenset((2, 3))} < pairs
    codes = structure.bin_codes(real(4), x.T, np.ones(x.T.shape))
    assert (np.bincount(codes[:, 1]) == n // structure.DEFAULT_BINS).all()


@pytest.mark.parametrize("d", [1, 2, 3, 6, 7])
def test_the_root_is_a_centre(d):
    """No other root is closer to its farthest node."""
    order = np.random.default_rng(d).permutation(d)
    weights = np.zeros((d, d))
    weights[order[:-1], order[1:]] = weights[order[1:], order[:-1]] = 1.0  # a path
    parents = structure.root_at_centre(weights)
    assert parents.count(-1) == 1
    ends = [(j, p) for j, p in enumerate(parents) if p >= 0]
    graph = coo_array((np.ones(len(ends)), tuple(np.array(ends).T)) if ends else (d, d), (d, d))
    steps = shortest_path(graph.tocsr(), directed=False, unweighted=True).max(1)
    assert steps[parents.index(-1)] == steps.min()


def test_no_other_spanning_tree_weighs_more():
    """Against Prim's algorithm by hand."""
    a = np.random.default_rng(4).random((9, 9))
    a = a + a.T
    inside, total = {0}, 0.0
    while len(inside) < 9:
        w, new = max((a[i, j], j) for i in inside for j in set(range(9)) - inside)
        inside.add(new)
        total += w
    parents = structure.root_at_centre(a)
    assert sum(a[j, p] for j, p in enumerate(parents) if p >= 0) == pytest.approx(total)


def test_constant_columns_hang_on_somewhere():
    x = from_tree((-1, 0, 1), 500)
    x = np.column_stack([np.zeros(500), x, np.full(500, 1.0)])
    for smoothing in (0.0, 1.0):
        parents = tree_of(x, discrete(2, 3, 3, 3, 2), smoothing)
        assert {frozenset((1, 2)), frozenset((2, 3))} < edges(parents)
        assert parents.count(-1) == 1
    assert tree_of(np.full((20, 3), 7.5), real(3)).count(-1) == 1


def test_one_column():
    assert tree_of(np.arange(10.0)[:, None], real(1)) == (-1,)
    assert tree_of(np.full((10, 1), np.nan), real(1)) == (-1,)


def test_columns_never_seen_together_and_a_column_never_seen():
    x = from_tree((-1, 0, 1, 1), 400)
    x[:200, 0] = np.nan
    x[200:, 3] = np.nan
    x = np.column_stack([x, np.full(400, np.nan)])
    for smoothing in (0.0, 1.0):
        values = informations(x, discrete(3, 3, 3, 3, 3), smoothing=smoothing)
        assert np.isfinite(values).all()
        assert values[0, 3] == pytest.approx(0, abs=1e-6)
        np.testing.assert_allclose(values[4, :4], 0, atol=1e-6)
        parents = tree_of(x, discrete(3, 3, 3, 3, 3), smoothing)
        assert parents.count(-1) == 1
        assert {frozenset((0, 1)), frozenset((1, 2)), frozenset((1, 3))} < edges(parents)


def test_many_levels_are_told_apart_by_frequency():
    rng, n = np.random.default_rng(5), 4000
    often = rng.random(n) < 0.7
    code = np.where(often, rng.integers(0, 3, n), rng.integers(0, 5000, n)).astype(float)
    code[0] = 4999
    twin = np.where(rng.random(n) < 0.1, rng.integers(0, 3, n), np.minimum(code, 3))
    x = np.column_stack([code, twin, rng.integers(0, 2, n)])
    columns = discrete(5000, 4, 2)
    codes = structure.bin_codes(columns, x, np.ones(x.shape))
    assert codes[:, 0].max() == structure.MAX_LEVELS - 1
    top = np.argsort(-np.bincount(code.astype(int)))[:3]
    for rank, level in enumerate(top):
        assert (codes[code == level, 0] == rank).all()
    assert frozenset((0, 1)) in edges(tree_of(x, columns))


def test_ordinal_levels_beyond_the_many_are_binned_in_order():
    x = np.arange(1000.0)[:, None] % 100
    codes = structure.bin_codes((Column("x", "ordinal", levels=100),), x, np.ones(x.shape))
    assert (np.diff(codes[:100, 0]) >= 0).all()
    assert codes.max() == structure.DEFAULT_BINS - 1


def test_pair_counts_are_the_cells_seen_together():
    x = np.array([[0, 1], [0, 1], [1, 0], [1, 0], [2, 0]])
    weight = np.array([[1, 1], [2, 2], [1, 0], [3, 3], [0, 4.0]])
    counts = structure.pair_counts(x, weight, (-1, 0), 3)
    np.testing.assert_array_equal(counts[0], [[3, 4, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(counts[1], [[0, 3, 0], [3, 0, 0], [0, 0, 0]])


def test_two_thousand_columns_take_seconds():
    parents = (-1, *np.random.default_rng(6).integers(0, np.arange(1, 2000)).tolist())
    x = from_tree(parents, 1500, levels=2, noise=0.2)
    began = time.perf_counter()
    parents_found = tree_of(x, discrete(*[2] * 2000))
    assert time.perf_counter() - began < 30
    assert len(edges(parents_found) & edges(parents)) > 1950


def test_many_columns_of_many_ordered_levels_are_told_apart_by_bins(monkeypatch):
    rng, d = np.random.default_rng(7), 40
    x = rng.integers(0, 60, 2000)[:, None] + np.cumsum(rng.integers(-9, 10, (2000, d)), 1)
    x = np.clip(x, 0, 59).astype(float)
    columns = [Column(f"x{j}", "ordinal", levels=60, family="categorical") for j in range(d)]
    chain = {frozenset((j, j + 1)) for j in range(d - 1)}
    assert len(edges(tree_of(x, columns)) & chain) >= d - 4
    monkeypatch.setattr(structure, "MAX_CODES", 300)
    code = []
    mutual_informations = structure.mutual_informations
    monkeypatch.setattr(
        structure,
        "mutual_informations",
        lambda c, *more: code.append(c) or mutual_informations(c, *more),
    )
    assert len(edges(tree_of(x, columns)) & chain) >= d - 4
    assert code[0].max() == 300 // d - 1


def test_codes_that_tell_only_by_chance_make_no_edges():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 4))
    z[:, 1] = 0.5 * z[:, 0] + 0.87 * z[:, 1]
    z[:, 2] = 0.5 * z[:, 1] + 0.87 * z[:, 2]
    z[:, 3] = rng.integers(0, 500, 1000)
    real = [Column(n, "real", family="normal") for n in "xyz"]
    columns = [*real, Column("id", "categorical", levels=500, family="categorical")]
    parents = structure.chow_liu(columns, z, np.ones(z.shape), 1.0)
    edges = {frozenset((j, p)) for j, p in enumerate(parents) if p >= 0}
    assert {frozenset((0, 1)), frozenset((1, 2))} <= edges


@pytest.mark.slow
def test_columns_of_numbers_too_many_for_their_bins_have_fewer():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(300, 1)) + np.cumsum(rng.normal(size=(300, 2500)), 1)
    code = structure.bin_codes(real(2500), x, np.ones(x.shape), bins=3)
    assert code.max() == 2
    began = time.perf_counter()
    parents = tree_of(x, real(2500))
    assert time.perf_counter() - began < 60
    neighbours = {frozenset((j, j + 1)) for j in range(2499)}
    assert len(edges(parents) & neighbours) > 300
