"""`Joint`: densities in the units of the data, draws, and evidence."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import multivariate_normal

import pofx
from pofx import PofxError

HOLES = [[np.nan, 200.0], [31.0, np.nan]]


def test_log_prob_is_an_exact_answer_in_nats(p, birds):
    answer = p.log_prob(birds)
    assert (answer.kind, answer.unit, answer.value.shape) == ("exact", "nats", (len(birds),))
    assert np.isfinite(answer.value).all()


def test_log_prob_is_a_density_in_the_units_of_the_data(gaussian, numbers):
    reference = multivariate_normal(numbers.mean(), np.cov(numbers.T, bias=True))
    expected = reference.logpdf(numbers)
    np.testing.assert_allclose(gaussian.log_prob(numbers), expected, rtol=1e-4, atol=1e-4)


def test_a_missing_cell_takes_no_unit(gaussian, numbers):
    holes = numbers.assign(v=np.nan)
    expected = multivariate_normal(numbers.u.mean(), numbers.u.var(ddof=0)).logpdf(numbers.u)
    np.testing.assert_allclose(gaussian.log_prob(holes), expected, rtol=1e-4, atol=1e-4)


def test_a_row_without_cells_is_certain(p, birds):
    nothing = birds.head(2).astype(object).assign(**dict.fromkeys(birds.columns))
    np.testing.assert_allclose(p.log_prob(nothing), 0, atol=1e-6)


def test_a_spike_has_a_probability_and_the_rest_a_density(p):
    gain = p.marginal("gain")
    grid = np.exp(np.linspace(-15, 15, 4001))
    density = np.exp(gain.log_prob({"gain": grid}).value)
    mass = np.exp(gain.log_prob({"gain": [0.0]}).value[0])
    assert 0.3 < mass < 0.5
    assert np.trapezoid(density, grid) + mass == pytest.approx(1, abs=1e-3)


def test_the_unit_of_a_column_shifts_the_density_of_all_rows(birds, p):
    grams = birds.assign(mass=birds.mass / 1000)
    other = pofx.fit(grams, "mixture", components=2, restarts=1)
    seen = birds.mass.notna()
    gain = np.asarray(other.log_prob(grams)) - np.asarray(p.log_prob(birds))
    np.testing.assert_allclose(gain, np.where(seen, np.log(1000), 0), atol=1e-3)


def test_unseen_level(p, birds):
    new = birds.head(3).assign(species="Emperor")
    with pytest.raises(PofxError, match=r"column 'species' in row 0 .*: no level 'Emperor'"):
        p.log_prob(new)
    expected = p.log_prob(birds.head(3).assign(species=None))
    np.testing.assert_array_equal(p.log_prob(new, unseen="missing"), expected)


def test_draws_have_the_form_of_the_data(p, birds):
    draws = p.sample(30, seed=1)
    assert draws.dtypes.to_dict() == birds.dtypes.to_dict()
    assert list(draws) == list(birds)
    assert not draws.isna().any().any()
    assert set(draws.species) <= set(birds.species.dropna())
    assert (draws.gain == 0).any()
    assert (draws.gain > 0).any()


@pytest.mark.parametrize(
    "form",
    [pl.from_pandas, pa.Table.from_pandas, lambda frame: frame.to_numpy()],
    ids=["polars", "pyarrow", "numpy"],
)
def test_draws_come_in_the_container_that_was_learned_from(form, numbers):
    data = form(numbers)
    draws = pofx.fit(data, "independent").sample(2)
    assert type(draws) is type(data)
    if isinstance(data, np.ndarray):
        assert (draws.shape, draws.dtype) == ((2, 2), data.dtype)
    else:
        assert draws.schema.names == ["u", "v"] if isinstance(data, pa.Table) else True
        assert len(draws) == 2


def test_draws_of_a_mapping(drawn):
    draws = drawn.sample(5)
    assert draws["image"].shape == (5, 2, 2)
    assert draws["image"].dtype == np.uint8
    assert set(draws["label"]) <= {"down", "up"}


def test_equal_seeds_equal_draws(p):
    assert_frame_equal(p.sample(4, seed=3), p.sample(4, seed=np.int64(3)))
    assert not p.sample(4, seed=3).equals(p.sample(4, seed=4))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda p: p.sample(0), "n: expected a whole number, at least 1; got 0"),
        (lambda p: p.sample(2.5), "n: expected a whole number, at least 1; got 2.5"),
        (lambda p: p.sample(1, seed="a"), "seed: expected a whole number of 64 bits, got 'a'"),
        (lambda p: p.marginal(), "marginal: expected at least one column"),
        (lambda p: p.marginal("mas"), "no column 'mas'; did you mean 'mass'"),
        (lambda p: p.given(mas=1), "no column 'mas'; did you mean 'mass'"),
    ],
)
def test_bad_request(p, ask, message):
    with pytest.raises(PofxError, match=message):
        ask(p)


# -- evidence


def test_given_is_the_product_rule(p, birds):
    others = birds.drop(columns="species")
    joint = p.log_prob(others.assign(species="Gentoo"))
    evidence = p.marginal("species").log_prob({"species": ["Gentoo"]})[0]
    given = p.given(species="Gentoo").log_prob(others)
    np.testing.assert_allclose(given, np.asarray(joint - evidence), rtol=1e-4, atol=1e-4)


def test_given_composes(p, birds):
    others = birds[["mass", "sex", "gain"]]
    one = p.given(species="Adelie").given(eggs=2)
    both = p.given({"eggs": 2}, species="Adelie")
    np.testing.assert_allclose(one.log_prob(others), both.log_prob(others), rtol=1e-4, atol=1e-4)
    assert repr(one).startswith("p(mass, sex, gain | species = Adelie, eggs = 2)")


def test_given_leaves_the_distribution_as_it_was(p, birds):
    before = np.asarray(p.log_prob(birds))
    p.given(species="Adelie").sample()
    np.testing.assert_array_equal(p.log_prob(birds), before)
    assert p.evidence == ()


def test_a_missing_value_is_no_evidence(p):
    assert p.given(species=None, mass=np.nan) is p
    assert p.given() is p
    assert p.given(mass=None, sex="male").evidence == ("sex = male",)


def test_evidence_of_probability_zero():
    a = np.tile([0, 1], 20)
    sure = pofx.fit({"a": a, "b": a, "c": np.arange(40.0)}, "class_conditional", on="a", prior=0.0)
    with pytest.raises(PofxError, match="given: the evidence a=0, b=1 has probability zero"):
        sure.given(a=0, b=1)


def test_evidence_given_twice(p):
    with pytest.raises(PofxError, match="given: 'sex' is given already: sex = male"):
        p.given(sex="male").given(sex="female")


def test_nothing_left_to_be_random(gaussian):
    with pytest.raises(PofxError, match="given: nothing is left to be random"):
        gaussian.given(u=5000.0, v=0.0)


def test_part_of_an_image_is_evidence(drawn):
    q = drawn.given(image=HOLES)
    assert q.schema.names == ("image", "label")
    draws = q.sample(20, seed=0)["image"]
    assert (draws[:, 0, 1] == 200).all()
    assert (draws[:, 1, 0] == 31).all()
    assert len(np.unique(draws[:, 1, 1])) > 5
    bright = q.predict_proba({"image": np.full((1, 2, 2), np.nan)}, "label")
    assert bright["up"][0] > 0.9


def test_the_rest_of_an_image_may_be_given_later(drawn, pictures):
    q = drawn.given(image=HOLES).given(image=[[190, np.nan], [np.nan, np.nan]])
    both = drawn.given(image=[[190, 200], [31, np.nan]])
    np.testing.assert_allclose(q.log_prob(pictures), both.log_prob(pictures), rtol=1e-4)
    assert q.given(image=[[np.nan, 200], [np.nan, np.nan]]) is q


def test_a_pixel_given_otherwise_before(drawn):
    with pytest.raises(PofxError, match="contradicts the evidence given before"):
        drawn.given(image=HOLES).given(image=[[np.nan, 201], [np.nan, np.nan]])


def test_marginal_is_the_sum_rule(discrete):
    table = pd.DataFrame({"a": [0, 0, 0, 1, 1, 1], "b": list("xyzxyz")})
    probabilities = [np.exp(discrete.log_prob(table.assign(c=c)).value) for c in (0, 1)]
    part = np.exp(discrete.marginal("b", "a").log_prob(table).value)
    np.testing.assert_allclose(part, sum(probabilities), rtol=1e-5)
    assert part.sum() == pytest.approx(1, abs=1e-5)


def test_marginal_keeps_the_order_of_columns(p):
    assert p.marginal("sex", "species").schema.names == ("species", "sex")
