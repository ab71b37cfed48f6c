"""Files of another kind and damaged files raise one line each, and take no memory."""

import resource
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as to_bytes

import pofx
from pofx import PofxError
from pofx.joint.joint import Joint

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


# -- files of another kind, and damaged ones


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", PNG, b"\0" * 8, b"\0" * 4096, np.random.default_rng(0).bytes(4096)],
    ids=["empty", "csv", "png", "zeros", "more zeros", "random"],
)
def test_another_file(refused, content):
    refused(content, "not a valid pofx model file")


def test_no_file(folder):
    with pytest.raises(PofxError, match=r"no\.pofx: cannot be read: No such file"):
        pofx.load(folder / "no.pofx")
    with pytest.raises(PofxError, match="cannot be read: Is a directory"):
        pofx.load(folder)


def test_safetensors_of_another_program(refused):
    refused(to_bytes({"weight": np.zeros(3)}), "not a valid pofx model file")


def test_cut(refused, file_bytes):
    for length in range(0, len(file_bytes), 97):
        refused(file_bytes[:length])


def test_something_follows(refused, file_bytes):
    refused(file_bytes + b"\0")


def test_a_flipped_byte_is_told_or_harmless(file_bytes, folder):
    path = folder / "flipped.pofx"

    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, len(file_bytes) - 1), st.integers(1, 255))
    def check(place, change):
        content = bytearray(file_bytes)
        content[place] ^= change
        path.write_bytes(content)
        lines = []
        try:
            loaded = isinstance(pofx.load(path), Joint)
        except PofxError as error:
            lines = str(error).splitlines()
        assert len(lines) == 1 or loaded

    check()


def test_a_stated_size_takes_no_memory(refused, file_bytes):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for stated in (2**60, 2**63, 2**31, len(file_bytes) - 7):
        refused(struct.pack("<Q", stated) + file_bytes[8:], "the stated size of its header")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
