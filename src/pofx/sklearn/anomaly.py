"""Rows unlike the others."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin

from pofx.core.errors import PofxError
from pofx.sklearn.base import BaseGenerativeEstimator, weighed
from pofx.table.encoding import Unseen, encode
from pofx.table.schema import Schema

DRAWS = 4096
"""Draws behind an entropy that has no closed form."""


class AnomalyDetector(OutlierMixin, BaseGenerativeEstimator):
    """Rows of low probability, each judged by the cells that it has.

    s(x_O) = log p(x_O) + H(x_O)

    The second term, the entropy of the observed columns under the model, makes rows with different
    missing cells comparable: rows of the model have s of mean zero whatever is missing of them.
    `contamination` is the share of the rows learned from that `predict` calls anomalies.
    `joint_.tail_probability` is another score of a row. The other parameters are those of
    `DensityEstimator`, but `unseen` is an "error" by default: a level never seen, taken as missing,
    would make its row look usual. Learned are `offset_`, the score below which a row is anomalous,
    and `joint_`.

    >>> X = [[0.0], [0.1], [0.2], [0.3], [9.0]]
    >>> AnomalyDetector("gaussian", contamination=0.2).fit_predict(X)
    array([ 1,  1,  1,  1, -1])
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        contamination: float = 0.1,
        n_components: int | None = None,
        options: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | Schema | None = None,
        unseen: Unseen = "error",
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
        self.contamination = contamination

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "AnomalyDetector":
        """Learns p(x) from rows of shape (n, d), and how low the lowest of them lie."""
        share = self.contamination
        if not isinstance(share, Real) or not 0 < share <= 0.5:
            raise PofxError(f"contamination: expected a share, above 0 to 0.5; got {share!r}")
        table, known = self._rows(X, learning=True)
        table, weight = weighed(table, sample_weight)
        self.joint_ = self._learn(table, weight, known)
        scores = self._scores(table)
        self.offset_ = _quantile(scores, share, np.ones(len(scores)) if weight is None else weight)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """s(x_O) of each row, (n,), in nats: the lower, the stranger."""
        return self._scores(self._rows(X)[0])

    def decision_function(self, X: Any) -> np.ndarray:
        """s(x_O) - `offset_` of each row, (n,): negative for anomalies."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """-1 for an anomaly, 1 for others: (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _scores(self, table: Any) -> np.ndarray:
        joint = self.joint_
        scores = np.asarray(joint.log_prob(table, unseen=self.unseen).value, np.float64)
        observed = ~np.isnan(encode(joint.schema, table, unseen=self.unseen))
        patterns, owner = np.unique(observed, axis=0, return_inverse=True)
        names = np.array(joint.schema.names)
        entropies = [
            float(joint.entropy(*names[own], max_draws=DRAWS)) if own.any() else 0.0
            for own in patterns
        ]
        return scores + np.array(entropies)[owner.reshape(-1)]


def _quantile(values: np.ndarray, share: float, weight: np.ndarray) -> float:
    """A number that this share of the weight lies below, halfway to the next where it may be.

    Hyndman and Fan, "Sample quantiles in statistical packages" (1996), definition 2.
    """
    order = np.argsort(values)
    below = np.cumsum(weight[order])
    aim = share * below[-1]
    i = int(np.searchsorted(below, aim * (1 - 1e-12)))
    j = min(i + 1, len(order) - 1) if np.isclose(below[i], aim, rtol=1e-12) else i
    return float(values[order[[i, j]]].mean())
