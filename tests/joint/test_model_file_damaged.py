"""Files of another kind and damaged ones: one line each, and no memory taken."""

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
    refused(content, "not a whole pofx model file")


def test_no_file(folder):
    with pytest.raises(PofxError, match=r"no\.pofx: cannot be read: No such file"):
        pofx.load(folder / "no.pofx")
    with pytest.raises(PofxError, match="cannot be read: Is a directory"):
        pofx.load(folder)


def test_safetensors_of_another_program(refused):
    refused(to_bytes({"weight": np.zeros(3)}), "not a whole pofx model file")


def test_cut(refused, whole):
    for length in range(0, len(whole), 97):
        refused(whole[:length])


def test_something_follows(refused, whole):
    refused(whole + b"\0")


def test_a_flipped_byte_is_told_or_harmless(whole, folder):
    path = folder / "flipped.pofx"

    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, len(whole) - 1), st.integers(1, 255))
    def check(place, change):
        content = bytearray(whole)
        content[place] ^= change
        path.write_bytes(content)
        told = []
        try:
            loaded = isinstance(pofx.load(path), Joint)
        except PofxError as error:
            told = str(error).splitlines()
        assert len(told) == 1 or loaded

    check()


def test_a_stated_size_takes_no_memory(refused, whole):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for stated in (2**60, 2**63, 2**31, len(whole) - 7):
        refused(struct.pack("<Q", stated) + whole[8:], "the stated size of its header")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
