"""Missing cells filled in from the distribution of rows."""

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
from sklearn import get_config
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from pofx.core.errors import unknown_name_error
from pofx.sklearn.base import BaseGenerativeEstimator, seed_of
from pofx.table.encoding import Unseen
from pofx.table.schema import Schema

STRATEGIES = ("expectation", "completion", "draw")


class GenerativeImputer(OneToOneFeatureMixin, TransformerMixin, BaseGenerativeEstimator):
    """Fills in missing cells from p(x_M | x_O).

    The output is a frame with its dtypes for a frame, an array for an array. Observed cells keep
    their value to the bit. `sample_posterior` draws several tables, for multiple imputation.

    Args:
        strategy: "expectation" (the conditional mean of each number, the most probable level of
            each other cell), "completion" (the jointly most probable values of a row's missing
            cells), or "draw" (one draw from p(x_M | x_O), which preserves variances).

    The other parameters are those of `DensityEstimator`.

    >>> import numpy as np
    >>> X = np.linspace(0, 1, 50)[:, None] * [1.0, 2.0]
    >>> X[20, 1] = np.nan
    >>> GenerativeImputer("gaussian").fit_transform(X)[20].round(2).tolist()
    [0.41, 0.82]
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        strategy: str = "expectation",
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
        self.strategy = strategy

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "GenerativeImputer":
        """Learns p(x) from rows of shape (n, d), which may have missing cells."""
        if self.strategy not in STRATEGIES:
            raise unknown_name_error("strategy", self.strategy, STRATEGIES)
        self._fit_rows(X, sample_weight)
        return self

    def transform(self, X: Any) -> Any:
        """The rows with their missing cells filled in."""
        table = self._read_rows(X)[0]
        if self.strategy == "completion":
            return self._to_output(self.joint_.most_probable(table, unseen=self.unseen))
        draws = 1 if self.strategy == "draw" else None
        imputed = self.joint_.impute(table, draws=draws, unseen=self.unseen, seed=self.seed_)
        return self._to_output(imputed[0] if draws else imputed)

    def _to_output(self, table: Any) -> Any:
        """The table as the frame that `set_output` asks for; scikit-learn would lose its dtypes."""
        config = getattr(self, "_sklearn_output_config", {})
        kind = config.get("transform") or get_config()["transform_output"]
        named = self._with_original_names(table)
        frame = nw.from_native(named, eager_only=True, pass_through=True)
        if isinstance(frame, nw.DataFrame) and kind in ("pandas", "polars"):
            return frame.to_pandas() if kind == "pandas" else frame.to_polars()
        return nw.to_native(frame, pass_through=True)

    def sample_posterior(self, X: Any, n_samples: int = 5, random_state: Any = None) -> list[Any]:
        """`n_samples` tables whose missing cells are drawn from p(x_M | x_O) (Rubin 1987)."""
        table = self._read_rows(X)[0]
        seed = seed_of(random_state)
        tables = self.joint_.impute(table, draws=n_samples, unseen=self.unseen, seed=seed)
        return [self._with_original_names(imputed) for imputed in tables]
