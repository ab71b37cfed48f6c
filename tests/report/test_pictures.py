"""`pofx plot`: files of pictures, and one line for each mistake."""

import numpy as np
import pytest

import pofx
from pofx import plot
from pofx.core.errors import PofxError
from pofx.report.pictures import PICTURES, draw
from pofx.table.frames.files import write

coin = plot.bernoulli_entropy
RNG = np.random.default_rng(0)
ARGUMENTS = {
    "marginal": {"names": ["size"], "data": "whole.csv", "given": {"kind": "blue"}},
    "pair": {"names": ["size", "kind"], "data": "holes.csv", "given": {"alive": "true"}},
    "information": {"names": ["kind", "alive"], "unit": "bits"},
    "evidence": {"target": "kind", "given": {"size": "5.5", "alive": "false"}},
    "images": {"names": ["size", "kind"]},
    "learning_curve": {},
    "tail_probability": {"data": "holes.csv"},
    "reliability": {"data": "holes.csv", "target": "kind"},
    "bernoulli_entropy": {"unit": "nats"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with tables and a model of them."""
    path = tmp_path_factory.mktemp("pictures")
    data = {
        "kind": RNG.choice(["red", "blue", "green"], 40),
        "size": RNG.normal(5, 1, 40).round(3),
        "alive": RNG.random(40) < 0.5,
    }
    write(data, path / "whole.csv")
    write({**data, "kind": [None, *data["kind"][1:]]}, path / "holes.csv")
    write({"other": data["size"]}, path / "other.csv")
    pofx.fit(data, "independent").save(path / "p.pofx")
    return path


@pytest.fixture
def plot_calls(monkeypatch):
    """The calls of the functions of `plot`, which draw a coin instead."""
    calls = []

    def draw_coin(*arguments, **options):
        calls.append((arguments, options))
        return coin()

    for what in PICTURES:
        monkeypatch.setattr(plot, what, draw_coin)
    return calls


@pytest.mark.filterwarnings("ignore:this model holds")
@pytest.mark.parametrize("what", PICTURES)
def test_each_is_asked_for_and_written(folder, tmp_path, plot_calls, what):
    options = dict(ARGUMENTS[what])
    if "data" in options:
        options["data"] = folder / options["data"]
    names = options.pop("names", [])
    path = draw(folder / "p.pofx", what, names, output=tmp_path / "one.png", **options)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["one.png"]
    assert len(plot_calls) == 1


def test_texts_are_read_as_values(folder, tmp_path, plot_calls):
    given, out = {"alive": "true"}, tmp_path / "x.pdf"
    draw(folder / "p.pofx", "pair", ["size", "kind"], given=given, at=["5.5"], output=out)
    assert plot_calls[0][0][1:3] == ("size", "kind")
    assert plot_calls[0][1] == {"given": {"alive": True}, "slices": [5.5], "seed": 0}


@pytest.mark.filterwarnings("ignore:this model holds")
def test_rows_without_truth_are_left_out(folder, tmp_path, plot_calls):
    table, out = folder / "holes.csv", tmp_path / "x.svg"
    draw(folder / "p.pofx", "reliability", data=table, target="kind", output=out)
    probabilities, codes = plot_calls[0][0]
    assert probabilities.shape == (39, 3)
    assert set(codes) == {0, 1, 2}


def test_the_coin_needs_no_model(tmp_path):
    assert draw("none.pofx", "bernoulli_entropy", output=tmp_path / "a.pdf").exists()


@pytest.mark.parametrize(
    ("kind", "starts"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89P")]
)
def test_equal_arguments_give_equal_bytes(tmp_path, kind, starts):
    one, other = (draw(None, "bernoulli_entropy", output=tmp_path / f"{n}.{kind}") for n in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes().startswith(starts)


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        ("margnal", {}, "no picture 'margnal'; did you mean 'marginal'"),
        ("marginal", {}, "expected one column, got none"),
        ("pair", {"names": ["size"]}, "expected two columns, got size"),
        ("images", {}, "expected one column or two columns, got none"),
        ("learning_curve", {"names": ["size"]}, "expected no column, got size"),
        ("tail_probability", {}, "plot tail_probability: expected --data"),
        ("reliability", {"data": "whole.csv"}, "plot reliability: expected --target"),
        ("evidence", {"given": {"size": "5"}}, "expected --target"),
        ("evidence", {"target": "kind"}, "expected --given"),
        ("learning_curve", {"target": "kind"}, "has no use for --target"),
        ("marginal", {"names": ["sise"]}, "did you mean 'size'"),
        ("marginal", {"names": ["size"], "given": {"kind": "pink"}}, "no level of 'kind' 'pink'"),
        ("marginal", {"names": ["size"], "given": {"knd": "blue"}}, "did you mean 'kind'"),
        ("marginal", {"names": ["size"], "data": "none.csv"}, "no such file"),
        ("reliability", {"data": "other.csv", "target": "kin"}, "did you mean 'kind'"),
        ("information", {"unit": "bit"}, "'nats' or 'bits'"),
        ("learning_curve", {"output": "x.jpg"}, "expected a file .png, .pdf, .svg, got '.jpg'"),
        ("learning_curve", {"output": "nowhere/x.png"}, "cannot be written"),
    ],
)
def test_mistakes(folder, tmp_path, what, options, message):
    options = {"output": "x.png", **options}
    options["output"] = tmp_path / options["output"]
    if "data" in options:
        options["data"] = folder / options["data"]
    with pytest.raises(PofxError, match=message) as error:
        draw(folder / "p.pofx", what, options.pop("names", ()), **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
