"""What the estimators share: their parameters, and how tables reach `pofx.fit`."""

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
from pofx.fitting.options import options_of
from pofx.joint.joint import Joint
from pofx.table.encoding import Unseen
from pofx.table.frames.reading import to_narwhals
from pofx.table.schema import Schema
from pofx.table.schema_inference import infer

SIZES = ("components", "latent", "states", "hidden")
"""Options that say how large a model is, the first that it has being its `n_components`."""
AS_NUMBERS = ("real", "binary")
"""Kinds that the columns of an array may be taken for: such as hold whatever number comes later."""


class BaseGenerativeEstimator(BaseEstimator):
    """An estimator that holds a distribution, `joint_`, which answers what pofx can be asked.

    A frame (pandas, polars, pyarrow) keeps the kinds of its columns: text and categories as they
    are. The columns of an array are numbers: binary where they hold 0 and 1, else real. None and
    NaN are missing cells, integrated out.
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
        budget: float = 60.0,
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

    def _learn(
        self,
        table: Any,
        weight: np.ndarray | None,
        known: Mapping[str, Any],
        **defaults: Any,
    ) -> Joint:
        """The distribution of a table's rows; `known` is what is sure of its columns."""
        options = {**defaults, **(self.options or {})}
        options |= self._size(options.get("part"))
        schema = self.schema
        if not isinstance(schema, Schema):
            schema = {**known, **(schema or {})}
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

    def _size(self, part: str | None) -> dict[str, int]:
        """`n_components` as the option that it is of the model; one is no option of one part."""
        number = self.n_components
        if number is None:
            return {}
        known = options_of(self.model or "mixture", part)
        own = next((size for size in SIZES if size in known), None)
        if own is None and number != 1:
            raise PofxError(f"n_components: expected 1 or None for {self.model!r}, got {number!r}")
        return {own: number} if own else {}

    def _rows(self, X: Any, learning: bool = False) -> tuple[Any, dict[str, Any]]:
        """X as pofx reads it, and of an array to learn from what its columns are."""
        if not learning:
            check_is_fitted(self)
        if type(X).__name__ != "LazyFrame" and not nw.dependencies.is_into_dataframe(X):
            least = 2 if learning else 1
            how = {"ensure_all_finite": "allow-nan", "ensure_min_samples": least}
            X = validate_data(self, X, reset=learning, dtype=np.float64, **how)
            return X, self._numbers(X) if learning else {}
        frame = to_narwhals(X)
        X = validate_data(self, X, reset=learning, skip_check_array=True)
        if learning and _num_samples(X) < 2:
            raise ValueError("Found a frame with 1 sample(s) while a minimum of 2 is required.")
        if learning:
            self._labels = frame.columns
        return frame.rename(dict(zip(frame.columns, self._names))).to_native(), {}

    def _named(self, table: Any) -> Any:
        """A frame that pofx made, with the columns called as they were."""
        if isinstance(table, np.ndarray):
            return table
        frame = nw.from_native(table, eager_only=True)
        return frame.rename(dict(zip(frame.columns, self._labels))).to_native()

    @property
    def _names(self) -> list[str]:
        """The columns as pofx calls them: those of an array are x0, x1, ...."""
        unnamed = [f"x{i}" for i in range(self.n_features_in_)]
        return list(getattr(self, "feature_names_in_", unnamed))

    def _columns(self, table: Any) -> dict[str, Any]:
        """The columns by name, so that one can be put beside them."""
        if isinstance(table, np.ndarray):
            return dict(zip(self._names, table.T))
        frame = nw.from_native(table, eager_only=True)
        return {name: frame[name].to_native() for name in frame.columns}

    def _numbers(self, X: np.ndarray) -> dict[str, Any]:
        """Columns of an array as numbers: what looks like counts or levels may be neither."""
        found = infer(dict(zip(self._names, X.T))).variables
        return {v.name: "real" for v in found if v.kind not in AS_NUMBERS}


class BaseSupervisedEstimator(BaseGenerativeEstimator):
    """An estimator of one column, `target_`, given the others."""

    target_: str

    def _target(self, X: Any, y: Any, **how: Any) -> np.ndarray:
        """y as an array, one a row of X; its name beside the columns, once these are known."""
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
        y = _check_y(y, estimator=self, **how)
        if y.dtype.kind in "mM":
            raise PofxError(
                "y: expected classes or numbers, got times; make text or numbers of them"
            )
        return y

    def _inputs(self, X: Any) -> dict[str, Any]:
        return self._columns(self._rows(X)[0])

    def _asked(self, **more: Any) -> dict[str, Any]:
        """How the distribution is asked for the target."""
        return {"target": self.target_, "unseen": self.unseen, **more}


def weights(sample_weight: Any, X: Any) -> np.ndarray | None:
    """Row weights as `pofx.fit` wants them."""
    if sample_weight is None:
        return None
    return _check_sample_weight(sample_weight, X, dtype=np.float64)


def weighed(table: Any, sample_weight: Any, *others: np.ndarray) -> tuple[Any, ...]:
    """The rows of any weight but zero, their weights, and the same rows of what else there is.

    Without them even `infer` sees what it would had they been removed.
    """
    weight = weights(sample_weight, table)
    if weight is None or weight.all() or not weight.any():
        return table, weight, *others
    some = weight != 0
    if isinstance(table, np.ndarray):
        return table[some], weight[some], *(other[some] for other in others)
    rows = nw.from_native(table, eager_only=True).filter(some.tolist()).to_native()
    return rows, weight[some], *(other[some] for other in others)


def seed_of(random_state: Any) -> int:
    """A seed from what scikit-learn takes for one: a whole number, a generator, or None."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
