"""`Joint`: Bayes' rule, missing cells, information."""

import itertools

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import multivariate_normal

import pofx
from pofx import PofxError

# -- Bayes' rule


def test_predict_proba_is_bayes_rule(p, birds):
    posterior = p.predict_proba(birds, "species")
    kinds = ["Adelie", "Chinstrap", "Gentoo"]
    assert list(posterior) == kinds
    np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-5)
    joint = np.exp([p.log_prob(birds.assign(species=kind)) for kind in kinds])
    np.testing.assert_allclose(posterior, (joint / joint.sum(0)).T, atol=1e-4)


def test_predict_proba_does_not_look_at_the_target(p, birds):
    expected = p.predict_proba(birds, "species")
    other = birds.assign(species="Emperor")
    np.testing.assert_array_equal(p.predict_proba(other, "species"), expected)
    absent = birds.drop(columns="species")
    np.testing.assert_array_equal(p.predict_proba(absent, "species"), expected)


def test_predict_is_the_most_probable_level(p, birds):
    best = p.predict_proba(birds, "species").idxmax(axis=1)
    np.testing.assert_array_equal(p.predict(birds, "species"), best)
    assert set(p.predict(birds, "eggs")) <= {0, 1, 2}


def test_predict_of_a_number_is_its_conditional_mean(gaussian, numbers):
    slope = np.cov(numbers.T)[0, 1] / numbers.v.var()
    expected = numbers.u.mean() + slope * (numbers.v - numbers.v.mean())
    guess = gaussian.predict(numbers[["v"]], "u")
    np.testing.assert_allclose(guess, expected, rtol=1e-4)


def test_predict_of_an_image(drawn):
    guess = drawn.predict({"label": ["up", "down"]}, "image")
    assert guess.shape == (2, 2, 2)
    assert guess[0, 0].min() > guess[1, 0].max()


@pytest.mark.slow
def test_posterior_of_an_array_is_an_array():
    data = np.stack([np.tile([0.0, 1.0], 20), np.arange(40.0)], 1)
    p = pofx.fit(data, "mixture", components=2)
    assert p.predict_proba(data, "x0").shape == (40, 2)


def test_a_mean_of_no_draws(gaussian, numbers):
    with pytest.raises(PofxError, match="draws: expected a whole number, at least 1; got 0"):
        gaussian.predict(numbers, "u", draws=0)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mass", "target: expected a column of levels, and 'mass' is real"),
        ("specis", "no column 'specis'; did you mean 'species'"),
    ],
)
def test_bad_target(p, birds, target, message):
    with pytest.raises(PofxError, match=message):
        p.predict_proba(birds, target)


def test_a_picture_is_no_target(drawn, pictures):
    with pytest.raises(PofxError, match=r"'image' is real of shape \(2, 2\)"):
        drawn.predict_proba(pictures, "image")


# -- missing cells


def test_impute_fills_the_holes_and_nothing_else(p, birds):
    imputed = p.impute(birds)
    assert not imputed.isna().any().any()
    assert_frame_equal(imputed.where(birds.notna(), birds), birds)
    assert imputed.index.equals(birds.index)
    assert (imputed.mass[birds.mass == birds.mass] == birds.mass.dropna()).all()


def test_imputed_tables_are_draws(p, birds):
    tables = p.impute(birds, draws=3, seed=5)
    holes = np.array([t.mass[birds.mass.isna()] for t in tables])
    assert len(tables) == 3
    assert all(len(set(column)) == 3 for column in holes.T)
    for table, again in zip(tables, p.impute(birds, draws=3, seed=5)):
        assert_frame_equal(table, again)


@pytest.mark.parametrize("form", ["polars", "pyarrow", "numpy", "mapping"])
@pytest.mark.filterwarnings("ignore:impute. this model holds:pofx.PofxWarning")
def test_observed_cells_stay_to_the_bit(form, numbers):
    columns = {name: values.to_numpy(copy=True) for name, values in numbers.items()}
    columns["u"][::5] = np.nan
    data = {
        "polars": pl.DataFrame(columns),
        "pyarrow": pa.table(columns),
        "numpy": np.stack(list(columns.values()), 1),
        "mapping": columns,
    }[form]
    imputed = pofx.fit(data, "independent").impute(data)
    assert type(imputed) is type(data)
    back = [imputed[:, i] for i in (0, 1)] if form == "numpy" else [imputed[n] for n in "uv"]
    for values, column in zip(back, columns.values()):
        values = np.asarray(values)
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values[~np.isnan(column)], column[~np.isnan(column)])


def test_a_level_never_seen_stays(p, birds):
    filled = p.impute(birds.head(2).assign(species="Emperor"))
    assert set(filled.species) == {"Emperor"}
    with pytest.raises(PofxError, match="no level 'Emperor'"):
        p.impute(birds.head(2).assign(species="Emperor"), unseen="error")


def test_no_draws(p, birds):
    with pytest.raises(PofxError, match="draws: expected a whole number, at least 1; got 0"):
        p.impute(birds, draws=0)


# -- information


def table_of(discrete):
    """The probabilities of all levels, an array of three axes."""
    cells = list(itertools.product([0, 1], "xyz", [0, 1]))
    rows = pd.DataFrame(cells, columns=["a", "b", "c"])
    return np.exp(np.asarray(discrete.log_prob(rows))).reshape(2, 3, 2)


