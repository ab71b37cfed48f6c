"""The data that `fit` learns from: schema, entries, row weights and rows held out."""

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import jax
import numpy as np

from pofx.core.errors import PofxError, recording_warnings, unknown_name_error
from pofx.core.rows import Rows, make_rows
from pofx.table.encoding import encode, log_scale
from pofx.table.frames.reading import Frame, read_frame
from pofx.table.schema import Schema
from pofx.table.schema_inference import infer

MIN_VALIDATION_ROWS = 200
"""Held-out rows that are expected; if one share has fewer, several splits are made."""
MAX_FOLDS = 5
"""The most splits that are made."""


class TrainingData(NamedTuple):
    """Rows to learn from.

    Args:
        schema: of the columns, without the column of weights.
        x: the entries of all rows, (n, d), NaN for a missing cell.
        weight: of each row, (n,), or None for equal weights.
        warnings: texts of the warnings of schema inference.
    """

    schema: Schema
    x: np.ndarray
    weight: np.ndarray | None
    warnings: list[str]


def read_training_data(
    data: Any,
    schema: Mapping[str, Any] | Schema | None,
    weights: str | Any | None,
    numeric: Callable[[str], bool],
) -> TrainingData:
    """The rows of a table, which is read once, with their schema and weights.

    Args:
        data: the table, as for `pofx.fit`.
        schema: of the columns, or what overrides an inferred one.
        weights: the name of a column, or row weights.
        numeric: whether the model takes a column of this name as real numbers only.

    Raises PofxError for bad data, and for weights that are negative, not finite or all zero.
    """
    warnings: list[str] = []
    if isinstance(schema, Schema):
        frame = read_frame(data, schema.names)
        if frame.container != schema.container:
            schema = Schema(schema.variables, frame.container)
    else:
        with recording_warnings() as warnings:
            frame = read_frame(data)
            schema = infer(frame, schema, numeric=numeric)
    if isinstance(weights, str):
        schema = schema.select(name for name in schema.names if name != weights)
        if not schema.names:
            raise PofxError(f"data: expected a column beside the weights {weights!r}")
        weights = _weight_column(data, frame, weights)
    weight = None if weights is None else _row_weights(weights)
    x = encode(schema, frame)
    if weight is not None and len(weight) != len(x):
        raise PofxError(f"weights: expected one per row, {len(x)}; got {len(weight)}")
    return TrainingData(schema, x, weight, warnings)


def make_splits(
    key: jax.Array, data: TrainingData, validation: float | Any, needed: bool = True
) -> list[tuple[Rows, Rows]]:
    """Pairs of rows to learn from and rows held out.

    Args:
        key: of the random order of the rows.
        data: all rows.
        validation: the share of rows to hold out, in several splits if it is a small number of
            rows; or data of rows held out, for one split.
        needed: whether a share of the rows is to be held out.

    Returns an empty list if no row would be left to learn from, or if none is needed.
    """
    schema, x, weight, _ = data
    if not isinstance(validation, Real):
        valid = encode(schema, validation)
        if not len(valid):
            raise PofxError("validation: expected a share between 0 and 1, or rows; got no row")
        return [(make_rows(x, weight=weight), make_rows(valid))]
    if not 0 < float(validation) < 1:
        raise PofxError(f"validation: expected a share between 0 and 1, got {validation!r}")
    if not needed:
        return []
    order = np.asarray(jax.random.permutation(key, len(x)))
    if weight is not None:
        order = order[weight[order] > 0]
    size = max(round(float(validation) * len(order)), 1)
    if len(order) == size:
        return []
    num_folds = max(min(-(-MIN_VALIDATION_ROWS // size), MAX_FOLDS, len(order) // size), 1)
    folds = [order[i * size : (i + 1) * size] for i in range(num_folds)]

    def rows_at(index: np.ndarray) -> Rows:
        return make_rows(x[index], weight=None if weight is None else weight[index])

    return [(rows_at(np.setdiff1d(order, fold)), rows_at(fold)) for fold in folds]


def unit_offset(schema: Schema, x: np.ndarray, weight: np.ndarray | None) -> float:
    """Nats per row that the log-likelihood of entries exceeds that in the units of the data."""
    return float(np.average(log_scale(schema, x).sum(1), weights=weight)) if len(x) else 0.0


def validation_unit_offset(schema: Schema, splits: list[tuple[Rows, Rows]]) -> float:
    """The `unit_offset` of the rows held out in all splits."""
    if not splits:
        return 0.0
    x, observed, weight = map(np.concatenate, zip(*(valid.to_arrays() for _, valid in splits)))
    return unit_offset(schema, np.where(observed, x, np.nan), weight)


def _weight_column(data: Any, frame: Frame, name: str) -> np.ndarray | tuple[()]:
    """The values of the column that holds the weights; empty if it does not hold numbers."""
    if frame.container in ("numpy", "vector"):
        raise PofxError("weights: columns of an array have no names; pass the weights beside it")
    if name not in frame.names:
        raise unknown_name_error("column", name, frame.names)
    # A given schema may lack the column, which then was not read.
    cells = (frame if name in frame.cells else read_frame(data, [name])).cells[name]
    return () if cells.levels is not None or cells.time_kind else cells.values


def _row_weights(weights: Any) -> np.ndarray:
    """Row weights as an array: whole numbers as they are, others scaled."""
    try:
        weight = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        weight = np.zeros(0)
    if weight.ndim != 1 or not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum():
        raise PofxError("weights: expected finite numbers >= 0, one per row, not all of them zero")
    return weight if (weight == np.rint(weight)).all() else _effective_weights(weight)


def _effective_weights(weight: np.ndarray) -> np.ndarray:
    """Relative weights, scaled to sum to the effective number of rows (Σw)² / Σw² (Kish 1965).

    >>> _effective_weights(np.array([0.1, 0.1, 0.1, 0.0])).sum().round(6)
    np.float64(3.0)
    """
    share = weight / weight.max()  # so that no square overflows or vanishes
    return share * share.sum() / (share**2).sum()
