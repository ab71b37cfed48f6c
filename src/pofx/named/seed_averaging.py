"""Answers of models that estimate: asked several times, each with noise of its own."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np

from pofx.core.abstract_approximate import REPLICATES, energies, estimates, reseeded, shifted
from pofx.core.answer import Answer
from pofx.core.errors import PofxWarning

STEP = 0.5
"""Standard errors by which log Z goes up and down to see what follows."""


def replicated(ask: Callable[..., Any], *held: Any) -> Any:
    """ask(*held); where their models estimate, the mean over independent seeds.

    The spread between the seeds is the standard error that the models' own noise adds to what the
    answer already has: it counts whatever the question does with the estimates, but no bias. log Z
    of an energy is estimated but once: what its error does is the slope of the answer in it.
    """
    if not any(estimates(p.model) for p in held):
        return ask(*held)

    def asked(number: int, energy: bytes = b"", errors: float = 0.0) -> Any:
        own = [shifted(p.model, energy, errors) if energy else p.model for p in held]
        return ask(*(replace(p, model=reseeded(m, number)) for p, m in zip(held, own)))

    found = [asked(0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # once is enough
        found += [asked(i) for i in range(1, REPLICATES)]
        names = energies([p.model for p in held])
        ends = [(asked(0, name, STEP), asked(0, name, -STEP)) for name in names]
    return _together(found, ends)


def of_estimates(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a method whose answer follows from a model, exact or estimated."""

    @wraps(method)
    def ask(self, *arguments: Any, **named: Any) -> Any:
        return replicated(lambda own: method(own, *arguments, **named), self)

    return ask


def _together(found: list[Any], ends: list[tuple[Any, Any]]) -> Any:
    """One answer of what the seeds gave, and of what each log Z up and down gave."""
    first = found[0]

    def parts(of: Callable[[Any], Any]) -> Any:
        return _together([of(x) for x in found], [(of(up), of(down)) for up, down in ends])

    if isinstance(first, Answer):
        return _mean(found, ends)
    if is_dataclass(first) and not isinstance(first, type):
        own = {f.name: parts(attrgetter(f.name)) for f in fields(first) if f.init}
        return replace(first, **own)
    if isinstance(first, Mapping) and all(isinstance(v, Answer) for v in first.values()):
        same = all(x.keys() == first.keys() for x in [*found, *sum(ends, ())])
        return {k: parts(itemgetter(k)) for k in first} if same else first
    return first


def _mean(found: list[Answer], ends: list[tuple[Answer, Answer]]) -> Answer:
    values = np.stack([np.asarray(a.value, np.float64) for a in found])
    first, slopes = found[0], [_slope(*pair) for pair in ends]
    if (values == values[:1]).all() and not any(slope.any() for slope in slopes):
        # No noise was seen, but that is no proof: a rare level may not have come up.
        how = f"weighted draws, {len(found)} times alike"
        return replace(first, kind="estimate", how=how) if first.kind == "exact" else first
    with np.errstate(invalid="ignore"):
        mean, spread = values.mean(0), values.std(0, ddof=1) / math.sqrt(len(found))
    own = np.mean([np.asarray(a.stderr, np.float64) for a in found], axis=0)
    error = np.sqrt(own**2 + spread**2 + sum(slope**2 for slope in slopes))
    shared = math.hypot(*(float(slope.mean()) for slope in slopes))
    scalar = np.ndim(mean) == 0
    return replace(
        first,
        value=float(mean) if scalar else mean,
        stderr=float(error) if scalar else error,
        kind="estimate",
        how=f"weighted draws, {len(found)} times",
        log=None,
        common=0.0 if scalar else math.hypot(_common(values, spread), shared),
    )


def _slope(up: Answer, down: Answer) -> np.ndarray:
    """How far a standard error of log Z moves the answer."""
    with np.errstate(invalid="ignore"):
        moved = np.subtract(up.value, down.value, dtype=np.float64) / (2 * STEP)
    return np.asarray(np.nan_to_num(moved, posinf=np.inf, neginf=-np.inf))


def _common(values: np.ndarray, spread: np.ndarray) -> float:
    """The error c that n entries share for their noise has something in common.

    Of errors e the mean's is V = c² + Σ (e² - c²) / n².
    """
    n, mean = spread.size, values.reshape(len(values), -1).mean(1)
    beyond = mean.var(ddof=1) / len(values) - (spread**2).sum() / n**2
    return math.sqrt(beyond / (1 - 1 / n)) if n > 1 and beyond > 0 else 0.0
