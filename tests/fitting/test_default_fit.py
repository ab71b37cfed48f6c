"""`pofx.fit` without a model's name, `pofx.stack`, and the new models as files."""

import time
import warnings

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx import PofxError, PofxWarning
from pofx.fitting import selection

pytestmark = pytest.mark.slow  # each compiles for minutes; the laws run quickly

SMALL = {"width": 16, "points": 32, "depth": 1}


def frame(n=150, seed=0):
    """A number and levels that depend on each other, with missing cells."""
    rng = np.random.default_rng(seed)
    a = rng.random(n) < 0.5
    df = pd.DataFrame(
        {
            "x": np.where(a, 4.0, -4.0) + rng.normal(size=n).round(2),
            "kind": np.where(rng.random(n) < 0.8, np.where(a, "p", "q"), "r"),
            "n": rng.poisson(np.where(a, 2, 9)),
        }
    )
    df.loc[::11, "x"] = np.nan
    df.loc[3::13, "kind"] = None
    return df


# -- no model named


@pytest.fixture(scope="module")
def first():
    """What is left untried with a budget of almost no time."""
    began = time.perf_counter()
    p = pofx.fit(frame(), budget=0)
    return p, time.perf_counter() - began


def test_without_time_a_model_that_relates_columns_is_tried_all_the_same(first):
    p, _ = first
    assert p.fit_info["model"] == "mixture"
    names = [line["name"] for line in p.fit_info["leaderboard"]]
    assert names == ["independent", f"mixture(components=4) on {p.fit_info['rows'] * 9 // 10} rows"]
    assert float(p.mutual_information(*p.schema.names[:2])) > 0
    assert p.fit_info["untried"][:2] == ["mixture(components=2)", "chow_liu_tree"]
    assert not any(name.startswith("independent") for name in p.fit_info["untried"])
    assert np.isfinite(p.log_prob(frame()).value).all()


@pytest.mark.slow
def test_within_a_budget_models_are_compared():
    p = pofx.fit(frame(), budget=20, restarts=1)
    board = {line["name"]: line for line in p.fit_info["leaderboard"]}
    assert {"independent", "mixture(components=2)"} <= set(board)
    assert p.fit_info["model"] != "independent"
    assert board["mixture(components=2)"]["log_likelihood"] > board["independent"]["log_likelihood"]
    kept = [line for line in p.fit_info["leaderboard"] if line["kept"]]
    gains = [line["gain"] > np.nan_to_num(line["gain_stderr"]) for line in kept[1:]]
    assert all(gains)
    plain = pofx.fit(frame(), "independent")
    assert p.log_prob(frame()).value.mean() > plain.log_prob(frame()).value.mean() + 0.2


