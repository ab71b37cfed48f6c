"""Whether what a model file says of a field is what the class of the model says of it."""

from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import equinox as eqx
import jax
from jaxtyping import AbstractArray
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from pofx.joint.file_header import explained

STRICT = ConfigDict(strict=True)


def check(cls: type, values: Mapping[str, Any]) -> None:
    """ValueError in one line for the first field of another type than its annotation.

    >>> from pofx.models.gaussian import Gaussian
    >>> check(Gaussian, {"structure": "round"})
    Traceback (most recent call last):
    ...
    ValueError: Gaussian: structure: expected 'full', 'diagonal', 'spherical' or 'tied', got 'round'
    """
    for name, value in values.items():
        try:
            _adapter(cls, name).validate_python(value)
        except ValidationError as error:
            raise explained(error, cls.__name__, name) from None


@cache
def _adapter(cls: type, name: str) -> TypeAdapter:
    return TypeAdapter(_read(get_type_hints(cls, include_extras=True)[name]), config=STRICT)


def _read(hint: Any) -> Any:
    """An annotation as pydantic has it.

    Arrays are of any shape, for those of the parts of a mixture are stacked; that shapes fit is
    found by tracing the model. Of a text with its known values these are all.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Literal[tuple(arguments[1])]
    if isinstance(hint, type) and issubclass(hint, (AbstractArray, jax.Array, eqx.Module)):
        return Annotated[Any, AfterValidator(_a(hint))]
    if origin is tuple:
        return tuple[tuple(map(_read, arguments))]  # type: ignore[misc]
    if origin is Literal or not arguments:
        return hint
    if origin in (Union, UnionType):
        return Union[tuple(map(_read, arguments))]  # noqa: UP007
    return Any


def _a(hint: Any) -> Callable[[Any], Any]:
    """The check that a value is a module of a class, or an array of a kind of numbers."""

    array = issubclass(hint, AbstractArray)
    kind = hint.__name__.partition("[")[0]
    name = f"{kind}[Array, {hint.dim_str!r}]" if array else kind

    def checked(value: Any) -> Any:
        right = isinstance(value, jax.Array if array else hint)
        if not right or (array and value.dtype.name not in hint.dtypes):
            raise ValueError(f"an instance of {name}")
        return value

    return checked