def entropy_of(*tables):
    return -sum((t * np.log(t)).sum() for t in tables)


def test_entropy_of_levels_is_exact(discrete):
    joint = table_of(discrete)
    answer = discrete.entropy()
    assert answer.kind == "exact"
    assert float(answer) == pytest.approx(entropy_of(joint), abs=1e-5)
    assert str(answer).startswith("H(a, b, c) = ")
    assert float(discrete.entropy("b")) == pytest.approx(entropy_of(joint.sum((0, 2))), abs=1e-5)


def test_chain_rule(discrete):
    parts = discrete.entropy("a") + discrete.entropy("b", given="a")
    parts += discrete.entropy("c", given=["a", "b"])
    assert float(parts) == pytest.approx(float(discrete.entropy()), abs=1e-5)


def test_mutual_information_of_levels(discrete):
    joint = table_of(discrete)
    a, c, ac = joint.sum((1, 2)), joint.sum((0, 1)), joint.sum(1)
    one = discrete.mutual_information("a", "c")
    expected = entropy_of(a) + entropy_of(c) - entropy_of(ac)
    assert (one.kind, float(one)) == ("exact", pytest.approx(expected, abs=1e-5))
    assert float(discrete.mutual_information("c", "a")) == pytest.approx(float(one), abs=1e-6)
    more = discrete.mutual_information("a", "c", given="b")
    assert str(more).startswith("I(a; c | b) = ")
    assert float(more) > float(one)


@pytest.mark.parametrize("b", ["a", ["b", "a"]])
def test_information_of_a_column_about_itself_is_its_entropy(discrete, b):
    information, expected = discrete.mutual_information("a", b), discrete.entropy("a")
    assert (information.kind, float(information)) == (
        "exact",
        pytest.approx(float(expected), abs=1e-9),
    )
    assert str(information).startswith("I(a; a) = " if b == "a" else "I(a; b, a) = ")


def test_entropy_is_told_in_the_units_of_the_data(gaussian, numbers):
    reference = multivariate_normal(numbers.mean(), np.cov(numbers.T, bias=True))
    assert gaussian.entropy().kind == "exact"
    assert float(gaussian.entropy()) == pytest.approx(reference.entropy(), abs=1e-4)
    marginal_entropy = multivariate_normal(0, numbers.u.var(ddof=0)).entropy()
    assert float(gaussian.entropy("u")) == pytest.approx(marginal_entropy, abs=1e-4)
    conditional_entropy = (
        reference.entropy() - multivariate_normal(0, numbers.v.var(ddof=0)).entropy()
    )
    assert float(gaussian.entropy("u", given="v")) == pytest.approx(conditional_entropy, abs=1e-4)


def test_information_has_no_units(gaussian, numbers):
    expected = -0.5 * np.log1p(-(numbers.corr().iloc[0, 1] ** 2))
    assert float(gaussian.mutual_information("u", "v")) == pytest.approx(expected, abs=1e-4)


def test_entropy_with_a_spike(p):
    grid = np.exp(np.linspace(-15, 15, 4001))
    gain = p.marginal("gain")
    log_p, mass = np.asarray(gain.log_prob({"gain": grid})), gain.log_prob({"gain": [0.0]})[0]
    expected = -np.trapezoid(np.exp(log_p) * log_p, grid) - float(mass) * np.exp(float(mass))
    answer = p.entropy("gain", stderr=0.02)
    assert answer.kind == "estimate"
    assert answer.stderr <= 0.02
    assert float(answer) == pytest.approx(expected, abs=0.08)


def test_a_request_that_the_budget_does_not_meet_is_marked(p):
    answer = p.entropy("mass", stderr=1e-9, max_draws=4096)
    assert (answer.kind, answer.draws) == ("estimate", 4096)
    assert "budget spent" in str(answer)


def test_estimates_follow_their_seed(p):
    one, again = (p.mutual_information("species", "mass", seed=7) for _ in range(2))
    assert float(one) == float(again)
    other = p.mutual_information("species", "mass", seed=8)
    assert 0 < abs(float(other - one)) < 6 * (other - one).stderr


# -- divergence


def test_kl_of_levels(discrete, levels):
    q = pofx.fit(levels, "independent", schema=discrete.schema)
    a, b = table_of(discrete), table_of(q)
    answer = pofx.kl(discrete, q)
    assert answer.kind == "exact"
    assert float(answer) == pytest.approx((a * np.log(a / b)).sum(), abs=1e-5)


def test_kl_of_equals_is_zero(discrete, gaussian, p):
    for one in (discrete, gaussian, p):
        assert float(pofx.kl(one, one)) == pytest.approx(0, abs=1e-6)


def test_kl_of_gaussians_is_exact(gaussian, numbers):
    q = pofx.fit(numbers, "gaussian", schema=gaussian.schema, covariance="diagonal")
    expected = gaussian.mutual_information("u", "v")
    answer = pofx.kl(gaussian, q)
    assert (answer.kind, float(answer)) == ("exact", pytest.approx(float(expected), abs=1e-4))


def test_kl_of_other_columns(gaussian, discrete):
    with pytest.raises(PofxError, match="kl: expected two distributions of the same variables"):
        pofx.kl(gaussian, discrete)
