"""Faults that users found, each with a test."""

import time
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import pofx
from pofx.cli import main


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 120)
    wing = kind + 0.3 * rng.normal(size=120)
    return pd.DataFrame({"kind": np.array(["a", "b", "c"])[kind], "wing": wing})


@pytest.fixture(scope="module")
def p(frame):
    return pofx.fit(frame, "mixture", components=3, restarts=1)


def test_densities_of_other_measures_do_not_compare():
    rng = np.random.default_rng(1)
    table = {"gain": np.where(rng.random(100) < 0.5, 0.0, rng.normal(30, 1, 100))}
    spiked, plain = pofx.fit(table, "independent"), pofx.fit(table, "gaussian")
    with pytest.raises(pofx.PofxError, match="'gain' is a number with point masses at 0"):
        pofx.compare(spiked, plain, table)
    again = pofx.fit(table, "gaussian", schema=plain.schema)
    assert float(pofx.compare(plain, again, table)) == 0


@pytest.mark.slow
def test_few_rows_are_held_out_in_turn(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pofx.PofxWarning)
        options = {"restarts": 2, "part": "independent"}
        chosen = {
            pofx.fit(frame, seed=s, **options).fit_info["options"]["components"] for s in (0, 1)
        }
    assert min(chosen) >= 3


def test_posterior_keeps_the_index(p, frame):
    subset = frame[frame.wing > 1]
    assert p.predict_proba(subset, "kind").index.equals(subset.index)


def test_imputed_levels_are_the_predicted_ones(p, frame):
    holes = frame.assign(kind=None)
    predicted = p.predict(holes, "kind")
    assert (p.impute(holes)["kind"] == predicted).all()
    assert (p.impute(holes, seed=9)["kind"] == predicted).all()


def test_weights_place_the_clusters():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(0, 1, 50), rng.normal(40, 1, 50), rng.normal(1e3, 1, 3)])
    weight = np.concatenate([np.ones(100), np.zeros(3)])
    q = pofx.fit({"x": x}, "mixture", components=2, weights=weight, restarts=1, prior=0.0)
    centres = np.sort(np.ravel(q.model.parts.groups[0].centre) * q.schema.variables[0].scale)
    assert centres[1] - centres[0] == pytest.approx(40, abs=1)


def test_one_component_has_exact_entropies(frame):
    q = pofx.fit(frame, "mixture", components=1)
    assert q.entropy("kind", "wing").kind == "exact"
    assert q.mutual_information("kind", "wing").value == pytest.approx(0, abs=1e-5)


def test_a_message_shows_what_a_terminal_would_obey(capsys):
    assert main._print_error("level '\x1b[31mx\x07' " + "y" * 5000) == 2
    output = capsys.readouterr().err
    assert "\x1b" not in output
    assert "\\x1b[31mx\\x07" in output
    assert len(output) < 700


def test_numbers_with_point_masses_have_a_guide_that_carries_them():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    x[rng.random(120) < 0.5, 0] = 0.0
    p = pofx.fit(x, "autoregressive", epochs=1, width=8, components=2)
    assert p.schema.variable("x0").spikes == (0.0,)
    assert np.isfinite(np.asarray(p.log_prob({"x0": [np.nan, 0.0], "x1": [0.5, np.nan]}))).all()


