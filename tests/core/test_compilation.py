"""Functions compiled for brief work: the results of `jax.jit`, compiled once for each structure."""

import gc
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core import compilation
from pofx.core.compilation import compiled, compiled_quickly
from pofx.core.compilation_count import counting_compilations
from pofx.core.float_width import float64

COMPILERS = [compiled, compiled_quickly]


def scaled(x, factor, *, name="a"):
    traces.append((x.dtype.name, factor, name))
    return {"value": x * factor, "name": name}


traces = []


@pytest.fixture(autouse=True)
def _no_traces():
    traces.clear()


@pytest.mark.parametrize("compiler", COMPILERS)
def test_arrays_are_data_and_all_else_is_structure(compiler):
    call = compiler(scaled)
    first = call(np.arange(3.0), 2)
    again = call(jnp.ones(3), 2)
    assert first["value"].tolist() == [0, 2, 4]
    assert again["value"].tolist() == [2, 2, 2]
    assert first["name"] == "a"
    assert len(traces) == 1
    call(np.ones(4), 2)
    call(np.ones(3), 3)
    call(np.ones(3), 2, name="b")
    assert len(traces) == 4


def test_equal_values_of_other_types_are_other_programs():
    call = compiled_quickly(scaled)
    kinds = [call(np.arange(3), factor)["value"].dtype.kind for factor in (1, 1.0, True)]
    assert kinds == ["i", "f", "i"]


def test_float_widths_are_other_programs():
    call = compiled_quickly(scaled)
    with float64(True):
        wide = np.asarray(call(np.ones(3), 0.1)["value"])
    narrow = call(np.ones(3), 0.1)["value"]
    assert wide.dtype == np.float64
    assert wide[0] == 0.1
    if not jax.config.jax_enable_x64:
        assert narrow.dtype == np.float32


def test_an_error_is_raised_as_it_is_and_again():
    @compiled_quickly
    def fail(x):
        raise KeyError("no such column")

    for _ in range(2):
        with pytest.raises(KeyError, match="no such column"):
            fail(np.ones(2))


def test_within_a_traced_function_it_is_the_function():
    call = compiled_quickly(scaled)
    slope = jax.grad(lambda x: call(x, 3.0)["value"])(1.0)
    assert slope == 3
    rows = jax.vmap(lambda x: call(x, 2)["value"])(jnp.arange(3))
    assert rows.tolist() == [0, 2, 4]


def test_threads_compile_a_program_once():
    @compiled_quickly
    def slow(x):
        traces.append(x)
        time.sleep(0.2)
        return x + 1

    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda k: float(slow(np.full(1, k))[0]), range(40)))
    assert values == [k + 1 for k in range(40)]
    assert len(traces) == 1


def test_programs_in_memory_are_bounded(monkeypatch):
    monkeypatch.setattr(compilation, "MAX_PROGRAMS", 3)
    call = compiled_quickly(scaled)
    for n in (1, 2, 3, 1, 4, 1):
        call(np.ones(n), 1)
    assert len(traces) == 4
    call(np.ones(2), 1)
    assert len(traces) == 5


def test_collection_goes_on_after_a_program_is_built():
    assert gc.isenabled()
    compiled_quickly(scaled)(np.ones(2), 1)
    assert gc.isenabled()
    with pytest.raises(TypeError):
        compiled_quickly(scaled)(np.ones(2), "factor")
    assert gc.isenabled()


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_call_after_the_first_compiles_nothing(compiler):
    call = compiler(scaled)
    call(np.ones(5), 1)
    with counting_compilations() as programs:
        call(np.zeros(5), 1)
    assert programs.count == 0
