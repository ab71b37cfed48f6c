"""The state of a learner in one file: written whole, read back to the bit, refused if not its own.

The file is safetensors, arrays and a JSON header; nothing in it is run.
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

FORMAT = 1
"""Grows when older versions cannot read what this one writes."""
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Where an object lies in memory, which no two processes agree on."""


def fingerprint(**parts: Any) -> dict[str, str]:
    """A hash of each part, any pytree: its structure, and what its leaves hold.

    >>> one, other = fingerprint(a=1, b=np.zeros(2)), fingerprint(a=1, b=np.ones(2))
    >>> one["a"] == other["a"], one["b"] == other["b"]
    (True, False)
    """
    return {name: _hash(part) for name, part in parts.items()}


def write(path: Path, state: Any, record: Mapping[str, Any], run: Mapping[str, str]) -> None:
    """Writes the arrays of `state` and a JSON `record` of the run with this fingerprint.

    Raises PofxError where that cannot be done; the file of before then stands.
    """
    leaves = jax.device_get(jax.tree.leaves(state))
    arrays = {str(i): np.asarray(leaf, order="C") for i, leaf in enumerate(leaves)}
    header = json.dumps({"format": FORMAT, "run": dict(run), "record": dict(record)})
    content = to_bytes(arrays, {"header": header, "digest": _hash((arrays, header))})
    write_atomically(path, lambda file: file.write(content))


def read(path: Path, like: Any, run: Mapping[str, str]) -> tuple[Any, dict[str, Any]] | None:
    """The state, of the structure of `like`, and its record; None where there is no file.

    Raises PofxError for a file that is damaged or of a run with another fingerprint.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            told = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if told["digest"] != _hash((arrays, told["header"])):
            raise ValueError("its digest is not that of its content")
        header = json.loads(told["header"])
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a file of another kind breaks
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise PofxError(
            f"checkpoint: expected a whole file of this learner, got {path} ({reason}); "
            "delete it to begin anew, or give another path"
        ) from None
    leaves, structure = jax.tree.flatten(like)
    stored = [arrays.get(str(i)) for i in range(len(leaves))]
    fit = [
        a is not None and (a.shape, a.dtype) == (b.shape, b.dtype) for a, b in zip(stored, leaves)
    ]
    differ = [name for name in run if header["run"].get(name) != run[name]]
    if header["format"] != FORMAT or len(arrays) != len(leaves) or not all(fit):
        differ = differ or ["version of pofx"]
    if differ:
        raise PofxError(
            f"checkpoint: expected a file of this run, got {path} of one with another "
            f"{' and '.join(differ)}; give another path, or delete it to begin anew"
        )
    return jax.tree.unflatten(structure, map(jax.numpy.asarray, stored)), header["record"]


def _hash(tree: Any) -> str:
    leaves, structure = jax.tree.flatten(tree)
    digest = sha256(ADDRESS.sub("", str(structure)).encode())
    for leaf in leaves:
        if not isinstance(leaf, jax.Array | np.ndarray):
            digest.update(ADDRESS.sub("", repr(leaf)).encode())
            continue
        digest.update(f"{leaf.dtype}{leaf.shape}".encode())
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        digest.update(np.asarray(leaf, order="C").reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
