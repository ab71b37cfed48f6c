"""From a table to a distribution."""

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pofx.core import float_width
from pofx.core.abstract import AbstractLearnable, AbstractQueryable, AbstractSGDModel
from pofx.core.abstract_approximate import AbstractApproximate, has_estimates
from pofx.core.errors import PofxError, recording_warnings, unknown_name_error
from pofx.core.registry import class_by_name, snake_case
from pofx.core.rows import Rows, make_rows
from pofx.families.inflated import aligned
from pofx.fitting import proposal as proposals
from pofx.fitting.candidates import Choice, choose
from pofx.fitting.fit_warnings import warn_about_variance_floors
from pofx.fitting.options import check, check_columns
from pofx.fitting.ties import ties
from pofx.joint.joint import Joint
from pofx.learn.em import FitResult
from pofx.learn.learner import LearnerConfig, Start, by_batches, refined
from pofx.learn.learner import fit as learn
from pofx.learn.progress_bar import watch
from pofx.named.fit_record import plain
from pofx.named.random_keys import key_of
from pofx.queries.conditioning import needs_float64
from pofx.table import column_statistics
from pofx.table.data_warnings import warn_about_extremes
from pofx.table.encoding import encode, log_scale
from pofx.table.frames.reading import read_frame
from pofx.table.schema import Schema
from pofx.table.schema_inference import infer

MAX_COUNT = 2**31 - 1
"""The most restarts, steps and epochs: what loops count to."""
MAX_FLOAT = float(np.finfo(np.float64).max)
JUDGES, FOLDS = 200, 5
"""Held-out rows expected to choose by, and the most splits made to come by them."""


