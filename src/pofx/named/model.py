"""A model together with the names, levels and units of the columns that it is a model of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pofx.core.abstract import AbstractQueryable
from pofx.core.errors import PofxError
from pofx.core.float_width import float64
from pofx.named.entries import Entries
from pofx.table.schema import Schema

Names = str | Sequence[str]


@dataclass(frozen=True, repr=False, eq=False)
class NamedModel:
    """A model of the free entries of a schema; the rooms `named` and `ask` answer questions of it.

    Args:
        model: the distribution of the free entries of a row.
        schema: the columns that are still random.
        fixed: the entries of partly given arrays; NaN if an entry is free.
        evidence: what was given, as text: "sex = male".
        fit_info: how the model was learned (`pofx.named.fit_record`).
        unrelated: the columns that the model holds independent of all that was given; None if
            nothing was given.
    """

    model: AbstractQueryable
    schema: Schema
    fixed: np.ndarray
    evidence: tuple[str, ...] = ()
    fit_info: Mapping[str, Any] = field(default_factory=dict)
    unrelated: tuple[str, ...] | None = None

    @cached_property
    def entries(self) -> Entries:
        """Which entries of a row belong to which column, and which of them are random."""
        return Entries(self.schema, self.fixed)

    def __reduce__(self) -> Any:
        """Pickles numpy arrays, because JAX's would lose their float64 on the way back."""
        model = jax.tree.map(lambda a: np.asarray(a) if eqx.is_array(a) else a, self.model)
        fields = (self.schema, self.fixed, self.evidence, dict(self.fit_info), self.unrelated)
        return _unpickle, (type(self), model, *fields)


P = TypeVar("P", bound=NamedModel)
"""A NamedModel, or the class derived from it that was handed in: `given` of a Joint is a Joint."""


def _unpickle(cls: type[P], model: Any, *fields: Any) -> P:
    with float64(True):
        model = jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, model)
    return cls(model, *fields)


def as_names(names: Names) -> tuple[str, ...]:
    """One name or several as a tuple.

    >>> as_names("a"), as_names(["a", "b"])
    (('a',), ('a', 'b'))
    """
    return (names,) if isinstance(names, str) else tuple(names)


def check_positive_int(argument: str, number: Any) -> None:
    """Raises PofxError unless the number is a whole number, at least 1."""
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
        raise PofxError(f"{argument}: expected a whole number, at least 1; got {number!r}")
