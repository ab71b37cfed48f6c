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


def model_options(model: str, part: Any = None) -> dict[str, inspect.Parameter]:
    """The options of a model, and those of its part.

    Args:
        model: its name.
        part: the name of the model of its parts, None for the default; "mixture.gaussian" for a
            part that has parts.

    >>> list(model_options("mixture", part="gaussian"))
    ['components', 'part', 'init', 'prior', 'covariance']
    """
    start = class_by_name("pofx.models", AbstractLearnable, "model", model).from_data
    parameters = inspect.signature(start).parameters.values()
    options = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    if "part" not in options or not any(p.kind is p.VAR_KEYWORD for p in parameters):
        return options
    part = options["part"].default if part is None else part
    if not isinstance(part, str):
        raise PofxError(f"part: expected text, got {part!r}")
    name, _, inner = part.partition(".")
    return options | model_options(name, inner or None) | options if name != model else options


def check_options(model: str, options: Mapping[str, Any]) -> None:
    """Raises PofxError for an option that the model lacks, or a value of another type.

    >>> check_options("mixture", {"components": "many"})
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: components: expected a whole number, got 'many'
    """
    known = model_options(model, options.get("part"))
    for name, value in options.items():
        if name not in known:
            raise unknown_name_error(f"option of model {model!r}:", name, known)
        expected = _expected_type(known[name].default, value)
        if expected:
            raise PofxError(f"{name}: expected {expected}, got {value!r}")


def check_columns(model: str, schema: Schema, options: Mapping[str, Any]) -> None:
    """Raises PofxError for a column of a kind that the model does not support.

    The message names the models that support it.
    """
    classes = discover("pofx.models", AbstractLearnable)
    for variable in schema.variables:
        kinds = classes[model].supported_kinds(variable.name, **options)
        kind = variable.column.kind
        if kind in kinds:
            continue
        able = [name for name, cls in classes.items() if kind in cls.supported_kinds(variable.name)]
        reason = f"{', '.join(sorted(kinds))} columns, and {variable.name!r} is {kind}"
        if model in able:
            texts = ", ".join(f"{name}={value!r}" for name, value in options.items())
            raise PofxError(f"model: {model!r} with {texts} supports {reason}; try without")
        numeric = not any(isinstance(level, str) for level in variable.levels)
        hint = f"; or schema={{{variable.name!r}: 'real'}}" if numeric and "real" in kinds else ""
        raise PofxError(
            f"model: {model!r} supports {reason}; these support it: {', '.join(able)}{hint}"
        )


def _expected_type(default: Any, value: Any) -> str:
    """What the value should have been, judged by the option's default; empty if it is that."""
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, int):
        integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return "" if integer else "a whole number"
    if isinstance(default, float):
        return "" if number and 0 <= value <= sys.float_info.max else "a number, at least 0"
    return "" if isinstance(value, str) or value == default else "text"
