"""A classifier by Bayes' rule."""

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from pofx.core.errors import PofxError
from pofx.sklearn.base import BaseSupervisedEstimator, weighed
from pofx.table.encoding import Unseen
from pofx.table.schema import Schema

TINY = np.finfo(np.float32).tiny
"""The least probability whose logarithm is told."""


class GenerativeClassifier(ClassifierMixin, BaseSupervisedEstimator):
    """p(y | x_O) = p(x_O, y) / Σ_y p(x_O, y), from p(x, y) of the inputs and the class together.

    Missing inputs are integrated out, in learning and in predicting.

    Args:
        cost: of each action (rows) if each class is the truth (columns); 0 or 1 by default.
        reject_cost: the cost of not deciding: `predict` returns `rejected_label` if the best action
            is expected to cost more (Chow 1970), and for rows of a small tail probability;
            reject_cost=inf rejects for the second reason alone, outlier_level=0 for the first.
        outlier_level: rows whose tail probability is below it are rejected, if any are.
        rejected_label: any value. scikit-learn's other scores want one of the classes' type, such
            as "?" or -1.

    With model="class_conditional", p(y) p(x | y), the class is the column that it is `on`. The
    other parameters are those of `DensityEstimator`. Learned are `classes_`, `joint_` over inputs
    and class, and its name there, `target_`.

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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "GenerativeClassifier":
        """Learns p(x, y) from inputs of shape (n, d) and classes of shape (n,)."""
        table, known = self._rows(X, learning=True)
        y = self._target(table, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        levels = self.classes_.tolist()
        if len(levels) < 2:
            raise PofxError(f"y: expected two classes or more, got one class, {levels[0]!r}")
        table, weight, y = weighed(table, sample_weight, y)
        columns = {**self._columns(table), self.target_: y}
        kind = "binary" if len(levels) == 2 else "categorical"
        known[self.target_] = {"kind": kind, "levels": levels}
        on = {"on": self.target_} if self.model == "class_conditional" else {}
        self.joint_ = self._learn(columns, weight, known, **on)
        if set(self._levels) != set(levels):
            raise PofxError(
                f"schema: expected the classes of y, {levels}, as the levels of {self.target_!r}, "
                f"got {list(self._levels)}; leave them out"
            )
        return self

    @property
    def _levels(self) -> tuple[Any, ...]:
        """The classes in the order that the distribution has them, which a schema may give."""
        return self.joint_.schema.variable(self.target_).levels

    def predict_proba(self, X: Any) -> np.ndarray:
        """p(y | x_O) of each row, (n, classes), in the order of `classes_`."""
        inputs = self._inputs(X)
        found = self.joint_.predict_proba(inputs, **self._asked())
        # The model's float32 keeps small probabilities to a relative error, but not 1 minus them.
        own = dict(zip(self._levels, found.values()))
        posterior = np.column_stack([own[c] for c in self.classes_.tolist()]).astype(np.float64)
        return posterior / posterior.sum(1, keepdims=True)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log p(y | x_O) of each row, (n, classes), in nats."""
        return np.log(np.maximum(self.predict_proba(X), TINY))

    def decision_function(self, X: Any) -> np.ndarray:
        """The log-odds of the second of two classes, (n,); of more log p(y | x_O), (n, classes)."""
        found = self.predict_log_proba(X)
        return found[:, 1] - found[:, 0] if len(self.classes_) == 2 else found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows whose act is their class; a refusal is not."""
        right = [act == one for act, one in zip(self.predict(X), np.asarray(y))]
        return float(np.average(right, weights=sample_weight))

    def predict(self, X: Any) -> np.ndarray:
        """The action of least expected cost for each row, by default the most probable class.

        Its type is that of `classes_`; an array of objects if rows may be rejected and
        `rejected_label` is of another type.
        """
        inputs = self._inputs(X)
        decided = self.joint_.decide(
            inputs,
            **self._asked(
                cost=self._costs(), reject_cost=self.reject_cost, outlier_level=self.outlier_level
            ),
            seed=self.seed_,
        )
        if self.reject_cost is None and not isinstance(self.cost, Mapping):
            return decided.action.astype(self.classes_.dtype)
        act = decided.action.astype(object)
        act[decided.rejected] = self.rejected_label
        numbers = isinstance(self.rejected_label, Number) and self.classes_.dtype.kind in "iuf"
        text = isinstance(self.rejected_label, str) and self.classes_.dtype.kind == "U"
        return np.array(act.tolist()) if numbers or text else act

    def _costs(self) -> Any:
        """`cost`, which is in the order of `classes_`, in that of the levels."""
        place = [self.classes_.tolist().index(level) for level in self._levels]

        def ordered(row: Any) -> Any:
            long = not isinstance(row, Mapping) and np.shape(row) == (len(place),)
            return np.asarray(row)[place] if long else row

        if isinstance(self.cost, Mapping):
            return {act: ordered(row) for act, row in self.cost.items()}
        square = np.shape(self.cost) == (len(place), len(place))
        return np.asarray(self.cost)[np.ix_(place, place)] if square else self.cost
