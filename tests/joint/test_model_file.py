"""Model files give the same answers to the last bit, and are written completely or not at all."""

import json

import numpy as np
import pytest
from safetensors import safe_open

import pofx
from pofx import PofxError
from pofx.core import float_width
from pofx.core.answer import Answer
from pofx.joint.joint import Joint
from pofx.joint.model_file import FORMAT


def again(p, path):
    p.save(path)
    return pofx.load(path)


def same(p, q, data):
    """Both give answers and draws that are equal to the last bit."""
    np.testing.assert_array_equal(p.log_prob(data), q.log_prob(data))
    one, other = p.sample(3, seed=1), q.sample(3, seed=1)
    assert type(one) is type(other)
    assert str(one) == str(other)
    assert (q.schema, q.evidence, q.fit_info, repr(q)) == (
        p.schema,
        p.evidence,
        p.fit_info,
        repr(p),
    )


def test_a_mixture_with_spikes_and_levels(p, birds, tmp_path):
    q = again(p, tmp_path / "p.pofx")
    same(p, q, birds)
    assert float(q.entropy("species", seed=2)) == float(p.entropy("species", seed=2))


def test_evidence_is_kept(p, birds, tmp_path):
    same(p.given(species="Adelie"), again(p.given(species="Adelie"), tmp_path / "p.pofx"), birds)


def test_part_of_an_image(drawn, pictures, tmp_path):
    given = drawn.given(image=[[np.nan, 200.0], [31.0, np.nan]])
    same(given, again(given, tmp_path / "p.pofx"), pictures)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gaussian", {}),
        ("mixture", {"components": 2, "part": "gaussian", "restarts": 1}),
        ("factor_analysis", {"latent": 1}),
        ("ppca", {"latent": 1}),
    ],
)
def test_models_of_numbers(numbers, tmp_path, model, options):
    p = pofx.fit(numbers, model, **options)
    same(p, again(p, tmp_path / "p.pofx"), numbers)


def test_a_chain(birds, tmp_path):
    p = pofx.fit(birds, "class_conditional", on="species")
    same(p, again(p, tmp_path / "p.pofx"), birds)


@pytest.mark.parametrize("container", ["polars", "pyarrow", "numpy", "mapping"])
def test_containers(numbers, tmp_path, container):
    import polars as pl
    import pyarrow as pa

    data = {
        "polars": pl.from_pandas(numbers),
        "pyarrow": pa.Table.from_pandas(numbers),
        "numpy": numbers.to_numpy(),
        "mapping": {name: values.to_numpy() for name, values in numbers.items()},
    }[container]
    p = pofx.fit(data, "gaussian")
    same(p, again(p, tmp_path / "p.pofx"), data)


def test_the_file_is_plain(p, tmp_path):
    p.save(tmp_path / "p.pofx")
    with safe_open(tmp_path / "p.pofx", "numpy") as file:
        header = json.loads(file.metadata()["pofx"])
        assert header["format"] == FORMAT
        assert header["schema"]["variables"][0]["levels"] == ["Adelie", "Chinstrap", "Gentoo"]
        assert all(file.get_tensor(name).dtype == np.float64 for name in sorted(file.keys()))


def test_what_json_lacks_is_saved_too(p, birds, tmp_path):
    q = pofx.fit(birds, "mixture", components=np.int64(1), restarts=1)
    assert again(q, tmp_path / "p.pofx").fit_info["options"] == {"components": 1}


def test_without_a_story(p, birds, tmp_path):
    bare = Joint(p.model, p.schema, p.fixed)
    same(bare, again(bare, tmp_path / "p.pofx"), birds)


def test_wider_floats_are_narrowed_with_a_warning(numbers, tmp_path, monkeypatch):
    p = pofx.fit(numbers, "independent")
    same(p, again(p, tmp_path / "p.pofx"), numbers)
    expected = np.asarray(p.log_prob(numbers))
    monkeypatch.setattr(float_width, "prefers_float64", lambda: False)  # as on an accelerator
    with pytest.warns(pofx.PofxWarning, match="saved in float64 and answers here in float32"):
        narrow = pofx.load(tmp_path / "p.pofx")
    np.testing.assert_allclose(narrow.log_prob(numbers), expected, rtol=1e-4, atol=1e-4)


# -- whole or not at all


@pytest.fixture
def kept(gaussian, tmp_path):
    """A folder with a model file and its content."""
    path = tmp_path / "p.pofx"
    gaussian.save(path)
    return path, path.read_bytes()


def test_a_file_is_replaced(p, kept):
    path, content = kept
    p.save(path)
    assert path.read_bytes() != content
    assert [f.name for f in path.parent.iterdir()] == ["p.pofx"]


def test_a_failure_leaves_the_file_that_stood_there(p, kept, monkeypatch):
    path, content = kept

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(PofxError, match=r"p\.pofx: cannot be written: No space left on device"):
        p.save(path)
    assert path.read_bytes() == content
    assert [f.name for f in path.parent.iterdir()] == ["p.pofx"]


def test_a_folder_stands_there(p, tmp_path):
    (tmp_path / "p.pofx").mkdir()
    with pytest.raises(PofxError, match=r"p\.pofx: cannot be written: Is a directory"):
        p.save(tmp_path / "p.pofx")
    assert [f.name for f in tmp_path.iterdir()] == ["p.pofx"]


@pytest.mark.parametrize("folder", ["absent", "file", "/proc/self"])
def test_a_folder_that_takes_no_files(p, tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(PofxError, match=r"p\.pofx: cannot be written: ") as caught:
        p.save(tmp_path / folder / "p.pofx")
    assert "\n" not in str(caught.value)


def test_answers_are_numbers_of_the_loaded_model(gaussian, kept):
    answer = pofx.load(kept[0]).entropy()
    assert isinstance(answer, Answer)
    assert float(answer) == float(gaussian.entropy())
