"""The distribution itself as an estimator."""

from typing import Any

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils.validation import check_is_fitted

from pofx.sklearn.base import BaseGenerativeEstimator, seed_of, weighed, weights


class DensityEstimator(DensityMixin, BaseGenerativeEstimator):
    """p(x) of a table's rows, for `cross_val_score`, `GridSearchCV` and pipelines.

    `model` is a name that `pofx models` lists, or None for what `pofx.fit` finds within `budget`
    seconds, which it takes: name one where many are fitted. `n_components` is its size: components
    of a mixture (of one too where no model is named), latent numbers, states. `options` are further
    arguments of `pofx.fit`, of the model (part, covariance, ...) or of learning (restarts, epochs,
    ...). `schema` says the kinds of columns that are not what they look like; `unseen` whether a
    level never seen is "missing", and integrated out, or an "error". Learned are `joint_`, the
    `pofx.Joint`, and `seed_`, from `random_state`.

    >>> p = DensityEstimator("gaussian").fit([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    >>> p.score_samples([[1.0, 1.0], [float("nan"), 1.0]]).round(3)
    array([-1.289, -0.716])
    >>> p.joint_
    p(x0, x1)  Gaussian
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "DensityEstimator":
        """Learns p(x) from rows of shape (n, d)."""
        table, known = self._rows(X, learning=True)
        table, weight = weighed(table, sample_weight)
        self.joint_ = self._learn(table, weight, known)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x_O) of each row, (n,), in nats and in the data's units."""
        table = self._rows(X)[0]
        found = self.joint_.log_prob(table, unseen=self.unseen)
        return np.asarray(found.value, np.float64)

    def score(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> float:
        """The mean of log p(x_O) over the rows, in nats."""
        return float(np.average(self.score_samples(X), weights=weights(sample_weight, X)))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """New rows, of the kind of data that was learned from."""
        check_is_fitted(self)
        return self._named(self.joint_.sample(n_samples, seed=seed_of(random_state)))
