"""What a fit tells of itself, in a form that a model file can hold."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_NUMBER = (int, float, type(None))

FIELDS: dict[str, Any] = {
    "model": str,
    "options": dict,
    "rows": int,
    "missing": _NUMBER,
    "log_likelihood": _NUMBER,
    "steps": int,
    "history": list,
    "converged": bool,
    "seconds": _NUMBER,
    "seed": int,
    "leaderboard": list,
}
LINE: dict[str, Any] = {
    "name": str,
    "log_likelihood": _NUMBER,
    "stderr": _NUMBER,
    "gain": _NUMBER,
    "gain_stderr": _NUMBER,
    "kept": bool,
}


def plain(value: Any) -> Any:
    """The same in JSON types: None for a number that is not finite, text for what JSON lacks.

    >>> plain({"stderr": float("nan"), "components": np.int64(3), "on": "species"})
    {'stderr': None, 'components': 3, 'on': 'species'}
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def fits(told: Any) -> bool:
    """Whether what a file says of its fit can be told on: nothing, or every field of its type."""
    if told == {}:
        return True
    return _typed(told, FIELDS) and all(_typed(line, LINE) for line in told["leaderboard"])


def _typed(told: Any, fields: Mapping[str, Any]) -> bool:
    return isinstance(told, dict) and all(
        name in told and isinstance(told[name], kind) for name, kind in fields.items()
    )
