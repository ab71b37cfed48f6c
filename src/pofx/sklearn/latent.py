"""What is hidden behind rows, as features."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from pofx.sklearn.base import BaseGenerativeEstimator, weighed
from pofx.table.encoding import Unseen
from pofx.table.schema import Schema


class LatentTransformer(TransformerMixin, BaseGenerativeEstimator):
    """Rows to the posterior of the model's hidden variables, whatever cells are missing.

    Of a "mixture" the responsibilities p(k | x_O), of "ppca" and "factor_analysis" the scores
    E[z | x_O], of a "latent_tree" p(s_j | x_O) of each column's state, of a "vae" the mean of
    q(z | x_O). `n_components` is their number: of components, of latent numbers, of states of
    each column. (A "continuous_mixture" ends as a mixture of its points, whose responsibilities it
    gives.) The other parameters are those of `DensityEstimator`. Learned is `joint_`.

    >>> X = [[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]]
    >>> LatentTransformer("mixture", n_components=2, random_state=0).fit_transform(X).shape
    (6, 2)
    """

    def __init__(
        self,
        model: str = "mixture",
        *,
        n_components: int | None = None,
        options: Mapping[str, Any] | None = None,
        schema: Mapping[str, Any] | Schema | None = None,
        unseen: Unseen = "missing",
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

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "LatentTransformer":
        """Learns p(x, z) from rows of shape (n, d), z hidden."""
        table, known = self._rows(X, learning=True)
        table, weight = weighed(table, sample_weight)
        columns = self._columns(table)
        self.joint_ = self._learn(columns, weight, known)
        one = {name: column[:1] for name, column in columns.items()}
        self._names_out = list(self.joint_.latent(one, unseen=self.unseen))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The hidden variables of each row, (n, k)."""
        columns = self._columns(self._rows(X)[0])
        return np.column_stack(list(self.joint_.latent(columns, unseen=self.unseen).values()))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """component0, ... of a mixture; factor0, ...; state0_0, ...; latent0, ...."""
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        return np.array(self._names_out, dtype=object)
