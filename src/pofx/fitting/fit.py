"""`pofx.fit`: from a table to a distribution."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pofx.core import compilation_cache, float_width, host_keys
from pofx.core.abstract import AbstractLearnable, AbstractQueryable, AbstractSGDModel
from pofx.core.abstract_approximate import AbstractApproximate, has_estimates
from pofx.core.errors import recording_warnings
from pofx.core.registry import class_by_name, snake_case
from pofx.core.rows import Rows, make_rows
from pofx.families.inflated import aligned_to_spikes
from pofx.fitting.arguments import (
    check_checkpoint,
    check_count,
    check_non_negative,
    check_proposal,
    checked_budget,
)
from pofx.fitting.candidates import model_start
from pofx.fitting.fit_warnings import warn_about_variance_floors
from pofx.fitting.options import check_columns, check_options
from pofx.fitting.proposal import fit_with_proposal
from pofx.fitting.selection import SelectedModel, select_model
from pofx.fitting.start import check_start, learn_from
from pofx.fitting.ties import ties
from pofx.fitting.training_data import (
    TrainingData,
    make_splits,
    read_training_data,
    unit_offset,
    validation_unit_offset,
)
from pofx.joint.joint import Joint
from pofx.learn.em import FitResult
from pofx.learn.learner import LearnerConfig, refined, stops_on_validation
from pofx.learn.learner import fit as learn
from pofx.learn.progress_bar import watch
from pofx.named.fit_record import to_json_types
from pofx.named.random_keys import key_of
from pofx.queries.conditioning import needs_float64
from pofx.table import column_statistics
from pofx.table.data_warnings import warn_about_extremes
from pofx.table.schema import Schema

MAX_RECORDED_STEPS = 200
"""The last steps of learning whose log-likelihoods are kept."""


def fit(
    data: Any,
    model: str | None = None,
    *,
    start: Joint | None = None,
    schema: Mapping[str, Any] | Schema | None = None,
    weights: str | Any = None,
    validation: float | Any = 0.1,
    budget: float | None = None,
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

    Args:
        data: a pandas, polars or pyarrow frame, a numpy array, or a mapping from names to arrays;
            null and NaN are missing cells.
        model: a name that `pofx models` lists. None compares independent and correlated columns,
            mixtures of them, trees, latent trees and continuous mixtures, and stacks them if that
            gains on held-out rows; `p.report()` shows the comparison. None with options of a
            mixture is a mixture, of `components` or of as many as held-out rows prefer.
        start: a distribution that EM goes on from, written or learned, in place of a model and its
            options. Its structure and its columns are kept.
        schema: what overrides the inferred columns, such as {"year": "ordinal"}; or the schema of
            another fit.
        weights: the name of a column of row weights, or an array of them. Row weights affect
            learning but not schema inference. Whole numbers repeat rows. Other weights are
            relative: they are scaled to sum to the effective number of rows, (Σw)² / Σw² (Kish
            1965), so that their unit does not matter to a prior.
        validation: the share of rows held out (in up to five splits if it has fewer than 200 rows),
            or data of rows held out. These rows compare models, and stop a model that learns by
            batches or gradients.
        budget: seconds for the comparison of models, compilation not counted; by default 20 for a
            small table, one for every 500 cells of a larger one, and at most 60.
        seed: of all random numbers; equal seeds give equal results.
        restarts: random starts of EM, the best of which goes on.
        tolerance: nats per row; EM ends when a step gains less.
        steps: the most steps of EM.
        epochs: the most passes over the rows by batches or gradients; 0 for the model's default.
        checkpoint: a file into which a model trained by gradients writes its state, and from which
            an interrupted training goes on.
        proposal: the name of an exact model. For a model without closed marginals it is learned
            from the same rows, and missing cells are drawn from it and importance-weighted. By
            default a mixture of Gaussians for real columns, else a latent tree, or for more than
            100 columns a mixture of independent columns.
        progress: whether to show a progress bar; None shows it on a terminal.
        options: of the model, such as components=8, part="gaussian", latent=3 or on="species".

    Returns the fitted distribution. Raises PofxError, one line, for bad input. A fit that did not
    converge is a warning.

    >>> p = fit({"x": np.arange(20.0), "y": np.arange(20) % 2}, "independent")
    >>> p
    p(x, y)  Independent
    """
    compilation_cache.enable()
    name = "mixture" if model is None and "components" in options else model
    cls = None if name is None else class_by_name("pofx.models", AbstractLearnable, "model", name)
    check_options(name or "mixture", options)
    check_count("restarts", restarts, 1)
    check_count("steps", steps, 1)
    check_count("epochs", epochs, 0)
    check_non_negative("tolerance", tolerance)
    check_checkpoint(checkpoint, cls)
    check_proposal(proposal, cls)
    check_start(start, options, model=model, schema=schema, proposal=proposal, budget=budget)

    def numeric(column: str) -> bool:
        return cls is not None and cls.supported_kinds(column, **options) == {"real"}

    schema = schema if start is None else start.schema
    table = read_training_data(data, schema, weights, numeric)
    budget = checked_budget(budget, table.x.size)
    in_float64 = (
        _learns_in_float64(cls, table.x) if start is None else float_width.is_float64(start.model)
    )
    with float_width.float64(in_float64):
        key = key_of(seed)
        offset = unit_offset(*table[:3])
        shuffle_key, select_key = host_keys.split(key)
        holds_out = start is None and (cls is None or stops_on_validation(cls, len(table.x)))
        splits = make_splits(shuffle_key, table, validation, holds_out)
        with watch(progress, name or "models", offset) as report, recording_warnings() as warnings:
            warn_about_extremes(table.schema, table.x)
            config = LearnerConfig(
                restarts, tolerance, steps, epochs, report=report, checkpoint=checkpoint
            )
            rows = make_rows(table.x, weight=table.weight)
            if start is not None:
                selected = learn_from(start, rows, config)
            elif cls is None:
                selected = select_model(
                    select_key, table.schema, rows, splits, config, budget, options
                )
            else:
                result = _fit_named_model(
                    key, cls, table.schema, options, rows, splits, config, proposal
                )
                selected = SelectedModel(name or "", options, result)
            fitted = selected.fit.model
            assert isinstance(fitted, AbstractQueryable)
            if not has_estimates(fitted):
                fitted = float_width.widen_for_answers(fitted, needed=needs_float64(fitted))
            with float_width.float64(float_width.is_float64(fitted)):
                fitted = aligned_to_spikes(fitted, table.schema.columns)
                tied = ties(table.schema, table.x, fitted, key)
            warn_about_variance_floors(fitted, table.schema, tied.relations)
        validation_offset = validation_unit_offset(table.schema, splits)
    learned_schema = table.schema
    if tied != (learned_schema.relations, learned_schema.bijections):
        learned_schema = replace(learned_schema, **tied._asdict())
    record = _fit_record(
        selected,
        table,
        offset=offset,
        validation_offset=validation_offset,
        warnings=warnings,
        seed=seed,
        budget=budget,
    )
    no_evidence = np.full(learned_schema.size, np.nan)
    return Joint(fitted, learned_schema, no_evidence, fit_info=to_json_types(record))


