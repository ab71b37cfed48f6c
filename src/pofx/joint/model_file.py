"""Model files: one safetensors file, arrays and a JSON header, nothing that runs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray
from safetensors.numpy import save as to_bytes

from pofx.core import float_width, host_keys
from pofx.core.abstract import AbstractQueryable
from pofx.core.abstract_approximate import has_estimates
from pofx.core.atomic_write import write_atomically
from pofx.core.compilation import compiled_quickly, to_device
from pofx.core.errors import PofxError, warn
from pofx.core.registry import discover
from pofx.joint.field_types import check_fields, stored_fields
from pofx.joint.file_header import parse_header
from pofx.joint.file_opening import FORMAT, HEADER, open_model_file, reporting_damage
from pofx.queries.conditioning import needs_float64

MAX_DEPTH = 12
"""Modules and lists within one another."""


def write_model_file(path: str | Path, model: AbstractQueryable, header: Mapping[str, Any]) -> None:
    """Writes a complete model file or none.

    Args:
        path: of the file.
        model: its arrays go to the file's arrays, the rest of it to the header.
        header: further fields of the header, in JSON types.

    Raises PofxError for a header that could not be read again, and if the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    tree = _to_json(model, "model", arrays)
    text = json.dumps({"format": FORMAT, "model": tree, **header}, allow_nan=False)
    try:
        parse_header(text)
    except ValueError as error:
        raise PofxError(f"{path}: cannot be written: {error}") from None
    content = to_bytes(arrays, {HEADER: text})
    write_atomically(path, lambda file: file.write(content))


def read_model_file(path: str | Path) -> tuple[AbstractQueryable, dict[str, Any]]:
    """The model and the header of a model file; PofxError, one line, for any other file."""
    with (
        float_width.float64(True),
        reporting_damage(path),
        open_model_file(path) as (header, file),
    ):
        unread = set(file.keys())

        def tensor(name: str) -> np.ndarray:
            if type(name) is not str or name not in unread:
                raise ValueError(f"no array is left of the name {str(name)[:40]!r}")
            # Each array is read once, so memory stays below the size of the file.
            unread.remove(name)
            return file.get_tensor(name)

        model = _from_json(header.pop("model"), tensor)
        if not isinstance(model, AbstractQueryable):
            raise TypeError("it holds no model")
        model = _in_width(model)
        # Tracing finds shapes and settings that do not fit together, at no cost in memory.
        with float_width.float64(float_width.is_float64(model)):
            row = np.zeros(model.size, jnp.result_type(float))
            fits = _arrays_fit(model, host_keys.key(0), row, np.zeros(model.size, bool))
        if not fits:
            raise ValueError("its arrays do not fit together")
    return model, header


@compiled_quickly
def _arrays_fit(model: Any, key: PRNGKeyArray, x: np.ndarray, observed: np.ndarray) -> bool:
    """Whether a log-probability is a number, and a draw a row; an error for other misfits."""
    value, draw = model.log_prob(x, observed), model.sample(key)
    return value.shape == () and draw.shape == (model.size,) and value.dtype.kind == "f"


def _to_json(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """A module as JSON; its arrays are added to `arrays` under dotted names."""
    if isinstance(value, eqx.Module):
        values = {
            f.name: _to_json(getattr(value, f.name), f"{name}.{f.name}", arrays)
            for f in stored_fields(type(value))
        }
        return {"class": type(value).__name__, "fields": values}
    if isinstance(value, tuple):
        return [_to_json(v, f"{name}.{i}", arrays) for i, v in enumerate(value)]
    if isinstance(value, jax.Array | np.ndarray):
        arrays[name] = np.asarray(value, order="C")
        return {"array": name}
    return value


def _from_json(tree: Any, tensor: Callable[[str], np.ndarray], depth: int = 0) -> Any:
    """The inverse of `_to_json`, for classes of this package only."""
    if depth > MAX_DEPTH:
        raise ValueError("it is nested too deep")
    if isinstance(tree, list):
        return tuple(_from_json(v, tensor, depth + 1) for v in tree)
    if not isinstance(tree, dict):
        return tree
    if set(tree) == {"array"}:
        return _array(tensor(tree["array"]))
    cls = _classes().get(str(tree["class"]))
    if cls is None:
        raise ValueError(f"no class of a model is called {str(tree['class'])[:40]!r}")
    values = {k: _from_json(v, tensor, depth + 1) for k, v in tree["fields"].items()}
    if set(values) != {f.name for f in stored_fields(cls)}:
        raise ValueError(f"the fields of {tree['class']} are others")
    check_fields(cls, values)
    values |= {f.name: f.default for f in fields(cls) if f.name not in values}
    module = object.__new__(cls)
    for key, value in values.items():
        object.__setattr__(module, key, value)
    return module


def _array(value: np.ndarray) -> jax.Array:
    if value.dtype.kind not in "fiub":
        raise ValueError(f"an array of {value.dtype}")
    return to_device(value)


def _in_width(model: AbstractQueryable) -> AbstractQueryable:
    """The model in the width that answers are computed in on this device."""
    if not has_estimates(model) and (float_width.prefers_float64() or needs_float64(model)):
        return float_width.widened(model)
    if float_width.prefers_float64() or not float_width.is_float64(model):
        return model
    warn(
        "the model was saved in float64 and answers here in float32; "
        "set JAX_ENABLE_X64=1 for the same answers to the last bit",
    )
    return float_width.narrowed(model)


def _classes() -> dict[str, type]:
    rooms = ("pofx.models", "pofx.families", "pofx.nets")
    return {c.__name__: c for room in rooms for c in discover(room, eqx.Module).values()}
