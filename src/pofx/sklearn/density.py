"""The distribution of rows as an estimator."""

from typing import Any

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils.validation import check_is_fitted

from pofx.sklearn.base import BaseGenerativeEstimator, row_weights, seed_of


class DensityEstimator(DensityMixin, BaseGenerativeEstimator):
    """p(x) of a table's rows, for `cross_val_score`, `GridSearchCV` and pipelines.

    Args:
        model: a name that `pofx models` lists. None lets `pofx.fit` select one, which takes
            `budget` seconds per fit: name a model if you fit many times.
        n_components: the size of the model: components of a mixture (also if no model is named),
            latent numbers, or states; None for its default.
        options: further arguments of `pofx.fit`, for the model (part, covariance, ...) or for
            learning (restarts, epochs, ...).
        schema: kinds of columns that differ from the inferred ones, or a whole schema.
        unseen: whether a level never seen is "missing", and integrated out, or an "error".
        budget: seconds for the selection of a model; None for the default of `pofx.fit`.
        random_state: an integer, a numpy generator, or None for a random seed.

    Learned attributes: `joint_`, the `pofx.Joint`, and `seed_`, from `random_state`.

    >>> p = DensityEstimator("gaussian").fit([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    >>> p.score_samples([[1.0, 1.0], [float("nan"), 1.0]]).round(3)
    array([-1.289, -0.716])
    >>> p.joint_
    p(x0, x1)  Gaussian
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "DensityEstimator":
        """Learns p(x) from rows of shape (n, d)."""
        self._fit_rows(X, sample_weight)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x_O) of each row, (n,), in nats and in the data's units."""
        table = self._read_rows(X)[0]
        answer = self.joint_.log_prob(table, unseen=self.unseen)
        return np.asarray(answer.value, np.float64)

    def score(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> float:
        """The mean of log p(x_O) over the rows, in nats."""
        return float(np.average(self.score_samples(X), weights=row_weights(sample_weight, X)))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Draws new rows, in the kind of data that was learned from."""
        check_is_fitted(self)
        return self._with_original_names(self.joint_.sample(n_samples, seed=seed_of(random_state)))
