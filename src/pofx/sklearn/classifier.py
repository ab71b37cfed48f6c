"""A classifier by Bayes' rule."""

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from pofx.core.errors import PofxError
from pofx.sklearn.base import Supervised, weighed
from pofx.table.encoding import Unseen
from pofx.table.schema import Schema

TINY = np.finfo(np.float32).tiny
"""The least probability whose logarithm is told."""


class GenerativeClassifier(ClassifierMixin, Supervised):
    """p(y | x_O) = p(x_O, y) / Σ_y p(x_O, y), from p(x, y) of the inputs and the class together.

    Whatever inputs are missing are integrated out, in learning and in predicting. `cost` is that of
    acts (rows) where a class is the truth (columns), 0 or 1 by default. With `reject`, the cost of
    not deciding, `predict` answers `refused` where the best act is expected to cost more (Chow
    1970), or where p(x_O) is so low that a draw of the model is as unlikely with probability below
    `strange` only; reject=inf refuses for the second reason alone, strange=0 for the first.
    (`score` takes any `refused`; scikit-learn's other scores want one of the classes' type, as "?"
    or -1.) With model="chain", p(y) p(x | y), the class is what it chains on. The other parameters
    are those of `DensityEstimator`. Learned are `classes_`, `joint_` over inputs and class, and its
    name there, `target_`.

    >>> X, y = [[0.0], [0.2], [0.3], [2.0], [2.2], [2.3]], ["a", "a", "a", "b", "b", "b"]
    >>> p = GenerativeClassifier("chain", options={"part": "gaussian"}, reject=0.1, refused="?")
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
        reject: float | None = None,
        strange: float = 0.01,
        refused: Any = None,
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
        self.reject = reject
        self.strange = strange
        self.refused = refused

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "GenerativeClassifier":
        """Learns p(x, y) from inputs of shape (n, d) and classes of shape (n,)."""
        table, known = self._rows(X, learning=True)
        y = self._target(table, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        levels = self.classes_.tolist()
        if len(levels) < 2:
            raise PofxError(f"y: wanted two classes or more, got one class, {levels[0]!r}")
        table, weight, y = weighed(table, sample_weight, y)
        columns = {**self._columns(table), self.target_: y}
        kind = "binary" if len(levels) == 2 else "categorical"
        known[self.target_] = {"kind": kind, "levels": levels}
        on = {"on": self.target_} if self.model == "chain" else {}
        self.joint_ = self._learn(columns, weight, known, **on)
        if set(self._levels) != set(levels):
            raise PofxError(
                f"schema: wanted the classes of y, {levels}, as the levels of {self.target_!r}, "
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
        """The act of least expected cost in each row, the likeliest class by default, or a refusal.

        Of the type of `classes_`; where refusals are asked for and `refused` is not of that type,
        an array of objects.
        """
        inputs = self._inputs(X)
        decided = self.joint_.decide(
            inputs,
            **self._asked(cost=self._costs(), reject=self.reject, strange=self.strange),
            seed=self.seed_,
        )
        if self.reject is None and not isinstance(self.cost, Mapping):
            return decided.act.astype(self.classes_.dtype)
        act = decided.act.astype(object)
        act[decided.refused] = self.refused
        numbers = isinstance(self.refused, Number) and self.classes_.dtype.kind in "iuf"
        text = isinstance(self.refused, str) and self.classes_.dtype.kind == "U"
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
