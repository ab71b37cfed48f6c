import json
from dataclasses import replace

import pytest

from pofx.core.errors import PofxError
from pofx.table.frames.dtypes import known_dtype
from pofx.table.schema import Schema, Variable

GAIN = Variable(
    "gain",
    "positive",
    spikes=(0.0,),
    scale=10.0,
    resolution=2.0,
    family="log_normal",
    dtype="int64",
)
IMAGE = Variable("image", "real", shape=(2, 3), shift=4.0, scale=2.0, family="normal")
SEX = Variable("sex", "binary", levels=("f", "m"), family="bernoulli", dtype="str")
SCHEMA = Schema((GAIN, IMAGE, SEX), "mapping")


def test_entries():
    assert SCHEMA.size == 8
    assert SCHEMA.slices == {"gain": slice(0, 1), "image": slice(1, 7), "sex": slice(7, 8)}
    assert [c.variable for c in SCHEMA.columns] == ["gain"] + ["image"] * 6 + ["sex"]
    gain, image, sex = (SCHEMA.columns[i] for i in (0, 1, 7))
    assert (gain.spikes, gain.resolution, gain.family) == ((0.0,), 0.2, "log_normal")
    assert (image.kind, image.levels) == ("real", 0)
    assert (sex.kind, sex.levels, sex.discrete) == ("binary", 2, True)
    spiked = replace(IMAGE, spikes=(6.0,), shape=())
    assert spiked.column.spikes == (1.0,)


def test_select_keeps_what_it_selects():
    part = SCHEMA.select(["sex", "gain"])
    assert part.variables == (SEX, GAIN)
    assert part.container == "mapping"
    with pytest.raises(PofxError, match=r"no column 'gian'; did you mean 'gain'\?"):
        SCHEMA.select(["gian"])


def test_prints_every_column_aligned():
    lines = str(SCHEMA).splitlines()
    assert lines[0].split() == ["column", "kind", "family", "spikes", "resolution", "values"]
    assert lines[1].split() == ["gain", "positive", "log_normal", "0", "2", "about", "10"]
    assert lines[2].startswith("image [2, 3]  real")
    assert lines[3].endswith("f, m")
    assert repr(SCHEMA) == "Schema(mapping: gain, image, sex)"
    many = Variable("x", "categorical", levels=tuple(f"level {i}" for i in range(500)))
    assert all(len(line) < 120 for line in str(Schema((many,), "numpy")).splitlines())


def test_json_round_trip():
    text = json.dumps(SCHEMA.to_json(), allow_nan=False)
    assert Schema.from_json(json.loads(text)) == SCHEMA


def broken(**changes):
    data = json.loads(json.dumps(SCHEMA.to_json()))
    data["variables"][0].update(changes)
    return data


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "complex"},
        {"kind": ["real"]},
        {"name": 3},
        {"name": "sex"},
        {"shape": [1 << 21]},
        {"shape": [1 << 20]},
        {"shape": [-1]},
        {"shape": [True]},
        {"shape": 3},
        {"scale": -1.0},
        {"scale": 0.0},
        {"scale": float("nan")},
        {"scale": float("inf")},
        {"scale": "1"},
        {"scale": True},
        {"shift": 1.0},
        {"shift": float("nan")},
        {"spikes": [float("nan")]},
        {"spikes": [1.0, 1.0]},
        {"spikes": "0"},
        {"levels": ["a"]},
        {"kind": "binary", "spikes": [], "scale": 1.0},
        {"kind": "binary", "spikes": [], "scale": 1.0, "levels": ["a"]},
        {"kind": "ordinal", "spikes": [], "scale": 1.0, "levels": ["a", "a"]},
        {"kind": "ordinal", "spikes": [], "scale": 1.0, "levels": ["a", 1]},
        {"kind": "ordinal", "spikes": [], "scale": 1.0, "levels": [["a"], ["b"]]},
        {"kind": "ordinal", "spikes": [], "scale": 1.0, "levels": [None]},
        {"kind": "ordinal", "spikes": [0.0], "scale": 1.0, "levels": ["a"]},
        {"resolution": -1.0},
        {"family": "__import__('os')"},
        {"family": None},
        {"dtype": "V999999999"},
        {"dtype": "category:decimal"},
        {"surprise": 1},
    ],
)
def test_hostile_variable_is_refused(changes):
    with pytest.raises(PofxError) as caught:
        Schema.from_json(broken(**changes))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "data",
    [
        *(None, [], "x", {}, {"container": "pandas"}),
        {"container": "pickle", "variables": []},
        {"container": ["pandas"], "variables": []},
        {"container": "pandas", "variables": {}},
        {"container": "pandas", "variables": [{}]},
        {"container": "pandas", "variables": [3]},
    ],
)
def test_hostile_schema_is_refused(data):
    with pytest.raises(PofxError):
        Schema.from_json(data)


def test_vocabulary_is_closed():
    good = "int8 uint64 Int64 float16 Float32 boolean str object:string arrow:decimal:5:2 enum"
    good += " category category:object ordered:string:int8 object:null string_view"
    assert all(known_dtype(word) for word in good.split())
    assert not any(known_dtype(w) for w in ("U9999", "i4,i4", "O", "Float16", "arrow:", "enum:x"))
