"""The family of models in one table, by what their classes promise."""

from typing import NamedTuple

from pofx.core.abstract import (
    AbstractDistribution,
    AbstractEMModel,
    AbstractLearnable,
    AbstractSGDModel,
    AbstractStepwiseEMModel,
    AbstractTractable,
)
from pofx.core.abstract_approximate import (
    AbstractApproximate,
    AbstractEnergyModel,
    AbstractExactDensity,
    AbstractLowerBound,
)
from pofx.core.column import KINDS
from pofx.core.registry import discover

HEADS = (
    "model",
    "density of a row",
    "marginals",
    "conditional draws",
    "new rows",
    "one costs",
    "learned by",
    "missing cells in learning",
    "columns",
)


class ModelProperties(NamedTuple):
    """What a model's class promises, in words, in the order of HEADS."""

    model: str
    density: str
    marginals: str
    conditionals: str
    sampling: str
    cost: str
    learned: str
    holes: str
    columns: str


def model_properties() -> list[ModelProperties]:
    """Each model that can be fitted, the exact ones first.

    >>> model_properties()[0].density
    'exact'
    """
    classes = discover("pofx.models", AbstractLearnable).items()
    return [_of(name, cls) for name, cls in sorted(classes, key=lambda own: _rank(own[1]))]


def markdown() -> str:
    """The table as docs/taxonomy.md holds it."""
    lines = [HEADS, ["---"] * len(HEADS), *model_properties()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rank(cls: type[AbstractDistribution]) -> int:
    order = (AbstractTractable, AbstractExactDensity, AbstractLowerBound, AbstractEnergyModel)
    return next((i for i, promise in enumerate(order) if issubclass(cls, promise)), len(order))


def _of(name: str, cls: type[AbstractLearnable]) -> ModelProperties:
    density, marginals, draws, new = {
        0: ("exact", "exact", "exact", "exact"),
        1: ("exact", "estimate", "by weights", "exact"),
        2: ("lower bound", "lower bound", "by weights", "exact"),
        3: ("estimate", "estimate", "by weights", "Markov chain"),
    }[_rank(cls)]
    kinds = cls.supported_kinds("x")
    columns = (
        "all kinds" if kinds == frozenset(KINDS) else ", ".join(k for k in KINDS if k in kinds)
    )
    return ModelProperties(
        f"`{name}`",
        density,
        marginals,
        draws,
        new,
        cls.sampling_cost,
        _learned(cls),
        _holes(cls),
        columns,
    )


def _learned(cls: type[AbstractLearnable]) -> str:
    if issubclass(cls, AbstractSGDModel):
        return "gradients"
    if issubclass(cls, AbstractStepwiseEMModel):
        return "EM, by batches of many rows"
    return "closed form or EM" if issubclass(cls, AbstractEMModel) else "its parts"


def _holes(cls: type[AbstractLearnable]) -> str:
    if not issubclass(cls, AbstractApproximate):
        return "integrated out"
    if not cls.learns_from_missing:
        return "drawn from the proposal"
    return "left out of a bound"
