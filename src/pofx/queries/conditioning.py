"""Condition numbers of the normal distributions inside a model, which cost digits of precision."""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable

MAX_CONDITION_NUMBER = 30
"""Above this condition number of correlations float32 leaves fewer than five digits."""


def condition_number(model: Any) -> float:
    """The largest condition number of the correlations of normal parts of a model.

    An answer loses about log10 of this number in digits. It is 1 for a model without normal parts.

    >>> import jax.numpy as jnp
    >>> from pofx.models.gaussian import Gaussian
    >>> p = Gaussian.from_moments(jnp.zeros(2), jnp.array([[4.0, 1.8], [1.8, 1.0]]))
    >>> round(condition_number(p), 3)
    19.0
    """
    largest = 1.0
    for covariance in _covariances(model):
        sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        eigenvalues = np.linalg.eigvalsh(covariance / (sd[..., :, None] * sd[..., None, :]))
        smallest = np.maximum(eigenvalues[..., 0], np.finfo(np.float64).eps)
        largest = max(largest, float((eigenvalues[..., -1] / smallest).max()))
    return largest


def needs_float64(model: Any) -> bool:
    """Whether columns are so strongly correlated that float32 answers have few correct digits."""
    return condition_number(model) > MAX_CONDITION_NUMBER


def _covariances(model: Any) -> Iterator[np.ndarray]:
    """Covariances of normal parts; parts that are stacked in one array come in one array."""
    rule = closed_forms.as_gaussian.find(model)
    mean = getattr(model, "mean", None)
    if rule is not None and isinstance(mean, jax.Array | np.ndarray):
        for _ in range(mean.ndim - 1):
            rule = eqx.filter_vmap(rule)
        yield np.asarray(rule(model)[1], np.float64)
        return
    for part in jax.tree.leaves(model, is_leaf=lambda n: n is not model and _is_model(n)):
        if _is_model(part):
            yield from _covariances(part)


def _is_model(node: Any) -> bool:
    return isinstance(node, AbstractQueryable)
