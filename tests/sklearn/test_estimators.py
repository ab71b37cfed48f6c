"""The answers of each estimator against numpy, scipy and its own distribution."""

from copy import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import multivariate_normal, norm

from pofx import PofxError
from pofx.sklearn import (
    AnomalyDetector,
    DensityEstimator,
    GenerativeClassifier,
    GenerativeImputer,
    GenerativeRegressor,
    LatentTransformer,
)
from pofx.sklearn.anomaly import _quantile

# -- the classifier


def test_a_posterior_is_that_of_the_joint(classifier, birds, species):
    found = classifier.predict_proba(birds)
    table = classifier.joint_.predict_proba({**dict(birds), "species": species}, "species")
    np.testing.assert_allclose(found, np.column_stack(list(table.values())), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    assert classifier.target_ == "species"
    assert list(classifier.joint_.schema.names) == [*birds.columns, "species"]


def test_small_posteriors_keep_their_digits(classifier, birds):
    proba, odds = classifier.predict_proba(birds), classifier.decision_function(birds)
    np.testing.assert_allclose(odds, np.log(proba[:, 1] / proba[:, 0]), rtol=1e-9)
    ranks = [np.argsort(np.argsort(v, kind="stable")) for v in (odds, proba[:, 1])]
    assert np.array_equal(*ranks)


def test_rows_without_any_cell_are_given_the_prior(classifier, birds, species):
    nothing = birds.iloc[:1].mask(np.ones((1, 4), bool))
    share = (species == "Gentoo").mean()
    assert classifier.predict_proba(nothing)[0, 1] == pytest.approx(share, abs=0.01)


def test_a_level_never_seen_is_missing_unless_it_is_an_error(classifier, birds):
    new, hole = birds.iloc[[1]].copy(), birds.iloc[[1]].copy()
    new["island"], hole["island"] = "Atlantis", None
    assert np.array_equal(classifier.predict_proba(new), classifier.predict_proba(hole))
    strict = copy(classifier).set_params(unseen="error")
    with pytest.raises(PofxError, match="Atlantis"):
        strict.predict_proba(new)


@pytest.mark.parametrize(
    "estimator", [DensityEstimator("gaussian"), GenerativeClassifier("class_conditional")]
)
@pytest.mark.parametrize("names", [["a", "a"], pd.MultiIndex.from_product([["a"], ["b", "c"]])])
def test_columns_without_a_name_of_their_own_are_told_in_a_line(estimator, names):
    with pytest.raises(PofxError, match=r"^data: .*column.*$"):
        estimator.fit(pd.DataFrame(np.eye(2), columns=names), [0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("back", [np.str_, object, int, float, bool, "category"])
def test_classes_come_back_as_they_were(birds, species, back):
    gentoo = species == "Gentoo"
    y = pd.Series(np.where(gentoo, 7, 3)) if back in (int, float) else species.to_numpy()
    y = gentoo.to_numpy() if back is bool else pd.Series(y).astype(back) if back != np.str_ else y
    y = y.astype(np.str_) if back is np.str_ else y
    model = GenerativeClassifier("class_conditional").fit(birds, y)
    known = np.unique(np.asarray(y))
    assert model.classes_.dtype == known.dtype
    assert model.classes_.tolist() == known.tolist()
    found = model.predict(birds)
    assert found.dtype == known.dtype
    assert (found == np.asarray(y)).mean() > 0.95


@pytest.mark.slow
def test_kinds_of_frames_are_one(classifier, birds, species):
    expected = classifier.predict_proba(birds)
    for frame in (pl.from_pandas(birds), pl.from_pandas(birds).to_arrow()):
        model = GenerativeClassifier("class_conditional", random_state=0).fit(frame, species)
        np.testing.assert_allclose(model.predict_proba(frame), expected, atol=1e-6)


def test_it_rejects_the_uncertain_and_outliers(birds, species):
    model = GenerativeClassifier("class_conditional", reject_cost=0.05, outlier_level=0.001).fit(
        birds, species
    )
    rows = birds.iloc[[1, 2]].copy()
    rows.loc["bird 2", "mass"] = 90000.0
    nothing = rows.iloc[:1].copy()
    nothing[["mass", "island"]] = np.nan, None
    assert model.predict(rows).tolist() == [species.iloc[1], None]
    assert model.predict(nothing).tolist() == [None]
    assert model.set_params(outlier_level=0).predict(rows)[1] in model.classes_
    assert model.set_params(rejected_label="?").predict(nothing).tolist() == ["?"]
    coded = GenerativeClassifier("class_conditional", reject_cost=0.05, rejected_label=-1).fit(
        birds, species == "Gentoo"
    )
    assert coded.predict(nothing).tolist() == [-1]
    numbered = coded.fit(birds, (species == "Gentoo") + 3)
    assert numbered.predict(nothing).dtype.kind == "i"


def test_acts_of_least_expected_cost(classifier, birds, species):
    costs = {"bet on Gentoo": [1.0, 0.0], "pass": [0.2, 0.2]}
    model = GenerativeClassifier("class_conditional", cost=costs, random_state=0).fit(
        birds, species
    )
    sure = classifier.predict_proba(birds)[:, 0] < 0.2
    assert np.array_equal(model.predict(birds) == "bet on Gentoo", sure)


# -- the regressor


def test_of_a_gaussian_it_is_least_squares(line):
    X, y = line
    model = GenerativeRegressor("gaussian", random_state=0).fit(X, y)
    design = np.column_stack([np.ones(len(X)), X])
    weights, left, *_ = np.linalg.lstsq(design, y)
    mean, deviation = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, design @ weights, atol=2e-3)
    np.testing.assert_allclose(deviation, np.sqrt(left[0] / len(y)), rtol=2e-3)
    mean, deviation = model.predict([[np.nan, np.nan]], return_std=True)
    assert mean[0] == pytest.approx(y.mean(), abs=1e-3)
    assert deviation[0] == pytest.approx(y.std(), rel=1e-3)


@pytest.mark.slow
def test_medians_intervals_and_refusals_of_numbers(line):
    X, y = line
    model = GenerativeRegressor("gaussian", random_state=0).fit(X, y)
    mean, deviation = model.predict(X, return_std=True)
    low, high = model.predict_interval(X, 0.8).T
    expected = norm.ppf([0.1, 0.9])
    np.testing.assert_allclose((low - mean) / deviation, expected[0], atol=1e-2)
    np.testing.assert_allclose((high - mean) / deviation, expected[1], atol=1e-2)
    # The median of a normal is its mean, so that its deviation is the same.
    other = model.set_params(cost="absolute")
    np.testing.assert_allclose(other.predict([[np.nan, np.nan]]), y.mean(), atol=1e-3)
    rejecting = model.set_params(cost="squared", reject_cost=0.2)
    assert np.isnan(rejecting.predict([[0.0, np.nan], [0.0, 0.0], [99.0, 0.0]])).tolist() == [
        True,
        False,
        True,
    ]


# -- missing cells


def test_an_imputer_keeps_what_is_there(imputer, birds):
    whole = imputer.transform(birds)
    assert not whole.isna().any().any()
    assert (whole.dtypes == birds.dtypes).all()
    assert whole.index.equals(birds.index)
    there = birds.notna()
    assert whole.where(there).equals(birds.where(there).astype(whole.dtypes))
    assert imputer.get_feature_names_out().tolist() == list(birds.columns)


def test_draws_of_what_is_missing_differ_and_are_repeatable(imputer, birds):
    one, two = imputer.sample_posterior(birds, 2, random_state=3)
    again, _ = imputer.sample_posterior(birds, 2, random_state=3)
    holes = birds["mass"].isna()
    assert one.equals(again)
    assert (one["mass"][holes] != two["mass"][holes]).all()
    assert one["mass"][~holes].equals(birds["mass"][~holes])


def test_columns_without_names_keep_their_numbers(line):
    frame = pd.DataFrame(line[0])
    frame.iloc[3, 1] = np.nan
    whole = GenerativeImputer("gaussian").fit_transform(frame)
    assert whole.columns.tolist() == [0, 1]
    slope, start = np.polyfit(*line[0][np.arange(200) != 3].T, 1)
    assert whole.iloc[3, 1] == pytest.approx(start + slope * frame.iloc[3, 0], abs=1e-3)


@pytest.mark.slow
def test_strategies_of_an_imputer(line):
    frame = pd.DataFrame(line[0])
    frame.iloc[3, 1] = np.nan
    whole = GenerativeImputer("gaussian").fit_transform(frame)
    drawn = GenerativeImputer("gaussian", strategy="draw", random_state=0).fit_transform(frame)
    assert drawn.iloc[3, 1] != whole.iloc[3, 1]
    likeliest = GenerativeImputer("gaussian", strategy="completion").fit_transform(frame)
    assert likeliest.iloc[3, 1] == pytest.approx(whole.iloc[3, 1], abs=1e-4)


# -- the density, and anomalies


def test_a_density_is_that_of_scipy(line):
    X, _ = line
    model = DensityEstimator("gaussian").fit(X)
    known = multivariate_normal(X.mean(0), np.cov(X.T, bias=True))
    np.testing.assert_allclose(model.score_samples(X), known.logpdf(X), atol=1e-4)
    assert model.score(X) == pytest.approx(known.logpdf(X).mean(), abs=1e-4)
    weight = np.arange(200.0)
    heavy = np.average(known.logpdf(X), weights=weight)
    assert model.score(X, sample_weight=weight) == pytest.approx(heavy, abs=1e-4)
    first = norm(X[:, 0].mean(), X[:, 0].std())
    hole = model.score_samples([[0.5, np.nan]])
    assert hole[0] == pytest.approx(first.logpdf(0.5), abs=1e-4)
    draws = model.sample(2000, random_state=0)
    assert np.array_equal(draws, model.sample(2000, random_state=0))
    np.testing.assert_allclose(np.cov(draws.T), known.cov, atol=0.2)


def test_scores_do_not_depend_on_which_cells_there_are(line):
    X = line[0] * [1.0, 1e3]
    model = AnomalyDetector("gaussian", contamination=0.05, random_state=0).fit(X)
    assert (model.predict(X) == -1).sum() == 10
    for holes in ([False, False], [True, False], [False, True], [True, True]):
        own = np.where(holes, np.nan, model.joint_.sample(500, seed=1))
        error = np.sqrt((2 - sum(holes)) / 2 / 500)
        assert abs(model.score_samples(own).mean()) < 4 * error + 1e-6
    assert model.predict([[0.0, 1e5], [np.nan, 1e5], [0.0, 0.0]]).tolist() == [-1, -1, 1]


def test_quantiles_of_weights_are_those_of_repeated_rows():
    rng = np.random.default_rng(0)
    values, weight = rng.normal(size=20), rng.integers(1, 5, 20)
    for share in (0.02, 0.1, 0.25, 0.5):
        known = np.quantile(np.repeat(values, weight), share, method="averaged_inverted_cdf")
        assert _quantile(values, share, weight.astype(float)) == pytest.approx(known)


# -- hidden variables


def test_responsibilities_become_columns(birds):
    shares = LatentTransformer(n_components=2, options={"restarts": 1}, random_state=0)
    found = shares.fit_transform(birds)
    assert found.shape == (60, 2)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert shares.get_feature_names_out().tolist() == ["component0", "component1"]


PARAMETERS = ("loading", "noise", "mean")


@pytest.mark.slow
def test_factor_scores_become_columns(line):
    X = np.column_stack([*line[0].T, line[1]])
    scores = LatentTransformer("factor_analysis", n_components=1).fit(X)
    loading, noise, mean = (np.asarray(getattr(scores.joint_.model, a)) for a in PARAMETERS)
    sigma = loading @ loading.T + np.diag(noise)
    known = ((X - X.mean(0)) / X.std(0) - mean) @ np.linalg.solve(sigma, loading)
    np.testing.assert_allclose(scores.transform(X), known, atol=1e-3)
    assert scores.get_feature_names_out().tolist() == ["factor0"]


# -- mistakes


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (AnomalyDetector("gaussian", contamination=0.7), "contamination: expected a share"),
        (GenerativeImputer("gaussian", strategy="mean"), "no strategy 'mean'"),
        (DensityEstimator("gaussian", n_components=2), "n_components: expected 1 or None"),
        (DensityEstimator("gausian"), "did you mean 'gaussian'"),
        (LatentTransformer("independent"), "no hidden variables"),
        (GenerativeClassifier("class_conditional"), "one class"),
    ],
)
def test_mistakes_are_one_line(estimator, message):
    with pytest.raises(PofxError, match=message) as caught:
        estimator.fit([[0.0, 1.0], [1.0, 0.5], [2.0, 3.0]], ["a", "a", "a"])
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_numbers_of_an_array_are_any_numbers():
    # The learned rows hold counts, but later rows need not.
    X = np.random.default_rng(0).poisson(30, (200, 2))
    model = DensityEstimator("independent").fit(X)
    assert [v.kind for v in model.joint_.schema.variables] == ["real", "real"]
    assert np.isfinite(model.score_samples([[-3.5, 12.25]])).all()
    counts = model.set_params(schema={"x0": "count"}).fit(X).joint_
    assert counts.schema.variable("x0").kind == "count"


