"""A classifier by Bayes' rule."""

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from pofx.core.errors import PofxError
from pofx.sklearn.base import BaseSupervisedEstimator
from pofx.table.encoding import Unseen
from pofx.table.schema import Schema

MIN_PROBABILITY = np.finfo(np.float32).tiny
"""Smaller probabilities have the logarithm of this one."""


class GenerativeClassifier(ClassifierMixin, BaseSupervisedEstimator):
    """p(y | x_O) = p(x_O, y) / Σ_y p(x_O, y), from the joint distribution of inputs and class.

    Missing inputs are integrated out, in learning and in prediction.

    Args:
        cost: the cost of each action (rows) for each true class (columns), or a mapping from
            actions to rows; by default 0 for the true class and 1 for the others.
        reject_cost: the cost of no decision. If it is set, `predict` returns `rejected_label` for
            rows whose best action is expected to cost more (Chow 1970), and for outliers. With
            reject_cost=inf only outliers are rejected.
        outlier_level: rows whose tail probability is below it are outliers; 0 for none.
        rejected_label: any value. scikit-learn's other scores need one of the classes' type, such
            as "?" or -1.

    With model="class_conditional", p(y) p(x | y), the class is its `on` column. The other
    parameters are those of `DensityEstimator`. Learned attributes: `classes_`, `joint_` over inputs
    and class, and `target_`, the name of the class in it.

    >>> X, y = [[0.0], [0.2], [0.3], [2.0], [2.2], [2.3]], ["a", "a", "a", "b", "b", "b"]
    >>> options = {"model": "class_conditional", "options": {"part": "gaussian"}}
    >>> p = GenerativeClassifier(**options, reject_cost=0.1, rejected_label="?")
    >>> p.fit(X, y).predict([[0.1], [2.1], [float("nan")], [-9.0]]).tolist()
    ['a', 'b', '?', '?']
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        n_components: int | None = None,
        options: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | Schema | None = None,
        unseen: Unseen = "missing",
        cost: Any = None,
        reject_cost: float | None = None,
        outlier_level: float = 0.01,
        rejected_label: Any = None,
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "GenerativeClassifier":
        """Learns p(x, y) from inputs of shape (n, d) and classes of shape (n,)."""
        table, kinds, y = self._read_with_target(X, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        levels = self.classes_.tolist()
        if len(levels) < 2:
            raise PofxError(f"y: expected two classes or more, got one class, {levels[0]!r}")
        kind = {"kind": "binary" if len(levels) == 2 else "categorical", "levels": levels}
        options = {"on": self.target_} if self.model == "class_conditional" else {}
        self._fit_with_target(table, kinds, y, kind, sample_weight, **options)
        if set(self._levels) != set(levels):
            raise PofxError(
                f"schema: expected the classes of y, {levels}, as the levels of {self.target_!r}, "
                f"got {list(self._levels)}; leave them out"
            )
        return self

    @property
    def _levels(self) -> tuple[Any, ...]:
        """The classes in the order of the distribution, which a schema may determine."""
        return self.joint_.schema.variable(self.target_).levels

    def predict_proba(self, X: Any) -> np.ndarray:
        """p(y | x_O) of each row, (n, classes), in the order of `classes_`."""
        inputs = self._read_inputs(X)  # raises NotFittedError before `joint_` is read
        table = self.joint_.predict_proba(inputs, **self._query_arguments())
        by_level = dict(zip(self._levels, table.values()))
        columns = [by_level[c] for c in self.classes_.tolist()]
        posterior = np.column_stack(columns).astype(np.float64)
        # The model's float32 keeps small probabilities to a relative error, but not 1 minus them.
        return posterior / posterior.sum(1, keepdims=True)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log p(y | x_O) of each row, (n, classes), in nats."""
        return np.log(np.maximum(self.predict_proba(X), MIN_PROBABILITY))

    def decision_function(self, X: Any) -> np.ndarray:
        """The log-odds of the second of two classes, (n,); else log p(y | x_O), (n, classes)."""
        log_posterior = self.predict_log_proba(X)
        if len(self.classes_) == 2:
            return log_posterior[:, 1] - log_posterior[:, 0]
        return log_posterior

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows whose action is their class; rejected rows count as wrong."""
        correct = [action == label for action, label in zip(self.predict(X), np.asarray(y))]
        return float(np.average(correct, weights=sample_weight))

    def predict(self, X: Any) -> np.ndarray:
        """The action of least expected cost for each row, by default the most probable class.

        The array has the type of `classes_`, or holds objects if rows may be rejected and
        `rejected_label` is of another type.
        """
        inputs = self._read_inputs(X)
        limits = {"reject_cost": self.reject_cost, "outlier_level": self.outlier_level}
        arguments = self._query_arguments(cost=self._costs(), **limits)
        decisions = self.joint_.decide(inputs, **arguments, seed=self.seed_)
        if self.reject_cost is None and not isinstance(self.cost, Mapping):
            return decisions.action.astype(self.classes_.dtype)
        action = decisions.action.astype(object)
        action[decisions.rejected] = self.rejected_label
        numbers = isinstance(self.rejected_label, Number) and self.classes_.dtype.kind in "iuf"
        text = isinstance(self.rejected_label, str) and self.classes_.dtype.kind == "U"
        return np.array(action.tolist()) if numbers or text else action

    def _costs(self) -> Any:
        """`cost` in the order of the levels instead of `classes_`."""
        place = [self.classes_.tolist().index(level) for level in self._levels]

        def reorder(row: Any) -> Any:
            per_class = not isinstance(row, Mapping) and np.shape(row) == (len(place),)
            return np.asarray(row)[place] if per_class else row

        if isinstance(self.cost, Mapping):
            return {action: reorder(row) for action, row in self.cost.items()}
        square = np.shape(self.cost) == (len(place), len(place))
        return np.asarray(self.cost)[np.ix_(place, place)] if square else self.cost
