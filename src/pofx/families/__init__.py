"""One-column distributions, of which every model is made."""

from pofx.families.bernoulli import Bernoulli
from pofx.families.beta import Beta
from pofx.families.categorical import Categorical
from pofx.families.column_families import (
    base_class,
    families_from_data,
    family_class,
    group_columns,
)
from pofx.families.gamma import Gamma
from pofx.families.inflated import Inflated
from pofx.families.log_normal import LogNormal
from pofx.families.negative_binomial import NegativeBinomial
from pofx.families.normal import Normal
from pofx.families.poisson import Poisson
from pofx.families.student_t import StudentT
from pofx.families.uniform import Uniform

__all__ = [
    "Bernoulli",
    "Beta",
    "Categorical",
    "Gamma",
    "Inflated",
    "LogNormal",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "StudentT",
    "Uniform",
    "base_class",
    "families_from_data",
    "family_class",
    "group_columns",
]