def fit(
    data: Any,
    model: str | None = None,
    *,
    schema: Mapping[str, Any] | Schema | None = None,
    weights: str | Any = None,
    validation: float | Any = 0.1,
    budget: float = 60.0,
    seed: int = 0,
    restarts: int = 4,
    tolerance: float = 1e-6,
    steps: int = 1000,
    epochs: int = 0,
    checkpoint: str | Path | None = None,
    proposal: str | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Joint:
    """Learns the distribution of a table's rows: p(x) by maximum likelihood.

    `data` is a pandas, polars or pyarrow frame, a numpy array, or a mapping from names to arrays;
    null and NaN are missing cells. `model` is a name that `pofx models` lists, with its options
    (components=8, part="gaussian", latent=3, on="species", ...). None compares independent and
    correlated columns, mixtures of them, trees, latent trees and continuous mixtures within
    `budget` seconds, and stacks them where that gains; `p.report()` tells how. With options of a
    mixture and no model it is a mixture, of `components` or of as many as rows held out prefer.

    Rows held out judge, and stop what learns by batches or gradients: `validation` is their share
    (in up to five splits in turn, where a share has fewer than 200 rows), or data of rows held out.
    `schema` overrides what is inferred of columns ({"year": "ordinal"}), or is another fit's own.
    `weights` is a column's name or an array of row weights; they enter learning, not the schema.
    Whole numbers repeat rows. Other weights are relative: they are scaled to sum to the effective
    number of rows, (Σw)² / Σw² (Kish 1965), so that their unit does not matter to a prior.
    EM takes at most `steps` steps, to `tolerance` nats a row; batches and gradients pass over the
    rows at most `epochs` times (0: as is usual). A model trained by gradients writes its state into
    the file `checkpoint`, and goes on from there where it was interrupted. Beside a model whose
    marginals are not closed an exact one is learned, `proposal`, that proposes missing entries (by
    default a mixture of Gaussians for real columns, else a latent tree). `progress` shows a bar, by
    default on a terminal. Raises PofxError for bad input, one line; no convergence is a warning.

    >>> p = fit({"x": np.arange(20.0), "y": np.arange(20) % 2}, "independent")
    >>> p
    p(x, y)  Independent
    """
    name = "mixture" if model is None and "components" in options else model
    cls = None if name is None else class_by_name("pofx.models", AbstractLearnable, "model", name)
    check(name or "mixture", options)
    _check_numbers(restarts=restarts, steps=steps, epochs=epochs)
    for what, value in (("tolerance", tolerance), ("budget", budget)):
        # A whole number may be longer than any float.
        if not isinstance(value, Real) or not (value == np.inf or 0 <= value <= MAX_FLOAT):
            raise PofxError(f"{what}: expected a number, at least 0; got {value!r}")
    _checkpoint(checkpoint, cls)
    _guide(proposal, cls)
    doubts: list[str] = []
    if not isinstance(schema, Schema):
        real = (
            (lambda v: cls.supported_kinds(v, **options) == {"real"}) if cls else (lambda v: False)
        )
        with recording_warnings() as doubts:
            schema = infer(data, schema, numeric=real)
    elif (container := read_frame(data, schema.names).container) != schema.container:
        schema = Schema(schema.variables, container)
    if isinstance(weights, str):
        schema = schema.select(n for n in schema.names if n != weights)
        if not schema.names:
            raise PofxError(f"data: expected a column beside the weights {weights!r}")
    weight, x = _weights(data, weights), encode(schema, data)
    if weight is not None and len(weight) != len(x):
        raise PofxError(f"weights: expected one a row, {len(x)}; got {len(weight)}")
    with float_width.float64(_in_float64(cls, x)):
        key, units = key_of(seed), _units(schema, x, weight)
        shuffle, go = jax.random.split(key)
        splits = _splits(shuffle, schema, x, weight, validation)
        with watch(progress, name or "models", units) as report, recording_warnings() as heard:
            warn_about_extremes(schema, x)
            plan = LearnerConfig(
                restarts, tolerance, steps, epochs, report=report, checkpoint=checkpoint
            )
            if cls is None:
                choice = choose(
                    go, schema, make_rows(x, weight=weight), splits, plan, budget, options
                )
            else:
                one = _named(
                    key, cls, schema, options, make_rows(x, weight=weight), splits, plan, proposal
                )
                choice = Choice(name or "", options, one)
            model = choice.fit.model
            assert isinstance(model, AbstractQueryable)
            if not has_estimates(model):
                model = float_width.widen_for_answers(model, needed=needs_float64(model))
            with float_width.float64(float_width.is_float64(model)):
                model = aligned(model, schema.columns)
                tied = ties(schema, x, model, key)
            warn_about_variance_floors(model, schema, tied.relations)
        judged = _judged_units(schema, splits)
    told = {
        "model": choice.name,
        "options": choice.options,
        "parts": list(choice.parts),
        "rows": len(x),
        "missing": float(np.isnan(x).mean()),
        "log_likelihood": choice.fit.log_likelihood - units,
        "steps": len(choice.fit.history),
        "history": [h - units for h in choice.fit.history[-200:]],
        "converged": choice.fit.converged,
        "skipped": choice.fit.skipped,
        "warnings": list(dict.fromkeys([*doubts, *heard])),
        "seconds": round(choice.fit.seconds, 3),
        "seed": seed,
        "budget": budget if choice.board else None,
        "untried": list(choice.untried),
        "leaderboard": [
            line._replace(log_likelihood=line.log_likelihood - judged)._asdict()
            for line in choice.board
        ],
    }
    if tied != (schema.relations, schema.bijections):
        schema = replace(schema, **tied._asdict())
    return Joint(model, schema, np.full(schema.size, np.nan), fit_info=plain(told))


def _in_float64(cls: type[AbstractLearnable] | None, x: np.ndarray) -> bool:
    """Whether a table is learned in float64: no network, and no large table that float32 holds."""
    if not float_width.prefers_float64() or (cls is not None and issubclass(cls, AbstractApproximate)):
        return False
    # What gradients train narrows itself; what is compiled from it is expected in float64.
    trained = cls is not None and issubclass(cls, AbstractSGDModel)
    return trained or x.size < float_width.MIN_FLOAT32_CELLS or column_statistics.needs_float64(x)


def _named(
    key: jax.Array,
    cls: type[AbstractLearnable],
    schema: Schema,
    options: Mapping[str, Any],
    whole: Rows,
    splits: list[tuple[Rows, Rows]],
    plan: LearnerConfig,
    proposal: str | None,
) -> FitResult:
    """A model of this class, learned; an inexact one with its proposal."""
    stops = by_batches(cls, whole.count) and splits
    train, valid = splits[0] if stops else (whole, None)
    start = _start(cls, schema, options)
    if not issubclass(cls, AbstractApproximate):
        learned = learn(key, start, train, plan, valid)
        return learned if stops else refined(learned, whole)
    check_columns(snake_case(cls.__name__), schema, options)
    return proposals.fit(key, cls.learns_from_missing, start, schema, (whole, train, valid), plan, proposal)


def _judged_units(schema: Schema, splits: list[tuple[Rows, Rows]]) -> float:
    """What log-likelihoods of the rows held out lose a row, as `_units`."""
    if not splits:
        return 0.0
    x, observed, weight = map(np.concatenate, zip(*(valid.to_arrays() for _, valid in splits)))
    return _units(schema, np.where(observed, x, np.nan), weight)


def _guide(proposal: str | None, cls: type | None) -> None:
    if proposal is not None and not (cls and issubclass(cls, AbstractApproximate)):
        told = snake_case(cls.__name__) if cls else "what fit chooses from"
        raise PofxError(
            f"proposal: expected a model that needs one, as 'flow'; {told} has closed marginals, "
            "leave it out"
        )


def _checkpoint(checkpoint: Any, cls: type[AbstractLearnable] | None) -> None:
    if checkpoint is None:
        return
    if not isinstance(checkpoint, str | Path):
        raise PofxError(f"checkpoint: expected the name of a file, got {checkpoint!r}")
    if cls is None or not issubclass(cls, AbstractSGDModel):
        raise PofxError("checkpoint: expected a model that gradients train, as continuous_mixture")


def _check_numbers(**values: Any) -> None:
    for what, value in values.items():
        least = 0 if what == "epochs" else 1
        if not isinstance(value, Integral) or value < least:
            raise PofxError(f"{what}: expected a whole number, at least {least}; got {value!r}")
        if int(value) > MAX_COUNT:
            raise PofxError(f"{what}: expected at most {MAX_COUNT}, got a number beyond it")


def _splits(
    key: jax.Array,
    schema: Schema,
    x: np.ndarray,
    weight: np.ndarray | None,
    validation: float | Any,
) -> list[tuple[Rows, Rows]]:
    """Rows to learn from and rows held out: a few times over where a share is small."""
    if not isinstance(validation, Real):
        held = encode(schema, validation)
        if not len(held):
            raise PofxError("validation: expected a share between 0 and 1, or rows; got no row")
        return [(make_rows(x, weight=weight), make_rows(held))]
    if not 0 < float(validation) < 1:
        raise PofxError(f"validation: expected a share between 0 and 1, got {validation!r}")
    order = np.asarray(jax.random.permutation(key, len(x)))
    if weight is not None:
        order = order[weight[order] > 0]
    size = max(round(float(validation) * len(order)), 1)
    if len(order) == size:
        return []
    folds = max(min(-(-JUDGES // size), FOLDS, len(order) // size), 1)
    held = [order[i * size : (i + 1) * size] for i in range(folds)]

    def part(index):
        return make_rows(x[index], weight=None if weight is None else weight[index])

    return [(part(np.setdiff1d(order, own)), part(own)) for own in held]


def _start(cls: type[AbstractLearnable], schema: Schema, options: Mapping[str, Any]) -> Start:
    """The start of a model with these options, for a learner."""

    def start(key: jax.Array, rows: Rows) -> AbstractLearnable:
        return cls.from_data(key, rows, schema.columns, **options)

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
            raise unknown_name_error("column", weights, frame.names)
        cells = frame.cells[weights]
        weights = None if cells.levels is not None or cells.time_kind else cells.values
    try:
        weight = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        weight = np.zeros(0)
    if weight.ndim != 1 or not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum():
        raise PofxError("weights: expected finite numbers >= 0, one a row, not all of them zero")
    return weight if (weight == np.rint(weight)).all() else _effective(weight)


def _effective(weight: np.ndarray) -> np.ndarray:
    """Relative weights, scaled to sum to the number of equally weighted rows that say as much.

    >>> _effective(np.array([0.1, 0.1, 0.1, 0.0])).sum().round(6)
    np.float64(3.0)
    """
    share = weight / weight.max()  # so that no square overflows or vanishes
    return share * share.sum() / (share**2).sum()
