"""Rows of low probability."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin

from pofx.core.errors import PofxError
from pofx.sklearn.base import BaseGenerativeEstimator
from pofx.table.encoding import Unseen, encode
from pofx.table.schema import Schema

MAX_ENTROPY_DRAWS = 4096
"""Draws for an entropy that has no closed form."""


class AnomalyDetector(OutlierMixin, BaseGenerativeEstimator):
    """Detects rows of low probability from their observed cells.

    s(x_O) = log p(x_O) + H(x_O)

    The second term, the entropy of the observed columns under the model, makes rows with different
    missing cells comparable: the mean of s over draws of the model is zero whatever is missing.
    `joint_.tail_probability` is another score of a row.

    Args:
        contamination: the share of the learned rows that `predict` calls anomalies, in (0, 0.5].
        unseen: an "error" by default, because a level never seen that counted as missing would
            make its row look usual.

    The other parameters are those of `DensityEstimator`. Learned attributes: `offset_`, the score
    below which a row is an anomaly, and `joint_`.

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
        self.contamination = contamination

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "AnomalyDetector":
        """Learns p(x) from rows of shape (n, d), and the score of the least probable of them."""
        share = self.contamination
        if not isinstance(share, Real) or not 0 < share <= 0.5:
            raise PofxError(f"contamination: expected a share, above 0 to 0.5; got {share!r}")
        table, weight = self._fit_rows(X, sample_weight)
        scores = self._scores(table)
        self.offset_ = _quantile(scores, share, np.ones(len(scores)) if weight is None else weight)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """s(x_O) of each row, (n,), in nats; lower is more anomalous."""
        return self._scores(self._read_rows(X)[0])

    def decision_function(self, X: Any) -> np.ndarray:
        """s(x_O) - `offset_` of each row, (n,): negative for anomalies."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """-1 for an anomaly, 1 for another row: (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _scores(self, table: Any) -> np.ndarray:
        joint = self.joint_
        scores = np.asarray(joint.log_prob(table, unseen=self.unseen).value, np.float64)
        observed = ~np.isnan(encode(joint.schema, table, unseen=self.unseen))
        patterns, pattern_of_row = np.unique(observed, axis=0, return_inverse=True)
        names = np.array(joint.schema.names)
        entropies = [
            float(joint.entropy(*names[mask], max_draws=MAX_ENTROPY_DRAWS)) if mask.any() else 0.0
            for mask in patterns
        ]
        return scores + np.array(entropies)[pattern_of_row.reshape(-1)]


def _quantile(values: np.ndarray, share: float, weight: np.ndarray) -> float:
    """The value below which this share of the weight lies, midway if two values qualify.

    Hyndman and Fan, "Sample quantiles in statistical packages" (1996), definition 2.
    """
    order = np.argsort(values)
    cumulative = np.cumsum(weight[order])
    target = share * cumulative[-1]
    i = int(np.searchsorted(cumulative, target * (1 - 1e-12)))
    j = min(i + 1, len(order) - 1) if np.isclose(cumulative[i], target, rtol=1e-12) else i
    return float(values[order[[i, j]]].mean())
