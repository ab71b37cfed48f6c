"""The models that `fit` compares when none is named, as ladders of growing size."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from pofx.core.abstract import AbstractLearnable
from pofx.core.column import Column
from pofx.core.registry import class_by_name
from pofx.core.rows import Rows
from pofx.learn.learner import Start
from pofx.models.correlated import is_number
from pofx.table.schema import Schema

COMPONENT_COUNTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
DOUBLING_COUNTS = tuple(k for k in COMPONENT_COUNTS if k.bit_count() == 1)
STATE_COUNTS = (8, 16, 32, 64, 128)
MIN_NETWORK_ROWS = 100
"""Rows from which a network is tried."""
MAX_FULL_SEARCH_ROWS = 1000
"""Fewer rows than this try every number of components, more of them only powers of two."""
FULL_NETWORK_ROWS = 5000
"""Rows from which a network has its default size."""
MIN_ROWS_PER_COMPONENT = 5
"""For a mixture of independent columns; of jointly normal columns: as many per column."""
MIN_ROWS_PER_STATE = 10
MAX_TREE_LEVELS = 16
"""Levels of every column up to which a continuous mixture has trees as its parts."""
RELATING_COUNTS = tuple(k for k in DOUBLING_COUNTS if 4 <= k <= 16)
"""Components of the mixtures that are compared on a sample when the budget is over."""


class ModelSpec(NamedTuple):
    """A model by name, with its options."""

    model: str
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name on the leaderboard, such as mixture(components=4)."""
        options = ", ".join(f"{k}={v}" for k, v in self.options.items() if k != "restarts")
        return f"{self.model}({options})" if options else self.model

    @property
    def cls(self) -> type[AbstractLearnable]:
        """The class of the model."""
        return class_by_name("pofx.models", AbstractLearnable, "model", self.model)

    def start(self, schema: Schema) -> Start:
        """The function from a key and rows to the model before it is learned."""
        return model_start(self.cls, schema, self.options)


def model_start(cls: type[AbstractLearnable], schema: Schema, options: Mapping[str, Any]) -> Start:
    """The function from a key and rows to a model of class `cls` before it is learned."""

    def start(key: jax.Array, rows: Rows) -> AbstractLearnable:
        return cls.from_data(key, rows, schema.columns, **options)

    return start


def candidate_ladders(schema: Schema, n: int) -> list[list[ModelSpec]]:
    """Ladders of models that n rows of these columns can support, each from the smallest up."""
    columns = schema.columns
    small = n < MAX_FULL_SEARCH_ROWS
    numbers = sum(map(is_number, columns))
    rows_per_normal = MIN_ROWS_PER_COMPONENT * numbers
    ladders = [[ModelSpec("independent", {})]]
    if numbers < 2 or numbers == len(columns):
        counts = COMPONENT_COUNTS if small else DOUBLING_COUNTS
        ladders.append(mixture_ladder(counts, n))
    if numbers > 1 and all(c.kind == "real" and not c.spikes for c in columns):
        options = {"part": "gaussian"}
        mixtures = mixture_ladder(COMPONENT_COUNTS, n, options, rows_per_normal)
        ladders.append([ModelSpec("gaussian", {}), *mixtures])
    elif numbers > 1:
        # If there are few rows, the components share a covariance.
        options = {"part": "correlated", "covariance": "tied" if small else "full"}
        rows_per_component = MIN_ROWS_PER_COMPONENT if small else rows_per_normal
        mixtures = mixture_ladder(DOUBLING_COUNTS, n, options, rows_per_component)
        ladders.append([ModelSpec("correlated", {}), *mixtures])
        if small:
            ladders.append(_class_conditional_ladder(columns, n, rows_per_normal))
    if len(columns) > 1:
        ladders.append([ModelSpec("chow_liu_tree", {})])
        states = [k for k in STATE_COUNTS if MIN_ROWS_PER_STATE * k <= n]
        ladders.append([ModelSpec("latent_tree", {"states": k}) for k in states])
    if len(columns) > 1 and n >= MIN_NETWORK_ROWS:
        tree = all(c.discrete and c.levels <= MAX_TREE_LEVELS for c in columns)
        part = "chow_liu_tree" if tree else "independent"
        size = {} if n >= FULL_NETWORK_ROWS else {"points": 256, "width": 128}
        ladders.append([ModelSpec("continuous_mixture", {"part": part, **size})])
    return [ladder for ladder in ladders if ladder]


def mixture_ladder(
    counts: Sequence[int],
    n: int,
    options: Mapping[str, Any] | None = None,
    rows_per_component: int = MIN_ROWS_PER_COMPONENT,
) -> list[ModelSpec]:
    """Mixtures of growing size, each component with at least `rows_per_component` of n rows."""
    supported = [k for k in counts if k == 1 or rows_per_component * k <= n]
    return [ModelSpec("mixture", {"components": k, **(options or {})}) for k in supported]


def relating_ladders(n: int) -> list[list[ModelSpec]]:
    """Ladders that begin with a model that relates columns, because the first is always tried."""
    mixtures = mixture_ladder(RELATING_COUNTS, n)
    ladders = [mixtures, [ModelSpec("chow_liu_tree", {})], [ModelSpec("independent", {})]]
    return [ladder for ladder in ladders if ladder]


def _class_conditional_ladder(
    columns: Sequence[Column], n: int, rows_per_level: int
) -> list[ModelSpec]:
    """Models whose numbers are jointly normal given one column, from the one of fewest levels."""
    names = [c.variable for c in columns]
    labels = [
        c
        for c in columns
        if c.levels > 1 and names.count(c.variable) == 1 and rows_per_level * c.levels <= n
    ]
    labels.sort(key=lambda c: c.levels)
    return [
        ModelSpec("class_conditional", {"on": c.variable, "part": "correlated"}) for c in labels
    ]