@pytest.mark.parametrize("kind", ["pandas", "category", "polars", "pyarrow", "mapping"])
@pytest.mark.filterwarnings("ignore:impute. this model holds:pofx.PofxWarning")
def test_what_stands_in_a_table_stays_there(kind):
    """New levels, whole numbers that no float holds, further columns, and their order."""
    rng = np.random.default_rng(0)
    table = {
        "city": rng.choice(["Rome", "Oslo"], 60).astype(object),
        "mark": rng.choice([1, 2, 3], 60),
        "id": np.arange(60) + 1234567890123456789,
        "x": rng.normal(size=60),
    }
    p = pofx.fit(_as(kind, table), "independent", schema={"mark": "ordinal"})
    new_rows = {
        "note": np.array(["u", "v", "w"], object),
        "x": np.array([1.0, 2.0, np.nan]),
        "mark": np.array([5, 2, 1]),
        "city": np.array(["Paris", None, "Oslo"], object),
        "id": np.arange(3) + 1234567890123456789,
    }
    for filled in (p.impute(_as(kind, new_rows)), p.impute(_as(kind, new_rows), draws=1)[0]):
        result = pd.DataFrame(filled) if kind == "mapping" else pd.DataFrame(_plain(filled))
        assert list(result) == list(new_rows)
        assert result["note"].tolist() == ["u", "v", "w"]
        assert result["mark"].tolist() == [5, 2, 1]
        assert result["id"].tolist() == new_rows["id"].tolist()
        assert result["city"].tolist()[::2] == ["Paris", "Oslo"]
        assert result["city"][1] in ("Rome", "Oslo")
        assert np.isfinite(result["x"].astype(float)).all()


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
@pytest.mark.filterwarnings("ignore:impute. this model holds:pofx.PofxWarning")
def test_what_is_finer_than_a_float_stands_beside_missing_cells(kind):
    """Whole numbers beyond 2**53, nanoseconds and decimals, to the last digit."""
    ids, x = [None if i == 3 else 2**60 + i for i in range(20)], [float(i) for i in range(20)]
    table = pa.table({"id": ids, "when": pa.array(ids[::-1], pa.timestamp("ns")), "x": x})
    if kind == "pandas":
        table = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    elif kind == "polars":
        table = pl.from_arrow(table)
    else:
        price = [None if i == 5 else i + Decimal("0.00000000000000000001") for i in range(20)]
        table = table.append_column("price", pa.array(price, pa.decimal128(38, 20)))
    result = pofx.fit(table, "independent").impute(table)
    for name in table.schema.names if kind == "pyarrow" else table.columns:
        before, after = (pa.array(t[name]).to_pylist() for t in (table, result))
        differs = [i for i, (a, b) in enumerate(zip(before, after)) if a != b]
        assert differs == [i for i, a in enumerate(before) if a is None]
        assert None not in after


def _as(kind, table):
    if kind == "mapping":
        return table
    frame = pd.DataFrame(table)
    if kind == "category":
        return frame.astype({"city": "category"})
    if kind == "polars":
        return pytest.importorskip("polars").from_pandas(frame)
    return frame if kind == "pandas" else pa.Table.from_pandas(frame)


def _plain(frame):
    if isinstance(frame, pa.Table):
        return frame.to_pydict()
    return frame if isinstance(frame, pd.DataFrame) else frame.to_dict(as_series=False)


@pytest.mark.parametrize("mistake", [{"part": 3}, {"part": ["gaussian"]}])
def test_a_part_that_is_no_text_is_one_line(frame, mistake):
    with pytest.raises(pofx.PofxError, match="part: expected text"):
        pofx.fit(frame, "mixture", **mistake)
    with pytest.raises(pofx.PofxError, match="model"):
        pofx.fit(frame, ["mixture"])


def test_files_that_are_no_csv_are_told(tmp_path, frame):
    from pofx.table.frames.files import read

    for name, separator in (("a", ";"), ("b", "\t"), ("c", "|")):
        frame.to_csv(tmp_path / f"{name}.csv", sep=separator, index=False)
        with pytest.raises(pofx.PofxError, match="expected commas"):
            read(tmp_path / f"{name}.csv")
    frame.to_csv(tmp_path / "d.csv", index=False, encoding="utf-16")
    with pytest.raises(pofx.PofxError, match="expected text in UTF-8"):
        read(tmp_path / "d.csv")
    frame[["kind"]].to_csv(tmp_path / "e.csv", index=False)
    assert read(tmp_path / "e.csv").column_names == ["kind"]


def test_a_fit_tells_its_score_in_the_datas_units_whichever_rows_it_looks_at(monkeypatch):
    """In units of 1e20 a cell adds 46 nats, and rows lack different cells."""
    monkeypatch.setattr("pofx.fitting.proposal.MAX_SCORED_ROWS", 40)
    rng = np.random.default_rng(0)
    x = 1e20 * rng.normal(size=(300, 3))
    x[rng.random(x.shape) < 0.5] = np.nan
    p = pofx.fit(x, "any_order", epochs=2, width=8, components=2)
    assert p.fit_info["log_likelihood"] == pytest.approx(p.log_prob(x).value.mean(), abs=1)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "mapping"])
@pytest.mark.filterwarnings("ignore:impute. this model holds:pofx.PofxWarning")
def test_imputing_changes_nothing_that_stands_in_another_storage(kind):
    """Fractions for whole numbers, numbers beyond a type, and hours for days."""
    day = np.datetime64("2020-01-01", "D") + np.arange(20)
    learned = {"i": np.arange(-10, 10), "u": np.arange(20, dtype=np.uint8), "d": day}
    new_rows = {
        "i": np.array([10.7, np.nan]),
        "u": np.array([300.0, np.nan]),
        "d": np.array(["2020-01-03T17:45", "NaT"], "datetime64[us]"),
    }

    def table(columns):
        result = pa.table({name: pa.array(v, from_pandas=True) for name, v in columns.items()})
        if kind == "mapping":
            return columns
        return {"pandas": result.to_pandas, "polars": lambda: pl.from_arrow(result)}.get(
            kind, lambda: result
        )()

    result = pofx.fit(table(learned), "independent").impute(table(new_rows))
    plain = {name: pa.array(result[name]).to_pylist() for name in new_rows}
    assert plain["i"][0] == 10.7
    assert plain["u"][0] == 300
    assert plain["d"][0] == new_rows["d"][0].item()
    assert not any(v is None or v != v for column in plain.values() for v in column)


