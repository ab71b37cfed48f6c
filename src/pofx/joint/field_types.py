"""Checks the fields in a model file against the annotations of the classes of the model."""

from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import equinox as eqx
import jax
from jaxtyping import AbstractArray
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from pofx.joint.file_header import one_line_error

STRICT = ConfigDict(strict=True)


def stored_fields(cls: type) -> list[Field]:
    """The fields of a class that a model file keeps."""
    return [f for f in fields(cls) if f.metadata.get("stored", True)]


def check_fields(cls: type, values: Mapping[str, Any]) -> None:
    """Raises ValueError, one line, for the first field whose value is not of its annotated type.

    >>> from pofx.models.gaussian import Gaussian
    >>> check_fields(Gaussian, {"structure": "round"})
    Traceback (most recent call last):
    ...
    ValueError: Gaussian: structure: expected 'full', 'diagonal', 'spherical' or 'tied', got 'round'
    """
    for name, value in values.items():
        try:
            _adapter(cls, name).validate_python(value)
        except ValidationError as error:
            raise one_line_error(error, cls.__name__, name) from None


@cache
def _adapter(cls: type, name: str) -> TypeAdapter:
    return TypeAdapter(
        _pydantic_type(get_type_hints(cls, include_extras=True)[name]), config=STRICT
    )


def _pydantic_type(hint: Any) -> Any:
    """The type that pydantic checks for an annotation.

    Arrays may have any shape, because those of the parts of a mixture are stacked; tracing the
    model shows whether shapes fit. A text annotated with its known values must be one of them.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Literal[tuple(arguments[1])]
    if isinstance(hint, type) and issubclass(hint, (AbstractArray, jax.Array, eqx.Module)):
        return Annotated[Any, AfterValidator(_instance_check(hint))]
    if origin is tuple:
        return tuple[tuple(map(_pydantic_type, arguments))]  # type: ignore[misc]
    if origin is Literal or not arguments:
        return hint
    if origin in (Union, UnionType):
        return Union[tuple(map(_pydantic_type, arguments))]  # noqa: UP007
    return Any


def _instance_check(hint: Any) -> Callable[[Any], Any]:
    """The check that a value is a module of a class, or an array of a kind of numbers."""
    array = issubclass(hint, AbstractArray)
    kind = hint.__name__.partition("[")[0]
    name = f"{kind}[Array, {hint.dim_str!r}]" if array else kind

    def check_instance(value: Any) -> Any:
        is_instance = isinstance(value, jax.Array if array else hint)
        if not is_instance or (array and value.dtype.name not in hint.dtypes):
            raise ValueError(f"an instance of {name}")
        return value

    return check_instance
