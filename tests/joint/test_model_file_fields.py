"""A file is rejected if a field of a model is not of the type that its class annotates."""

import copy
import json
from collections.abc import Iterator

import jax
import pytest
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

from pofx import PofxError
from pofx.core.abstract import AbstractQueryable
from pofx.core.registry import discover
from pofx.joint.model_file import read_model_file, write_model_file

MODELS = discover("pofx.models", AbstractQueryable)
HEAD = {"schema": {}, "fixed": [], "evidence": [], "fit": {}}


@pytest.fixture
def saved(request, tmp_path):
    """The header and the arrays of an example of a model."""
    path = tmp_path / "whole.pofx"
    write_model_file(path, MODELS[request.param].example(jax.random.key(0)).model, HEAD)
    read_model_file(path)
    with safe_open(path, "numpy") as file:
        arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        return json.loads(file.metadata()["pofx"]), arrays


def settings(tree) -> Iterator[tuple[dict, str]]:
    """The place of each field in a tree, and its name."""
    if isinstance(tree, list):
        for inner in tree:
            yield from settings(inner)
    elif isinstance(tree, dict) and "class" in tree:
        for name, value in tree["fields"].items():
            yield tree["fields"], name
            yield from settings(value)


def wrong(value):
    """Values that a field of this value may not have."""
    if isinstance(value, bool):
        return [1, "true", None]
    if isinstance(value, int):
        return [value + 0.5, True, str(value), [value]]
    if isinstance(value, float):
        return [True, str(value), [value]]
    if isinstance(value, str):
        return ["", 1, "nothing of that name", [value]]
    if isinstance(value, list):
        return ["text", 1, [*value, None]]
    return ["text", 1, [value], {"class": "Normal", "fields": {}}]


@pytest.mark.parametrize("saved", MODELS, indirect=True)
def test_a_field_of_another_type_is_refused(saved, tmp_path):
    header, arrays = saved
    path = tmp_path / "bad.pofx"
    for k, (fields, name) in enumerate(settings(header["model"])):
        for bad in wrong(fields[name]):
            changed = copy.deepcopy(header)
            place, _ = list(settings(changed["model"]))[k]
            place[name] = bad
            path.write_bytes(to_bytes(arrays, {"pofx": json.dumps(changed)}))
            with pytest.raises(PofxError) as caught:
                read_model_file(path)
            line = str(caught.value)
            assert line.startswith(f"{path}: not a valid pofx model file ("), (name, bad)
            assert "\n" not in line, (name, bad)


@pytest.mark.parametrize(
    ("saved", "name", "bad", "line"),
    [
        ("gaussian", "structure", "", "Gaussian: structure: expected 'full', 'dia"),
        ("gaussian", "prior", "1", "Gaussian: prior: expected a valid number, got '1'"),
        (
            "gaussian",
            "scale",
            None,
            "Gaussian: scale: expected an instance of ColumnScale, got None",
        ),
        (
            "gaussian",
            "mean",
            0.5,
            r"Gaussian: mean: expected an instance of Float\[Array, 'd'\], got 0.5",
        ),
        ("class_conditional", "on", "y", "ClassConditional: on: expected a valid integer, got 'y'"),
        ("latent_tree", "levels", [2, "2", 2], "LatentTree: levels.1: expected a valid integer"),
        (
            "importance_sampled",
            "model",
            None,
            "ImportanceSampled: model: expected an instance of AbstractApproximate, got",
        ),
    ],
    indirect=["saved"],
)
def test_which_field_is_said(saved, tmp_path, name, bad, line):
    header, arrays = saved
    header["model"]["fields"][name] = bad
    path = tmp_path / "bad.pofx"
    path.write_bytes(to_bytes(arrays, {"pofx": json.dumps(header)}))
    with pytest.raises(PofxError, match=line):
        read_model_file(path)


@pytest.mark.parametrize("saved", ["independent"], indirect=True)
@pytest.mark.parametrize("name", ["", "Nothing", ["Normal"], None])
def test_a_family_of_no_name_is_said(saved, tmp_path, name):
    header, arrays = saved
    header["model"]["fields"]["groups"][0]["class"] = name
    path = tmp_path / "bad.pofx"
    path.write_bytes(to_bytes(arrays, {"pofx": json.dumps(header)}))
    with pytest.raises(PofxError, match="no class of a model is called"):
        read_model_file(path)
