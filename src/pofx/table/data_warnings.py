"""Columns that tell nothing, or that one extreme value spoils."""

import jax.numpy as jnp
import numpy as np

from pofx.core.errors import warn
from pofx.table.frames.cells import Cells
from pofx.table.frames.exact import is_large_integer
from pofx.table.schema import Schema, Variable

MIN_RESOLVED_STEPS = 16
"""The least quartile range, in steps of the float type, by which values can be told apart."""


def warn_about_merged_values(variable: Variable, cells: Cells) -> None:
    """Warns of numbers of many digits some of which become one float64."""
    if cells.residual is None:
        return
    known = ~cells.missing
    exact = len(np.unique(cells.paired()[known]))
    kept = len(np.unique(cells.minus(variable.shift)[known]))
    if kept < exact:
        _merged(variable.name, exact, kept, "float64")


def _merged(name: str, exact: int, kept: int, dtype: str) -> None:
    warn(
        f"column {name!r}: its {exact} distinct values become {kept} in {dtype}; "
        "convert codes to text, or split the number into two columns",
    )


def warn_about_extremes(schema: Schema, x: np.ndarray) -> None:
    """Warns of a column without a value, and of a real one whose values are half alike to a model.

    Shift and scale follow an extreme value, and the others come to lie closer than the float type
    that models see resolves.
    """
    for column, own in zip(schema.columns, x.T):
        own = own[~np.isnan(own)]
        if not len(own):
            warn(
                f"column {column.variable!r}: there is no value in it, and what is told of it "
                "comes of no data; drop it",
            )
        if column.kind != "real" or not len(own):
            continue
        low, high = np.quantile(own, [0.25, 0.75])
        dtype = jnp.zeros(()).dtype
        if is_large_integer(schema.variable(column.variable).shift):
            exact, kept = len(np.unique(own)), len(np.unique(own.astype(dtype)))
            if kept < exact:
                _merged(column.variable, exact, kept, str(dtype))
                continue
        if 0 < high - low < MIN_RESOLVED_STEPS * float(jnp.finfo(dtype).eps) * max(-low, high):
            variable = schema.variable(column.variable)
            hint = ", or set JAX_ENABLE_X64=1" if dtype == np.float32 else ""
            extreme = variable.shift + variable.scale * own[np.abs(own).argmax()]
            warn(
                f"column {column.variable!r}: {dtype} cannot tell half of its values apart beside "
                f"one of {extreme:.4g}; drop what is no measurement{hint}",
            )
