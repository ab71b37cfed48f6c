"""Base classes of the estimators: their parameters, and how tables reach `pofx.fit`."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    _check_y,
    _num_samples,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from pofx.core.errors import PofxError
from pofx.fitting.fit import fit
from pofx.fitting.options import model_options
from pofx.joint.joint import Joint
from pofx.table.encoding import Unseen
from pofx.table.frames.reading import to_narwhals
from pofx.table.schema import Schema
from pofx.table.schema_inference import infer

SIZE_OPTIONS = ("components", "latent", "states", "hidden")
"""Options for the size of a model; `n_components` is the first of them that the model has."""
NUMERIC_KINDS = ("real", "binary")
"""Kinds inferred for columns of an array that are mask; other columns become real."""


class BaseGenerativeEstimator(BaseEstimator):
    """An estimator that holds a distribution, `joint_`, which answers every query of pofx.

    The columns of a frame (pandas, polars, pyarrow) keep their kinds, text and categories included.
    The columns of an array are numbers: binary if they hold 0 and 1, else real. None and NaN are
    missing cells, which are integrated out.

    A subclass provides `fit`, which calls `_fit_rows` (or, for a `BaseSupervisedEstimator`,
    `_read_with_target` and `_fit_with_target`) and returns itself.

    Args:
        model: a name that `pofx models` lists, or None for the model that `pofx.fit` selects.
        n_components: the size of the model; None for its default.
        options: further arguments of `pofx.fit`.
        schema: overrides of the inferred columns, or a whole schema.
        unseen: what a level never seen is: "missing" or an "error".
        budget: seconds for the selection of a model; None for the default of `pofx.fit`.
        random_state: an integer, a numpy generator, or None for a random seed.
    """

    joint_: Joint
    n_features_in_: int
    unseen: Unseen

    def __init__(
        self,
        model: str | None = None,
        *,
        n_components: int | None = None,
        options: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | Schema | None = None,
        unseen: Unseen = "missing",
        budget: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.n_components = n_components
        self.options = options
        self.schema = schema
        self.unseen = unseen
        self.budget = budget
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _fit_rows(
        self, X: Any, sample_weight: Any, *, as_columns: bool = False
    ) -> tuple[Any, np.ndarray | None]:
        """Learns `joint_` from rows, or from a mapping of their columns.

        Returns the rows of positive weight and their weights.
        """
        table, kinds = self._read_rows(X, learning=True)
        table, weight = drop_weightless(table, sample_weight)
        table = self._columns(table) if as_columns else table
        self.joint_ = self._learn(table, weight, kinds)
        return table, weight

    def _learn(
        self,
        table: Any,
        weight: np.ndarray | None,
        kinds: Mapping[str, Any],
        **defaults: Any,
    ) -> Joint:
        """The distribution of a table's rows; the user's schema and options take precedence."""
        options = {**defaults, **(self.options or {})}
        options |= self._size_option(options.get("part"))
        schema = self.schema
        if not isinstance(schema, Schema):
            schema = {**kinds, **(schema or {})}
        self.seed_ = seed_of(self.random_state)
        return fit(
            table,
            self.model,
            schema=schema,
            weights=weight,
            budget=self.budget,
            seed=self.seed_,
            progress=False,
            **options,
        )

    def _size_option(self, part: str | None) -> dict[str, int]:
        """`n_components` as an option of the model; 1 is allowed if the model has no size."""
        number = self.n_components
        if number is None:
            return {}
        options = model_options(self.model or "mixture", part)
        name = next((size for size in SIZE_OPTIONS if size in options), None)
        if name is None and number != 1:
            raise PofxError(f"n_components: expected 1 or None for {self.model!r}, got {number!r}")
        return {name: number} if name else {}

    def _read_rows(self, X: Any, learning: bool = False) -> tuple[Any, dict[str, Any]]:
        """X as a table for pofx and, to learn from an array, the kinds of its columns."""
        if not learning:
            check_is_fitted(self)
        if type(X).__name__ != "LazyFrame" and not nw.dependencies.is_into_dataframe(X):
            checks = {"ensure_all_finite": "allow-nan", "ensure_min_samples": 2 if learning else 1}
            X = validate_data(self, X, reset=learning, dtype=np.float64, **checks)
            return X, self._numeric_kinds(X) if learning else {}
        frame = to_narwhals(X)
        X = validate_data(self, X, reset=learning, skip_check_array=True)
        if learning and _num_samples(X) < 2:
            raise ValueError("Found a frame with 1 sample(s) while a minimum of 2 is required.")
        if learning:
            self._labels = frame.columns
        return frame.rename(dict(zip(frame.columns, self._names))).to_native(), {}

    def _with_original_names(self, table: Any) -> Any:
        """A frame that pofx made, with the column names of the data that were learned from."""
        if isinstance(table, np.ndarray):
            return table
        frame = nw.from_native(table, eager_only=True)
        return frame.rename(dict(zip(frame.columns, self._labels))).to_native()

    @property
    def _names(self) -> list[str]:
        """The names of the columns in pofx: x0, x1, ... for an array."""
        unnamed = [f"x{i}" for i in range(self.n_features_in_)]
        return list(getattr(self, "feature_names_in_", unnamed))

    def _columns(self, table: Any) -> dict[str, Any]:
        """The columns by name, so that a target can be added to them."""
        if isinstance(table, np.ndarray):
            return dict(zip(self._names, table.T))
        frame = nw.from_native(table, eager_only=True)
        return {name: frame[name].to_native() for name in frame.columns}

    def _numeric_kinds(self, X: np.ndarray) -> dict[str, Any]:
        """Kind real for columns of an array whose later rows need not be counts or levels."""
        variables = infer(dict(zip(self._names, X.T))).variables
        return {v.name: "real" for v in variables if v.kind not in NUMERIC_KINDS}


class BaseSupervisedEstimator(BaseGenerativeEstimator):
    """An estimator of one column, `target_`, given the others."""

    target_: str

    def _read_with_target(
        self, X: Any, y: Any, **checks: Any
    ) -> tuple[Any, dict[str, Any], np.ndarray]:
        """Rows to learn from, the kinds of their columns, and y as an array, (n,)."""
        table, kinds = self._read_rows(X, learning=True)
        return table, kinds, self._read_target(table, y, **checks)

    def _read_target(self, X: Any, y: Any, **checks: Any) -> np.ndarray:
        """y as an array with one value per row of X; sets `target_`, a name no column has."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, "
                "but the target y is None."
            )
        check_consistent_length(X, y)
        name = getattr(y, "name", None)
        self.target_ = name if isinstance(name, str) and name else "y"
        while self.target_ in self._names:
            self.target_ += "_"
        y = _check_y(y, estimator=self, **checks)
        if y.dtype.kind in "mM":
            raise PofxError(
                "y: expected classes or numbers, got times; make text or numbers of them"
            )
        return y

    def _fit_with_target(
        self,
        table: Any,
        kinds: Mapping[str, Any],
        y: np.ndarray,
        kind: Any,
        sample_weight: Any,
        **options: Any,
    ) -> None:
        """Learns `joint_` from rows and their targets, which are a column of that kind."""
        table, weight, y = drop_weightless(table, sample_weight, y)
        columns = {**self._columns(table), self.target_: y}
        self.joint_ = self._learn(columns, weight, {**kinds, self.target_: kind}, **options)

    def _read_inputs(self, X: Any) -> dict[str, Any]:
        return self._columns(self._read_rows(X)[0])

    def _query_arguments(self, **options: Any) -> dict[str, Any]:
        """Arguments of a query about the target."""
        return {"target": self.target_, "unseen": self.unseen, **options}


def row_weights(sample_weight: Any, X: Any) -> np.ndarray | None:
    """Row weights for `pofx.fit`: (n,) float64, or None."""
    if sample_weight is None:
        return None
    return _check_sample_weight(sample_weight, X, dtype=np.float64)


def drop_weightless(table: Any, sample_weight: Any, *others: np.ndarray) -> tuple[Any, ...]:
    """The rows of weight other than zero, their weights, and the same rows of `others`.

    Rows of weight zero must not affect schema inference, either.
    """
    weight = row_weights(sample_weight, table)
    if weight is None or weight.all() or not weight.any():
        return table, weight, *others
    mask = weight != 0
    if isinstance(table, np.ndarray):
        return table[mask], weight[mask], *(other[mask] for other in others)
    rows = nw.from_native(table, eager_only=True).filter(mask.tolist()).to_native()
    return rows, weight[mask], *(other[mask] for other in others)


def seed_of(random_state: Any) -> int:
    """A seed from scikit-learn's `random_state`: an integer, a generator, or None."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
