"""Encodes tables as rows of entries for the model of a distribution."""

from typing import Any

import numpy as np

from pofx.core.errors import PofxError, warn
from pofx.named.independence import HINT, describe_others, ignores
from pofx.named.model import NamedModel
from pofx.table.encoding import Unseen, encode
from pofx.table.schema import Variable


def encode_rows(p: NamedModel, data: Any, unseen: Unseen, **options: Any) -> np.ndarray:
    """All entries of the rows of the data, fixed ones included; PofxError for no rows."""
    x = encode(p.schema, data, unseen=unseen, **options)
    if not len(x):
        raise PofxError("data: expected at least one row, got no rows")
    return x


def encode_inputs(p: NamedModel, data: Any, target: str, unseen: Unseen) -> np.ndarray:
    """The free entries of the data, with those of the target missing.

    Warns if the target is independent of all other columns in the model.
    """
    inputs = [name for name in p.schema.names if name != target]
    x = encode_rows(p, data, unseen, require=inputs, ignore=target)[:, p.entries.free]
    observed = np.asarray(~np.isnan(x).all(0))
    if ignores(p, [target], observed):
        warn(
            f"this model holds {target!r} independent of {describe_others(p, observed)}, so every "
            f"row gets the same answer; {HINT}",
        )
    return x


def entry_index(p: NamedModel, name: str) -> int:
    """The index of the entry of a plain column among the free ones."""
    return int(np.flatnonzero(p.entries.mask_free([name]))[0])


def discrete_variable(p: NamedModel, target: str) -> Variable:
    """The variable of a plain column of levels; PofxError for another."""
    variable = p.schema.variable(target)
    if not variable.discrete or variable.shape:
        shape = f" of shape {variable.shape}" if variable.shape else ""
        raise PofxError(
            f"target: expected a column of levels, and {target!r} is {variable.kind}{shape}"
        )
    return variable


def number_variable(p: NamedModel, target: str) -> Variable:
    """The variable of a plain column of numbers; PofxError for another."""
    variable = p.schema.variable(target)
    if variable.discrete or variable.shape:
        raise PofxError(f"target: expected a column of numbers, and {target!r} is not")
    return variable
