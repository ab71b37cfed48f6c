"""Use with other parts of scikit-learn: pipelines, searches, copies, weights, names."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from pofx.sklearn import (
    AnomalyDetector,
    DensityEstimator,
    GenerativeClassifier,
    GenerativeImputer,
    GenerativeRegressor,
    LatentTransformer,
)

ONE = {"restarts": 1}


@pytest.fixture(scope="module")
def hills():
    """Two clusters of numbers, and the cluster of each row."""
    rng = np.random.default_rng(2)
    y = np.arange(200) % 2
    return rng.normal(size=(200, 2)) + 4 * y[:, None], y


@pytest.mark.slow
def test_the_number_of_components_is_searched(hills):
    model = DensityEstimator("mixture", options={**ONE, "part": "gaussian"}, random_state=0)
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=2).fit(hills[0])
    assert search.best_params_ == {"n_components": 2}


def test_copies_answer_alike(classifier, birds):
    copy = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(copy.predict_proba(birds), classifier.predict_proba(birds))
    bare = clone(classifier)
    assert not hasattr(bare, "joint_")
    assert bare.get_params() == classifier.get_params()


@pytest.mark.slow
def test_scores_are_cross_validated(classifier, birds, species):
    assert cross_val_score(clone(classifier), birds, species, cv=2).min() > 0.9


def test_frames_go_through_pipelines_and_columns(imputer, birds, species):
    both = ColumnTransformer(
        [
            ("whole", clone(imputer), ["mass", "sex", "island", "eggs"]),
            ("hidden", LatentTransformer(n_components=2, options=ONE), list(birds)),
        ]
    ).set_output(transform="pandas")
    found = both.fit_transform(birds)
    expected = [*(f"whole__{c}" for c in birds), "hidden__component0", "hidden__component1"]
    assert list(found.columns) == expected
    assert found["whole__sex"].dtype == "category"
    assert found.index.equals(birds.index)
    hidden = LatentTransformer(n_components=2, options=ONE, random_state=0)
    assert make_pipeline(hidden, LogisticRegression()).fit(birds, species).score(birds, species) > (
        0.9
    )
    frame = hidden.set_output(transform="pandas").transform(birds)
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.equals(birds.index)


@pytest.mark.slow
def test_weights_reach_learning_by_routing(hills):
    X, y = hills
    weight = np.where(y == 1, 1.0, 0.0)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(
            GenerativeImputer("gaussian").set_fit_request(sample_weight=True),
            DensityEstimator("gaussian").set_fit_request(sample_weight=True),
        ).fit(X, sample_weight=weight)
    mean = pipe[-1].joint_.ask("E[x0]")
    assert float(mean) == pytest.approx(X[y == 1, 0].mean(), abs=1e-4)


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (DensityEstimator("gaussian"), "score_samples"),
        (GenerativeImputer("gaussian"), "transform"),
        pytest.param(AnomalyDetector("gaussian"), "decision_function", marks=pytest.mark.slow),
        pytest.param(GenerativeRegressor("gaussian"), "predict", marks=pytest.mark.slow),
        pytest.param(
            GenerativeClassifier("class_conditional", options={"part": "gaussian"}),
            "predict_proba",
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rows_that_weigh_two_are_two_rows(estimator, method, hills):
    X, y = hills
    weight = np.random.default_rng(3).permutation([0] * 60 + [1] * 80 + [2] * 60)
    repeated = clone(estimator).set_params(random_state=0)
    repeated.fit(np.repeat(X, weight, 0), np.repeat(y, weight))
    weighted = clone(estimator).set_params(random_state=0).fit(X, y, sample_weight=weight)
    holes = np.where([[False, True]], np.nan, X)
    for rows in (X, holes):
        one, other = (getattr(model, method)(rows) for model in (repeated, weighted))
        np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.slow
def test_components_learn_alike_whatever_they_start_from(hills):
    X, _ = hills
    weight = np.random.default_rng(3).integers(0, 4, len(X))
    options = {**ONE, "part": "gaussian"}
    model = LatentTransformer(n_components=2, options=options, random_state=0)
    repeated = clone(model).fit_transform(np.repeat(X, weight, 0))
    weighted = np.repeat(model.fit(X, sample_weight=weight).transform(X), weight, 0)
    # The order of the components is random.
    np.testing.assert_allclose(np.sort(repeated), np.sort(weighted), atol=1e-2)


def test_names_are_checked(classifier, birds):
    assert classifier.n_features_in_ == 4
    assert classifier.feature_names_in_.tolist() == list(birds.columns)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        classifier.predict(birds[birds.columns[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(birds.rename(columns={"mass": "weight"}))


def test_a_target_may_be_called_as_a_column_is(birds, species):
    model = GenerativeClassifier("class_conditional").fit(birds, species.rename("mass"))
    assert model.target_ == "mass_"
    assert model.score(birds, species) > 0.9


def test_it_is_drawn_in_notebooks(classifier):
    assert "GenerativeClassifier" in classifier._repr_html_()
    assert repr(classifier) == "GenerativeClassifier(model='class_conditional', random_state=0)"


def test_a_refusal_is_no_right_answer(hills):
    x, y = hills
    options = {**ONE, "part": "gaussian"}
    c = GenerativeClassifier(
        "class_conditional", options=options, reject_cost=0.05, random_state=0
    ).fit(x, y)
    act = c.predict(x)
    assert any(a is None for a in act)
    assert c.score(x, y) == np.mean([a == b for a, b in zip(act, y)])


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_other_frames_become_pandas_with_their_dtypes(birds, kind):
    numbers = birds.select_dtypes("float")
    if kind == "polars":
        given = pytest.importorskip("polars").from_pandas(numbers)
    else:
        given = pytest.importorskip("pyarrow").Table.from_pandas(numbers, preserve_index=False)
    imputer = GenerativeImputer("gaussian", options=ONE).set_output(transform="pandas")
    found = imputer.fit_transform(given)
    assert isinstance(found, pd.DataFrame)
    assert {str(kind) for kind in found.dtypes} == {"float64"}


@pytest.mark.parametrize("estimator", [GenerativeClassifier, GenerativeRegressor])
def test_times_are_no_target(hills, estimator):
    y = np.where(hills[1] > 0, np.datetime64("2020-01-01"), np.datetime64("2021-01-01"))
    with pytest.raises(ValueError, match="expected classes or numbers, got times"):
        estimator("independent").fit(hills[0], y)
