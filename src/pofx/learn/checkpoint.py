"""Checkpoints: the state of a learner in one file, restored bit for bit.

The format is safetensors, that is arrays and a JSON header. Nothing in the file is executed.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

from pofx.core.atomic_write import write_atomically
from pofx.core.errors import PofxError

FORMAT_VERSION = 1
"""To increase when older versions cannot read what this one writes."""
ADDRESS_PATTERN = re.compile(r" at 0x[0-9a-f]+")
"""The memory address in the text of an object, which differs between processes."""


def fingerprint(**parts: Any) -> dict[str, str]:
    """A hash of each part, which is any pytree: of its structure and of its leaves.

    >>> first, second = fingerprint(a=1, b=np.zeros(2)), fingerprint(a=1, b=np.ones(2))
    >>> first["a"] == second["a"], first["b"] == second["b"]
    (True, False)
    """
    return {name: _hash(part) for name, part in parts.items()}


def write_checkpoint(
    path: Path, state: Any, record: Mapping[str, Any], run: Mapping[str, str]
) -> None:
    """Write the state of a run to a file; a failed write leaves the old file as it was.

    Args:
        path: the file.
        state: a pytree of arrays.
        record: more about the run, as JSON types.
        run: the `fingerprint` of the run.

    Raises:
        PofxError: the file cannot be written.
    """
    leaves = jax.device_get(jax.tree.leaves(state))
    arrays = {str(i): np.asarray(leaf, order="C") for i, leaf in enumerate(leaves)}
    header = json.dumps({"format": FORMAT_VERSION, "run": dict(run), "record": dict(record)})
    content = to_bytes(arrays, {"header": header, "digest": _hash((arrays, header))})
    write_atomically(path, lambda file: file.write(content))


def read_checkpoint(
    path: Path, like: Any, run: Mapping[str, str]
) -> tuple[Any, dict[str, Any]] | None:
    """Read the state and the record of a run; None if there is no file.

    Args:
        path: the file.
        like: a pytree with the structure, shapes and types of the state.
        run: the `fingerprint` of the run.

    Raises:
        PofxError: the file is damaged, or of a run with another fingerprint.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata["digest"] != _hash((arrays, metadata["header"])):
            raise ValueError("its digest does not match its content")
        header = json.loads(metadata["header"])
    except FileNotFoundError:
        return None
    except Exception as error:  # a file of another kind may raise anything
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise PofxError(
            f"checkpoint: expected an intact file of this learner, got {path} ({reason}); "
            "delete it to start over, or give another path"
        ) from None
    leaves, structure = jax.tree.flatten(like)
    stored = [arrays.get(str(i)) for i in range(len(leaves))]
    matches = [
        a is not None and (a.shape, a.dtype) == (b.shape, b.dtype) for a, b in zip(stored, leaves)
    ]
    differences = [name for name in run if header["run"].get(name) != run[name]]
    if header["format"] != FORMAT_VERSION or len(arrays) != len(leaves) or not all(matches):
        differences = differences or ["version of pofx"]
    if differences:
        raise PofxError(
            f"checkpoint: expected a file of this run, got {path} of a run with another "
            f"{' and '.join(differences)}; give another path, or delete it to start over"
        )
    return jax.tree.unflatten(structure, map(jax.numpy.asarray, stored)), header["record"]


def _hash(tree: Any) -> str:
    leaves, structure = jax.tree.flatten(tree)
    digest = sha256(ADDRESS_PATTERN.sub("", str(structure)).encode())
    for leaf in leaves:
        if not isinstance(leaf, jax.Array | np.ndarray):
            digest.update(ADDRESS_PATTERN.sub("", repr(leaf)).encode())
            continue
        digest.update(f"{leaf.dtype}{leaf.shape}".encode())
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        digest.update(np.asarray(leaf, order="C").reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