def test_imputing_keeps_cells_of_lists_masks_and_zones():
    p = pofx.fit({"t": np.arange(30)}, "independent")
    assert p.impute({"t": [5.5, None]})["t"][0] == 5.5
    assert p.impute({"t": np.ma.masked_array([5, 777], [False, True])})["t"][1] < 30
    days = pd.DataFrame({"t": pd.date_range("2020-01-01", periods=30, tz="UTC")})
    naive = pd.DataFrame({"t": [pd.Timestamp("2020-01-05 10:30"), pd.NaT]})
    result = pofx.fit(days, "independent").impute(naive)
    assert result["t"][0] == pd.Timestamp("2020-01-05 10:30", tz="UTC")


def test_a_column_without_a_value_is_told_of():
    with pytest.warns(pofx.PofxWarning, match="column 'b' has no values"):
        pofx.fit({"a": [0.0, 1.0, 3.0], "b": [np.nan] * 3}, "independent")


def test_a_container_is_that_of_the_data_learned_from(frame):
    schema = pofx.fit(frame, "independent").schema
    assert isinstance(pofx.fit(dict(frame), "independent", schema=schema).sample(2), dict)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            "vae",
            {"proposal": "nosuch"},
            "no proposal 'nosuch'; there are: chow_liu_tree, ",
        ),
        (
            "vae",
            {"proposal": "flow"},
            "'flow' has none; there are: chow_liu_tree, ",
        ),
        (
            "vae",
            {"proposal": "gaussian"},
            "proposal: 'gaussian' supports real columns, and 'kind' is",
        ),
        ("independent", {"proposal": "mixture"}, "proposal: expected a model that needs one"),
        ("neural_energy", {"loss": "score"}, "with loss='score' supports real columns"),
        ("class_conditional", {"on": "kind", "part": "flow"}, "model='flow', on='y'"),
    ],
)
def test_what_cannot_be_learned_is_told_before_it_is_tried(frame, model, options, message):
    began = time.perf_counter()
    with pytest.raises(pofx.PofxError, match=message) as caught:
        pofx.fit(frame, model, **options)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - began < 5


def test_columns_of_a_context_depend_on_each_other():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 200)
    names = {"y": np.array(["u", "v"])[y], "w": np.array(["k", "l"])[y]}
    data = {**names, "a": y + 0.4 * rng.normal(size=200)}
    p = pofx.fit(data, "flow", on="y, w", epochs=1, width=4, proposal="independent")
    assert p.predict_proba({"w": ["k"], "a": [np.nan]}, "y")["u"][0] > 0.9
    assert set(zip(*(p.sample(20)[name] for name in names))) == {("u", "k"), ("v", "l")}


def test_far_from_all_data_an_error_is_no_smaller_than_what_rounding_leaves():
    rng = np.random.default_rng(0)
    p = pofx.fit({"a": rng.normal(size=40)}, "vae", epochs=1, width=4, depth=1, latent=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pofx.PofxWarning)
        far = p.log_prob({"a": [1e12]})
    assert far.stderr[0] > 1e-8 * abs(far.value[0])


def test_the_unit_of_fractional_weights_does_not_matter_and_whole_ones_repeat_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    data = {"x": x, "y": np.where(x + 0.5 * rng.normal(size=60) > 0, "up", "down")}

    def share(weights, data=data):
        p = pofx.fit(data, "class_conditional", on="y", weights=weights)
        return np.stack(list(p.predict_proba({"x": [0.0, 1.0]}, "y").values()))

    plain = share(None)
    np.testing.assert_allclose(share(np.full(60, 1 / 60)), plain, atol=1e-5)
    weights = rng.uniform(0.5, 2, 60)
    np.testing.assert_allclose(share(weights / weights.sum()), share(1e3 * weights), atol=1e-5)
    times = rng.integers(0, 3, 60)
    again = {name: np.repeat(column, times) for name, column in data.items()}
    np.testing.assert_allclose(share(times), share(None, again), atol=1e-5)
