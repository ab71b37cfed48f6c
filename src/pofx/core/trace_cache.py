"""Traced functions kept on disk: what JAX makes of Python, before it is compiled.

An entry is a program in StableHLO as `jax.export` writes it, and the structure of its result. It
stands in the directory of compiled programs, and is found by all that the program depends on: the
function, the structure of its arguments, JAX's settings, the versions of the libraries, and the
source of pofx, by the times of its files. Functions and classes of other packages are not cached.

A file begins with the digest of the key and of what follows, so that no other program and no
damaged one is run.
"""

import hashlib
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

import jax
import jax.export
import numpy as np

from pofx.core import compilation_cache, structure
from pofx.core.compilation_cache import DIGEST_BYTES
from pofx.core.structure import UnknownStructureError

LIBRARIES = ("jax", "jaxlib", "equinox", "numpy", "optax")
SOURCE = Path(__file__).parents[1]
HEADER_BYTES = 8


def key(function: Callable[..., Any], tree: Any, kinds: Any, settings: Any) -> str | None:
    """The name of a program in the cache; None if it is not to be cached."""
    if compilation_cache.in_use().directory is None or not _is_of_this_package(function):
        return None
    is_data = [hasattr(kind, "shape") for kind in kinds]
    leaves = [np.zeros(0) if d else kind[1] for d, kind in zip(is_data, kinds)]
    shapes = [[kind.shape, str(kind.dtype), kind.is_weak] for d, kind in zip(is_data, kinds) if d]
    try:
        arguments = structure.to_json(jax.tree.unflatten(tree, leaves))
    except UnknownStructureError:
        return None
    name = f"{function.__module__}:{function.__qualname__}"
    text = json.dumps([name, arguments, shapes, [str(s) for s in settings], _code()])
    return hashlib.sha256(text.encode()).hexdigest()


def _is_of_this_package(function: Callable[..., Any]) -> bool:
    return function.__module__.startswith(structure.PACKAGE) and "<" not in function.__qualname__


@cache
def _code() -> list[Any]:
    """What the program that a function is traced to depends on, besides its arguments."""
    files = [
        (str(path.relative_to(SOURCE)), status.st_mtime_ns, status.st_size)
        for path in sorted(SOURCE.rglob("*.py"))
        for status in [path.stat()]
    ]
    return [[name, version(name)] for name in LIBRARIES] + files


def read(key: str) -> tuple[jax.export.Exported, Any] | None:
    """The traced function, and its result with null arrays; None if there is none, or damaged."""
    path = _path(key)
    if not path.exists():
        return None
    # A damaged entry costs a trace and needs no warning.
    with suppress(Exception):
        file = path.read_bytes()
        if file[:DIGEST_BYTES] != _digest(key, file[DIGEST_BYTES:]):
            return None
        content = zlib.decompress(file[DIGEST_BYTES:])
        begin = HEADER_BYTES + int.from_bytes(content[:HEADER_BYTES], "little")
        result = structure.from_json(json.loads(content[HEADER_BYTES:begin]), lambda: np.zeros(0))
        return jax.export.deserialize(bytearray(content[begin:])), result
    return None


def write(key: str, exported: jax.export.Exported, result: Any) -> None:
    """Keeps a traced function, if its result is of known structure and the disk has space.

    Never fails: without an entry, the next process traces it again.
    """
    if not compilation_cache.in_use().writable:
        return
    path = _path(key)
    part = path.with_name(f".{token_hex(4)}.{path.name}")
    with suppress(Exception):
        header = json.dumps(structure.to_json(result)).encode()
        length = len(header).to_bytes(HEADER_BYTES, "little")
        content = zlib.compress(length + header + exported.serialize(), 1)
        part.write_bytes(_digest(key, content) + content)
        part.replace(path)


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()


def _path(key: str) -> Path:
    directory = compilation_cache.in_use().directory
    assert directory is not None
    return directory / f"{compilation_cache.TRACED}{key}{compilation_cache.ENTRY}"
