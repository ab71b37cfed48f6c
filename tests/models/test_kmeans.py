"""k-means, compared with scikit-learn's."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from pofx.models.components.kmeans import kmeans, nearest


def rows(seed, n=150, d=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 3 * rng.integers(0, 3, (n, 1)) + 100


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("init", "steps"), [("k-means++", 10), ("k-means++", 200), ("random", 1)])
@pytest.mark.parametrize("clusters", [2, 5, 20])
def test_the_clusters_are_those_of_scikit_learn(clusters, init, steps, weighted):
    for seed in range(5):
        x = rows(seed)
        weight = np.random.default_rng(seed).uniform(0, 3, len(x)) if weighted else np.ones(len(x))
        peer = KMeans(clusters, init=init, n_init=1, max_iter=steps, random_state=seed)
        peer.fit(x, sample_weight=weight)
        centres = kmeans(x, weight, clusters, seed, spread=init == "k-means++", steps=steps)
        np.testing.assert_allclose(centres, peer.cluster_centers_, rtol=1e-9)
        np.testing.assert_array_equal(nearest(x, centres), peer.predict(x))


def test_an_empty_cluster_gets_a_row_that_is_far_off():
    x = np.array([[0.0], [0.0], [0.0], [1.0], [50.0]])
    for seed in range(20):
        centres = kmeans(x, np.ones(5), 3, seed, spread=False, steps=10)
        assert sorted(centres.ravel().tolist()) == pytest.approx([0, 1, 50])


def test_rows_of_weight_zero_place_no_centre():
    x = np.array([[0.0], [1.0], [1e6]])
    centres = kmeans(x, np.array([1.0, 1.0, 0.0]), 3, 0, spread=True, steps=10)
    assert np.isfinite(centres).all()
    assert np.abs(centres).max() <= 1


def test_many_rows_are_assigned_in_chunks(monkeypatch):
    x, centres = rows(0), rows(1, n=3)
    expected = nearest(x, centres)
    monkeypatch.setattr("pofx.models.components.kmeans.CHUNK_ROWS", 7)
    np.testing.assert_array_equal(nearest(x, centres), expected)
