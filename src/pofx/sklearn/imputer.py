"""Missing cells from the distribution of whole rows."""

from collections.abc import Mapping
from typing import Any

from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from pofx.core.errors import unknown
from pofx.sklearn.base import Generative, seed_of, weighed
from pofx.table.encode import Unseen
from pofx.table.schema import Schema

STRATEGIES = ("expectation", "completion", "draw")


class GenerativeImputer(OneToOneFeatureMixin, TransformerMixin, Generative):
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
            raise unknown("strategy", self.strategy, STRATEGIES)
        table, known = self._rows(X, learning=True)
        table, weight = weighed(table, sample_weight)
        self.joint_ = self._learn(table, weight, known)
        return self

    def transform(self, X: Any) -> Any:
        """The rows with their missing cells filled in."""
        table = self._rows(X)[0]
        if self.strategy == "completion":
            return self._named(self.joint_.complete(table, unseen=self.unseen))
        draws = 1 if self.strategy == "draw" else None
        found = self.joint_.impute(table, draws=draws, unseen=self.unseen, seed=self.seed_)
        return self._named(found[0] if draws else found)

    def sample_posterior(self, X: Any, n_samples: int = 5, random_state: Any = None) -> list[Any]:
        """Whole tables, their missing cells drawn from p(x_M | x_O) (Rubin 1987)."""
        table, seed = self._rows(X)[0], seed_of(random_state)
        found = self.joint_.impute(table, draws=n_samples, unseen=self.unseen, seed=seed)
        return [self._named(whole) for whole in found]
