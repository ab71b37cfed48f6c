"""What a fit tells of itself, in a form that a model file can hold."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


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
