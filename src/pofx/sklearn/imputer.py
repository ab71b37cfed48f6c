"""Missing cells from the distribution of whole rows."""

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
from sklearn import get_config
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from pofx.core.errors import unknown_name_error
from pofx.sklearn.base import BaseGenerativeEstimator, seed_of, weighed
from pofx.table.encoding import Unseen
from pofx.table.schema import Schema

STRATEGIES = ("expectation", "completion", "draw")


class GenerativeImputer(OneToOneFeatureMixin, TransformerMixin, BaseGenerativeEstimator):
    """Missing cells filled by what p(x_M | x_O) says of them.

    `strategy` is "expectation", cell by cell the conditional mean of a number and the most probable
    level; "completion", the most probable rest of a row as one; or "draw", one draw from
    p(x_M | x_O), which keeps variances as they are. `sample_posterior` gives several such tables,
    for multiple imputation. A frame comes out a frame, with its dtypes, an array an array; observed
    cells keep their value to the bit. The other parameters are those of `DensityEstimator`.

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
        self.strategy = strategy

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "GenerativeImputer":
        """Learns p(x) from rows of shape (n, d), missing cells among them."""
        if self.strategy not in STRATEGIES:
            raise unknown_name_error("strategy", self.strategy, STRATEGIES)
        table, known = self._rows(X, learning=True)
        table, weight = weighed(table, sample_weight)
        self.joint_ = self._learn(table, weight, known)
        return self

    def transform(self, X: Any) -> Any:
        """The rows with their missing cells filled in."""
        table = self._rows(X)[0]
        if self.strategy == "completion":
            return self._asked_for(self.joint_.most_probable(table, unseen=self.unseen))
        draws = 1 if self.strategy == "draw" else None
        found = self.joint_.impute(table, draws=draws, unseen=self.unseen, seed=self.seed_)
        return self._asked_for(found[0] if draws else found)

    def _asked_for(self, found: Any) -> Any:
        """The table in the container of `set_output`, which else makes objects of other frames."""
        own = getattr(self, "_sklearn_output_config", {})
        kind = own.get("transform") or get_config()["transform_output"]
        table = nw.from_native(self._named(found), eager_only=True, pass_through=True)
        if isinstance(table, nw.DataFrame) and kind in ("pandas", "polars"):
            return table.to_pandas() if kind == "pandas" else table.to_polars()
        return nw.to_native(table, pass_through=True)

    def sample_posterior(self, X: Any, n_samples: int = 5, random_state: Any = None) -> list[Any]:
        """Whole tables, their missing cells drawn from p(x_M | x_O) (Rubin 1987)."""
        table, seed = self._rows(X)[0], seed_of(random_state)
        found = self.joint_.impute(table, draws=n_samples, unseen=self.unseen, seed=seed)
        return [self._named(whole) for whole in found]
