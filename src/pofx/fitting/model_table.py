"""The table of all models and their properties, read off their classes (`pofx models --table`)."""

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

HEADINGS = (
    "model",
    "density of a row",
    "marginals",
    "conditional draws",
    "new rows",
    "cost of a row",
    "learned by",
    "missing cells in learning",
    "columns",
)


class ModelProperties(NamedTuple):
    """The properties of a model in words, in the order of HEADINGS."""

    model: str
    density: str
    marginals: str
    conditionals: str
    sampling: str
    cost: str
    learning: str
    missing_cells: str
    columns: str


def model_properties() -> list[ModelProperties]:
    """Each model that can be fitted, the exact ones first.

    >>> model_properties()[0].density
    'exact'
    """
    classes = discover("pofx.models", AbstractLearnable).items()
    ranked = sorted(classes, key=lambda item: _rank(item[1]))
    return [_properties_of(name, cls) for name, cls in ranked]


def markdown() -> str:
    """The table in Markdown, as in docs/taxonomy.md."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *model_properties()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rank(cls: type[AbstractDistribution]) -> int:
    """The place of a class in the table: exact models first."""
    bases = (AbstractTractable, AbstractExactDensity, AbstractLowerBound, AbstractEnergyModel)
    return next((i for i, base in enumerate(bases) if issubclass(cls, base)), len(bases))


def _properties_of(name: str, cls: type[AbstractLearnable]) -> ModelProperties:
    density, marginals, conditionals, sampling = {
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
        conditionals,
        sampling,
        cls.sampling_cost,
        _learning(cls),
        _missing_cells(cls),
        columns,
    )


def _learning(cls: type[AbstractLearnable]) -> str:
    if issubclass(cls, AbstractSGDModel):
        return "gradients"
    if issubclass(cls, AbstractStepwiseEMModel):
        return "EM, by batches of many rows"
    return "closed form or EM" if issubclass(cls, AbstractEMModel) else "its parts"


def _missing_cells(cls: type[AbstractLearnable]) -> str:
    if not issubclass(cls, AbstractApproximate):
        return "integrated out"
    if not cls.learns_from_missing:
        return "drawn from the proposal"
    return "left out of a bound"
