"""The structure of a value as JSON: values differ in it if a program could differ."""

import json
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.abstract import AbstractDistribution
from pofx.core.column_mixture import ColumnMixture
from pofx.core.registry import discover
from pofx.core.structure import UnknownStructureError, from_json, to_json
from pofx.queries.density import log_prob

MODELS = discover("pofx.models", AbstractDistribution)


@dataclass(frozen=True)
class Elsewhere:
    """A class of a package that is not pofx."""

    x: int


def text(value):
    return json.dumps(to_json(value))


@pytest.mark.parametrize("value", [1, True, 1.0, "1", None, (1,), [1], {"a": 1}, np.dtype("f4")])
def test_a_plain_value_comes_back_in_its_type(value):
    back = from_json(json.loads(text(value)), lambda: None)
    assert back == value
    assert type(back) is type(value)


def test_values_that_lead_to_different_programs_have_different_structures():
    values = [1, True, 1.0, "1", None, (1,), [1], {"a": 1}, {"b": 1}, (), jnp.zeros(1), log_prob]
    assert len({text(v) for v in values}) == len(values)


def test_numbers_in_arrays_are_no_structure():
    assert text(jnp.zeros(3)) == text(np.ones((2, 2)))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_with_its_structure(name):
    if name in {"flow", "diffusion"}:
        pytest.importorskip({"flow": "flowjax", "diffusion": "diffrax"}[name])
    model = MODELS[name].example(jax.random.key(0)).model
    try:
        structure = to_json(model)
    except UnknownStructureError:
        # It holds parts of another library.
        assert name == "flow"
        return
    back = from_json(json.loads(json.dumps(structure)), lambda: 0.0)
    assert jax.tree.structure(back) == jax.tree.structure(model)


@pytest.mark.parametrize(
    "value", [Elsewhere(1), lambda x: x, np.sin, jax.nn.relu, object(), {1, 2}, Elsewhere, text]
)
def test_what_is_not_of_this_package_is_refused(value):
    with pytest.raises(UnknownStructureError):
        to_json(value)


def test_a_closure_is_refused():
    def close(x):
        return lambda: x

    with pytest.raises(UnknownStructureError):
        to_json(eqx.Partial(close(3)))


def test_methods_of_a_class_have_names():
    assert from_json(to_json(ColumnMixture.mean), lambda: None) is ColumnMixture.mean


@pytest.mark.parametrize("name", ["os:system", "pofx.core.registry:nothing", "pofx.nothing:x"])
def test_no_name_outside_of_this_package_is_read(name):
    with pytest.raises((ValueError, ImportError, AttributeError)):
        from_json({"name": name}, lambda: None)
