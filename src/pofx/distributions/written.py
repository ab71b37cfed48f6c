"""What all written distributions share: names, checks of parameters, and the `Joint`."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import jax.numpy as jnp
import numpy as np

from pofx.core.abstract import AbstractQueryable
from pofx.core.column import Kind
from pofx.core.errors import PofxError
from pofx.core.family import AbstractFamily
from pofx.core.float_width import float64
from pofx.joint.joint import Joint
from pofx.models.independent import Independent
from pofx.table.schema import Schema, Variable

CONTAINER = "mapping"
"""The kind of data that is drawn from a written distribution."""
LEVEL_DTYPES = {bool: "bool", int: "int64", float: "float64", str: "object:string"}
"""The type of a column of levels of each type."""


def as_joint(model: AbstractQueryable, variables: Sequence[Variable]) -> Joint:
    """The named distribution of a model whose entries are the values of these variables."""
    schema = Schema(tuple(variables), CONTAINER)
    return Joint(model, schema, np.full(schema.size, np.nan))


def one_column(
    variable: Variable, family: Callable[..., AbstractFamily], *parameters: Any
) -> Joint:
    """The distribution of one column.

    Args:
        variable: the column.
        family: a function of arrays of shape (1, ...) that makes the family.
        parameters: its parameters, without the first axis.
    """
    with float64(True):
        of_column = family(*(jnp.asarray(parameter)[None] for parameter in parameters))
        return as_joint(Independent((of_column,), (of_column,), ((0,),)), [variable])


def number_variable(name: str, kind: Kind, shape: tuple[int, ...] = ()) -> Variable:
    """A column of numbers, or of arrays of them."""
    return Variable(name, kind, shape, dtype="int64" if kind == "count" else "float64")


def level_variable(argument: str, name: str, levels: Iterable[Any], kind: str = "") -> Variable:
    """A column of levels, binary if there are two; PofxError for levels that no column can have.

    >>> level_variable("levels", "sky", ["clear", "cloudy", "rain"]).kind
    'categorical'
    """
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise PofxError(f"{argument}: expected a list of levels, got {levels!r}")
    values = tuple(level.item() if isinstance(level, np.generic) else level for level in levels)
    if not values:
        raise PofxError(f"{argument}: expected at least one level, got none")
    dtype = LEVEL_DTYPES.get(type(values[0]), "")
    kind_of_levels = "binary" if len(values) == 2 else kind or "categorical"
    return Variable(name, cast(Kind, kind_of_levels), levels=values, dtype=dtype)


def read_text(path: Path) -> str:
    """The text of a file; PofxError if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PofxError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise PofxError(f"{path}: expected text in UTF-8") from None
