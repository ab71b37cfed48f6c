"""The hidden variables of rows, as features."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from pofx.sklearn.base import BaseGenerativeEstimator
from pofx.table.encoding import Unseen
from pofx.table.schema import Schema


class LatentTransformer(TransformerMixin, BaseGenerativeEstimator):
    """Transforms rows to the posterior of the model's hidden variables, also with missing cells.

    | model | features | `n_components` |
    | --- | --- | --- |
    | "mixture" | responsibilities p(k given x_O) | components |
    | "ppca", "factor_analysis" | scores E[z given x_O] | latent numbers |
    | "latent_tree" | p(s_j given x_O) of each column's state | states per column |
    | "vae" | the mean of q(z given x_O) | latent numbers |
    | "continuous_mixture" | responsibilities of the points it ends with | latent numbers |

    Args:
        model: one of the models of the table.
        n_components: the size of the model, as in the table; None for its default.
        options: further arguments of `pofx.fit`, for the model (part, covariance, ...) or for
            learning (restarts, epochs, ...).
        schema: kinds of columns that differ from the inferred ones, or a whole schema.
        unseen: whether a level never seen is "missing", and integrated out, or an "error".
        budget: without effect, because the model is named.
        random_state: an integer, a numpy generator, or None for a random seed.

    Learned attributes: `joint_`, the `pofx.Joint` of the rows, and `seed_`, from `random_state`.
    `transform` returns an array (n, features): probabilities from 0 to 1 for responsibilities and
    states, latent numbers in units of their prior standard deviation.

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

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "LatentTransformer":
        """Learns p(x, z) from rows of shape (n, d), where z is hidden."""
        columns, _ = self._fit_rows(X, sample_weight, as_columns=True)
        first_row = {name: column[:1] for name, column in columns.items()}
        self._names_out = list(self.joint_.latent(first_row, unseen=self.unseen))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The posterior of the hidden variables of each row, (n, k)."""
        columns = self._columns(self._read_rows(X)[0])
        return np.column_stack(list(self.joint_.latent(columns, unseen=self.unseen).values()))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The names of the features: component0, factor0, state0_0, latent0 and so on."""
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        return np.array(self._names_out, dtype=object)
