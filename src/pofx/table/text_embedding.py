"""Columns of text as arrays of numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from pofx.core.errors import PofxError, unknown_name_error
from pofx.table.frames.reading import read_frame


def embed_text(data: Any, functions: Mapping[str, Callable[[list[str]], Any]]) -> dict[str, Any]:
    """The data as a mapping, its columns of text turned into numbers by your own functions.

    The function of a column is given a list of texts, and gives as many rows of m numbers, an array
    or a scipy sparse matrix: the `transform` of a scikit-learn vectoriser, the `encode` of a
    sentence encoder. The column is then an array variable, (n, m), NaN where its text is missing;
    a diffusion or a flow is learned given it by `on=` its name. A model file holds none of the
    functions: embed what you ask in the same way. Raises PofxError for a column that is not there
    or not of text, and a function that gives something else.

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
        columns[name] = _embedded(name, columns[name], function)
    return columns


def _columns(data: Any) -> dict[str, Any]:
    """The columns by name, as they are."""
    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, np.ndarray | list | tuple):
        raise PofxError("data: expected a frame or a mapping; columns of an array have no names")
    names = read_frame(data, []).names
    table = nw.from_native(data, eager_only=True)
    return {name: table[name].to_native() for name in names}


def _embedded(name: str, column: Any, function: Callable[[list[str]], Any]) -> np.ndarray:
    cells = read_frame({name: column}).cells[name]
    if cells.levels is None or not cells.text or cells.values.ndim > 1:
        raise PofxError(f"column {name!r}: expected text, a cell a row")
    some = ~cells.missing
    texts = [str(cells.levels[int(code)]) for code in cells.values[some]]
    found = function(texts)
    found = np.asarray(found.toarray() if hasattr(found, "toarray") else found)
    if found.ndim != 2 or len(found) != len(texts) or not found.shape[1]:
        raise PofxError(
            f"functions: {name!r}: expected an array of shape ({len(texts)}, m), got {found.shape}"
        )
    if found.dtype.kind not in "biuf" or not np.isfinite(found).all():
        raise PofxError(f"functions: {name!r}: expected finite numbers, got others")
    out = np.full((len(some), found.shape[1]), np.nan)
    out[some] = found
    return out
