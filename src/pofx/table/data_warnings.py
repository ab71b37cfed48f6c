"""Warnings about columns: merged values, no values, one extreme value."""

import jax.numpy as jnp
import numpy as np

from pofx.core.errors import warn
from pofx.table.frames.cells import Cells
from pofx.table.frames.exact import is_large_integer
from pofx.table.schema import Schema, Variable

MIN_RESOLVED_STEPS = 16
"""The smallest interquartile range, in steps of the float type, that a model can resolve."""


def warn_about_merged_values(variable: Variable, cells: Cells) -> None:
    """Warns if different numbers of many digits become the same float64."""
    if cells.residual is None:
        return
    present = ~cells.missing
    num_exact = len(np.unique(cells.paired()[present]))
    num_rounded = len(np.unique(cells.minus(variable.shift)[present]))
    if num_rounded < num_exact:
        _warn_merged(variable.name, num_exact, num_rounded, "float64")


def _warn_merged(name: str, num_exact: int, num_rounded: int, dtype: str) -> None:
    warn(
        f"column {name!r}: its {num_exact} distinct values become {num_rounded} in {dtype}; "
        "convert codes to text, or split the number into two columns",
    )


def warn_about_extremes(schema: Schema, x: np.ndarray) -> None:
    """Warns if a column of encoded rows, (n, d), has no values or is dominated by an extreme one.

    Shift and scale of a real column follow an extreme value, and the float type of models may then
    not resolve the differences between the other values.
    """
    for column, entries in zip(schema.columns, x.T):
        values = entries[~np.isnan(entries)]
        if not len(values):
            warn(
                f"column {column.variable!r} has no values, so nothing can be learned about it; "
                "drop it",
            )
        if column.kind != "real" or not len(values):
            continue
        low, high = np.quantile(values, [0.25, 0.75])
        dtype = jnp.result_type(float)
        if is_large_integer(schema.variable(column.variable).shift):
            num_exact = len(np.unique(values))
            num_rounded = len(np.unique(values.astype(dtype)))
            if num_rounded < num_exact:
                _warn_merged(column.variable, num_exact, num_rounded, str(dtype))
                continue
        if 0 < high - low < MIN_RESOLVED_STEPS * float(jnp.finfo(dtype).eps) * max(-low, high):
            variable = schema.variable(column.variable)
            hint = ", or set JAX_ENABLE_X64=1" if dtype == np.float32 else ""
            extreme = variable.shift + variable.scale * values[np.abs(values).argmax()]
            warn(
                f"column {column.variable!r}: {dtype} cannot resolve the differences between half "
                f"of its values because one value is {extreme:.4g}; drop values that are no "
                f"measurements{hint}",
            )
