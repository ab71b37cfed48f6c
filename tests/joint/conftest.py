"""A model file, its parts, and a check that a bad one is refused."""

import json

import pytest
from safetensors import safe_open

import pofx
from pofx import PofxError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def file_bytes(discrete, folder):
    """The bytes of a model file."""
    discrete.save(folder / "whole.pofx")
    return (folder / "whole.pofx").read_bytes()


@pytest.fixture(scope="module")
def parts(file_bytes, folder):
    """Its header and its arrays."""
    with safe_open(folder / "whole.pofx", "numpy") as file:
        arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        return json.loads(file.metadata()["pofx"]), arrays


@pytest.fixture
def refused(folder):
    """Loading these bytes raises an error of one line that names the file and matches."""

    def check(content, message=": "):
        path = folder / "bad.pofx"
        path.write_bytes(content)
        with pytest.raises(PofxError, match=message) as caught:
            pofx.load(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400

    return check
