"""The installed JAX computes correct sums, and a faulty one is refused."""

import importlib.metadata
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.compilation import compiled, compiled_quickly
from pofx.core.jax_loading import FAULTY_VERSIONS, prepare_jax

REFUSED = """
import importlib.metadata, sys
real = importlib.metadata.version
importlib.metadata.version = lambda name: "0.10.2" if name == sys.argv[1] else real(name)
import pofx
"""


def squared_products(matrix, vectors):
    """Σ_i (A x_i)², which JAX 0.10.2 computes wrongly from some number of rows."""
    return jnp.square(jax.vmap(lambda x: matrix @ x)(vectors)).sum()


@pytest.mark.parametrize("compiler", [jax.jit, compiled, compiled_quickly])
@pytest.mark.parametrize("float64", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("n", [16384, 16385, 32769, 65536, 131072])
def test_mapped_products_are_summed_right(n, float64, compiler):
    rng = np.random.default_rng(n)
    matrix, vectors = rng.normal(size=(3, 3)), rng.normal(size=(n, 3))
    expected = np.square(vectors @ matrix.T).sum()
    with jax.enable_x64(float64):
        products = compiler(squared_products)
        computed = float(products(jnp.asarray(matrix), jnp.asarray(vectors)))
    assert computed == pytest.approx(expected, rel=1e-12 if float64 else 1e-4)


def test_the_installed_version_is_accepted():
    prepare_jax()


def test_a_false_alarm_of_xla_is_silenced_unless_the_user_wants_to_see_it(monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    prepare_jax()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    prepare_jax()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


@pytest.mark.parametrize("package", ["jax", "jaxlib"])
def test_a_faulty_version_is_refused_at_import(package):
    done = subprocess.run([sys.executable, "-c", REFUSED, package], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: pofx: {package} 0.10.2 returns wrong sums")
    assert "pip install 'jax!=0.10.2'" in last


def test_the_command_line_refuses_a_faulty_version_in_one_line():
    script = "import sys; sys.argv[:] = ['/usr/bin/pofx', 'jax']" + REFUSED.replace(
        "argv[1]", "argv[-1]"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("pofx: jax 0.10.2 returns wrong sums")
    assert done.stderr.count("\n") == 1


def test_every_faulty_version_is_excluded_from_installation():
    required = importlib.metadata.requires("pofx") or []
    for package in ("jax", "jaxlib"):
        [requirement] = [
            r for r in required if r.split("<")[0].split(">")[0].split("!")[0] == package
        ]
        assert all(f"!={faulty}" in requirement for faulty in FAULTY_VERSIONS)
