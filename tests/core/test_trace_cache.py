"""Traced functions on disk: the same answers to the bit, and no entry for what may change."""

import json
import os
import subprocess
import sys
import zlib

import jax
import numpy as np
import pytest

from pofx.core import compilation_cache, rows, trace_cache
from pofx.core.compilation import SETTINGS, _kind
from pofx.core.compilation_cache import CacheState
from pofx.families.normal import Normal
from pofx.models.independent import Independent

NO_SETTINGS = (False,) * len(SETTINGS)
ASK = """
import json, sys, warnings
warnings.simplefilter("error")
import jax, numpy as np, pofx
from pofx.core.program import Program

traces = []
apply = Program._apply
Program._apply = lambda self, *arrays: traces.append(self) or apply(self, *arrays)
rng = np.random.default_rng(0)
x = rng.normal(size=80)
table = {"x": x, "y": x + rng.normal(size=80), "side": np.where(x > 0, "left", "right")}
p = pofx.fit(table, "mixture", components=2, progress=False)
q = p.given(side="left")
values = [
    *np.asarray(p.log_prob(table)).tolist(),
    *q.sample(5)["x"].tolist(),
    p.ask("P(x > 1 | side = left)").value,
    p.ask("Q[0.9](x | y < 1)").value,
    p.mutual_information("x", "y").value,
    p.entropy("side").value,
]
print(json.dumps([len(traces), values]))
"""


def answers_in_a_process(**environment):
    """The number of functions traced, and answers, in a new process."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "POFX_"))}
    kept |= {k: str(v) for k, v in environment.items()}
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=kept)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return json.loads(done.stdout)


def traced(folder):
    return sorted(folder.glob("*/traced-*-cache"))


@pytest.mark.slow
def test_answers_are_the_same_to_the_bit_without_traces_with_them_and_with_damaged_ones(tmp_path):
    count_without, without = answers_in_a_process(POFX_CACHE="off")
    _, first = answers_in_a_process(POFX_CACHE=tmp_path)
    entries = traced(tmp_path)
    assert len(entries) >= 8
    count, second = answers_in_a_process(POFX_CACHE=tmp_path)
    assert count == 0 < count_without
    assert without == first == second
    assert traced(tmp_path) == entries
    rng = np.random.default_rng(1)
    for path in entries:
        content = bytearray(path.read_bytes())
        for place in rng.integers(len(content), size=5):
            content[place] ^= 1 + rng.integers(255)
        path.write_bytes(content)
    assert answers_in_a_process(POFX_CACHE=tmp_path)[1] == first


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setattr(compilation_cache._USE, "state", CacheState(tmp_path))
    return tmp_path


def key(function=rows._apply_to_block, model=None, size=3, settings=NO_SETTINGS):
    leaves, tree = jax.tree.flatten((model, np.zeros(size)))
    kinds = tuple(map(_kind, leaves))
    return trace_cache.key(function, tree, kinds, settings)


class MyNormal(Normal):
    """A user's own family, whose source pofx does not watch."""


def users_function(x):
    return x


def model_of(family):
    example, columns = Normal.example(jax.random.key(0))
    del columns
    mine = object.__new__(family)
    for name, value in vars(example).items():
        object.__setattr__(mine, name, value)
    return mine


def test_a_program_depends_on_function_model_shape_and_settings(cache, monkeypatch):
    model = Independent.example(jax.random.key(0)).model
    settings = (True,) + (False,) * (len(SETTINGS) - 1)
    keys = [
        key(),
        key(rows._log_prob),
        key(model=model),
        key(size=4),
        key(settings=settings),
    ]
    monkeypatch.setattr(trace_cache, "_code", lambda: ["another version of pofx"])
    keys.append(key())
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_numbers_in_a_model_are_data(cache):
    model = Independent.example(jax.random.key(0)).model
    other = jax.tree.map(lambda a: a + 1, model)
    assert key(model=model) == key(model=other) != key()


def test_what_others_wrote_is_not_cached(cache):
    assert key(users_function) is None
    assert key(model=model_of(MyNormal)) is None
    assert key(model=model_of(Normal)) is not None
    assert key(lambda x: x) is None


def test_without_a_cache_nothing_is_cached(monkeypatch):
    monkeypatch.setattr(compilation_cache._USE, "state", None)
    assert key() is None


def test_the_code_is_that_of_all_files(monkeypatch):
    names = {entry[0] for entry in trace_cache._code()}
    assert {"jax", "jaxlib", "equinox", "core/trace_cache.py", "models/mixture.py"} <= names


def test_a_damaged_entry_and_that_of_another_program_are_not_read(cache):
    program = jax.export.export(jax.jit(lambda x: x + 1))(np.zeros(2))
    trace_cache.write("a", program, None)
    assert trace_cache.read("a") is not None
    [file] = cache.iterdir()
    file.with_name(file.name.replace("-a-", "-b-")).write_bytes(file.read_bytes())
    assert trace_cache.read("b") is None
    damaged = zlib.decompress(file.read_bytes()[32:]).replace(b"add", b"mul")
    file.write_bytes(file.read_bytes()[:32] + zlib.compress(damaged))
    assert trace_cache.read("a") is None


def test_nothing_is_written_where_nothing_may_be(cache, monkeypatch):
    monkeypatch.setattr(compilation_cache._USE, "state", CacheState(cache, writable=False))
    exported = jax.export.export(jax.jit(lambda x: x + 1))(np.zeros(2))
    trace_cache.write("a", exported, None)
    assert not list(cache.iterdir())


def test_what_cannot_be_written_is_no_error(cache):
    class Strange:
        def serialize(self):
            raise ValueError("of unknown kind")

    trace_cache.write("a", Strange(), None)
    assert trace_cache.read("a") is None


def test_a_full_disk_is_no_error(cache, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(type(cache), "write_bytes", full)
    trace_cache.write("a", jax.export.export(jax.jit(lambda x: x + 1))(np.zeros(2)), None)
    assert trace_cache.read("a") is None
