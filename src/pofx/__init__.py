"""p of x: learn a distribution from a table or from images once, then ask it anything.

>>> import numpy as np, pofx
>>> p = pofx.fit({"x": np.linspace(-1, 1, 20), "y": np.arange(20) % 2}, "independent")
>>> print(p.mutual_information("x", "y"))
I(x; y) = 0 nats   exact, closed form
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from pofx.core.jax_version import refuse_faulty_jax
from pofx.core.learner import provide_learner

if TYPE_CHECKING:
    from collections.abc import Callable

    from pofx import estimate, plot, sklearn
    from pofx.core.answer import Answer
    from pofx.core.errors import PofxError, PofxWarning
    from pofx.fitting.fit import fit
    from pofx.fitting.stacking import stack
    from pofx.joint.joint import Joint
    from pofx.joint.loading import load
    from pofx.named.decisions import Decisions
    from pofx.named.diffusion_sampling import flow_log_prob, with_sampler
    from pofx.named.divergences import compare, cross_entropy, jensen_shannon, kl
    from pofx.table.schema import Schema, Variable
    from pofx.table.text_embedding import embed

__version__ = "0.1.0"

refuse_faulty_jax()

_HOMES = {
    "Answer": "core.answer",
    "Decisions": "table.decisions",
    "Joint": "table.joint",
    "PofxError": "core.errors",
    "PofxWarning": "core.errors",
    "Schema": "table.schema",
    "Variable": "table.schema",
    "compare": "table.pairs",
    "embed": "table.embed",
    "flow_log_prob": "table.sampling",
    "with_sampler": "table.sampling",
    "cross_entropy": "table.pairs",
    "fit": "table.fit",
    "jensen_shannon": "table.pairs",
    "kl": "table.pairs",
    "load": "table.saved",
    "stack": "table.stack",
}

_ROOMS = ("estimate", "plot", "sklearn")

__all__ = [
    "Answer",
    "Decisions",
    "Joint",
    "PofxError",
    "PofxWarning",
    "Schema",
    "Variable",
    "compare",
    "cross_entropy",
    "embed",
    "estimate",
    "fit",
    "flow_log_prob",
    "jensen_shannon",
    "kl",
    "load",
    "plot",
    "sklearn",
    "stack",
    "with_sampler",
]


def __getattr__(name: str) -> object:
    """Imports a public name when it is first used: JAX takes most of a second to import."""
    if name in _ROOMS:
        return import_module(f"pofx.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'pofx' has no attribute {name!r}")
    return getattr(import_module(f"pofx.{_HOMES[name]}"), name)


provide_learner(lambda: cast("Callable[..., Any]", __getattr__("fit")))


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
