"""A regression with predictive standard deviations and intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from pofx.named.decisions import Decisions
from pofx.sklearn.base import BaseSupervisedEstimator
from pofx.table.encoding import Unseen
from pofx.table.schema import Schema


class GenerativeRegressor(RegressorMixin, BaseSupervisedEstimator):
    """p(y | x_O) for a number y, from the joint distribution p(x, y) of inputs and number.

    Missing inputs are integrated out, in learning and in prediction.

    Args:
        cost: "squared" (predicts the mean, with the variance as expected cost) or "absolute" (the
            median, with the mean absolute deviation).
        reject_cost: the cost of no prediction. If it is set, `predict` returns `rejected_label` for
            rows whose prediction is expected to cost more, and for outliers.
        outlier_level: rows whose tail probability is below it are outliers.
        rejected_label: the prediction of a rejected row.
        schema: may make the target, "y" or the name of y, a count or positive.

    The other parameters are those of `DensityEstimator`. Learned attributes: `joint_` over inputs
    and target, and `target_`, the name of the target in it.

    >>> X = np.linspace(0, 1, 50)[:, None]
    >>> p = GenerativeRegressor("gaussian").fit(X, 2 * X[:, 0] + 0.1 * np.sin(99 * X[:, 0]))
    >>> mean, deviation = p.predict([[0.75], [np.nan]], return_std=True)
    >>> mean.round(1).tolist(), deviation.round(2).tolist()
    ([1.5, 1.0], [0.07, 0.59])
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        n_components: int | None = None,
        options: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | Schema | None = None,
        unseen: Unseen = "missing",
        cost: str = "squared",
        reject_cost: float | None = None,
        outlier_level: float = 0.01,
        rejected_label: float = np.nan,
        budget: float | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            model,
            n_components=n_components,
            options=options,
            schema=schema,
            unseen=unseen,
            budget=budget,
            random_state=random_state,
        )
        self.cost = cost
        self.reject_cost = reject_cost
        self.outlier_level = outlier_level
        self.rejected_label = rejected_label

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "GenerativeRegressor":
        """Learns p(x, y) from inputs of shape (n, d) and numbers of shape (n,)."""
        table, kinds, y = self._read_with_target(X, y, y_numeric=True)
        self._fit_with_target(table, kinds, np.asarray(y, np.float64), "real", sample_weight)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The prediction of least expected cost, (n,), in the target's units.

        Rejected rows get `rejected_label`. With `return_std`, the standard deviation of
        p(y | x_O), (n,), is returned as well.
        """
        inputs = self._read_inputs(X)
        limits = {"reject_cost": self.reject_cost, "outlier_level": self.outlier_level}
        decisions = self._decide(inputs, self.cost, **limits)
        action = decisions.action.astype(np.float64)
        prediction = np.where(decisions.rejected, self.rejected_label, action)
        if not return_std:
            return prediction
        squared = decisions if self.cost == "squared" else self._decide(inputs, "squared")
        return prediction, np.sqrt(squared.expected_cost.astype(np.float64))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² over the rows that are not rejected; NaN if there are fewer than two."""
        if self.reject_cost is None:
            return super().score(X, y, sample_weight)
        prediction = self.predict(X)
        y = np.asarray(y, np.float64)
        accepted = ~np.isclose(prediction, self.rejected_label, rtol=0, atol=0, equal_nan=True)
        weight = None if sample_weight is None else np.asarray(sample_weight)[accepted]
        if accepted.sum() < 2:
            return float("nan")
        return float(r2_score(y[accepted], prediction[accepted], sample_weight=weight))

    def predict_interval(self, X: Any, level: float = 0.9) -> np.ndarray:
        """The central interval that holds y with probability `level` given x_O: (n, 2)."""
        arguments = self._query_arguments(level=level)
        inputs = self._read_inputs(X)  # raises NotFittedError before `joint_` is read
        ends = self.joint_.interval(inputs, **arguments, seed=self.seed_)
        return np.column_stack(list(ends.values()))

    def _decide(self, inputs: Mapping[str, Any], cost: str, **limits: Any) -> Decisions:
        arguments = self._query_arguments(cost=cost, **limits)
        return self.joint_.decide(inputs, **arguments, seed=self.seed_)
