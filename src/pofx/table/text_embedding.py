"""Columns of text embedded as arrays of numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from pofx.core.errors import PofxError, unknown_name_error
from pofx.table.frames.reading import read_frame


def embed_text(data: Any, functions: Mapping[str, Callable[[list[str]], Any]]) -> dict[str, Any]:
    """Turns columns of text into arrays of numbers by your own functions.

    An embedded column is an array variable. `on=` its name learns a diffusion or a flow given it.
    A model file does not hold the functions, so embed the data of later queries in the same way.

    Args:
        data: a frame, or a mapping from names to columns.
        functions: for each column of text, a function from a list of texts to as many rows of m
            numbers, an array or a scipy sparse matrix: the `transform` of a scikit-learn
            vectoriser, the `encode` of a sentence encoder.

    Returns:
        The columns by name; an embedded one has shape (n, m), with NaN if its text is missing.

    Raises:
        PofxError: for a column that is absent or no text, and for a function that returns
            something else.

    >>> def count(texts):
    ...     return [[text.split().count(word) for word in ("big", "red")] for text in texts]
    >>> embed_text({"caption": ["a big red dot", "a dot"], "size": [3.1, 0.2]}, {"caption": count})
    {'caption': array([[1., 1.],
           [0., 0.]]), 'size': [3.1, 0.2]}
    """
    columns = _columns(data)
    for name, function in functions.items():
        if name not in columns:
            raise unknown_name_error("column", name, columns)
        if not callable(function):
            raise PofxError(f"functions: {name!r}: expected a function of texts, got {function!r}")
        columns[name] = _embed(name, columns[name], function)
    return columns


def _columns(data: Any) -> dict[str, Any]:
    """The columns of a frame or a mapping by name, unchanged."""
    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, np.ndarray | list | tuple):
        raise PofxError("data: expected a frame or a mapping; columns of an array have no names")
    names = read_frame(data, []).names
    table = nw.from_native(data, eager_only=True)
    return {name: table[name].to_native() for name in names}


def _embed(name: str, column: Any, function: Callable[[list[str]], Any]) -> np.ndarray:
    """One column of text as an array, (n, m)."""
    cells = read_frame({name: column}).cells[name]
    if cells.levels is None or not cells.text or cells.values.ndim > 1:
        raise PofxError(f"column {name!r}: expected text, one cell per row")
    present = ~cells.missing
    texts = [str(cells.levels[int(code)]) for code in cells.values[present]]
    rows = function(texts)
    rows = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
    if rows.ndim != 2 or len(rows) != len(texts) or not rows.shape[1]:
        raise PofxError(
            f"functions: {name!r}: expected an array of shape ({len(texts)}, m), got {rows.shape}"
        )
    if rows.dtype.kind not in "biuf" or not np.isfinite(rows).all():
        raise PofxError(f"functions: {name!r}: expected finite numbers, got others")
    embedded = np.full((len(present), rows.shape[1]), np.nan)
    embedded[present] = rows
    return embedded