@pytest.mark.slow
def test_one_seed_gives_one_answer():
    data = frame(90)
    one, again = (pofx.fit(data, budget=1e6, restarts=1, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.log_prob(data), again.log_prob(data))
    names = [[line["name"] for line in p.fit_info["leaderboard"]] for p in (one, again)]
    assert names[0] == names[1]
    assert "stack" in names[0]
    assert one.fit_info["untried"] == []


def test_rows_held_out_may_be_given(monkeypatch):
    ladders = selection.candidate_ladders
    monkeypatch.setattr(selection, "candidate_ladders", lambda *args: [ladders(*args)[0][:1]])
    data, held = frame(60)[["kind"]], frame(40, 1)[["kind"]].dropna()
    p = pofx.fit(data, validation=held)
    (line,) = p.fit_info["leaderboard"]
    expected = pofx.fit(data, "independent", schema=p.schema).log_prob(held).value
    assert line["log_likelihood"] == pytest.approx(expected.mean(), abs=1e-4)
    assert line["stderr"] == pytest.approx(expected.std(ddof=1) / np.sqrt(len(held)), rel=1e-3)
    assert p.fit_info["rows"] == 60


# -- stacks of fits


@pytest.fixture(scope="module")
def pair():
    data = frame(200)
    p = pofx.fit(data, "independent")
    q = pofx.fit(data, "latent_tree", states=2, schema=p.schema, restarts=1, tolerance=1e-3)
    return p, q


def test_held_out_rows_weigh_a_stack(pair):
    p, q = pair
    held = frame(300, 5)
    s = pofx.stack([p, q], held)
    parts = s.fit_info["parts"]
    one, other = (np.asarray(m.log_prob(held)) for m in (p, q))
    if len(parts) == 1:
        assert parts[0]["model"] == "latent_tree"
        np.testing.assert_allclose(s.log_prob(held), other, atol=1e-4)
    w = {part["model"]: part["weight"] for part in parts}
    assert sum(w.values()) == pytest.approx(1)
    assert w["latent_tree"] > 0.9
    assert s.fit_info["log_likelihood"] == pytest.approx(s.log_prob(held).value.mean(), abs=1e-4)
    assert s.fit_info["log_likelihood"] >= max(one.mean(), other.mean()) - 1e-4


def test_twins_share_a_stack_evenly(pair):
    p, _ = pair
    s = pofx.stack((p, p), frame(30, 6))
    np.testing.assert_allclose([part["weight"] for part in s.fit_info["parts"]], 0.5)
    np.testing.assert_allclose(s.log_prob(frame(9)), p.log_prob(frame(9)), atol=1e-4)
    assert s.given(kind="p").schema.names == ("x", "n")
    assert s.sample(3).shape == (3, 3)


def test_mistakes_about_a_stack_are_told_in_one_line(pair):
    p, q = pair
    data = frame(20)
    cases = [
        ([], data, "models: expected fitted distributions"),
        ([p, "q"], data, "models: expected fitted distributions"),
        ([p, q.given(kind="p")], data, "models: expected fits of one schema without evidence"),
        ([p, pofx.fit(frame(50), "independent")], data, "models: expected fits of one schema"),
        ([p, q], data.head(0), "data: expected rows to weigh the models by, got none"),
        ([p, q], data[["x"]], "data: no column 'kind'"),
    ]
    for models, held, message in cases:
        with pytest.raises(PofxError, match=message) as error:
            pofx.stack(models, held)
        assert "\n" not in str(error.value)


# -- files


MODELS = {
    "chow_liu_tree": {"states": 2},
    "latent_tree": {"states": 2},
    "stack": {"components": 2, "part": "chow_liu_tree", "states": 2},
    "continuous_mixture": {**SMALL, "epochs": 1, "part": "independent"},
}


def the_same(p, path):
    p.save(path)
    q = pofx.load(path)
    data = frame(12, 7)
    np.testing.assert_array_equal(np.asarray(q.log_prob(data)), np.asarray(p.log_prob(data)))
    assert q.fit_info == p.fit_info
    assert repr(q) == repr(p)
    assert type(q.model) is type(p.model)


@pytest.mark.parametrize(
    "model",
    [
        "chow_liu_tree",
        "latent_tree",
        pytest.param("stack", marks=pytest.mark.slow),
        pytest.param("continuous_mixture", marks=pytest.mark.slow),
    ],
)
def test_models_come_back_from_files_to_the_bit(model, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # three steps need not converge
        p = pofx.fit(frame(80), model, restarts=1, steps=3, **MODELS[model])
    the_same(p, tmp_path / "p.pofx")


def test_stacks_of_fits_come_back_from_files_to_the_bit(pair, first, tmp_path):
    p, q = pair
    the_same(pofx.stack([p, q, p], frame(40, 8)), tmp_path / "s.pofx")
    the_same(first[0], tmp_path / "f.pofx")


# -- training that goes on


@pytest.mark.slow
def test_epochs_are_no_more_than_asked_for():
    data = frame(60)
    p, q = (pofx.fit(data, "continuous_mixture", epochs=e, **SMALL) for e in (1, 4))
    # Of each of two phases.
    assert p.fit_info["steps"] == 2
    assert 4 < q.fit_info["steps"] <= 8


class Stopped(Exception):
    """An exception that interrupts a training."""


@pytest.mark.slow
@pytest.mark.parametrize("at", [2, 4])
def test_an_interrupted_fit_goes_on_to_the_same_bits(tmp_path, monkeypatch, at):
    data = frame(80)
    how = {**SMALL, "epochs": 3}
    straight = pofx.fit(data, "continuous_mixture", **how)
    from pofx.learn import sgd

    original, calls = sgd._run_epoch, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > at:
            raise Stopped
        return original(*arguments)

    path = tmp_path / "training"
    monkeypatch.setattr(sgd, "_run_epoch", interrupted)
    monkeypatch.setattr(sgd.train, "__kwdefaults__", {**sgd.train.__kwdefaults__, "every": 0.0})
    with pytest.raises(Stopped):
        pofx.fit(data, "continuous_mixture", checkpoint=path, **how)
    assert path.exists()
    calls.clear()
    monkeypatch.setattr(sgd, "_run_epoch", lambda *a: calls.append(1) or original(*a))
    resumed = pofx.fit(data, "continuous_mixture", checkpoint=path, **how)
    assert len(calls) == straight.fit_info["steps"] - at
    assert len(calls) > 0
    np.testing.assert_array_equal(resumed.log_prob(data), straight.log_prob(data))
    assert resumed.fit_info["history"] == straight.fit_info["history"]
    with pytest.raises(PofxError, match="checkpoint: expected a file of this run") as error:
        pofx.fit(data.head(50), "continuous_mixture", checkpoint=path, **how)
    assert "\n" not in str(error.value)


# -- mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": -1}, "budget: expected a number, at least 0; got -1"),
        ({"budget": float("nan")}, "budget: expected a number, at least 0; got nan"),
        ({"budget": "long"}, "budget: expected a number, at least 0; got 'long'"),
        ({"epochs": -1}, "epochs: expected a whole number, at least 0; got -1"),
        ({"epochs": 0.5}, "epochs: expected a whole number, at least 0; got 0.5"),
        ({"validation": 2}, "validation: expected a share between 0 and 1, got 2"),
        ({"validation": 0}, "validation: expected a share between 0 and 1, got 0"),
        ({"validation": {"x": []}}, "no column 'kind'"),
        ({"model": "latent_tree", "states": 0}, "states: expected at least 1, got 0"),
        (
            {"model": "latent_tree", "prior": 0.0},
            "prior: expected at least 1e-09 .* with 16 states",
        ),
        ({"model": "continuous_mixture", "latent": 30000}, "latent: expected at most 21201"),
        ({"model": "latent_tree", "states": 1.5}, "states: expected a whole number, got 1.5"),
        ({"model": "latent_tree", "state": 2}, "'state'; did you mean 'states'"),
        ({"model": "continuous_mixture", "part": "gaussian"}, "no part 'gaussian'; there are"),
        ({"model": "continuous_mixture", "states": 3}, "no option .* 'states'"),
        ({"states": 3}, "no option of model 'mixture': 'states'"),
    ],
)
def test_bad_values_are_told_in_one_line(options, message):
    with pytest.raises(PofxError, match=message) as error:
        pofx.fit(frame(20), **options)
    assert "\n" not in str(error.value)


