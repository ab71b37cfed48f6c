"""Answers of models that estimate: asked several times, each with noise of its own."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from typing import Any

import numpy as np

from pofx.core.answer import Answer
from pofx.core.errors import PofxWarning
from pofx.core.inexact import REPLICATES, estimates, reseeded


def replicated(ask: Callable[..., Any], *held: Any) -> Any:
    """ask(*held); where their models estimate, the mean over independent seeds.

    The spread between the seeds is the standard error that the models' own noise adds to what the
    answer already has: it counts whatever the question does with the estimates, but no bias.
    """
    if not any(estimates(p.model) for p in held):
        return ask(*held)
    found = []
    for i in range(REPLICATES):
        own = [replace(p, model=reseeded(p.model, i)) for p in held]
        with warnings.catch_warnings():
            if i:  # once is enough
                warnings.simplefilter("ignore", PofxWarning)
            found.append(ask(*own))
    return _together(found)


def of_estimates(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a method whose answer follows from a model, exact or estimated."""

    @wraps(method)
    def ask(self, *arguments: Any, **named: Any) -> Any:
        return replicated(lambda own: method(own, *arguments, **named), self)

    return ask


def _together(found: list[Any]) -> Any:
    first = found[0]
    if isinstance(first, Answer):
        return _mean(found)
    if is_dataclass(first) and not isinstance(first, type):
        own = {
            f.name: _together([getattr(x, f.name) for x in found]) for f in fields(first) if f.init
        }
        return replace(first, **own)
    if isinstance(first, Mapping) and all(isinstance(v, Answer) for v in first.values()):
        same = all(x.keys() == first.keys() for x in found)
        return {k: _mean([x[k] for x in found]) for k in first} if same else first
    return first


def _mean(found: list[Answer]) -> Answer:
    values = np.stack([np.asarray(a.value, np.float64) for a in found])
    first = found[0]
    if (values == values[:1]).all():
        # No noise was seen, but that is no proof: a rare level may not have come up.
        how = f"weighted draws, {len(found)} times alike"
        return replace(first, kind="estimate", how=how) if first.kind == "exact" else first
    with np.errstate(invalid="ignore"):
        mean, spread = values.mean(0), values.std(0, ddof=1) / math.sqrt(len(found))
    own = np.mean([np.asarray(a.stderr, np.float64) for a in found], axis=0)
    error = np.hypot(own, spread)
    scalar = np.ndim(mean) == 0
    return replace(
        first,
        value=float(mean) if scalar else mean,
        stderr=float(error) if scalar else error,
        kind="estimate",
        how=f"weighted draws, {len(found)} times",
        common=0.0 if scalar else _common(values, spread),
    )


def _common(values: np.ndarray, spread: np.ndarray) -> float:
    """The error c that n entries share, as that of log Z.

    Of errors e the mean's is V = c² + Σ (e² - c²) / n².
    """
    n, mean = spread.size, values.reshape(len(values), -1).mean(1)
    beyond = mean.var(ddof=1) / len(values) - (spread**2).sum() / n**2
    return math.sqrt(beyond / (1 - 1 / n)) if n > 1 and beyond > 0 else 0.0
