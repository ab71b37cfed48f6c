"""Means and covariances of numbers and of arrays of them, as arrays."""

from typing import Any, NamedTuple

import numpy as np

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.compilation import compiled
from pofx.core.errors import PofxError
from pofx.core.float_width import in_model_width
from pofx.core.rows import make_rows
from pofx.named.conditioning import marginal
from pofx.named.memory_limits import check_room
from pofx.named.model import NamedModel, check_positive_int
from pofx.named.random_keys import key_of
from pofx.named.seed_averaging import averaged_over_seeds
from pofx.queries import imputation

Group = tuple[str, ...]


class _Moments(NamedTuple):
    """Mean and covariance in the data's units, their standard errors, and the number of draws."""

    mean: np.ndarray
    covariance: np.ndarray
    mean_stderr: np.ndarray
    covariance_stderr: np.ndarray
    draws: int

    def answer(self, value: np.ndarray, stderr: np.ndarray, question: str) -> Answer:
        if not self.draws:
            return Answer(value, method="closed form", question=question)
        return Answer(value, stderr, "estimate", self.draws, question=question)


@in_model_width
@averaged_over_seeds
def mean(p: NamedModel, names: Group, draws: int, seed: int) -> Answer:
    """E[names], in the shape of an array if there is one name."""
    names = _numbers(p, "mean", names)
    moments = _moments(p, names, draws, seed)
    shape = p.schema.variable(names[0]).shape if len(names) == 1 else moments.mean.shape
    value, stderr = moments.mean, moments.mean_stderr
    return moments.answer(value.reshape(shape), stderr.reshape(shape), f"E[{', '.join(names)}]")


@in_model_width
@averaged_over_seeds
def covariance(p: NamedModel, a: Group, b: Group, draws: int, seed: int) -> Answer:
    """Cov(a, b), of shape (entries of a, entries of b)."""
    a, b = _numbers(p, "covariance", a), _numbers(p, "covariance", b or a)
    names = tuple(dict.fromkeys((*a, *b)))
    moments = _moments(p, names, draws, seed)
    block = np.ix_(*(_entries(p, names, group) for group in (a, b)))
    question = f"Cov[{', '.join(a)}; {', '.join(b)}]"
    return moments.answer(moments.covariance[block], moments.covariance_stderr[block], question)


def _numbers(p: NamedModel, call: str, names: Group) -> Group:
    """The names, all by default; PofxError for levels and for arrays that are partly given."""
    for variable in map(p.schema.variable, names or p.schema.names):
        if variable.discrete:
            raise PofxError(f"{call}: expected columns of numbers, {variable.name} has levels")
        if not p.entries.free[p.schema.slices[variable.name]].all():
            raise PofxError(f"{call}: expected random entries, some of {variable.name} are given")
    return names or p.schema.names


def _entries(p: NamedModel, names: Group, group: Group) -> np.ndarray:
    """The entries of a group, among those of all names in order."""
    ends = np.cumsum([p.schema.variable(name).size for name in names])
    ranges = {name: range(e - p.schema.variable(name).size, e) for name, e in zip(names, ends)}
    return np.array([i for name in group for i in ranges[name]])


def _moments(p: NamedModel, names: Group, draws: int, seed: int) -> _Moments:
    """The moments of the names, in this order: by a rule of the model, else of draws."""
    q = marginal(p, names)
    order = np.concatenate([np.arange(q.schema.size)[q.schema.slices[name]] for name in names])
    columns = [q.schema.variables[i] for i in _variable_of_entry(q)[order]]
    scale = np.array([variable.scale for variable in columns])
    moments = _closed_moments(q.model)
    if moments is None:
        in_entries = _moments_of_draws(q, draws, seed)
    else:
        centre, matrix = (np.asarray(a, np.float64) for a in moments)
        in_entries = _Moments(centre, matrix, np.zeros_like(centre), np.zeros_like(matrix), 0)
    block, unit = np.ix_(order, order), np.outer(scale, scale)
    return _Moments(
        np.array([variable.shift for variable in columns]) + scale * in_entries.mean[order],
        unit * in_entries.covariance[block],
        scale * in_entries.mean_stderr[order],
        unit * in_entries.covariance_stderr[block],
        in_entries.draws,
    )


def _variable_of_entry(q: NamedModel) -> np.ndarray:
    """The index of the variable of each entry of a row."""
    return np.repeat(np.arange(len(q.schema.variables)), [v.size for v in q.schema.variables])


@compiled
def _closed_moments(model: AbstractQueryable) -> Any:
    rule = closed_forms.moments.find(model)
    return rule and rule(model)


def _moments_of_draws(q: NamedModel, draws: int, seed: int) -> _Moments:
    check_positive_int("draws", draws)
    check_room("draws", draws, q.schema.size**2)
    nothing = np.full((draws, q.model.size), np.nan)
    x = np.asarray(imputation.draw_missing(key_of(seed), q.model, make_rows(nothing)), np.float64)
    centred = x - x.mean(0)
    products = centred[:, :, None] * centred[:, None]
    mean_stderr, covariance_stderr = (a.std(0, ddof=1) / np.sqrt(draws) for a in (x, products))
    covariance = products.sum(0) / (draws - 1)
    return _Moments(x.mean(0), covariance, mean_stderr, covariance_stderr, draws)
