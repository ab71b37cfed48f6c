"""Options of a model, checked before anything is learned."""

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from pofx.core.abstract import AbstractLearnable
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.registry import class_by_name, discover
from pofx.table.schema import Schema


def options_of(model: str, part: Any = None) -> dict[str, inspect.Parameter]:
    """The options that the start of a model takes, with those of its part.

    >>> list(options_of("mixture", part="gaussian"))
    ['components', 'part', 'init', 'prior', 'covariance']
    """
    start = class_by_name("pofx.models", AbstractLearnable, "model", model).from_data
    parameters = inspect.signature(start).parameters.values()
    own = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    if "part" not in own or not any(p.kind is p.VAR_KEYWORD for p in parameters):
        return own
    part = own["part"].default if part is None else part
    if not isinstance(part, str):
        raise PofxError(f"part: expected text, got {part!r}")
    name, _, inner = part.partition(".")
    return own | options_of(name, inner or None) | own if name != model else own


def check(model: str, options: Mapping[str, Any]) -> None:
    """Raises PofxError for an option that the model lacks, or a value of another type.

    >>> check("mixture", {"components": "many"})
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: components: expected a whole number, got 'many'
    """
    known = options_of(model, options.get("part"))
    for name, value in options.items():
        if name not in known:
            raise unknown_name_error(f"option of model {model!r}:", name, known)
        expected = _wanted(known[name].default, value)
        if expected:
            raise PofxError(f"{name}: expected {expected}, got {value!r}")


def check_columns(model: str, schema: Schema, options: Mapping[str, Any]) -> None:
    """Raises PofxError for a column of a kind that the model does not carry, with those that do."""
    classes = discover("pofx.models", AbstractLearnable)
    for variable in schema.variables:
        own, kind = classes[model].supported_kinds(variable.name, **options), variable.column.kind
        if kind not in own:
            able = [
                name for name, cls in classes.items() if kind in cls.supported_kinds(variable.name)
            ]
            told = f"{', '.join(sorted(own))} columns, and {variable.name!r} is {kind}"
            if model in able:
                given = ", ".join(f"{name}={value!r}" for name, value in options.items())
                raise PofxError(f"model: {model!r} with {given} carries {told}; try without")
            number = not any(isinstance(level, str) for level in variable.levels)
            hint = f"; or schema={{{variable.name!r}: 'real'}}" if number and "real" in own else ""
            raise PofxError(
                f"model: {model!r} carries {told}; these carry it: {', '.join(able)}{hint}"
            )


def _wanted(default: Any, value: Any) -> str:
    """What a value should have been, by the option's default; empty if it is."""
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, int):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return "" if whole else "a whole number"
    if isinstance(default, float):
        return "" if number and 0 <= value <= sys.float_info.max else "a number, at least 0"
    return "" if isinstance(value, str) or value == default else "text"
