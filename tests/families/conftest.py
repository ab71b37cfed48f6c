"""The examples of all families, and of `Inflated` with other bases."""

import jax
import jax.numpy as jnp
import pytest

from pofx.core.column import Column
from pofx.core.family import AbstractFamily
from pofx.core.registry import discover
from pofx.families import Inflated

FAMILIES = discover("pofx.families", AbstractFamily)
INFLATED = {"inflated_" + base: base for base in ("normal", "poisson")}


def example(name):
    if name in FAMILIES:
        return FAMILIES[name].example(jax.random.key(3))
    base, columns = FAMILIES[INFLATED[name]].example(jax.random.key(3))
    columns = tuple(
        Column(c.variable, c.kind, spikes=(4.0, 0.0), family=INFLATED[name]) for c in columns
    )
    points, masses = jnp.array([[4.0, 0.0]] * 2), jnp.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    return Inflated(points, masses, base), columns


@jax.jit
def draws(family, key):
    return jax.vmap(family.sample)(jax.random.split(key, 2000))


@pytest.fixture(name="draws")
def draws_fixture():
    """2000 draws of a family, given a key."""
    return draws


SLOW = ("inflated_poisson",)
CASES = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
    for name in (*FAMILIES, *INFLATED)
]


@pytest.fixture(scope="session", params=CASES)
def case(request):
    """The name of a family, an instance, its columns and 2000 draws."""
    family, columns = example(request.param)
    return request.param, family, columns, draws(family, jax.random.key(7))


@pytest.fixture
def wide():
    """Float64 during a test."""
    with jax.enable_x64(True):
        yield


def widen(tree):
    """The same numbers as float64, to be called while x64 is enabled."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


@pytest.fixture(name="widen")
def widen_fixture():
    return widen