# -- schemas


def test_classes_keep_their_order_where_a_schema_gives_another(birds, species):
    turned = sorted(set(species), reverse=True)
    own = {"species": {"kind": "binary", "levels": turned}}
    c = GenerativeClassifier("class_conditional", schema=own).fit(birds, species)
    assert list(c.classes_) == turned[::-1]
    assert np.array_equal(c.classes_[c.predict_proba(birds).argmax(1)], c.predict(birds))
    free = GenerativeClassifier("class_conditional", schema=own, cost=[[0, 0], [9, 9]]).fit(
        birds, species
    )
    assert set(free.predict(birds)) == {turned[1]}
    own["species"] |= {"kind": "categorical", "levels": [*turned, "Emu"]}
    with pytest.raises(PofxError, match="expected the classes of y"):
        GenerativeClassifier("class_conditional", schema=own).fit(birds, species)


@pytest.mark.filterwarnings("ignore:impute. this model holds")
def test_a_schema_of_another_container_does_for_all(birds, species):
    p = DensityEstimator("independent").fit(pl.from_pandas(birds.assign(species=species)))
    schema = p.joint_.schema
    c = GenerativeClassifier("class_conditional", schema=schema).fit(birds, species)
    assert c.predict_proba(birds).shape == (len(birds), 2)
    own = schema.select(birds.columns)
    assert LatentTransformer("mixture", schema=own, n_components=2).fit(birds).transform(
        birds
    ).shape == (len(birds), 2)
    filled = GenerativeImputer("independent", schema=own).fit_transform(birds)
    assert filled.index.equals(birds.index)


def test_a_regressor_that_refuses_is_scored_by_what_it_answers():
    x = np.linspace(0, 1, 60)[:, None]
    y = 2 * x[:, 0] + 0.1 * np.sin(99 * x[:, 0])
    p = GenerativeRegressor("gaussian", reject_cost=1.0).fit(x, y)
    assert p.score([[0.2], [0.5], [0.9], [1e6]], [0.4, 1.0, 1.8, 0.0]) > 0.9
    assert np.isnan(p.score([[1e6], [-1e6]], [0.0, 0.0]))


def test_a_lazy_frame_is_told_in_a_line(birds):
    with pytest.raises(PofxError, match=r"got LazyFrame; call \.collect\(\) first"):
        DensityEstimator("independent").fit(pl.from_pandas(birds).lazy())
