"""A regression that knows how far it may be off."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from pofx.named.decisions import Decisions
from pofx.sklearn.base import BaseSupervisedEstimator, weighed
from pofx.table.encoding import Unseen
from pofx.table.schema import Schema


class GenerativeRegressor(RegressorMixin, BaseSupervisedEstimator):
    """p(y | x_O) of a number y, from p(x, y) of the inputs and the number together.

    Missing inputs are integrated out, in learning and in predicting.

    Args:
        cost: "squared" (the guess is the mean, its expected cost the variance) or "absolute" (the
            median, the mean absolute deviation).
        reject_cost: the cost of not guessing: `predict` returns `rejected_label` if the guess is
            expected to cost more, and for rows of a small tail probability.
        outlier_level: rows whose tail probability is below it are rejected, if any are.
        schema: it may say that the target, "y" or the name that y has, is a count or positive.

    The other parameters are those of `DensityEstimator`. Learned are `joint_` over inputs and
    target, and its name there, `target_`.

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
        budget: float = 60.0,
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
        table, known = self._rows(X, learning=True)
        y = self._target(table, y, y_numeric=True)
        table, weight, y = weighed(table, sample_weight, y)
        columns = {**self._columns(table), self.target_: np.asarray(y, np.float64)}
        known[self.target_] = "real"
        self.joint_ = self._learn(columns, weight, known)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The guess of least expected cost, (n,), in the target's units, or a refusal.

        With `return_std` the standard deviation of p(y | x_O) beside it, (n,).
        """
        inputs = self._inputs(X)
        refusal = {"reject_cost": self.reject_cost, "outlier_level": self.outlier_level}
        decided = self._decide(inputs, self.cost, **refusal)
        guess = np.where(decided.rejected, self.rejected_label, decided.action.astype(np.float64))
        if not return_std:
            return guess
        squared = decided if self.cost == "squared" else self._decide(inputs, "squared")
        return guess, np.sqrt(squared.expected_cost.astype(np.float64))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² over the rows that are not refused; NaN where fewer than two are left."""
        if self.reject_cost is None:
            return super().score(X, y, sample_weight)
        guess, y = self.predict(X), np.asarray(y, np.float64)
        kept = ~np.isclose(guess, self.rejected_label, rtol=0, atol=0, equal_nan=True)
        weight = None if sample_weight is None else np.asarray(sample_weight)[kept]
        if kept.sum() < 2:
            return float("nan")
        return float(r2_score(y[kept], guess[kept], sample_weight=weight))

    def predict_interval(self, X: Any, level: float = 0.9) -> np.ndarray:
        """The central interval that holds y with probability `level` given x_O: (n, 2)."""
        inputs = self._inputs(X)
        found = self.joint_.interval(inputs, **self._asked(level=level), seed=self.seed_)
        return np.column_stack(list(found.values()))

    def _decide(self, inputs: Mapping[str, Any], cost: str, **refusal: Any) -> Decisions:
        return self.joint_.decide(inputs, **self._asked(cost=cost, **refusal), seed=self.seed_)
