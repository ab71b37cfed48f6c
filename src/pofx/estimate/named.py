"""Cross-fitting of models that `pofx.fit`, or a function like it, learns from named columns."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.core.fit_hook import provided_fit
from pofx.estimate.cross_fit import Density, Learner
from pofx.estimate.input_samples import Sample

FitFunction = Callable[..., Any]
"""fit(data, weights=...) -> a fitted joint distribution, as `pofx.fit` is."""


def fit_function(model: Any, seed: int) -> FitFunction:
    """The function that fits a model.

    Args:
        model: the name of a model, or such a function, which is returned as it is.
        seed: seed of the fit of a named model.
    """
    if isinstance(model, str):
        return partial(provided_fit(), model=model, seed=seed)
    if callable(model) and _takes_weights(model):
        return model
    raise PofxError(
        "model: expected 'auto', a name that `pofx models` lists, or a function "
        f"fit(data, weights=...) as pofx.fit; got {model!r}"
    )


def named_learner(fit: FitFunction, samples: Mapping[str, Sample]) -> Learner:
    """A function that learns from columns x, y and given by `fit`, held-out rows with weight 0.

    Weights do not affect schema inference, so the schema knows all levels, and shapes stay the
    same.
    """
    names = [_column_names(name, sample) for name, sample in samples.items()]
    data = {
        name: values if values.dtype == np.float64 else values.astype(str).astype(object)
        for block, sample in zip(names, samples.values())
        for name, values in zip(block, sample.columns)
    }
    count = len(next(iter(data.values())))

    def learn(rows: np.ndarray) -> Density:
        weights = np.zeros(count)
        weights[rows] = 1.0
        joint = fit(data, weights=weights)
        if not hasattr(joint, "log_prob") or not hasattr(joint, "marginal"):
            raise PofxError(
                "model: expected a function that returns a fitted distribution, as pofx.fit; "
                f"it returned {type(joint).__name__}"
            )
        return partial(_log_prob, joint, data, names)

    return learn


def _log_prob(
    joint: Any,
    data: Mapping[str, np.ndarray],
    names: Sequence[Sequence[str]],
    x: np.ndarray | None,
    y: np.ndarray | None,
    z: np.ndarray | None,
) -> np.ndarray:
    columns = {
        name: data[name][rows]
        for block, rows in zip(names, (x, y, z))
        if rows is not None
        for name in block
    }
    marginal = joint if len(columns) == len(data) else joint.marginal(*columns)
    return np.asarray(marginal.log_prob(columns), np.float64)


def _column_names(name: str, sample: Sample) -> list[str]:
    needs_number = len(sample.columns) > 1
    return [f"{name}{i}" if needs_number else name for i in range(len(sample.columns))]


def _takes_weights(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return True
    takes_any_keyword = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    return takes_any_keyword or "weights" in parameters
