"""`pofx.fit`: weights, seeds, schemas, and the choice of a model."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx import PofxError
from pofx.fitting.candidates import candidate_ladders
from pofx.table.schema_inference import infer


def test_weights_are_repetition(birds, p):
    weight = np.arange(len(birds)) % 3
    often = birds.iloc[np.repeat(np.arange(len(birds)), weight)]
    one = pofx.fit(birds, "independent", weights=weight, schema=p.schema)
    other = pofx.fit(often, "independent", schema=p.schema)
    np.testing.assert_allclose(one.log_prob(birds), other.log_prob(birds), rtol=1e-4, atol=1e-4)


def test_weights_from_a_column(birds):
    weight = np.arange(len(birds)) % 3
    one = pofx.fit(birds.assign(w=weight), "independent", weights="w")
    other = pofx.fit(birds, "independent", weights=weight.tolist())
    assert "w" not in one.schema.names
    np.testing.assert_array_equal(one.log_prob(birds), other.log_prob(birds))


def test_the_schema_is_overridden_column_by_column(birds):
    p = pofx.fit(birds, "independent", schema={"eggs": "count", "gain": {"spikes": []}})
    kinds = {v.name: v.kind for v in p.schema.variables}
    assert kinds["eggs"] == "count"
    assert kinds["sex"] == "binary"
    assert p.schema.variable("gain").spikes == ()


def test_the_schema_of_another_fit(birds, p):
    q = pofx.fit(birds.iloc[10:40], "independent", schema=p.schema)
    assert q.schema is p.schema
    assert pofx.kl(p, q) > 0


def test_equal_seeds_give_equal_bits(numbers):
    fits = [pofx.fit(numbers, "mixture", components=2, seed=s, restarts=1) for s in (3, 3, 4)]
    one, again, other = (np.asarray(f.log_prob(numbers)) for f in fits)
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert fits[0].fit_info["seed"] == 3


@pytest.fixture(scope="module")
def chosen():
    rng = np.random.default_rng(0)
    two = np.where(rng.random(120) < 0.5, -10, 10) + rng.normal(size=120)
    data = pd.DataFrame({"x": two, "y": two + rng.normal(size=120)})
    return pofx.fit(data, restarts=1, part="independent"), data


def test_without_a_model_held_out_rows_choose(chosen):
    p, _ = chosen
    board = p.fit_info["leaderboard"]
    assert p.fit_info["model"] == "mixture"
    assert p.fit_info["options"]["components"] >= 2
    names = [
        f"mixture(components={k}, part=independent)"
        for k in (1, 2, p.fit_info["options"]["components"])
    ]
    assert board[0]["name"] == names[0]
    assert {line["name"] for line in board} >= set(names)
    assert [line["name"] for line in board if line["kept"]] == names[2:]


def test_what_a_fit_tells(chosen):
    p, data = chosen
    record = p.fit_info
    assert (record["rows"], record["missing"], record["converged"]) == (120, 0, True)
    assert record["log_likelihood"] == pytest.approx(p.log_prob(data).value.mean(), abs=1e-3)
    assert record["history"][-1] == record["log_likelihood"]


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_few_rows(birds, tmp_path, n):
    hole = pytest.warns(pofx.PofxWarning, match="column 'mass' has no values")
    with hole if n == 1 else nullcontext():  # the mass of the first bird is not known
        p = pofx.fit(birds.head(n))
    p.save(tmp_path / "p.pofx")
    assert np.isfinite(p.log_prob(birds.head(n)).value).all()
    assert pofx.load(tmp_path / "p.pofx").fit_info == p.fit_info


@pytest.mark.slow
def test_rows_of_weight_zero_choose_nothing(birds):
    weight = (np.arange(len(birds)) < 2).astype(float)
    assert np.isfinite(pofx.fit(birds, weights=weight).log_prob(birds.head(2)).value).all()


def test_a_column_all_missing(birds):
    with pytest.warns(pofx.PofxWarning, match="column 'mass' has no values"):
        p = pofx.fit(birds.assign(mass=np.nan), "independent")
    assert np.isfinite(p.log_prob(birds.assign(mass=np.nan)).value).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "mixtur"}, "no model 'mixtur'; did you mean 'mixture'"),
        ({"model": ""}, "no model ''; there are: "),
        ({"model": "mixture", "components": 61}, "components: expected 1 to 60.*rows; got 61"),
        ({"components": 0}, "components: expected 1 to 60"),
        ({"components": "many"}, "components: expected a whole number, got 'many'"),
        ({"components": 2.5}, "components: expected a whole number, got 2.5"),
        ({"component": 2}, "no option of model 'mixture': 'component'; did you mean 'components'"),
        ({"model": "mixture", "prior": np.nan}, "prior: expected a number, at least 0, got nan"),
        ({"model": "mixture", "part": "gausian"}, "no .* 'gausian'; did you mean 'gaussian'"),
        (
            {"model": "class_conditional", "on": "specis"},
            "no column 'specis'; did you mean 'species'",
        ),
        ({"model": "class_conditional"}, "on: expected the discrete column .* species, sex, eggs"),
        ({"model": "gaussian"}, "column 'species' is categorical"),
        ({"validation": 1.5}, "validation: expected a share between 0 and 1, got 1.5"),
        ({"steps": 0}, "steps: expected a whole number, at least 1; got 0"),
        ({"restarts": 0}, "restarts: expected a whole number, at least 1; got 0"),
        ({"tolerance": -1}, "tolerance: expected a number, at least 0; got -1"),
        ({"seed": 0.5}, "seed: expected a whole number of 64 bits, got 0.5"),
        ({"schema": "ordinal"}, "schema: expected a mapping from columns to kinds.* got str"),
        ({"schema": {"mas": "real"}}, "no column 'mas'; did you mean 'mass'"),
        (
            {"schema": {"mass": {"family": "poisson"}}},
            "mass: family 'poisson' is not for real columns",
        ),
        ({"weights": "mas"}, "no column 'mas'; did you mean 'mass'"),
        ({"weights": "sex"}, "weights: expected finite numbers >= 0"),
        ({"weights": "mass"}, "weights: expected finite numbers >= 0"),
        ({"weights": ["a"] * 60}, "weights: expected finite numbers >= 0"),
        ({"weights": np.zeros(60)}, "weights: .* not all of them zero"),
        ({"weights": -np.ones(60)}, "weights: expected finite numbers >= 0"),
        ({"weights": np.ones(3)}, "weights: expected one per row, 60; got 3"),
    ],
)
def test_bad_request(birds, options, message):
    with pytest.raises(PofxError, match=message) as caught:
        pofx.fit(birds, **options)
    assert "\n" not in str(caught.value)


def test_weights_by_name_of_an_array(numbers):
    with pytest.raises(PofxError, match="weights: columns of an array have no names"):
        pofx.fit(numbers.to_numpy(), weights="x0")


def test_nothing_beside_the_weights():
    with pytest.raises(PofxError, match="expected a column beside the weights 'w'"):
        pofx.fit({"w": [1.0, 2.0]}, weights="w")


def test_each_level_of_a_column_gets_a_gaussian_where_rows_are_few_and_levels_several():
    rng = np.random.default_rng(0)
    data = {"a": rng.normal(size=60), "b": rng.normal(size=60), "c": np.full(60, "k")}
    data["d"] = np.where(np.arange(60) % 2, "u", "v")
    schema = infer(pd.DataFrame(data))

    def classes(n):
        ladders = candidate_ladders(schema, n)
        return [
            e.options["on"] for ladder in ladders for e in ladder if e.model == "class_conditional"
        ]

    assert classes(54) == ["d"]
    assert classes(15) == classes(4000) == []
