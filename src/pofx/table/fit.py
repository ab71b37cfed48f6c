"""From a table to a distribution."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import jax
import numpy as np

from pofx.core.discovery import named
from pofx.core.distribution import Statistical
from pofx.core.errors import PofxError, unknown
from pofx.core.rows import Rows, rows
from pofx.learn.em import Fit
from pofx.learn.fit import Candidate, Line, Start, select
from pofx.learn.fit import fit as learn
from pofx.learn.progress import watch
from pofx.models.mixture import Mixture
from pofx.table.encode import encode, log_scale
from pofx.table.frames import read_frame
from pofx.table.infer import infer
from pofx.table.joint import Joint
from pofx.table.options import check
from pofx.table.schema import Schema
from pofx.table.seeds import key_of
from pofx.table.told import plain

COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of components tried where none is named."""
JUDGES, FOLDS = 200, 5
"""Held-out rows wanted to choose by, and the most splits made to come by them."""


def fit(
    data: Any,
    model: str | None = None,
    *,
    schema: Mapping[str, Any] | Schema | None = None,
    weights: str | Any = None,
    validation: float = 0.1,
    seed: int = 0,
    restarts: int = 4,
    tolerance: float = 1e-6,
    steps: int = 1000,
    progress: bool | None = None,
    **options: Any,
) -> Joint:
    """Learns the distribution of a table's rows: p(x) by maximum likelihood.

    `data` is a pandas, polars or pyarrow frame, a numpy array, or a mapping from names to arrays;
    null and NaN are missing cells. `model` is a name that `pofx models` lists, with its options
    (components=8, part="gaussian", latent=3, on="species", ...); None is a mixture of independent
    columns whose number of components is chosen on a `validation` share of the rows (on up to five
    such shares in turn, where one has fewer than 200 rows). `schema` overrides what is inferred of
    columns ({"year": "ordinal"}), or is another fit's own. `weights` is a column's name or an array
    of row weights; they enter learning, not the schema. `progress` shows a bar, by default on a
    terminal. Raises PofxError for bad input, one line; no convergence is a warning.

    >>> p = fit({"x": np.arange(20.0), "y": np.arange(20) % 2}, "independent")
    >>> p
    p(x, y)  Independent
    """
    name = "mixture" if model is None else model
    cls = named("pofx.models", Statistical, "model", name)
    check(name, options)
    for what, value, least in (("restarts", restarts, 1), ("steps", steps, 1)):
        if not isinstance(value, Integral) or value < least:
            raise PofxError(f"{what}: wanted a whole number, at least {least}; got {value!r}")
    if not isinstance(tolerance, Real) or not tolerance >= 0:
        raise PofxError(f"tolerance: wanted a number, at least 0; got {tolerance!r}")
    if not isinstance(schema, Schema):
        schema = infer(data, schema, numeric=lambda v: cls.carries(v, **options) == {"real"})
    if isinstance(weights, str):
        schema = schema.select(n for n in schema.names if n != weights)
        if not schema.names:
            raise PofxError(f"data: wanted a column beside the weights {weights!r}")
    weight, x = _weights(data, weights), encode(schema, data)
    if weight is not None and len(weight) != len(x):
        raise PofxError(f"weights: wanted one a row, {len(x)}; got {len(weight)}")
    key, learning = key_of(seed), {"tolerance": tolerance, "steps": steps}
    units = _units(schema, x, weight)
    board: list[Line] = []
    with watch(progress, name, units) as report:
        learning = {"restarts": restarts, "report": report, **learning}
        if model is not None or "components" in options:
            start = _start(cls, schema, options)
            result = learn(key, start, rows(x, weight=weight), **learning)
        else:
            result, board = _chosen(key, schema, x, weight, validation, options, learning)
    told = {
        "model": name,
        "options": options,
        "rows": len(x),
        "missing": float(np.isnan(x).mean()),
        "log_likelihood": result.log_likelihood - units,
        "steps": len(result.history),
        "history": [h - units for h in result.history[-200:]],
        "converged": result.converged,
        "seconds": round(result.seconds, 3),
        "seed": seed,
        "leaderboard": [line._asdict() for line in board],
    }
    return Joint(result.model, schema, np.full(schema.size, np.nan), (), plain(told))


def _chosen(
    key: jax.Array,
    schema: Schema,
    x: np.ndarray,
    weight: np.ndarray | None,
    validation: float,
    options: dict[str, Any],
    learning: dict[str, Any],
) -> tuple[Fit, list[Line]]:
    """A mixture of as many components as held-out rows prefer, then learned on from all rows."""
    if not isinstance(validation, Real) or not 0 < validation < 1:
        raise PofxError(f"validation: wanted a share between 0 and 1, got {validation!r}")
    choose, go = jax.random.split(key)
    order = np.asarray(jax.random.permutation(choose, len(x)))
    if weight is not None:
        order = order[weight[order] > 0]
    size = max(round(validation * len(order)), 1)
    folds = max(min(-(-JUDGES // size), FOLDS, len(order) // size), 1)
    held = [order[i * size : (i + 1) * size] for i in range(folds)]
    few = [k for k in COMPONENTS if k == 1 or 5 * k <= len(order) - size]
    candidates = [
        Candidate(f"{k} components", _start(Mixture, schema, {**options, "components": k}))
        for k in few
    ]
    if len(order) == size:
        return learn(go, candidates[0].start, rows(x, weight=weight), **learning), []

    def part(index):
        return rows(x[index], weight=None if weight is None else weight[index])

    splits = [(part(np.setdiff1d(order, own)), part(own)) for own in held]
    best, kept, board = select(go, candidates, splits, **learning)
    judges = np.concatenate(held)
    units = _units(schema, x[judges], None if weight is None else weight[judges])
    board = [line._replace(log_likelihood=line.log_likelihood - units) for line in board]
    options["components"] = few[best]
    return learn(
        go, lambda key, rows: kept[0].model, part(order), **{**learning, "restarts": 1}
    ), board


def _start(cls: type[Statistical], schema: Schema, options: Mapping[str, Any]) -> Start:
    """The start of a model with these options, for a learner."""

    def start(key: jax.Array, rows: Rows) -> Statistical:
        return cls.start(key, rows, schema.columns, **options)

    return start


def _units(schema: Schema, x: np.ndarray, weight: np.ndarray | None) -> float:
    """What log-likelihoods lose a row by going from entries to the data's units."""
    return float(np.average(log_scale(schema, x).sum(1), weights=weight)) if len(x) else 0.0


def _weights(data: Any, weights: str | Any | None) -> np.ndarray | None:
    """Row weights as an array, from the name of a column or from values."""
    if weights is None:
        return None
    if isinstance(weights, str):
        if isinstance(data, np.ndarray | list | tuple):
            raise PofxError(
                "weights: columns of an array have no names; pass the weights beside it"
            )
        frame = read_frame(data, [weights])
        if weights not in frame.cells:
            raise unknown("column", weights, frame.names)
        cells = frame.cells[weights]
        weights = None if cells.levels is not None else cells.values
    try:
        weight = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        weight = np.zeros(0)
    if weight.ndim != 1 or not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum():
        raise PofxError("weights: wanted finite numbers >= 0, one a row, not all of them zero")
    return weight