def test_no_row_held_out():
    with pytest.raises(PofxError, match=r"validation: expected .* got no row"):
        pofx.fit(frame(20), validation=frame(20).head(0))


def test_the_leaderboard_is_in_the_units_of_the_data_where_cells_are_missing():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": 1000 * rng.normal(size=400), "c": rng.choice(list("abc"), 400)})
    data.loc[::2, "x"] = np.nan
    p = pofx.fit(data, budget=0.0, seed=1)
    log_likelihood = p.report().leaderboard[0]["log_likelihood"]
    assert log_likelihood == pytest.approx(float(np.mean(p.log_prob(data).value)), abs=0.3)


def test_a_checkpoint_of_a_later_phase_alone_is_another_runs(tmp_path):
    (tmp_path / "c.1").write_bytes(b"")
    with pytest.raises(PofxError, match="which is left of another run"):
        pofx.fit(frame(40), "continuous_mixture", checkpoint=tmp_path / "c", epochs=1, **SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": "c"}, "checkpoint: expected a model that is trained by gradients"),
        ({"model": "independent", "checkpoint": "c"}, "checkpoint: expected a model that is"),
        (
            {"model": "continuous_mixture", "checkpoint": 3},
            "checkpoint: expected the name of a file",
        ),
        ({"model": "continuous_mixture", "points": 33}, "points: expected a power of two"),
        ({"model": "continuous_mixture", "points": 0}, "points: expected at least 1"),
        ({"model": "continuous_mixture", "depth": -1}, "depth: expected at least 0"),
        ({"model": "chow_liu_tree", "states": 0}, "states: expected at least 1"),
    ],
)
def test_sizes_and_checkpoints_that_cannot_be_are_told(options, message):
    data = {"a": np.arange(20) % 2, "b": np.arange(20) % 3}
    with pytest.raises(PofxError, match=message):
        pofx.fit(data, **options)


def test_one_row_held_out_weighs_no_stack():
    data = pd.DataFrame({"a": np.arange(60) % 2, "b": np.arange(60) % 3})
    p = pofx.fit(data, budget=2.0, validation=data.head(1))
    assert "stack" not in [line["name"] for line in p.report().leaderboard]
    with pytest.raises(PofxError, match="models: expected fitted distributions"):
        pofx.stack(p, data)
