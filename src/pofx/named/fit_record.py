"""The record of a fit (`p.fit_info`), in a form that a model file can hold."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json_types(value: Any) -> Any:
    """A value in JSON types: None for a number that is not finite, text for what JSON lacks.

    >>> to_json_types({"stderr": float("nan"), "components": np.int64(3), "on": "species"})
    {'stderr': None, 'components': 3, 'on': 'species'}
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(k): to_json_types(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_types(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)