def _learns_in_float64(cls: type[AbstractLearnable] | None, x: np.ndarray) -> bool:
    """Whether a table is learned in float64: no network, and no large table that float32 holds."""
    if not float_width.prefers_float64():
        return False
    if cls is not None and issubclass(cls, AbstractApproximate):
        return False
    # Training by gradients narrows itself; what is compiled from the model is expected in float64.
    trained = cls is not None and issubclass(cls, AbstractSGDModel)
    return trained or x.size < float_width.MIN_FLOAT32_CELLS or column_statistics.needs_float64(x)


def _fit_named_model(
    key: jax.Array,
    cls: type[AbstractLearnable],
    schema: Schema,
    options: Mapping[str, Any],
    rows: Rows,
    splits: list[tuple[Rows, Rows]],
    config: LearnerConfig,
    proposal: str | None,
) -> FitResult:
    """A fitted model of this class; an approximate one together with its proposal."""
    stops = stops_on_validation(cls, rows.count) and splits
    train, valid = splits[0] if stops else (rows, None)
    start = model_start(cls, schema, options)
    if issubclass(cls, AbstractApproximate):
        check_columns(snake_case(cls.__name__), schema, options)
        parts = (rows, train, valid)
        return fit_with_proposal(
            key, cls.learns_from_missing, start, schema, parts, config, proposal
        )
    result = learn(key, start, train, config, valid)
    return result if stops else refined(result, rows)


def _fit_record(
    selected: SelectedModel,
    table: TrainingData,
    *,
    offset: float,
    validation_offset: float,
    warnings: Sequence[str],
    seed: int,
    budget: float,
) -> dict[str, Any]:
    """How the model was learned, with log-likelihoods in the units of the data."""
    result = selected.fit
    board = [
        row._replace(log_likelihood=row.log_likelihood - validation_offset)._asdict()
        for row in selected.board
    ]
    return {
        "model": selected.name,
        "options": selected.options,
        "parts": list(selected.parts),
        "rows": len(table.x),
        "missing": float(np.isnan(table.x).mean()),
        "log_likelihood": result.log_likelihood - offset,
        "steps": len(result.history),
        "history": [value - offset for value in result.history[-MAX_RECORDED_STEPS:]],
        "converged": result.converged,
        "skipped": result.skipped,
        "warnings": list(dict.fromkeys([*table.warnings, *warnings])),
        "seconds": round(result.seconds, 3),
        "seed": seed,
        "budget": budget if selected.board else None,
        "untried": list(selected.untried),
        "leaderboard": board,
    }
